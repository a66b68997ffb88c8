"""The catalog as this edge last knew it, on disk: what it serves when the control plane is down at its start."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import DecodeError

from center.control.v1 import catalog_service_pb2 as pb
from edge import storage

# Another number means other tables: then the file is made anew, out of a snapshot.
_VERSION = 2
_TABLES = """
CREATE TABLE entry (kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE catalog (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
"""


class LastGood:
    """One SQLite file; each `save` is one transaction, so that a kill leaves one whole revision or the other."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "catalog.sqlite3"
        self._db = storage.opened(self._path, _VERSION, _TABLES)

    def load(self) -> tuple[int, list[pb.CatalogEntry]]:
        """Revision 0 when nothing is known, or nothing that can be read."""
        try:
            found = self._db.execute("SELECT revision FROM catalog").fetchone()
            entries = [pb.CatalogEntry.FromString(body) for (body,) in self._db.execute("SELECT body FROM entry")]
        except (sqlite3.DatabaseError, DecodeError):
            self._db.close()
            self._path.unlink(missing_ok=True)
            self._db = storage.opened(self._path, _VERSION, _TABLES)
            return 0, []
        return (found[0], entries) if found else (0, [])

    def save(self, revision: int, entries: Iterable[pb.CatalogEntry], *, everything: bool = False) -> None:
        """Changes up to a revision, or everything there is at it."""
        with self._db:
            if everything:
                self._db.execute("DELETE FROM entry")
            for entry in entries:
                self._save(entry)
            self._db.execute("INSERT OR REPLACE INTO catalog VALUES (1, ?)", (revision,))

    def close(self) -> None:
        self._db.close()

    def _save(self, entry: pb.CatalogEntry) -> None:
        match entry.WhichOneof("entry"):
            case "tenant" | "cluster" | "solution" as kind:
                row = (kind, getattr(entry, kind).id, entry.SerializeToString())
                self._db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", row)
            case "removed_tenant_id" | "removed_cluster_id" | "removed_solution_id" as removed:
                gone = (removed.split("_")[1], getattr(entry, removed))
                self._db.execute("DELETE FROM entry WHERE kind = ? AND id = ?", gone)
