"""What a solution is: tiers, quotas, and how validators and Envoy treat it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from control.domains.domain import RESERVED
from shared.runtime.clock import time_zones
from shared.runtime.errors import FailedPrecondition, InvalidArgument, PlatformError, check_etag

DEFAULT_MAX_AGE = timedelta(seconds=30)
MAX_LIVE_KEYS = 20


class FailMode(StrEnum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"


class Period(StrEnum):
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    STANDING = "STANDING"


class Enforcement(StrEnum):
    HARD = "HARD"
    SOFT = "SOFT"


@dataclass(frozen=True, slots=True)
class Quota:
    """limit: None is unlimited."""

    limit: int | None
    period: Period
    enforcement: Enforcement = Enforcement.HARD
    rollover_limit: int = 0


@dataclass(frozen=True, slots=True)
class RateLimit:
    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Tier:
    """quotas: by action; `*` is for every other one."""

    id: str
    display_name: str = ""
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    methods: tuple[str, ...]
    path_prefix: str
    action: str
    cost: int


@dataclass(frozen=True, slots=True)
class Gateway:
    hosts: tuple[str, ...]
    upstream_host: str
    upstream_port: int
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Solution:
    id: str
    display_name: str
    tiers: tuple[Tier, ...]
    create_time: datetime
    update_time: datetime
    default_tier: str = ""
    anonymous_tier: str = ""
    redirect_urls: tuple[str, ...] = ()
    fail_mode: FailMode = FailMode.CLOSED
    max_age: timedelta = DEFAULT_MAX_AGE
    token_in_redirect: bool = False
    verified_email_required: bool = False
    email_hidden: bool = False
    time_zone: str = ""
    upgrade_url: str = ""
    gateway: Gateway | None = None
    delete_time: datetime | None = None
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.gateway.hosts if self.gateway is not None else ()


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of a solution's servers, without the secret. pepper, mac: what proves it."""

    kid: str
    solution_id: str
    display_name: str
    pepper: int
    mac: bytes
    create_time: datetime
    revoke_time: datetime | None = None
    last_use_time: datetime | None = None


def check(solution: Solution, zone: str) -> Solution:
    """The solution as it is kept, or InvalidArgument with the field that is wrong. zone: the platform's own."""
    if not solution.tiers:
        raise _wrong("TIERS_MISSING", "solution.tiers", "a solution has at least one tier")
    ids = [tier.id for tier in solution.tiers]
    for index, tier in enumerate(solution.tiers):
        if tier.id in ids[:index]:
            raise _wrong("TIER_REPEATED", f"solution.tiers[{index}].id", f"there are two tiers {tier.id!r}")
        for action, quota in tier.quotas.items():
            _check_quota(quota, f"solution.tiers[{index}].quotas[{action!r}]")
    for name, wanted in (("default_tier", solution.default_tier), ("anonymous_tier", solution.anonymous_tier)):
        if wanted and wanted not in ids:
            raise _wrong("TIER_UNKNOWN", f"solution.{name}", f"{wanted!r} is none of {', '.join(ids)}")
    if solution.time_zone and solution.time_zone not in time_zones():
        why = f"{solution.time_zone!r} is no name of the IANA time zone database, such as Europe/Berlin"
        raise _wrong("TIME_ZONE_UNKNOWN", "solution.time_zone", why)
    for index, url in enumerate(solution.redirect_urls):
        if why := _against_url(url):
            raise _wrong("REDIRECT_URL_INVALID", f"solution.redirect_urls[{index}]", why)
    if solution.upgrade_url and (why := _against_url(solution.upgrade_url)):
        raise _wrong("UPGRADE_URL_INVALID", "solution.upgrade_url", why)
    if solution.gateway is None:
        return solution
    hosts = tuple(_host(host, f"solution.gateway.hosts[{n}]", zone) for n, host in enumerate(solution.gateway.hosts))
    if len(set(hosts)) != len(hosts):
        raise _wrong("HOST_INVALID", "solution.gateway.hosts", "a name stands twice")
    return replace(solution, gateway=replace(solution.gateway, hosts=hosts))


def _check_quota(quota: Quota, where: str) -> None:
    if quota.rollover_limit and (quota.limit is None or quota.period is Period.STANDING):
        raise _wrong("QUOTA_INVALID", where, "nothing is left over of an unlimited or standing quota")


def _host(text: str, where: str, zone: str) -> str:
    """One label below the platform's own zone, as tenants' own names are, and none that the platform keeps."""
    name = text.strip().removesuffix(".").lower()
    label = name.removesuffix(f".{zone}")
    if label == name or not label.isascii() or not label.replace("-", "").isalnum() or len(label) > 63:
        raise _wrong("HOST_INVALID", where, f"{text[:260]!r} is not one label below {zone}")
    if label in RESERVED or label[0] == "-" or label[-1] == "-" or label[2:4] == "--":
        raise _wrong("HOST_INVALID", where, f"{label!r} is kept by the platform, or no label of a name")
    return name


def _against_url(url: str) -> str:
    """What keeps the text from being an address to send people to; empty when nothing does."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    if not url.isprintable() or " " in url or "\\" in url:
        return "has characters that no URL has"
    if parts.scheme not in ("http", "https") or not host:
        return "is not absolute, as in https://search.example/done"
    if parts.username is not None or parts.fragment:
        return "has a user or a fragment"
    if parts.scheme == "http" and not _is_local(host):
        return "is without TLS, and not on this machine"
    return ""


def _is_local(host: str) -> bool:
    return host in ("127.0.0.1", "::1") or host == "localhost" or host.endswith(".localhost")


def _wrong(reason: str, where: str, why: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{where}: {why}", fields={where: why})


def update(before: Solution, after: Solution, etag: str, zone: str, now: datetime) -> Solution:
    check_etag("solution", before.id, before.etag, etag)
    return check(replace(after, version=before.version + 1, update_time=now), zone)


def delete(solution: Solution, etag: str, now: datetime) -> Solution:
    check_etag("solution", solution.id, solution.etag, etag)
    return replace(solution, gateway=None, delete_time=now, update_time=now, version=solution.version + 1)


def tiers_lost(before: Solution, after: Solution) -> list[str]:
    kept = {tier.id for tier in after.tiers}
    return [tier.id for tier in before.tiers if tier.id not in kept]


def tier_of(solution: Solution, wanted: str, where: str) -> str:
    """The tier that is asked for, or the one that a new user gets."""
    if not wanted:
        return solution.default_tier or solution.tiers[0].id
    if wanted not in (ids := [tier.id for tier in solution.tiers]):
        raise _wrong("TIER_UNKNOWN", where, f"{wanted!r} is none of {', '.join(ids)}")
    return wanted


def tier_in_use(solution: Solution, tier: str) -> PlatformError:
    return FailedPrecondition(
        "TIER_IN_USE", f"there are entitlements with the tier {tier}: change them first", id=solution.id, tier=tier
    )


def revoke(key: Key, now: datetime) -> Key:
    """The same when it is revoked already."""
    return key if key.revoke_time is not None else replace(key, revoke_time=now)


def check_keys(live: int) -> None:
    if live >= MAX_LIVE_KEYS:
        raise FailedPrecondition(
            "TOO_MANY_KEYS", f"a solution has at most {MAX_LIVE_KEYS} keys: revoke one", limit=str(MAX_LIVE_KEYS)
        )


def facts(solution: Solution) -> dict[str, str]:
    """The solution as flat texts in the contract's names, for the audit to compare."""
    said = {
        "display_name": solution.display_name,
        "default_tier": solution.default_tier,
        "anonymous_tier": solution.anonymous_tier,
        "redirect_urls": " ".join(solution.redirect_urls),
        "fail_mode": solution.fail_mode,
        "max_age": f"{solution.max_age.total_seconds():g}s",
        "token_in_redirect": _word(solution.token_in_redirect),
        "verified_email_required": _word(solution.verified_email_required),
        "email_hidden": _word(solution.email_hidden),
        "time_zone": solution.time_zone,
        "upgrade_url": solution.upgrade_url,
    }
    for tier in solution.tiers:
        said[f"tiers.{tier.id}"] = tier.display_name or tier.id
        if (rate := tier.rate_limit) is not None:
            said[f"tiers.{tier.id}.rate_limit"] = f"{rate.per_second:g} a second, {rate.burst} at once"
        said |= {f"tiers.{tier.id}.{action}": _quota(quota) for action, quota in sorted(tier.quotas.items())}
    if (gateway := solution.gateway) is not None:
        said["gateway.hosts"] = " ".join(gateway.hosts)
        said["gateway.upstream"] = f"{gateway.upstream_host}:{gateway.upstream_port}"
        said["gateway.rules"] = "; ".join(_rule(rule) for rule in gateway.rules)
    return said


def _word(holds: bool) -> str:
    return "true" if holds else ""


def _quota(quota: Quota) -> str:
    text = f"{'unlimited' if quota.limit is None else quota.limit} {quota.period} {quota.enforcement}"
    return f"{text} rollover {quota.rollover_limit}" if quota.rollover_limit else text


def _rule(rule: Rule) -> str:
    return f"{','.join(rule.methods) or '*'} {rule.path_prefix} -> {rule.action or '-'} {rule.cost or 1}"


def key_facts(key: Key) -> dict[str, str]:
    return {
        "solution_id": key.solution_id,
        "display_name": key.display_name,
        "revoke_time": key.revoke_time.isoformat() if key.revoke_time is not None else "",
    }
