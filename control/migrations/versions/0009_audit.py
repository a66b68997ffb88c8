"""Audit entries are chained and sealed."""

from shared.audit import schema
from shared.runtime import isolation

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    schema.sealed("text")
    for table in ("audit_entries", *schema.CHAIN):
        isolation.append_only(table)
