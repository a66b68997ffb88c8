"""Passwords as they are kept: scrypt (RFC 7914), with what it was made with beside it."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

# As OWASP's cheat sheet on password storage has it: 16 MiB, and about a fifth of a second of one core.
_LOG_N, _R, _P = 14, 8, 5
_SALT_BYTES, _HASH_BYTES = 16, 32
_MEMORY_BYTES = 64 * 1024 * 1024

# Of their own, and few: however many sign in at once, the rest of the process has a core and its memory.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="scrypt")


async def hashed(password: str) -> str:
    """What to keep: `scrypt$14$8$5$SALT$HASH`."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hashed, password)


async def matches(password: str, hashed: str) -> bool:
    """Whether it is the password that was hashed.

    An empty hash is nobody's, and takes as long to say so: the time must not tell whom there is.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, _matches, password, hashed or _NOBODYS) and bool(hashed)


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(_SALT_BYTES)
    return _written(_LOG_N, _R, _P, salt, _scrypt(password, salt, _LOG_N, _R, _P))


def _matches(password: str, hashed: str) -> bool:
    _, log_n, r, p, salt, kept = hashed.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(log_n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(kept))


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    # The same letters come in several forms, by the keyboard they were typed on (NIST SP 800-63B, 3.1.1.2).
    plain = unicodedata.normalize("NFKC", password).encode()
    return hashlib.scrypt(plain, salt=salt, n=1 << log_n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=_HASH_BYTES)


def _written(log_n: int, r: int, p: int, salt: bytes, found: bytes) -> str:
    return f"scrypt${log_n}${r}${p}${base64.b64encode(salt).decode()}${base64.b64encode(found).decode()}"


_NOBODYS = _written(_LOG_N, _R, _P, bytes(_SALT_BYTES), bytes(_HASH_BYTES))
