"""A list of domain names as drafts of tenants."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CODE_LENGTH = 63
PLAIN = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Shop:
    """One tenant to be: its code, and the domain that it answers at."""

    code: str
    domain: str


def shops(lines: Iterable[str]) -> Iterator[Shop]:
    """One shop a domain, each domain once; empty lines and # comments are passed over."""
    seen = set[str]()
    for line in lines:
        domain = line.partition("#")[0].strip().lower().rstrip(".")
        if domain and domain not in seen:
            seen.add(domain)
            yield Shop(code(domain), domain)


def code(domain: str) -> str:
    """google.com is google-com. Two domains never share a code: whatever is not plain gets a word of its own hash."""
    if PLAIN.fullmatch(domain) and len(domain) <= CODE_LENGTH:
        return domain.replace(".", "-")
    # No double hyphen: a name with one in its third place would claim to be punycode.
    readable = re.sub(r"[^a-z0-9]+", "-", domain.lower()).strip("-")
    return f"{readable[: CODE_LENGTH - 7].strip('-')}-{hashlib.sha256(domain.encode()).hexdigest()[:6]}"
