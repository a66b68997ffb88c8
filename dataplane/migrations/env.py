"""Alembic's entrance; shared.runtime.migrate runs it."""

from dataplane.tables import metadata
from shared.runtime.migrate import run

run(metadata)
