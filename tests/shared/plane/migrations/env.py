"""Alembic's entrance."""

from shared.runtime.migrate import run
from tests.shared.plane.tables import metadata

run(metadata)
