"""Identifiers that sort by time of making: UUIDv7 (RFC 9562) and short prefixed forms of it."""

import re
import secrets
import time
import uuid

# Crockford's base 32: no letter that reads as a digit, and its order in ASCII is the order of the values.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PREFIX = re.compile(r"[a-z][a-z0-9]{0,15}\Z")


def uuid7(unix_ns: int | None = None, entropy: int | None = None) -> str:
    """A UUIDv7 as lower-case text; time and entropy (62 bits) are the system's when not given.

    The 12 bits below the millisecond hold its fraction (RFC 9562, 6.2, method 3), so ids made by one process
    sort in the order of making down to about 250 ns, and index pages fill from left to right.
    """
    now_ns = time.time_ns() if unix_ns is None else unix_ns
    chance = secrets.randbits(62) if entropy is None else entropy & ((1 << 62) - 1)
    millis, rest_ns = divmod(now_ns, 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    value = (millis & ((1 << 48) - 1)) << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | chance
    return str(uuid.UUID(int=value))


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters, for ids that people meet in logs and commands: `op_06f3...`."""
    if not _PREFIX.match(prefix):
        raise ValueError(f"id prefix {prefix!r} is not a short lower-case word")
    value = uuid.UUID(uuid7()).int
    return prefix + "_" + "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its one canonical form: 36 characters, lower case."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


# Calls that act in no tenant; a UUID, so that one shape of table serves every plane.
NO_TENANT = str(uuid.UUID(int=0))
