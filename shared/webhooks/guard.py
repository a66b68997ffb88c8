"""Where webhooks may go: to public addresses, by https, and to no network of ours or of the machine's.

A name is resolved here and the connection goes to exactly the address that was looked at, so what a name says a moment
later changes nothing.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
import idna

from shared.runtime.errors import Unavailable

LONGEST_URL = 2000
PORTS = (443, 8443)
TIMEOUT_S = 5.0

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The special-purpose registries of IANA (RFC 6890), less what is globally reachable, and multicast.
_CLOSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",  # with the clouds' metadata, 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's metadata, at an address that looks public
    )
)
# All else that is public in version 6 is in 2000::/3: not ::1, fc00::/7, fe80::/10, v4-mapped, NAT64 (64:ff9b::/96).
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: an address of version 4 in disguise
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
# No name in the public DNS ends so (RFC 6761, RFC 8375, RFC 9476), but resolvers of companies and clouds answer.
_CLOSED_NAMES = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "corp",
    "home",
    "home.arpa",
    "onion",
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What some parsers take for an address of version 4: 0x7f000001, 2130706433, 0177.0.0.1.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


class Refused(Exception):
    """A URL or an address that webhooks may not reach. why: for whoever gave it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Resolver(Protocol):
    async def addresses(self, name: str) -> list[str]:
        """The name's addresses of both versions; empty when it has none.

        Unavailable DNS_UNAVAILABLE: nobody could say.
        """
        ...


class Dns:
    """The DNS, through the machine's own resolvers or those that are named. /etc/hosts is not asked."""

    def __init__(self, nameservers: Sequence[str] = (), port: int = 53) -> None:
        self._nameservers = list(nameservers)
        self._port = port

    async def addresses(self, name: str) -> list[str]:
        # Read anew each time: resolvers change.
        resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        if self._nameservers:
            resolver.nameservers = self._nameservers
            resolver.port = self._port
        found: list[str] = []
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                answer = await resolver.resolve(name, kind, lifetime=TIMEOUT_S, search=False)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            except (dns.exception.DNSException, OSError) as error:
                if found:
                    continue
                message = f"the DNS does not answer for {name}"
                raise Unavailable("DNS_UNAVAILABLE", message, retry_after_s=5.0) from error
            found += [str(record) for record in answer]
        return found


def networks(text: str) -> tuple[Network, ...]:
    """127.0.0.0/8,::1/128 as networks; ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Guard:
    """allowed: networks that an operator has opened though they are not public; by http, too, and at any port."""

    resolver: Resolver
    allowed: tuple[Network, ...] = ()

    def parsed(self, url: str) -> tuple[str, str, int]:
        """(scheme, host, port) of a URL that may stand for an endpoint; Refused."""
        if len(url) > LONGEST_URL:
            raise Refused(f"longer than {LONGEST_URL} characters")
        if not url.isascii():
            raise Refused("write an international name in its xn-- form, and other characters in percent encoding")
        if re.search(r"[\x00-\x20\x7f\\]", url):
            raise Refused("has a space, a backslash or a control character")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused("is no URL") from None
        if parts.scheme not in (("https", "http") if self.allowed else ("https",)):
            raise Refused("must begin with https://")
        if "@" in parts.netloc:
            raise Refused("has a user or a password; signatures are what proves the sender")
        if "#" in url:
            raise Refused("has a fragment, which no server gets to see")
        host = _host(parts.netloc)
        port = port if port is not None else 443 if parts.scheme == "https" else 80
        if port == 0:
            raise Refused("port 0 is none")
        if isinstance(literal := _literal(host), IPv4Address | IPv6Address):
            self._look(literal, port, parts.scheme)
        else:
            self._look_at_name(host)
            if not self.allowed and port not in PORTS:
                raise Refused(f"port {port} is not among {', '.join(map(str, PORTS))}")
        return parts.scheme, host, port

    async def check(self, url: str) -> None:
        """Whether the URL may be reached now: its name is resolved. Refused; Unavailable DNS_UNAVAILABLE."""
        scheme, host, port = self.parsed(url)
        await self.addresses(host, port, scheme)

    async def addresses(self, host: str, port: int, scheme: str) -> list[str]:
        """What to connect to, each looked at. One address that is not to be reached refuses the name as a whole: it is
        no mistake but somebody who tries."""
        literal = _literal(host)
        if literal is not None:
            self._look(literal, port, scheme)
            return [str(literal)]
        self._look_at_name(host)
        found = ["127.0.0.1"] if host == "localhost" else await self.resolver.addresses(host)
        if not found:
            raise Refused(f"{host} has no address")
        for text in found:
            self._look(ipaddress.ip_address(text), port, scheme)
        return found

    def _look_at_name(self, host: str) -> None:
        if host == "localhost" and self.allowed:
            return
        if "." not in host or any(host == name or host.endswith(f".{name}") for name in _CLOSED_NAMES):
            raise Refused(f"{host} is no public name")

    def _look(self, address: Address, port: int, scheme: str) -> None:
        if any(address in network for network in self.allowed if network.version == address.version):
            return
        if not is_public(address):
            raise Refused(f"{address} is not a public address")
        if scheme != "https":
            raise Refused("must begin with https://")
        if port not in PORTS:
            raise Refused(f"port {port} is not among {', '.join(map(str, PORTS))}")


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return address.scope_id is None and address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


def _host(netloc: str) -> str:
    """The host of a URL's authority in lower case; Refused unless every parser sees the same one in it."""
    host, rest = (netloc, "")
    if netloc.startswith("["):
        host, bracket, rest = netloc[1:].partition("]")
        try:
            address = IPv6Address(host)
        except ValueError:
            raise Refused("has a bracket without an address in it") from None
        if not bracket or (rest and not re.fullmatch(r":[0-9]*", rest)):
            raise Refused("has something behind its address")
        return str(address)
    host, _, rest = netloc.partition(":")
    host = host.lower()
    if rest and not re.fullmatch(r"[0-9]{1,5}", rest):
        raise Refused("has a port that is no number")
    if not host or len(host) > 253:
        raise Refused("has no host, or a very long one")
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused(
            "has a host that is no name: letters, digits and hyphens between single dots, and none at the end"
        )
    for label in labels:
        if label.startswith("xn--"):
            try:
                idna.decode(label)
            except idna.IDNAError:
                raise Refused(f"{label} is no international name") from None
    return host


def _literal(host: str) -> Address | None:
    """The address that the host is; None for a name. Refused for a number in any but the one usual form."""
    if ":" in host:
        return IPv6Address(host)
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(host)
    except ValueError:
        raise Refused("write an address of version 4 as four decimal numbers") from None
