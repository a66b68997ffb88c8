"""Counters, leases, usage and decisions."""

from alembic import op

from shared.runtime.isolation import append_only

revision = "0004"
down_revision = "0003"

_TABLES = """
CREATE TABLE counters (
    entitlement_id UUID NOT NULL,
    action TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE,
    taken BIGINT NOT NULL,
    outstanding BIGINT NOT NULL,
    carried BIGINT DEFAULT 0 NOT NULL,
    holders BIGINT NOT NULL,
    granted BIGINT NOT NULL,
    PRIMARY KEY (entitlement_id, action, window_start),
    CONSTRAINT counters_outstanding CHECK (outstanding BETWEEN 0 AND taken)
);
CREATE INDEX counters_window_end ON counters (window_end) WHERE window_end IS NOT NULL;

CREATE TABLE leases (
    id UUID NOT NULL,
    entitlement_id UUID NOT NULL,
    action TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    solution_id TEXT NOT NULL,
    validator TEXT NOT NULL,
    units BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    expired BOOLEAN DEFAULT false NOT NULL,
    lost_date DATE,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
    recall_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT leases_spent CHECK (spent BETWEEN 0 AND units)
);
CREATE INDEX leases_counter ON leases (entitlement_id, action, window_start);
CREATE INDEX leases_expire_time ON leases (expired, expire_time);

CREATE TABLE reservations (
    id UUID NOT NULL,
    entitlement_id UUID NOT NULL,
    action TEXT NOT NULL,
    quota_action TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE,
    solution_id TEXT NOT NULL,
    user_id UUID,
    token_kid TEXT DEFAULT '' NOT NULL,
    tier TEXT DEFAULT '' NOT NULL,
    validator TEXT DEFAULT '' NOT NULL,
    units BIGINT NOT NULL,
    spent BIGINT DEFAULT 0 NOT NULL,
    short BIGINT DEFAULT 0 NOT NULL,
    state TEXT NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT state_known CHECK (state IN ('OPEN', 'COMMITTED', 'RELEASED'))
);
CREATE INDEX reservations_expire_time ON reservations (expire_time) WHERE state = 'OPEN';
CREATE INDEX reservations_end_time ON reservations (end_time) WHERE end_time IS NOT NULL;

CREATE TABLE usage_days (
    solution_id TEXT NOT NULL,
    entitlement_id UUID NOT NULL,
    action TEXT NOT NULL,
    date DATE NOT NULL,
    user_id UUID,
    used_units BIGINT DEFAULT 0 NOT NULL,
    lost_units BIGINT DEFAULT 0 NOT NULL,
    allowed_count BIGINT DEFAULT 0 NOT NULL,
    denied_count BIGINT DEFAULT 0 NOT NULL,
    last_request_time TIMESTAMP WITH TIME ZONE,
    quota_limit BIGINT,
    PRIMARY KEY (entitlement_id, date, action, solution_id)
);
CREATE INDEX usage_days_date ON usage_days (date, entitlement_id, action, solution_id);
CREATE INDEX usage_days_solution_id ON usage_days (solution_id, date, entitlement_id, action);
CREATE INDEX usage_days_user_id ON usage_days (user_id, date);

CREATE TABLE decisions (
    first_time TIMESTAMP WITH TIME ZONE NOT NULL,
    id UUID NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    last_time TIMESTAMP WITH TIME ZONE NOT NULL,
    token_kid TEXT DEFAULT '' NOT NULL,
    user_id UUID,
    solution_id TEXT NOT NULL,
    entitlement_id UUID,
    tier TEXT DEFAULT '' NOT NULL,
    action TEXT NOT NULL,
    code TEXT NOT NULL,
    cost BIGINT NOT NULL,
    count BIGINT NOT NULL,
    validator TEXT NOT NULL,
    revision BIGINT NOT NULL,
    lease_id UUID
)
 PARTITION BY RANGE (first_time);
CREATE INDEX decisions_create_time ON decisions (create_time, id);
CREATE INDEX decisions_entitlement_id ON decisions (entitlement_id, create_time, id);
CREATE INDEX decisions_id ON decisions (id);
CREATE UNIQUE INDEX decisions_key ON decisions (first_time, id);
CREATE INDEX decisions_solution_id ON decisions (solution_id, create_time, id);
CREATE INDEX decisions_token_kid ON decisions (token_kid, create_time, id);
CREATE INDEX decisions_user_id ON decisions (user_id, create_time, id);
"""

_MORE = """
CREATE TABLE partitions.decisions_default PARTITION OF decisions DEFAULT;

-- A partition a day, made ahead, and dropped as a whole when it is old. The service's roles own no tables, so the
-- owner's function does it for the steward, and nothing else.
CREATE FUNCTION partitions.keep_decisions(today date, ahead integer, kept integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    day date;
    old record;
    changed integer := 0;
BEGIN
    FOR day IN SELECT today + n FROM generate_series(0, LEAST(ahead, 30)) AS n LOOP
        CONTINUE WHEN to_regclass('partitions.decisions_' || to_char(day, 'YYYYMMDD')) IS NOT NULL;
        -- What came before its partition lies in the default one, and would refuse it.
        CONTINUE WHEN EXISTS (SELECT FROM partitions.decisions_default
            WHERE first_time >= day::timestamp AT TIME ZONE 'UTC'
            AND first_time < (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TABLE partitions.%I PARTITION OF public.decisions FOR VALUES FROM (%L) TO (%L)',
            'decisions_' || to_char(day, 'YYYYMMDD'), day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
        changed := changed + 1;
    END LOOP;
    FOR old IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'partitions' AND c.relkind = 'r' AND c.relname ~ '^decisions_[0-9]{8}$'
            AND c.relname < 'decisions_' || to_char(today - GREATEST(kept, 7), 'YYYYMMDD') LOOP
        EXECUTE format('DROP TABLE partitions.%I', old.relname);
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END $$;
REVOKE ALL ON FUNCTION partitions.keep_decisions(date, integer, integer) FROM PUBLIC;
GRANT USAGE ON SCHEMA partitions TO center_steward;
GRANT EXECUTE ON FUNCTION partitions.keep_decisions(date, integer, integer) TO center_steward;

GRANT SELECT, DELETE ON counters, leases, reservations TO center_steward;
REVOKE DELETE ON usage_days FROM center_app;

-- Rows that are updated many times a second, and never in an indexed column: room for that in each page.
ALTER TABLE counters SET (fillfactor = 60);
ALTER TABLE usage_days SET (fillfactor = 70);
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_MORE)
    append_only("decisions")
