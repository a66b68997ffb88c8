"""Plans, features and feature sets."""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE features (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    unit TEXT DEFAULT '' NOT NULL,
    period TEXT DEFAULT '' NOT NULL,
    schema JSONB,
    default_value JSONB,
    state TEXT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT kind_known CHECK (kind IN ('BOOLEAN', 'METERED', 'CONFIGURATION')),
    CONSTRAINT state_known CHECK (state IN ('ACTIVE', 'ARCHIVED'))
);

CREATE TABLE rollouts (
    feature_id TEXT NOT NULL,
    cluster_id TEXT NOT NULL,
    basis_points INTEGER NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (feature_id, cluster_id),
    CONSTRAINT rollouts_feature_id_fkey FOREIGN KEY(feature_id) REFERENCES features (id)
);

CREATE TABLE kill_switches (
    id UUID NOT NULL,
    feature_id TEXT NOT NULL,
    tenant_id UUID,
    cluster_id TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT kill_switches_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT kill_switches_feature_id_fkey FOREIGN KEY(feature_id) REFERENCES features (id)
);
CREATE INDEX kill_switches_expire_time ON kill_switches (expire_time) WHERE expire_time IS NOT NULL;
CREATE UNIQUE INDEX kill_switches_scope_key ON kill_switches (feature_id, cluster_id, tenant_id) NULLS NOT DISTINCT;
CREATE INDEX kill_switches_tenant_id ON kill_switches (tenant_id);

CREATE TABLE plans (
    id TEXT NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    active_version INTEGER NOT NULL,
    latest_version INTEGER NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE plan_versions (
    plan_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    features JSONB NOT NULL,
    note TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    effective_time TIMESTAMP WITH TIME ZONE,
    archive_time TIMESTAMP WITH TIME ZONE,
    edit BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (plan_id, version),
    CONSTRAINT state_known CHECK (state IN ('DRAFT', 'SCHEDULED', 'ACTIVE', 'ARCHIVED')),
    CONSTRAINT plan_versions_plan_id_fkey FOREIGN KEY(plan_id) REFERENCES plans (id)
);
CREATE INDEX plan_versions_due ON plan_versions (effective_time) WHERE state = 'SCHEDULED';
CREATE UNIQUE INDEX plan_versions_one_active ON plan_versions (plan_id) WHERE state = 'ACTIVE';

CREATE TABLE add_ons (
    id TEXT NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    extras JSONB NOT NULL,
    state TEXT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT state_known CHECK (state IN ('ACTIVE', 'ARCHIVED'))
);

CREATE TABLE tenant_features (
    tenant_id UUID NOT NULL,
    pinned_plan_id TEXT DEFAULT '' NOT NULL,
    pinned_version INTEGER DEFAULT 0 NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (tenant_id),
    CONSTRAINT tenant_features_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE attachments (
    tenant_id UUID NOT NULL,
    add_on_id TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (tenant_id, add_on_id),
    CONSTRAINT attachments_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT attachments_add_on_id_fkey FOREIGN KEY(add_on_id) REFERENCES add_ons (id)
);
CREATE INDEX attachments_expire_time ON attachments (expire_time) WHERE expire_time IS NOT NULL;

CREATE TABLE overrides (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    feature_id TEXT NOT NULL,
    action TEXT NOT NULL,
    value JSONB,
    reason TEXT DEFAULT '' NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT overrides_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT action_known CHECK (action IN ('ADD', 'RAISE', 'LOWER', 'REMOVE')),
    CONSTRAINT overrides_feature_id_fkey FOREIGN KEY(feature_id) REFERENCES features (id)
);
CREATE UNIQUE INDEX overrides_action_key ON overrides (tenant_id, feature_id, action);
CREATE INDEX overrides_create_time ON overrides (create_time, id);
CREATE INDEX overrides_expire_time ON overrides (expire_time) WHERE expire_time IS NOT NULL;

CREATE TABLE plan_assignments (
    tenant_id UUID NOT NULL,
    plan_id TEXT NOT NULL,
    pinned_version INTEGER NOT NULL,
    assign_time TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id),
    CONSTRAINT plan_assignments_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT plan_assignments_plan_id_fkey FOREIGN KEY(plan_id) REFERENCES plans (id)
);
CREATE INDEX plan_assignments_assign_time ON plan_assignments (assign_time, tenant_id);

CREATE TABLE feature_watchers (
    id TEXT NOT NULL,
    stream_id UUID NOT NULL,
    applied_revision BIGINT NOT NULL,
    open BOOLEAN NOT NULL,
    seen_time TIMESTAMP WITH TIME ZONE NOT NULL,
    refusals JSONB NOT NULL,
    PRIMARY KEY (id)
);
"""

# What a platform starts with; its operators change it as they like.
_SEEDS = """
INSERT INTO features
    (id, kind, display_name, description, unit, period, schema, default_value, state, create_time, update_time, version)
VALUES
    ('products', 'METERED', 'Products', 'How many products a shop may have.', 'products', 'STANDING', NULL, NULL,
        'ACTIVE', now(), now(), 1),
    ('bulk_import', 'BOOLEAN', 'Bulk import', 'Importing many products at once.', '', '', NULL, NULL,
        'ACTIVE', now(), now(), 1),
    ('custom_domains', 'METERED', 'Custom domains', 'How many domains of its own a shop may have.', 'domains',
        'STANDING', NULL, NULL, 'ACTIVE', now(), now(), 1),
    ('api_rate', 'CONFIGURATION', 'API rate', 'How many calls a shop may make.', '', '', '{"type": "rate_limit"}',
        '{"type": "rate_limit", "value": {"per_second": 10.0, "burst": 20}}', 'ACTIVE', now(), now(), 1);

INSERT INTO plans (id, display_name, active_version, latest_version, create_time, update_time, version)
VALUES
    ('starter', 'Starter', 1, 1, now(), now(), 1),
    ('standard', 'Standard', 1, 1, now(), now(), 1),
    ('pro', 'Pro', 1, 1, now(), now(), 1),
    ('enterprise', 'Enterprise', 1, 1, now(), now(), 1);

-- Whoever is on a plan by a name that was free so far stays on it.
INSERT INTO plans (id, display_name, active_version, latest_version, create_time, update_time, version)
SELECT DISTINCT plan_id, plan_id, 1, 1, now(), now(), 1 FROM tenants WHERE plan_id <> '' ON CONFLICT (id) DO NOTHING;

INSERT INTO plan_versions (plan_id, version, state, features, create_time, update_time, effective_time, edit)
SELECT p.id, 1, 'ACTIVE', jsonb_build_object(
        'products', jsonb_build_object('limit', w.products, 'period', 'STANDING', 'soft', false, 'rollover_limit', 0),
        'bulk_import', w.bulk_import,
        'custom_domains',
            jsonb_build_object('limit', w.custom_domains, 'period', 'STANDING', 'soft', false, 'rollover_limit', 0),
        'api_rate', jsonb_build_object('type', 'rate_limit', 'value',
            jsonb_build_object('per_second', w.per_second, 'burst', w.burst))
    ), now(), now(), now(), 1
FROM plans p
JOIN (VALUES
    ('starter', 1000::bigint, false, 1::bigint, 50.0, 100),
    ('standard', 1000000, true, 1000, 10000.0, 20000),
    ('pro', 10000000, true, 10000, 20000.0, 40000),
    ('enterprise', NULL, true, NULL, 100000.0, 200000)
) AS w (plan_id, products, bulk_import, custom_domains, per_second, burst)
    ON w.plan_id = CASE WHEN p.id IN ('starter', 'pro', 'enterprise') THEN p.id ELSE 'standard' END;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_SEEDS)
