"""Notifications of the tenants, and which events have had their effect here."""

from shared.runtime.events import schema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema.with_inbox()
