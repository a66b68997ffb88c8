"""Customers of the tenants, and whose carts are whose."""

from alembic import op

from shared.runtime import isolation

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _customers()
    op.execute(
        """
        CREATE TABLE customer_addresses (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            customer_id uuid NOT NULL,
            address bytea NOT NULL,
            is_default boolean NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON customer_addresses (tenant_id, customer_id)")
    op.execute(
        "CREATE UNIQUE INDEX customer_addresses_default ON customer_addresses (tenant_id, customer_id) WHERE is_default"
    )
    op.execute(
        """
        CREATE TABLE customer_consents (
            tenant_id uuid NOT NULL,
            customer_id uuid NOT NULL,
            version bigint NOT NULL,
            given boolean NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, customer_id, version),
            FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE customer_logins (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            email_hash text NOT NULL,
            failures bigint NOT NULL,
            last_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, email_hash)
        )
        """
    )
    op.execute("CREATE INDEX ON customer_logins (tenant_id, last_time)")
    for table in ("customers", "customer_addresses", "customer_consents", "customer_logins"):
        isolation.tenant_table(table)
    op.execute("REVOKE DELETE, TRUNCATE ON customers FROM center_app")
    op.execute("DROP POLICY writable_delete ON customers")
    isolation.append_only("customer_consents")
    for command in ("update", "delete"):
        # Where nobody may do it at all, nothing is left to say about when.
        op.execute(f"DROP POLICY writable_{command} ON customer_consents")
    op.execute("ALTER TABLE carts ADD COLUMN customer_id uuid")
    op.execute("ALTER TABLE carts ADD FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)")
    op.execute("CREATE INDEX carts_customer ON carts (tenant_id, customer_id) WHERE customer_id IS NOT NULL")


def _customers() -> None:
    op.execute(
        """
        CREATE TABLE customers (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            state text NOT NULL CONSTRAINT customers_state_check CHECK (state IN ('ACTIVE', 'ERASED')),
            external_id text NOT NULL,
            email_hash text NOT NULL,
            email bytea NOT NULL,
            name bytea NOT NULL,
            phone bytea NOT NULL,
            locale text NOT NULL,
            marketing_consent boolean NOT NULL,
            consent_time timestamptz,
            password text NOT NULL,
            epoch bigint NOT NULL,
            is_imported boolean NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            erase_time timestamptz,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT customers_erase_time_check CHECK ((state = 'ERASED') = (erase_time IS NOT NULL)),
            CONSTRAINT customers_erased_check CHECK (
                state = 'ACTIVE' OR (email_hash = '' AND length(email) = 0 AND length(name) = 0 AND length(phone) = 0
                AND password = '')
            ),
            CONSTRAINT customers_email_check CHECK ((email_hash = '') = (length(email) = 0))
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX customers_email ON customers (tenant_id, email_hash) WHERE email_hash <> ''")
    op.execute(
        "CREATE UNIQUE INDEX customers_external_id ON customers (tenant_id, external_id) WHERE external_id <> ''"
    )
    op.execute("CREATE INDEX ON customers (tenant_id, create_time, id)")
