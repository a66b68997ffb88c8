"""The tables of customers."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.tables import metadata

customers = Table(
    "customers",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("state", Text, nullable=False),
    # What another system calls them; empty for nothing. It outlives an erasure, so that no import brings anyone back.
    Column("external_id", Text, nullable=False),
    # Keyed, and empty where there is no e-mail.
    Column("email_hash", Text, nullable=False),
    # Sealed (shared.runtime.vault), and empty where nothing is known.
    Column("email", LargeBinary, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("phone", LargeBinary, nullable=False),
    Column("locale", Text, nullable=False),
    Column("marketing_consent", Boolean, nullable=False),
    Column("consent_time", DateTime(timezone=True)),
    # As shared.runtime.passwords keeps it; empty for none.
    Column("password", Text, nullable=False),
    # Sessions and links of an earlier one have ended.
    Column("epoch", BigInteger, nullable=False),
    # Of this epoch's, those that were ended alone: when each is over by itself, in seconds, by its id.
    Column("ended_sessions", JSONB, nullable=False, server_default=text("'{}'")),
    Column("is_imported", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("erase_time", DateTime(timezone=True)),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("state IN ('ACTIVE', 'ERASED')", name="state"),
    CheckConstraint("(state = 'ERASED') = (erase_time IS NOT NULL)", name="erase_time"),
    CheckConstraint(
        "state = 'ACTIVE' OR (email_hash = '' AND length(email) = 0 AND length(name) = 0 AND length(phone) = 0 "
        "AND password = '')",
        name="erased",
    ),
    CheckConstraint("(email_hash = '') = (length(email) = 0)", name="email"),
    Index("customers_email", "tenant_id", "email_hash", unique=True, postgresql_where=text("email_hash <> ''")),
    Index("customers_external_id", "tenant_id", "external_id", unique=True, postgresql_where=text("external_id <> ''")),
    Index(None, "tenant_id", "create_time", "id"),
)

customer_addresses = Table(
    "customer_addresses",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("customer_id", Uuid(as_uuid=False), nullable=False),
    # center.dataplane.v1.Address, sealed.
    Column("address", LargeBinary, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
    Index(None, "tenant_id", "customer_id"),
    Index("customer_addresses_default", "tenant_id", "customer_id", unique=True, postgresql_where=text("is_default")),
)

# Each time that a customer began or ceased to want to be told of offers; what proves it is never changed.
customer_consents = Table(
    "customer_consents",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("customer_id", Uuid(as_uuid=False), primary_key=True),
    # Of the customer, that it came with.
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("given", Boolean, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
)

# Tries to sign in that have failed, by the e-mail's hash, whether or not anybody has it.
customer_logins = Table(
    "customer_logins",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("email_hash", Text, primary_key=True),
    Column("failures", BigInteger, nullable=False),
    Column("last_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    Index(None, "tenant_id", "last_time"),
)

# In an order in which references hold.
MOVED = (customers, customer_addresses, customer_consents, customer_logins)
