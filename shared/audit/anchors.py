"""Where each chain of a database ended last, in a file of the home.

A database that is put back to an earlier state is whole in itself; only what was kept elsewhere shows that it once went
on. The sealer writes the file after its commit, so it is never ahead of the database, and where a process runs on a
machine of its own it may be behind, which hides nothing that it knows.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from shared.audit.domain import Anchor
from shared.runtime.errors import Unavailable


class Anchors:
    """name: of the database. Calls wait for the disk: make them in a thread. Unavailable ANCHORS_UNAVAILABLE."""

    def __init__(self, home: Path, name: str) -> None:
        self._path = home / "audit" / f"{name}.sqlite"

    def of(self, chains: Sequence[str]) -> dict[str, Anchor]:
        """Those of the chains that have one."""
        with self._open() as file:
            rows = [
                (chain, file.execute("SELECT position, hash FROM anchors WHERE chain = ?", (chain,)).fetchone())
                for chain in chains
            ]
        return {chain: Anchor(*row) for chain, row in rows if row is not None}

    def after(self, chain: str | None) -> str | None:
        """The next chain that has one, by name."""
        following = "SELECT chain FROM anchors WHERE ?1 IS NULL OR chain > ?1 ORDER BY chain LIMIT 1"
        with self._open() as file:
            return next((str(name) for (name,) in file.execute(following, (chain,))), None)

    def keep(self, ends: Mapping[str, Anchor], begun_anew: Sequence[str] = ()) -> None:
        """begun_anew: chains whose next end is their first here."""
        with self._open() as file:
            file.executemany(
                "INSERT INTO anchors VALUES (?, ?, ?) ON CONFLICT (chain)"
                " DO UPDATE SET position = excluded.position, hash = excluded.hash",
                [(chain, end.position, end.hash) for chain, end in ends.items()],
            )
            file.executemany("DELETE FROM anchors WHERE chain = ?", [(chain,) for chain in begun_anew])

    def begin(self) -> None:
        with self._open() as file:
            file.execute("INSERT INTO begun VALUES (1) ON CONFLICT DO NOTHING")

    @property
    def has_begun(self) -> bool:
        """Whether a sealer once had sealed all there was."""
        with self._open() as file:
            return file.execute("SELECT 1 FROM begun").fetchone() is not None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self._path, timeout=10)) as file, file:
                file.execute("PRAGMA journal_mode = WAL")
                # What a crash of the machine takes of it is known again after the next round.
                file.execute("PRAGMA synchronous = NORMAL")
                file.execute(
                    "CREATE TABLE IF NOT EXISTS anchors (chain TEXT PRIMARY KEY, position INTEGER, hash BLOB) STRICT"
                )
                file.execute("CREATE TABLE IF NOT EXISTS begun (one INTEGER PRIMARY KEY) STRICT")
                yield file
        except (sqlite3.Error, OSError) as error:
            raise Unavailable("ANCHORS_UNAVAILABLE", f"{self._path} cannot be read or written") from error
