"""The catalog, its changes, operations, audit and outbox."""

from alembic import op

from shared.runtime.isolation import append_only

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE audit_entries (
    id UUID NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    method TEXT DEFAULT '' NOT NULL,
    caller TEXT DEFAULT '' NOT NULL,
    resource TEXT DEFAULT '' NOT NULL,
    resource_id TEXT DEFAULT '' NOT NULL,
    tenant_id TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    trace_id TEXT DEFAULT '' NOT NULL,
    request_id TEXT DEFAULT '' NOT NULL,
    changes JSONB NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX audit_entries_resource ON audit_entries (resource, resource_id, id);
CREATE INDEX audit_entries_tenant_id ON audit_entries (tenant_id, id);

CREATE TABLE catalog_changes (
    revision BIGINT NOT NULL,
    block_end BIGINT NOT NULL,
    kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    cluster_ids TEXT[] NOT NULL,
    entry BYTEA NOT NULL,
    PRIMARY KEY (revision),
    CONSTRAINT kind_known CHECK (kind IN ('tenant', 'cluster'))
);

CREATE TABLE catalog_entries (
    kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    entry BYTEA NOT NULL,
    PRIMARY KEY (kind, resource_id)
);

CREATE TABLE catalog_revision (
    one BOOLEAN DEFAULT true NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (one),
    CONSTRAINT one_row CHECK (one)
);

CREATE TABLE idempotency (
    tenant_id UUID NOT NULL,
    scope TEXT NOT NULL,
    caller TEXT NOT NULL,
    request_id UUID NOT NULL,
    fingerprint BYTEA NOT NULL,
    answer BYTEA,
    expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant_id, scope, caller, request_id)
);
CREATE INDEX ix_idempotency_expire_time ON idempotency (expire_time);

CREATE TABLE operations (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    tenant_id UUID NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    lane TEXT DEFAULT '' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    last_error JSONB,
    next_attempt_time TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_owner TEXT DEFAULT '' NOT NULL,
    fence BIGINT DEFAULT 0 NOT NULL,
    cancel_requested BOOLEAN DEFAULT false NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    caller TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    trace_id TEXT DEFAULT '' NOT NULL,
    request_id TEXT DEFAULT '' NOT NULL,
    source_cluster_id TEXT DEFAULT '' NOT NULL,
    target_cluster_id TEXT DEFAULT '' NOT NULL,
    target_shard_id TEXT DEFAULT '' NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    freeze_limit_s BIGINT DEFAULT 0 NOT NULL,
    freeze_time TIMESTAMP WITH TIME ZONE,
    thaw_time TIMESTAMP WITH TIME ZONE,
    rows_copied BIGINT DEFAULT 0 NOT NULL,
    error JSONB,
    PRIMARY KEY (id),
    CONSTRAINT kind_known CHECK (kind IN ('PROVISION', 'MOVE', 'PURGE')),
    CONSTRAINT state_known CHECK (state IN ('RUNNING', 'COMPENSATING', 'DONE', 'FAILED', 'CANCELLED'))
);
CREATE INDEX operations_create_time ON operations (create_time, id);
CREATE INDEX operations_due ON operations (next_attempt_time) WHERE end_time IS NULL;
CREATE UNIQUE INDEX operations_one_a_tenant ON operations (tenant_id) WHERE state = 'RUNNING';
CREATE INDEX operations_tenant_id ON operations (tenant_id, create_time);

CREATE TABLE outbox (
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    id UUID NOT NULL,
    subject TEXT NOT NULL,
    trace_id TEXT DEFAULT '' NOT NULL,
    payload BYTEA NOT NULL
)
 PARTITION BY RANGE (create_time);
CREATE UNIQUE INDEX outbox_key ON outbox (create_time, id);

CREATE TABLE regions (
    id TEXT NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE tenants (
    id UUID NOT NULL,
    code TEXT NOT NULL,
    display_name TEXT NOT NULL,
    labels JSONB NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT DEFAULT '' NOT NULL,
    mode TEXT NOT NULL,
    mode_reason TEXT DEFAULT '' NOT NULL,
    mode_expire_time TIMESTAMP WITH TIME ZONE,
    plan_id TEXT NOT NULL,
    wanted_region_id TEXT DEFAULT '' NOT NULL,
    region_id TEXT DEFAULT '' NOT NULL,
    cluster_id TEXT DEFAULT '' NOT NULL,
    shard_id TEXT DEFAULT '' NOT NULL,
    isolation TEXT NOT NULL,
    residency TEXT[] NOT NULL,
    moving_to_cluster_id TEXT DEFAULT '' NOT NULL,
    writes_frozen BOOLEAN DEFAULT false NOT NULL,
    primary_domain TEXT DEFAULT '' NOT NULL,
    config JSONB NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    delete_time TIMESTAMP WITH TIME ZONE,
    purge_time TIMESTAMP WITH TIME ZONE,
    undelete_state TEXT,
    operation_id UUID,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT state_known CHECK (
        state IN ('DRAFT', 'PROVISIONING', 'ACTIVE', 'SUSPENDED', 'TERMINATED', 'FAILED', 'DELETING')
    ),
    CONSTRAINT mode_known CHECK (mode IN ('NORMAL', 'READ_ONLY', 'MAINTENANCE')),
    CONSTRAINT isolation_known CHECK (isolation IN ('SHARED', 'DEDICATED'))
);
CREATE INDEX tenants_cluster_id ON tenants (cluster_id);
CREATE UNIQUE INDEX tenants_code_key ON tenants (code);
CREATE INDEX tenants_create_time ON tenants (create_time, id);
CREATE INDEX tenants_mode_expire_time ON tenants (mode_expire_time) WHERE mode_expire_time IS NOT NULL;
CREATE INDEX tenants_purge_time ON tenants (purge_time) WHERE purge_time IS NOT NULL;
CREATE INDEX tenants_update_time ON tenants (update_time, id);

CREATE TABLE watchers (
    id TEXT NOT NULL,
    stream_id UUID NOT NULL,
    applied_revision BIGINT NOT NULL,
    open BOOLEAN NOT NULL,
    seen_time TIMESTAMP WITH TIME ZONE NOT NULL,
    refusals JSONB NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE clusters (
    id TEXT NOT NULL,
    region_id TEXT NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    endpoints JSONB NOT NULL,
    tiers TEXT[] NOT NULL,
    capacity BIGINT NOT NULL,
    dedicated BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    labels JSONB NOT NULL,
    tenant_count BIGINT DEFAULT 0 NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT state_known CHECK (state IN ('OPEN', 'CLOSED', 'DRAINING')),
    CONSTRAINT clusters_region_id_fkey FOREIGN KEY(region_id) REFERENCES regions (id)
);

CREATE TABLE domains (
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    number BIGINT GENERATED ALWAYS AS IDENTITY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    token TEXT DEFAULT '' NOT NULL,
    verified_reason TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    verify_time TIMESTAMP WITH TIME ZONE,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name),
    CONSTRAINT domains_tenant_id_fkey FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    CONSTRAINT kind_known CHECK (kind IN ('PLATFORM', 'CUSTOM')),
    CONSTRAINT state_known CHECK (state IN ('PENDING', 'VERIFIED'))
);
CREATE INDEX domains_name ON domains (name, tenant_id);
CREATE UNIQUE INDEX domains_verified_name_key ON domains (name) WHERE state = 'VERIFIED';

CREATE TABLE shards (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant_count BIGINT DEFAULT 0 NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (cluster_id, id),
    CONSTRAINT shards_cluster_id_fkey FOREIGN KEY(cluster_id) REFERENCES clusters (id)
);
"""

_MORE = """
INSERT INTO catalog_revision (revision) VALUES (0);

-- In a schema of its own, since partitions come and go with time and are no part of the model.
CREATE SCHEMA partitions;
CREATE TABLE partitions.outbox_default PARTITION OF outbox DEFAULT;

GRANT SELECT, DELETE ON catalog_changes TO center_steward;
GRANT SELECT ON catalog_revision TO center_steward;
GRANT SELECT, DELETE ON idempotency TO center_steward;

-- The one row of the revision is there from the beginning, and for ever.
REVOKE INSERT, DELETE ON catalog_revision FROM center_app;
REVOKE UPDATE, DELETE ON outbox FROM center_app;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_MORE)
    for table in ("catalog_changes", "audit_entries"):
        append_only(table)
    op.execute("REVOKE DELETE ON operations FROM center_app")
