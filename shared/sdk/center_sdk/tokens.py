"""Tokens and keys: cct_<env>_<kid>_<secret><crc>, made so that scanners know one when they see one.

Nothing in a token says whose it is. The checksum is for typing errors and scanners; it proves nothing.
"""

import re
import secrets
import zlib
from collections.abc import Callable
from dataclasses import dataclass

USER_TOKEN, SOLUTION_KEY = "cct", "ccs"

# For scanners; what it finds, crc_holds() tells from look-alikes, off line.
PATTERN = r"cc[ts]_[a-z0-9]{1,8}_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}"

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WHOLE = re.compile(r"(cc[ts])_([a-z0-9]{1,8})_([0-9A-Za-z]{12})_[0-9A-Za-z]{38}", re.ASCII)
_ENVIRONMENT = re.compile(r"[a-z0-9]{1,8}", re.ASCII)
_KID_LENGTH, _SECRET_LENGTH, _CRC_LENGTH = 12, 32, 6


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a token says of itself.

    kind: USER_TOKEN or SOLUTION_KEY. kid: the public part, by which it is found.
    """

    kind: str
    environment: str
    kid: str


def issue(environment: str, kind: str = USER_TOKEN, random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new token. random(n) gives n random bytes; the kid has 70 bits of them, the secret 190."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise ValueError(f"environment {environment!r} is not one to eight of a-z0-9")
    kid = _base62(int.from_bytes(random(9)) >> 2, _KID_LENGTH)
    secret = _base62(int.from_bytes(random(24)) >> 2, _SECRET_LENGTH)
    told = f"{kind}_{environment}_{kid}_{secret}"
    return told + _crc(told)


def parse(token: str) -> Parsed | None:
    """None for what is no token: another form, or a wrong checksum."""
    match = _WHOLE.fullmatch(token)
    return Parsed(match[1], match[2], match[3]) if match is not None and crc_holds(token) else None


def crc_holds(token: str) -> bool:
    return token[-_CRC_LENGTH:] == _crc(token[:-_CRC_LENGTH])


def _crc(told: str) -> str:
    return _base62(zlib.crc32(told.encode()), _CRC_LENGTH)


def _base62(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
