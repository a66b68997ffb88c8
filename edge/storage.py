"""SQLite files that an edge can lose: what is in them is brought again by control or by Envoys."""

import sqlite3
from pathlib import Path


def opened(path: Path, version: int, tables: str) -> sqlite3.Connection:
    """A file with these tables; one that cannot be read, or that has other ones, is made anew."""
    try:
        return _connect(path, version, tables)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        return _connect(path, version, tables)


def _connect(path: Path, version: int, tables: str) -> sqlite3.Connection:
    # Used from a thread, by one at a time.
    db = sqlite3.connect(path, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    # A killed process loses nothing; a lost power supply loses the last changes, which the watch brings again.
    db.execute("PRAGMA synchronous = NORMAL")
    if db.execute("PRAGMA user_version").fetchone()[0] != version:
        with db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f"DROP TABLE {name}")
            db.executescript(tables)
            db.execute(f"PRAGMA user_version = {version}")
    return db
