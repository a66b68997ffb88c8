"""Why a decision was what it was: its checks in their order, up to the one that decided."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as solutions_pb
from center_sdk import terms
from center_sdk.decision import Code
from center_sdk.terms import QuotaTerms
from control.catalog import store as catalog_store
from control.entitlements import store as entitlement_store
from control.entitlements.domain import Entitlement, Token
from control.quotas import domain as quotas
from control.quotas import store as quota_store
from control.quotas.domain import Counter
from shared.runtime.errors import NotFound


@dataclass(frozen=True, slots=True)
class Step:
    check: str
    passed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision stood on. solution: as of the decision's revision where the log still has that, and `is_exact`
    says whether it has."""

    row: Row[Any]
    solution: solutions_pb.Solution | None
    is_exact: bool
    token: Token | None
    entitlement: Entitlement | None
    quota: QuotaTerms | None
    counter: Counter | None


async def read(tx: AsyncConnection, row: Row[Any]) -> Evidence:
    solution, is_exact = await catalog_store.solution_at(tx, row.solution_id, row.revision)
    token = await entitlement_store.find_token(tx, row.token_kid) if row.token_kid else None
    entitlement = None
    if row.entitlement_id and row.token_kid:
        try:
            entitlement = await entitlement_store.get(tx, row.entitlement_id)
        except NotFound:
            entitlement = None
    quota = counter = None
    if solution is not None:
        known = terms.of_solution(solution)
        tier = known.tiers.get(row.tier)
        quota = tier.quota(row.action) if tier is not None else None
        if quota is not None and row.entitlement_id:
            window = quotas.window_of(known, quota, row.first_time)
            counter = await quota_store.counter(tx, row.entitlement_id, quota.key, window.start)
    return Evidence(row, solution, is_exact, token, entitlement, quota, counter)


def steps(told: Evidence) -> list[Step]:
    code = Code[told.row.code]
    found = []
    for check, failing, why in _checks(told):
        failed = code in failing
        found.append(Step(check, not failed, why))
        if failed:
            break
    return found


def _checks(told: Evidence) -> Iterator[tuple[str, set[Code], str]]:
    """(check, the codes that mean it did not pass, what there is to say), in the order of the engine's."""
    row, code = told.row, Code[told.row.code]
    forms = {
        Code.TOKEN_MISSING: "no token came, and the solution has no tier for callers without one",
        Code.TOKEN_MALFORMED: "what came is not a token, or its checksum is wrong: nothing was looked up",
        Code.TOKEN_FOREIGN: "the token is of another environment: nothing was looked up",
    }
    came = (
        f"token {row.token_kid} came" if row.token_kid else "no token came: the solution's tier for such callers holds"
    )
    yield "form", set(forms), forms.get(code, came)
    if told.solution is None:
        yield "solution", {Code.SOLUTION_UNKNOWN}, f"there is no solution {row.solution_id}"
    else:
        at = f"as of revision {told.solution.revision}" + (
            "" if told.is_exact else ", which is newer than the decision"
        )
        yield "solution", {Code.SOLUTION_UNKNOWN}, f"{told.solution.display_name or row.solution_id}, {at}"
    if code in (Code.STALE, Code.ALLOWED_STALE):
        mode = "refuses" if code is Code.STALE else "allows"
        yield "freshness", {Code.STALE}, f"the validator knew nothing recent, and the solution's fail mode {mode} then"
    if row.token_kid:
        yield "token", _TOKEN, _token(told, code)
    if row.token_kid and (told.entitlement is not None or code in _ENTITLEMENT):
        yield "entitlement", _ENTITLEMENT, _entitlement(told, code)
    if row.entitlement_id:
        yield "action", {Code.ACTION_NOT_ALLOWED}, _action(told, code)
        rate = (
            "too many at once for the tier's rate"
            if code is Code.RATE_LIMITED
            else "within the tier's rate, if it has one"
        )
        yield "rate", {Code.RATE_LIMITED}, rate
        yield "quota", {Code.QUOTA_EXHAUSTED, Code.ANONYMOUS_EXHAUSTED}, _quota(told, code)


_TOKEN = {Code.TOKEN_UNKNOWN, Code.TOKEN_EXPIRED, Code.TOKEN_REVOKED, Code.SOLUTION_MISMATCH}
_ENTITLEMENT = {Code.ENTITLEMENT_SUSPENDED, Code.ENTITLEMENT_CANCELLED}


def _token(told: Evidence, code: Code) -> str:
    if code is Code.TOKEN_UNKNOWN or told.token is None:
        return "no token with this secret was issued"
    if code is Code.SOLUTION_MISMATCH:
        return "the token is of another solution"
    said = f"issued {_utc(told.token.create_time)}"
    if told.token.revoke_time is not None:
        said += f", revoked {_utc(told.token.revoke_time)} ({told.token.revoke_reason})"
    if told.token.expire_time is not None:
        said += f", expires {_utc(told.token.expire_time)}"
    return said


def _entitlement(told: Evidence, code: Code) -> str:
    if told.entitlement is None:
        return "there is no entitlement any more"
    now = told.entitlement
    said = f"tier {told.row.tier}"
    if now.tier != told.row.tier:
        said += f" (now {now.tier})"
    if code in _ENTITLEMENT:
        return f"{said}; {code.name.removeprefix('ENTITLEMENT_').lower()}: {now.status_reason or 'no reason given'}"
    return said if now.status == "ACTIVE" else f"{said}; {now.status.lower()} since"


def _action(told: Evidence, code: Code) -> str:
    if code is Code.ACTION_NOT_ALLOWED:
        return f"tier {told.row.tier} has no quota for {told.row.action!r}, and none for every action"
    if told.quota is None:
        return f"{told.row.action!r} had a quota, which has gone since"
    return f"counted as {told.quota.key!r}"


def _quota(told: Evidence, code: Code) -> str:
    row, quota = told.row, told.quota
    if quota is None:
        return "the terms of then are not known any more"
    if quota.limit is None:
        return "without a limit"
    period = quota_pb2.QuotaPeriod.Name(quota.period.value).removeprefix("QUOTA_PERIOD_").lower()
    said = f"{row.cost} of {quota.limit} a {period}" if period != "standing" else f"{row.cost} of {quota.limit}"
    if code is Code.ALLOWED_OVER_LIMIT:
        said += ", beyond a soft limit"
    if told.counter is not None:
        carried = f" and {told.counter.carried} carried over" if told.counter.carried else ""
        said += f"; by now {told.counter.taken - told.counter.outstanding} of the period are spent{carried}"
        said += f", {told.counter.outstanding} are held by validators"
    return said


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
