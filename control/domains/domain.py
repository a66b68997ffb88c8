"""What a domain name is, whose it can be, and what proves that."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache

import idna
from publicsuffixlist import PublicSuffixList

from shared.runtime.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, check_etag

MAX_DOMAINS = 50
CHALLENGE_LABEL = "_center-challenge"
CHALLENGE_PREFIX = "center-verify="

# Names in the platform's own zone that no shop may take: they are the platform's, or people take them for it.
RESERVED = frozenset(
    """
    account admin api app auth autoconfig autodiscover billing center console control dashboard dns edge ftp help imap
    localhost login mail mx ns ns1 ns2 pop root security smtp status support www wpad
    """.split()  # noqa: SIM905 -- a line a word would be thirty lines
)


class Kind(StrEnum):
    PLATFORM = "PLATFORM"
    CUSTOM = "CUSTOM"


class State(StrEnum):
    PENDING = "PENDING"
    VERIFIED = "VERIFIED"


@dataclass(frozen=True, slots=True)
class Domain:
    """One tenant's claim on one name."""

    tenant_id: str
    name: str
    kind: Kind
    state: State
    create_time: datetime
    token: str = ""
    verified_reason: str = ""
    verify_time: datetime | None = None
    version: int = 1
    # Unique, short and never used again; 0 until the database has given it.
    number: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)

    @property
    def record(self) -> str:
        """Where the TXT record stands that proves the claim."""
        return f"{CHALLENGE_LABEL}.{self.name}"

    @property
    def expected(self) -> str:
        """What that record says."""
        return CHALLENGE_PREFIX + self.token


def normalize(text: str) -> str:
    """The one spelling of a domain name: IDNA's ASCII form (UTS 46), lower case, no trailing dot."""
    name = text.strip().removesuffix(".")
    if name.isascii() and _is_plain(name):
        name = name.lower()
    else:
        try:
            # Dots of other scripts become dots here, the last one, too.
            name = idna.encode(name, uts46=True, transitional=False).decode().lower().removesuffix(".")
        except (idna.IDNAError, UnicodeError) as error:
            raise _invalid(text, str(error)) from None
    labels = name.split(".")
    if len(name) > 253:
        raise _invalid(text, "longer than 253 characters")
    if not all(labels):
        raise _invalid(text, "has an empty part")
    if len(labels) < 2:
        raise _invalid(text, "has no dot")
    if labels[-1].isdigit():
        raise _invalid(text, "is an address")
    return name


def _is_plain(name: str) -> bool:
    """Whether every label is letters, digits and inner hyphens, with no claim to be IDNA."""
    return all(
        0 < len(label) <= 63
        and label.replace("-", "").isalnum()
        and label[0] != "-"
        and label[-1] != "-"
        and label[2:4] != "--"
        for label in name.split(".")
    )


def _invalid(text: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        "DOMAIN_INVALID", f"{text[:260]!r} is no domain name: {why}", fields={"name": why}, domain=text[:260]
    )


@cache
def _suffixes() -> PublicSuffixList:
    # Its private section would keep every customer of a hosting company from claiming a name, and shops live there.
    return PublicSuffixList(only_icann=True)


def claim(
    tenant_id: str, text: str, zone: str, now: datetime, *, verified_reason: str = "", token: str | None = None
) -> Domain:
    """A claim on a name: verified when it is the platform's own or an operator vouches for it, else pending.

    token: what the proof must say; made up when not given.
    """
    name = normalize(text)
    if name == zone or name.endswith("." + zone):
        _check_platform(name, zone)
        return Domain(tenant_id, name, Kind.PLATFORM, State.VERIFIED, now, verify_time=now)
    if verified_reason:
        # Some public suffixes are sites as well (rj.gov.br): an operator's word covers them.
        return Domain(
            tenant_id, name, Kind.CUSTOM, State.VERIFIED, now, verified_reason=verified_reason, verify_time=now
        )
    if _suffixes().publicsuffix(name) == name:
        raise InvalidArgument(
            "DOMAIN_IS_PUBLIC_SUFFIX",
            f"{name} is a public suffix: anyone may register names below it",
            fields={"name": "is a public suffix"},
            domain=name,
        )
    return Domain(tenant_id, name, Kind.CUSTOM, State.PENDING, now, token=token or secrets.token_urlsafe(24))


def _check_platform(name: str, zone: str) -> None:
    label = name.removesuffix(zone).removesuffix(".")
    if not label or "." in label:
        raise _invalid(name, f"names of {zone} are one label below it")
    if label in RESERVED:
        raise _invalid(name, f"{label} is the platform's own name")


def check_room(claim: Domain, claimed: Mapping[Kind, int], custom_limit: int | None) -> None:
    """Whether the tenant may claim one more name. claimed: how many it has, by kind. custom_limit: of names of its own.

    FailedPrecondition DOMAINS_TOO_MANY, ResourceExhausted DOMAIN_LIMIT_REACHED.
    """
    if sum(claimed.values()) > MAX_DOMAINS:
        raise FailedPrecondition("DOMAINS_TOO_MANY", f"a tenant has at most {MAX_DOMAINS} domains")
    if claim.kind is Kind.CUSTOM and custom_limit is not None and claimed.get(Kind.CUSTOM, 0) >= custom_limit:
        raise ResourceExhausted(
            "DOMAIN_LIMIT_REACHED",
            f"the tenant's plan has room for {custom_limit} domains of its own: remove one, or assign a larger plan",
            feature="custom_domains",
            limit=str(custom_limit),
            tenant_id=claim.tenant_id,
        )


def platform_name(code: str, zone: str) -> str:
    return f"{code}.{zone}"


def verify(domain: Domain, texts: list[str], now: datetime) -> Domain:
    """The claim after a look at the TXT record."""
    if domain.state is State.VERIFIED:
        return domain
    if not any(hmac.compare_digest(text.strip().encode(), domain.expected.encode()) for text in texts):
        found = "it says something else" if texts else "it is not there"
        raise FailedPrecondition(
            "DOMAIN_PROOF_MISSING",
            f"the TXT record {domain.record} should say {domain.expected}, and {found}",
            record=domain.record,
            expected=domain.expected,
        )
    return replace(domain, state=State.VERIFIED, token="", verify_time=now, version=domain.version + 1)


def check_removable(domain: Domain, primary_domain: str, etag: str) -> None:
    check_etag("domain", domain.name, domain.etag, etag)
    if domain.name == primary_domain:
        raise FailedPrecondition(
            "DOMAIN_IS_PRIMARY", f"{domain.name} is the shop's primary domain: choose another first", domain=domain.name
        )


def check_primary(domain: Domain, etag: str) -> None:
    check_etag("domain", domain.name, domain.etag, etag)
    if domain.state is not State.VERIFIED:
        raise FailedPrecondition(
            "DOMAIN_NOT_VERIFIED", f"{domain.name} is not proven yet", domain=domain.name, record=domain.record
        )


def facts(domain: Domain) -> dict[str, str]:
    """The claim as flat texts in the contract's names, for the audit to compare."""
    return {
        "name": domain.name,
        "tenant_id": domain.tenant_id,
        "kind": domain.kind,
        "state": domain.state,
        "verified_reason": domain.verified_reason,
    }
