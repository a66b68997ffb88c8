"""Secret keys of one platform: 32 random bytes a file under home/secrets, made when first asked for."""

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

SIZE_BYTES = 32


def load(home: Path, name: str) -> bytes:
    """The key `name`, the same for every process of this home, whichever asks first."""
    path = home / "secrets" / f"{name}.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _publish(path)
    key = path.read_bytes()
    if len(key) != SIZE_BYTES:
        raise ValueError(f"{path} holds {len(key)} bytes, not {SIZE_BYTES}: restore it from a backup")
    return key


def ring(home: Path, name: str) -> dict[int, bytes]:
    """Keys that take over from one another, NAME-1.key and so on, by number; the greatest is the one to use.

    The first is made when there is none.
    """
    numbers = _numbers(home, name)
    if not numbers:
        load(home, f"{name}-1")
        numbers = _numbers(home, name)
    return {number: load(home, f"{name}-{number}") for number in numbers}


def extend(home: Path, name: str) -> int:
    """Makes the next key of a ring, and says its number."""
    number = max(ring(home, name)) + 1
    load(home, f"{name}-{number}")
    return number


def age_s(home: Path, name: str) -> float:
    """How long ago the key `name` was made."""
    return time.time() - (home / "secrets" / f"{name}.key").stat().st_mtime


def destroy(home: Path, name: str) -> None:
    """Writes over the key before it goes: a file system may keep the blocks of a removed file."""
    path = home / "secrets" / f"{name}.key"
    with contextlib.suppress(FileNotFoundError):
        with path.open("r+b") as file:
            file.write(bytes(SIZE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()


def _numbers(home: Path, name: str) -> list[int]:
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)\.key", path.name) for path in (home / "secrets").glob("*.key"))
    return sorted(int(match[1]) for match in found if match)


def _publish(path: Path) -> None:
    """Writes the whole key beside its place and links it there: a reader never sees half a key, a racer never wins
    over one already read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SIZE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first, and its key counts
            os.link(draft, path)
    finally:
        draft.unlink()
