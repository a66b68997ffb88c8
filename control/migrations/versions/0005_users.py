"""Users, codes and mail."""

from alembic import op

revision = "0005"
down_revision = "0004"

_TABLES = """
CREATE TABLE users (
    id UUID NOT NULL,
    state TEXT NOT NULL,
    email BYTEA,
    wanted_email BYTEA,
    email_hash BYTEA,
    data_key BYTEA,
    kek BIGINT NOT NULL,
    verify_time TIMESTAMP WITH TIME ZONE,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    update_time TIMESTAMP WITH TIME ZONE NOT NULL,
    erase_time TIMESTAMP WITH TIME ZONE,
    version BIGINT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT state_known CHECK (state IN ('ACTIVE', 'ERASING', 'ERASED'))
);
CREATE UNIQUE INDEX users_email_hash_key ON users (email_hash);
CREATE INDEX users_create_time ON users (create_time, id);
CREATE INDEX users_kek ON users (kek, id) WHERE data_key IS NOT NULL;

CREATE TABLE registrations (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    solution_id TEXT NOT NULL,
    target BYTEA,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    verify_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT registrations_user_id_fkey FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX registrations_user_id ON registrations (user_id, create_time);
CREATE INDEX registrations_create_time ON registrations (create_time);

CREATE TABLE codes (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    solution_id TEXT NOT NULL,
    registration_id UUID,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
    use_time TIMESTAMP WITH TIME ZONE,
    token_kid TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT codes_user_id_fkey FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX codes_user_id ON codes (user_id);
CREATE INDEX codes_registration_id ON codes (registration_id);

CREATE TABLE mails (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    template TEXT NOT NULL,
    registration_id UUID,
    address BYTEA,
    state TEXT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    sending BOOLEAN DEFAULT false NOT NULL,
    next_attempt_time TIMESTAMP WITH TIME ZONE NOT NULL,
    last_error TEXT DEFAULT '' NOT NULL,
    create_time TIMESTAMP WITH TIME ZONE NOT NULL,
    end_time TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT mails_user_id_fkey FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT template_known CHECK (template IN ('VERIFY', 'SIGN_IN', 'CHANGE', 'CHANGED')),
    CONSTRAINT state_known CHECK (state IN ('PENDING', 'SENT', 'FAILED', 'DROPPED'))
);
CREATE INDEX mails_due ON mails (next_attempt_time) WHERE state = 'PENDING';
CREATE INDEX mails_user_id ON mails (user_id);
CREATE INDEX mails_create_time ON mails (create_time);

CREATE TABLE registration_counts (
    key BYTEA NOT NULL,
    window_end TIMESTAMP WITH TIME ZONE NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (key)
);
CREATE INDEX registration_counts_window_end ON registration_counts (window_end);
"""

# Long work is not always a tenant's any more.
_OPERATIONS = """
ALTER TABLE operations ALTER COLUMN tenant_id DROP NOT NULL;
ALTER TABLE operations ADD COLUMN user_id UUID, ADD COLUMN touched JSONB;
ALTER TABLE operations DROP CONSTRAINT kind_known;
ALTER TABLE operations ADD CONSTRAINT kind_known
    CHECK (kind IN ('PROVISION', 'MOVE', 'PURGE', 'ERASE', 'REWRAP'));
CREATE UNIQUE INDEX operations_one_a_user ON operations (user_id) WHERE state = 'RUNNING';
CREATE UNIQUE INDEX operations_one_rewrap ON operations (kind) WHERE kind = 'REWRAP' AND state = 'RUNNING';
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_OPERATIONS)
    op.execute("REVOKE DELETE ON users FROM center_app")
