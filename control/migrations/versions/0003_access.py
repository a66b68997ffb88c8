"""Solutions, entitlements and tokens."""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = """
CREATE TABLE solutions (
    id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    tiers JSONB NOT NULL,
    default_tier TEXT DEFAULT '' NOT NULL,
    anonymous_tier TEXT DEFAULT '' NOT NULL,
    redirect_urls TEXT[] NOT NULL,
    fail_mode TEXT NOT NULL,
    max_age_ms BIGINT NOT NULL,
    token_in_redirect BOOLEAN NOT NULL,
    verified_email_required BOOLEAN NOT NULL,
    email_hidden BOOLEAN NOT NULL,
    time_zone TEXT DEFAULT '' NOT NULL,
    upgrade_url TEXT DEFAULT '' NOT NULL,
    gateway JSONB,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    delete_time TIMESTAMP WITH TIME ZONE,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT fail_mode_known CHECK (fail_mode IN ('CLOSED', 'OPEN'))
);

CREATE TABLE solution_hosts (
    name TEXT NOT NULL,
    solution_id TEXT NOT NULL,
    PRIMARY KEY (name),
    CONSTRAINT solution_hosts_solution_id_fkey FOREIGN KEY(solution_id) REFERENCES solutions (id)
);
CREATE INDEX solution_hosts_solution_id ON solution_hosts (solution_id);

CREATE TABLE solution_keys (
    kid TEXT NOT NULL,
    solution_id TEXT NOT NULL,
    display_name TEXT DEFAULT '' NOT NULL,
    pepper INTEGER NOT NULL,
    mac BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    revoke_time TIMESTAMP WITH TIME ZONE,
    last_use_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (kid),
    CONSTRAINT solution_keys_solution_id_fkey FOREIGN KEY(solution_id) REFERENCES solutions (id)
);
CREATE INDEX solution_keys_solution_id ON solution_keys (solution_id, create_time, kid);

CREATE TABLE entitlements (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    solution_id TEXT NOT NULL,
    tier TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT entitlements_solution_id_fkey FOREIGN KEY(solution_id) REFERENCES solutions (id),
    CONSTRAINT status_known CHECK (status IN ('ACTIVE', 'SUSPENDED', 'CANCELLED'))
);
CREATE INDEX entitlements_create_time ON entitlements (create_time, id);
CREATE UNIQUE INDEX entitlements_grant_key ON entitlements (user_id, solution_id);
CREATE INDEX entitlements_solution_id ON entitlements (solution_id, create_time, id);

CREATE TABLE tokens (
    kid TEXT NOT NULL,
    entitlement_id UUID NOT NULL,
    user_id UUID NOT NULL,
    solution_id TEXT NOT NULL,
    pepper INTEGER NOT NULL,
    mac BYTEA NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE,
    revoke_time TIMESTAMP WITH TIME ZONE,
    revoke_reason TEXT DEFAULT '' NOT NULL,
    last_use_time TIMESTAMP WITH TIME ZONE,
    next_kid TEXT DEFAULT '' NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (kid),
    CONSTRAINT tokens_entitlement_id_fkey FOREIGN KEY(entitlement_id) REFERENCES entitlements (id)
);
CREATE INDEX tokens_create_time ON tokens (create_time, kid);
CREATE INDEX tokens_entitlement_id ON tokens (entitlement_id);
CREATE INDEX tokens_solution_id ON tokens (solution_id, create_time, kid);
CREATE INDEX tokens_user_id ON tokens (user_id);
"""

_MORE = """
ALTER TABLE catalog_changes DROP CONSTRAINT kind_known,
    ADD CONSTRAINT kind_known CHECK (kind IN ('tenant', 'cluster', 'solution', 'access', 'features'));

-- What was granted is ended, never taken out of the books; what is logged refers to it.
REVOKE DELETE ON solutions, solution_keys, entitlements, tokens FROM center_app;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_MORE)
