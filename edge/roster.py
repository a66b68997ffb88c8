"""The Envoys that this edge last had, on disk: an edge that was killed knows whom to wait for when it is back."""

import sqlite3
from pathlib import Path

from edge import storage

# Another number means other tables.
_VERSION = 1
_TABLES = """
CREATE TABLE envoy (number INTEGER PRIMARY KEY, node_id TEXT NOT NULL);
"""


class Roster:
    """A file of its own beside the catalog's: whoever comes is written down at once, and never waits for a snapshot."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "envoys.sqlite3"
        self._db = storage.opened(self._path, _VERSION, _TABLES)

    def load(self) -> list[str]:
        """A node id for each Envoy, twice for two that share it; none when there is nothing that can be read."""
        try:
            return [node_id for (node_id,) in self._db.execute("SELECT node_id FROM envoy ORDER BY number")]
        except sqlite3.DatabaseError:
            self._db.close()
            self._path.unlink(missing_ok=True)
            self._db = storage.opened(self._path, _VERSION, _TABLES)
            return []

    def add(self, node_id: str) -> None:
        with self._db:
            self._db.execute("INSERT INTO envoy (node_id) VALUES (?)", (node_id,))

    def remove(self, node_id: str) -> None:
        """One of this name."""
        with self._db:
            self._db.execute(
                "DELETE FROM envoy WHERE number = (SELECT min(number) FROM envoy WHERE node_id = ?)", (node_id,)
            )

    def close(self) -> None:
        self._db.close()
