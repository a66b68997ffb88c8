"""Alembic's way in."""

from control.tables import metadata
from shared.runtime.migrate import run

run(metadata)
