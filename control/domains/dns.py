"""Looks TXT records up: in the DNS, or in a zone file of one machine."""

from pathlib import Path
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import dns.zone

from shared.runtime.errors import Unavailable

TIMEOUT_S = 5.0


class Resolver(Protocol):
    async def texts(self, name: str) -> list[str]:
        """The texts of the name's TXT records; empty when it has none.

        Unavailable DNS_UNAVAILABLE: nobody could say.
        """
        ...


class Dns:
    """The DNS, through the machine's own resolvers."""

    async def texts(self, name: str) -> list[str]:
        try:
            # Read anew each time: proofs are rare, and resolvers change.
            resolver = dns.asyncresolver.Resolver()
            answer = await resolver.resolve(name, dns.rdatatype.TXT, lifetime=TIMEOUT_S, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise Unavailable("DNS_UNAVAILABLE", f"the DNS does not answer for {name}", retry_after_s=5.0) from error
        return [_text(record) for record in answer]


class ZoneFile:
    """A zone file in the master format of RFC 1035, read at each look-up so that an edit counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def texts(self, name: str) -> list[str]:
        try:
            # Names of any zone may stand in the file, and it needs no SOA.
            zone = dns.zone.from_text(
                self._path.read_text(), origin=dns.name.root, relativize=False, check_origin=False
            )
        except FileNotFoundError:
            return []
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise Unavailable("DNS_UNAVAILABLE", f"the zone file cannot be read: {error}") from error
        records = zone.get_rdataset(dns.name.from_text(name), dns.rdatatype.TXT)
        return [_text(record) for record in records] if records is not None else []


def _text(record: object) -> str:
    """A TXT record's parts are one text (RFC 7208, 3.3)."""
    strings: tuple[bytes, ...] = getattr(record, "strings", ())
    return b"".join(strings).decode(errors="replace")
