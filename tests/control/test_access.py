"""ValidateToken over gRPC: whatever is presented has one typed answer, and units are spent only when allowed."""

import asyncio
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest

from center.control.v1 import access_service_pb2 as pb
from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as solutions_pb
from center_sdk import tokens
from center_sdk.decision import Code, Decision, Facts, Run
from center_sdk.leases import without_limit
from center_sdk.terms import QuotaTerms
from center_sdk.windows import Period
from control.access.answers import Answers, message
from control.peppers import Peppers
from tests.control.plane import Plane, until
from tests.control.solutions import DAILY, create, key_of, update
from tests.control.test_tokens import DAY, Settable, change, email, generate, length, rotate
from tests.support.grpc import refuses

UNLIMITED = {"unlimited": {}, "period": quota_pb2.QUOTA_PERIOD_DAY}
TIERS: list[dict[str, Any]] = [
    {"id": "free", "quotas": {"search": DAILY, "export": {**DAILY, "limit": 2}}},
    {"id": "pro", "quotas": {"search": {**DAILY, "limit": 10**12}, "*": UNLIMITED}},
    {"id": "soft", "quotas": {"search": {**DAILY, "limit": 1, "enforcement": quota_pb2.QUOTA_ENFORCEMENT_SOFT}}},
    {"id": "slow", "quotas": {"*": UNLIMITED}, "rate_limit": {"per_second": 0.01, "burst": 2}},
    {"id": "nobody", "quotas": {"search": {**DAILY, "limit": 3}}},
]


@pytest.fixture(scope="module")
async def shop(plane: Plane) -> str:
    """A solution with all of the tiers above."""
    made = await create(plane, "shop", tiers=TIERS, upgrade_url="https://shop.example/up?tier={tier}&action={action}")
    return made.id


@pytest.fixture(scope="module")
async def timed(start_plane: Any) -> AsyncIterator[tuple[Plane, Settable]]:
    clock = Settable()
    async with start_plane(clock=clock) as plane:
        await create(plane, "shop", tiers=TIERS)
        yield plane, clock


async def validate(
    plane: Plane, token: str, action: str = "search", solution_id: str = "shop", identity: str = "operator", **how: Any
) -> pb.ValidateTokenResponse:
    request = pb.ValidateTokenRequest(token=token, action=action, solution_id=solution_id, **how)
    return await plane.access(identity).ValidateToken(request)


async def code(plane: Plane, token: str, *rest: Any, **how: Any) -> str:
    """What a refusal is for; ALLOWED for none."""
    told = await validate(plane, token, *rest, **how)
    name = pb.DecisionCode.Name(told.code).removeprefix("DECISION_CODE_")
    assert told.allowed == name.startswith("ALLOWED"), told
    return name


async def used(plane: Plane, entitlement_id: str) -> dict[str, int]:
    """Units by action, once all decisions so far are in the log."""
    request = pb.ListUsageRequest(filter=f'entitlement_id = "{entitlement_id}"')
    return {row.action: row.used_units for row in (await plane.access().ListUsage(request)).usage}


def damaged(token: str, kid: str = "") -> str:
    """A token that was never issued, with a checksum that holds; with a kid, one that exists."""
    forged = tokens.issue("dev")
    told = f"cct_dev_{kid or forged[8:20]}_{forged[21:-6]}"
    return told + tokens._crc(told)


async def test_an_allowed_action_says_who_as_what_and_how_much_is_left(plane: Plane, shop: str) -> None:
    user = email()
    made = await generate(plane, user, shop)
    for left in range(9, -1, -1):
        told = await validate(plane, made.token)
        assert (told.allowed, told.code, told.quota_remaining) == (True, pb.DECISION_CODE_ALLOWED, left)
    assert (told.user_email, told.access_tier, told.user_id) == (user, "free", made.user_id)
    assert (told.quota_limit, told.entitlement_id, bool(told.decision_id)) == (10, made.entitlement_id, True)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    assert told.quota_resets_at.ToDatetime(UTC) == midnight
    refused = await validate(plane, made.token)
    assert (refused.allowed, refused.code, refused.quota_remaining) == (False, pb.DECISION_CODE_QUOTA_EXHAUSTED, 0)
    assert refused.upgrade_url == "https://shop.example/up?tier=free&action=search"
    assert (refused.quota_limit, refused.quota_resets_at) == (10, told.quota_resets_at)


async def test_what_was_never_issued_is_refused_without_a_hint(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    answers = []
    for token in (damaged(made.token), damaged(made.token, made.token_kid)):
        told = await validate(plane, token)
        assert told.code == pb.DECISION_CODE_TOKEN_UNKNOWN
        told.ClearField("decision_id")
        answers.append(told)
    assert answers[0] == answers[1], "an unknown kid and a wrong secret look alike"
    assert answers[0].ListFields() == [
        (field, value) for field, value in answers[0].ListFields() if field.name in ("code", "revision")
    ]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda token: token[:-1], "TOKEN_MALFORMED"),
        (lambda token: token + "0", "TOKEN_MALFORMED"),
        (lambda token: token[:30] + ("a" if token[30] != "a" else "b") + token[31:], "TOKEN_MALFORMED"),
        (lambda token: token.upper(), "TOKEN_MALFORMED"),
        (lambda token: f" {token}", "TOKEN_MALFORMED"),
        (lambda token: f"{token}\n", "TOKEN_MALFORMED"),
        (lambda token: "x" * 512, "TOKEN_MALFORMED"),
        (lambda token: "😀" * 512, "TOKEN_MALFORMED"),
        (lambda token: "tok_permanent_abc123", "TOKEN_MALFORMED"),
        (lambda token: tokens.issue("dev", tokens.SOLUTION_KEY), "TOKEN_MALFORMED"),
        (lambda token: tokens.issue("prod"), "TOKEN_FOREIGN"),
        (lambda token: "", "TOKEN_MISSING"),
    ],
)
async def test_what_is_no_token_of_ours_is_refused_by_its_form(
    plane: Plane, shop: str, spoil: Any, expected: str
) -> None:
    made = await generate(plane, email(), shop)
    assert await code(plane, spoil(made.token)) == expected


async def test_a_token_is_good_for_its_solution_only(plane: Plane, shop: str) -> None:
    await create(plane, "elsewhere", tiers=TIERS)
    made = await generate(plane, email(), "elsewhere")
    for _ in range(2):  # cold, then from memory
        told = await validate(plane, made.token)
        assert told.code == pb.DECISION_CODE_SOLUTION_MISMATCH
        assert not told.user_id and not told.user_email, "whose it is, is not this solution's to know"
    assert await code(plane, made.token, solution_id="elsewhere") == "ALLOWED"
    assert await code(plane, made.token) == "SOLUTION_MISMATCH"
    assert await code(plane, made.token, solution_id="nowhere") == "SOLUTION_UNKNOWN"


async def test_an_action_without_a_quota_is_not_allowed(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    told = await validate(plane, made.token, "import")
    assert told.code == pb.DECISION_CODE_ACTION_NOT_ALLOWED and told.upgrade_url
    await change(plane, made.entitlement_id, tier="pro")
    told = await validate(plane, made.token, "import")
    assert told.allowed and not told.HasField("quota_remaining"), "`*` is for every other action, and has no limit"


async def test_a_revocation_holds_from_its_revision_on(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    assert await code(plane, made.token) == "ALLOWED"
    revoked = await plane.access().RevokeToken(pb.RevokeTokenRequest(kid=made.token_kid, reason="lost"))
    assert await code(plane, made.token, min_revision=revoked.token.revision) == "TOKEN_REVOKED"


async def test_a_status_and_a_tier_hold_from_their_revision_on(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    assert await code(plane, made.token) == "ALLOWED"
    pro = await change(plane, made.entitlement_id, tier="pro")
    told = await validate(plane, made.token, min_revision=pro.revision)
    assert (told.access_tier, told.quota_limit) == ("pro", 0xFFFFFFFF), "greater numbers are the greatest there is"
    held = await change(plane, made.entitlement_id, status=pb.ENTITLEMENT_STATUS_SUSPENDED)
    assert await code(plane, made.token, min_revision=held.revision) == "ENTITLEMENT_SUSPENDED"
    again = await change(plane, made.entitlement_id, status=pb.ENTITLEMENT_STATUS_ACTIVE)
    assert await code(plane, made.token, min_revision=again.revision) == "ALLOWED"
    over = await change(plane, made.entitlement_id, status=pb.ENTITLEMENT_STATUS_CANCELLED)
    assert await code(plane, made.token, min_revision=over.revision) == "ENTITLEMENT_CANCELLED"


async def test_whoever_changes_something_finds_it_in_the_next_answer(plane: Plane, shop: str) -> None:
    """Asked of the process that made the change, with no revision."""
    made = await generate(plane, email(), shop)
    for tier in ("pro", "soft", "free") * 5:
        await change(plane, made.entitlement_id, tier=tier)
        assert (await validate(plane, made.token, peek=True)).access_tier == tier


async def test_a_raised_limit_holds_on_the_next_call(plane: Plane) -> None:
    await create(plane, "raising", tiers=[{"id": "free", "quotas": {"search": {**DAILY, "limit": 1}}}])
    made = await generate(plane, email(), "raising")
    assert await code(plane, made.token, solution_id="raising") == "ALLOWED"
    assert await code(plane, made.token, solution_id="raising") == "QUOTA_EXHAUSTED"
    more = [{"id": "free", "quotas": {"search": {**DAILY, "limit": 3}}}]
    raised = await update(plane, "raising", "tiers", tiers=more)
    codes = [await code(plane, made.token, solution_id="raising", min_revision=raised.revision) for _ in range(3)]
    assert codes == ["ALLOWED", "ALLOWED", "QUOTA_EXHAUSTED"]


async def test_a_deleted_solutions_tokens_are_refused(plane: Plane) -> None:
    await create(plane, "deleted", tiers=TIERS)
    made = await generate(plane, email(), "deleted")
    assert await code(plane, made.token, solution_id="deleted") == "ALLOWED"
    request = solutions_pb.DeleteSolutionRequest(id="deleted", reason="over", force=True)
    gone = await plane.solutions.DeleteSolution(request)
    assert await code(plane, made.token, solution_id="deleted", min_revision=gone.revision) == "SOLUTION_UNKNOWN"


async def test_a_token_ends_with_its_time_also_under_a_lease(timed: tuple[Plane, Settable]) -> None:
    plane, clock = timed
    made = await generate(plane, email(), "shop", ttl=length(timedelta(hours=1)))
    assert await code(plane, made.token) == "ALLOWED"
    clock.time += timedelta(minutes=59)
    await settled(plane)
    assert await code(plane, made.token) == "ALLOWED"
    clock.time += timedelta(minutes=1)
    await settled(plane)
    assert await code(plane, made.token) == "TOKEN_EXPIRED"


async def settled(plane: Plane) -> None:
    """Waits until the process knows that it is up to date by a clock that has been moved."""
    told = await generate(plane, email(), "shop")

    async def fresh() -> bool:
        return await code(plane, told.token, peek=True) != "STALE"

    await until(fresh)


async def test_a_clock_that_is_moved_gives_nobody_more(timed: tuple[Plane, Settable]) -> None:
    plane, clock = timed
    clock.time = clock.time.replace(hour=12)
    await settled(plane)
    made = await generate(plane, email(), "shop")
    for _ in range(10):
        assert await code(plane, made.token) == "ALLOWED"
    clock.time += DAY
    await settled(plane)
    assert await code(plane, made.token) == "ALLOWED", "another day"
    clock.time -= DAY
    await settled(plane)
    assert await code(plane, made.token) == "QUOTA_EXHAUSTED", "the day before is as used up as it was"
    clock.time -= timedelta(hours=3)
    await settled(plane)
    assert await code(plane, made.token) == "QUOTA_EXHAUSTED"


@pytest.mark.parametrize("cost", [-1, -(2**63), 10**12 + 1, 2**63 - 1])
async def test_a_cost_that_is_none_is_named(plane: Plane, shop: str, cost: int) -> None:
    made = await generate(plane, email(), shop)
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await validate(plane, made.token, cost=cost)
    assert list(refusal.violations) == ["cost"]
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        request = pb.ReserveUnitsRequest(token=made.token, solution_id=shop, action="search", units=cost)
        await plane.access().ReserveUnits(request)
    assert list(refusal.violations) == ["units"]
    assert (await validate(plane, made.token)).quota_remaining == 9


async def test_a_cost_beyond_what_is_left_takes_nothing(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    assert (await validate(plane, made.token, cost=7)).quota_remaining == 3
    for cost in (4, 10**12):
        told = await validate(plane, made.token, cost=cost)
        assert (told.code, told.quota_remaining) == (pb.DECISION_CODE_QUOTA_EXHAUSTED, 3)
    assert (await validate(plane, made.token, cost=3)).allowed


async def test_a_peek_and_a_cost_of_nothing_spend_nothing(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    for how in ({"peek": True}, {"peek": True, "cost": 10}, {"cost": 0}):
        assert (await validate(plane, made.token, **how)).allowed
    assert await code(plane, made.token, peek=True, cost=11) == "QUOTA_EXHAUSTED"
    told = await validate(plane, made.token, cost=10)
    assert told.allowed and told.quota_remaining == 0
    assert await code(plane, made.token, peek=True) == "QUOTA_EXHAUSTED"


async def test_a_soft_limit_is_said_and_not_refused(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop, access_tier="soft")
    assert [await code(plane, made.token) for _ in range(3)] == ["ALLOWED", "ALLOWED_OVER_LIMIT", "ALLOWED_OVER_LIMIT"]


async def test_too_many_at_once_are_told_when_to_come_again(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop, access_tier="slow")
    assert [await code(plane, made.token) for _ in range(3)] == ["ALLOWED", "ALLOWED", "RATE_LIMITED"]
    told = await validate(plane, made.token)
    assert 90 < told.retry_after.ToTimedelta().total_seconds() <= 100


async def test_callers_without_a_token_are_counted_apart(plane: Plane) -> None:
    await create(plane, "open", tiers=TIERS, anonymous_tier="nobody")
    for who in ("one", "two"):
        for left in (2, 1, 0):
            told = await validate(plane, "", solution_id="open", anonymous_id=who)
            assert (told.allowed, told.access_tier, told.quota_remaining) == (True, "nobody", left)
        told = await validate(plane, "", solution_id="open", anonymous_id=who)
        assert told.code == pb.DECISION_CODE_ANONYMOUS_EXHAUSTED
        assert not told.entitlement_id, "there is no such thing to look up"


async def test_an_email_is_told_only_where_the_solution_may_know_it(plane: Plane) -> None:
    await create(plane, "blind", tiers=TIERS, email_hidden=True)
    made = await generate(plane, email(), "blind")
    told = await validate(plane, made.token, solution_id="blind")
    assert told.allowed and told.user_id == made.user_id and not told.user_email


async def test_a_solution_asks_about_itself_only(plane: Plane, shop: str, search: str) -> None:
    made = await generate(plane, email(), "search")
    assert await code(plane, made.token, solution_id="search", identity="solution/search") == "ALLOWED"
    theirs = await generate(plane, email(), shop)
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await validate(plane, theirs.token, identity="solution/search")
    reserve = pb.ReserveUnitsRequest(token=theirs.token, solution_id=shop, action="search", units=1)
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await plane.access("solution/search").ReserveUnits(reserve)


async def test_a_revision_that_nobody_has_is_waited_for_as_long_as_the_caller_waits(plane: Plane, shop: str) -> None:
    assert plane.running is not None
    made = await generate(plane, email(), shop)
    beyond = plane.running.catalog.revision + 1000
    request = pb.ValidateTokenRequest(token=made.token, action="search", solution_id=shop, min_revision=beyond)
    began = time.monotonic()
    async with refuses("DEADLINE_EXCEEDED", "REVISION_NOT_REACHED"):
        await plane.access().ValidateToken(request, timeout=0.4)
    assert time.monotonic() - began < 0.5
    next_one = plane.running.catalog.revision + 1
    waiting = asyncio.ensure_future(validate(plane, made.token, min_revision=next_one))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await generate(plane, email(), shop)
    assert (await waiting).allowed


REFUSALS = {
    "": ("UNAUTHENTICATED", "TOKEN_MISSING"),
    "nonsense": ("UNAUTHENTICATED", "TOKEN_MALFORMED"),
    tokens.issue("dev"): ("UNAUTHENTICATED", "TOKEN_UNKNOWN"),
    tokens.issue("prod"): ("UNAUTHENTICATED", "TOKEN_FOREIGN"),
}


@pytest.mark.parametrize("token", REFUSALS, ids=[reason for _, reason in REFUSALS.values()])
async def test_a_refusal_is_an_error_where_that_is_asked(plane: Plane, shop: str, token: str) -> None:
    async with refuses(*REFUSALS[token]) as refusal:
        await validate(plane, token, http_status=True)
    assert refusal.metadata["decision_id"]


async def test_the_error_of_a_used_up_quota_says_when_to_come_again_and_where_to_get_more(
    plane: Plane, shop: str
) -> None:
    made = await generate(plane, email(), shop)
    assert (await validate(plane, made.token, cost=10, http_status=True)).allowed
    async with refuses("RESOURCE_EXHAUSTED", "QUOTA_EXHAUSTED") as refusal:
        await validate(plane, made.token, http_status=True)
    assert refusal.metadata["upgrade_url"].startswith("https://shop.example/up?")
    assert refusal.retry_after_s is not None and 0 < refusal.retry_after_s <= 86_400
    async with refuses("PERMISSION_DENIED", "ACTION_NOT_ALLOWED"):
        await validate(plane, made.token, "import", http_status=True)
    await change(plane, made.entitlement_id, status=pb.ENTITLEMENT_STATUS_SUSPENDED)

    async def suspended() -> bool:
        return await code(plane, made.token) == "ENTITLEMENT_SUSPENDED"

    await until(suspended)
    async with refuses("PERMISSION_DENIED", "ENTITLEMENT_SUSPENDED"):
        await validate(plane, made.token, http_status=True)


async def test_whoever_comes_through_envoy_gets_the_headers_of_a_rate_limit(plane: Plane) -> None:
    await create(plane, "headed", tiers=TIERS)
    key = (await key_of(plane, "headed")).secret
    made = await generate(plane, email(), "headed")

    async def headers(identity: str, **how: Any) -> dict[str, str]:
        request = pb.ValidateTokenRequest(token=made.token, action="search", solution_id="headed", **how)
        metadata = (("authorization", f"Bearer {key}"),) if identity == "envoy" else ()
        call = plane.access(identity).ValidateToken(request, metadata=metadata)
        found = {str(name): str(value) for name, value in await call.initial_metadata() or ()}
        await call
        return found

    found = await headers("envoy", cost=7)
    seconds = int(found["x-ratelimit-reset"])
    assert 0 < seconds <= 86_400
    assert found["ratelimit-policy"] == '"search";q=10'
    assert found["ratelimit"] == f'"search";r=3;t={seconds}'
    assert (found["x-ratelimit-limit"], found["x-ratelimit-remaining"]) == ("10", "3")
    assert "retry-after" not in found
    assert "retry-after" in await headers("envoy", cost=4)
    assert not any("ratelimit" in name for name in await headers("operator"))


async def test_of_two_processes_that_want_the_last_unit_one_gets_it(plane: Plane, shop: str) -> None:
    beside = plane.beside()
    await beside.start()
    try:
        for _ in range(5):
            made = await generate(plane, email(), shop)
            told = await asyncio.gather(
                *(
                    validate(process, made.token, "export", min_revision=made.revision)
                    for process in (plane, beside) * 3
                )
            )
            assert sum(each.allowed for each in told) == 2
            assert {each.code for each in told if not each.allowed} == {pb.DECISION_CODE_QUOTA_EXHAUSTED}
    finally:
        await beside.close()


async def test_an_unknown_token_and_a_wrong_secret_take_the_same_time(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)

    async def took_s(token: str) -> float:
        began = time.perf_counter()
        assert await code(plane, token) == "TOKEN_UNKNOWN"
        return time.perf_counter() - began

    for _ in range(5):
        unknown, wrong = [], []
        for _ in range(60):
            unknown.append(await took_s(damaged(made.token)))
            wrong.append(await took_s(damaged(made.token, made.token_kid)))
        ratio = statistics.median(unknown) / statistics.median(wrong)
        if 0.9 < ratio < 1.11:
            return
    raise AssertionError(f"one takes {ratio:.2f} times what the other takes")


def test_what_the_decisions_of_a_run_have_in_common_is_made_anew_when_it_changes() -> None:
    answers, facts = Answers(), Facts("shop", "search", "kid", "e", "u", "u@mail.example", "free", 7)
    run = Run(1, 2, facts, Code.ALLOWED, 1, without_limit("shop", "e", QuotaTerms("search", 10, Period.DAY)), 0.0)
    for number, (limit, remaining, resets_at) in enumerate(
        [
            (10, 9, 1000.5),
            (10, 8, 1000.5),
            (20, 300, 1000.5),
            (20, 299, 2000.0),
            (None, None, None),
            (2**40, 2**40, 1.0),
        ]
    ):
        decision = Decision(Code.ALLOWED, facts, limit, remaining, resets_at, run, number)
        assert pb.ValidateTokenResponse.FromString(answers.packed(decision)) == message(decision)


# -- reservations


async def reserve(
    plane: Plane, token: str, units: int, solution_id: str = "shop", **how: Any
) -> pb.ReserveUnitsResponse:
    action = how.pop("action", "search")
    request = pb.ReserveUnitsRequest(token=token, solution_id=solution_id, action=action, units=units, **how)
    return await plane.access().ReserveUnits(request)


async def commit(plane: Plane, reservation_id: str, cost: int, **how: Any) -> tuple[int, int, int]:
    """(spent, released, short)"""
    request = pb.CommitReservationRequest(reservation_id=reservation_id, cost=cost, **how)
    told = await plane.access().CommitReservation(request)
    return told.spent_units, told.released_units, told.short_units


async def release(plane: Plane, reservation_id: str, identity: str = "operator") -> int:
    request = pb.ReleaseReservationRequest(reservation_id=reservation_id)
    return (await plane.access(identity).ReleaseReservation(request)).released_units


async def test_a_reservation_costs_what_the_work_did_cost(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    held = await reserve(plane, made.token, 8)
    assert held.decision.allowed and held.decision.quota_remaining == 2 and held.decision.decision_id
    assert await code(plane, made.token, cost=3) == "QUOTA_EXHAUSTED"
    assert await commit(plane, held.reservation_id, 5) == (5, 3, 0)
    assert await commit(plane, held.reservation_id, 5) == (5, 3, 0), "said twice, done once"
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await commit(plane, held.reservation_id, 6)
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await release(plane, held.reservation_id)

    async def given_back() -> bool:
        return await code(plane, made.token, cost=5) == "ALLOWED"

    await until(given_back)

    async def counted() -> bool:
        return await used(plane, made.entitlement_id) == {"search": 10}

    await until(counted)


async def test_work_that_costs_more_takes_what_there_is_and_says_what_there_was_not(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    first = await reserve(plane, made.token, 2)
    assert await commit(plane, first.reservation_id, 6) == (6, 0, 0)
    second = await reserve(plane, made.token, 2)
    assert await commit(plane, second.reservation_id, 7) == (4, 0, 3)
    assert await code(plane, made.token) == "QUOTA_EXHAUSTED"


async def test_a_released_reservation_was_never_there(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    held = await reserve(plane, made.token, 10)
    assert (await reserve(plane, made.token, 1)).decision.code == pb.DECISION_CODE_QUOTA_EXHAUSTED
    assert await release(plane, held.reservation_id) == 10
    assert await release(plane, held.reservation_id) == 10
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await commit(plane, held.reservation_id, 1)

    async def free() -> bool:
        return await code(plane, made.token, cost=10) == "ALLOWED"

    await until(free)


async def test_a_reservation_that_nobody_ends_is_released_with_its_time(timed: tuple[Plane, Settable]) -> None:
    plane, clock = timed
    clock.time = clock.time.replace(hour=12)
    await settled(plane)
    made = await generate(plane, email(), "shop")
    held = await reserve(plane, made.token, 10, ttl=length(timedelta(minutes=5)))
    assert held.expire_time.ToDatetime(UTC) == clock.time + timedelta(minutes=5)
    assert await code(plane, made.token) == "QUOTA_EXHAUSTED"
    clock.time += timedelta(minutes=5)
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await commit(plane, held.reservation_id, 1)

    async def free() -> bool:
        return await code(plane, made.token, peek=True) == "ALLOWED"

    await until(free)
    assert (await validate(plane, made.token, cost=10)).allowed


async def test_a_reservation_asked_for_twice_is_one(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    request_id = str(uuid.uuid4())
    first = await reserve(plane, made.token, 6, request_id=request_id)
    again = await reserve(plane, made.token, 6, request_id=request_id)
    assert first.reservation_id == again.reservation_id
    assert (await validate(plane, made.token, cost=4)).allowed


async def test_whoever_may_not_act_may_not_reserve(plane: Plane, shop: str) -> None:
    await create(plane, "other-shop", tiers=TIERS)
    made = await generate(plane, email(), shop)
    assert (await reserve(plane, damaged(made.token), 1)).decision.code == pb.DECISION_CODE_TOKEN_UNKNOWN
    refused = await reserve(plane, made.token, 1, action="import")
    assert refused.decision.code == pb.DECISION_CODE_ACTION_NOT_ALLOWED and not refused.reservation_id
    held = await reserve(plane, made.token, 1)
    async with refuses("NOT_FOUND", "RESERVATION_NOT_FOUND"):
        await release(plane, held.reservation_id, "solution/search")
    async with refuses("NOT_FOUND", "RESERVATION_NOT_FOUND"):
        await commit(plane, str(uuid.uuid4()), 1)


# -- looking back


async def test_every_decision_is_in_the_log_and_can_be_explained(plane: Plane) -> None:
    await create(plane, "logged", tiers=TIERS)
    made = await generate(plane, email(), "logged")
    asked = [
        ("ALLOWED", made.token, "search", 8),
        ("QUOTA_EXHAUSTED", made.token, "search", 8),
        ("ACTION_NOT_ALLOWED", made.token, "import", 1),
        ("TOKEN_UNKNOWN", damaged(made.token), "search", 1),
        ("TOKEN_MALFORMED", "nonsense", "search", 1),
        ("TOKEN_FOREIGN", tokens.issue("prod"), "search", 1),
        ("TOKEN_MISSING", "", "search", 1),
    ]
    ids = {}
    for expected, token, action, cost in asked:
        told = await validate(plane, token, action, "logged", cost=cost)
        assert pb.DecisionCode.Name(told.code) == f"DECISION_CODE_{expected}"
        ids[expected] = told.decision_id

    async def logged() -> list[pb.Decision] | None:
        request = pb.ListDecisionsRequest(filter='solution_id = "logged"')
        found = list((await plane.access().ListDecisions(request)).decisions)
        return found if len(found) == len(asked) else None

    rows = {row.code: row for row in await until(logged)}
    assert {pb.DecisionCode.Name(number).removeprefix("DECISION_CODE_") for number in rows} == set(ids)
    allowed = rows[pb.DECISION_CODE_ALLOWED]
    assert (allowed.token_kid, allowed.cost, allowed.tier) == (made.token_kid, 8, "free")
    failing = {
        "QUOTA_EXHAUSTED": "quota",
        "ACTION_NOT_ALLOWED": "action",
        "TOKEN_UNKNOWN": "token",
        "TOKEN_MALFORMED": "form",
        "TOKEN_FOREIGN": "form",
        "TOKEN_MISSING": "form",
    }
    for expected, decision_id in ids.items():
        explained = await plane.access().ExplainDecision(pb.ExplainDecisionRequest(decision_id=decision_id))
        failed = [step.check for step in explained.steps if not step.passed]
        assert failed == ([failing[expected]] if expected in failing else []), expected
        assert all(step.explanation for step in explained.steps)
    for wanted in (f'token_kid = "{made.token_kid}"', f'user_id = "{made.user_id}"', "code = QUOTA_EXHAUSTED"):
        request = pb.ListDecisionsRequest(filter=f'{wanted} AND solution_id = "logged"')
        assert (await plane.access().ListDecisions(request)).decisions


async def test_an_explanation_is_by_the_terms_of_then(plane: Plane) -> None:
    await create(plane, "changed", tiers=[{"id": "free", "quotas": {"search": {**DAILY, "limit": 1}}}])
    made = await generate(plane, email(), "changed")
    told = await validate(plane, made.token, solution_id="changed", cost=2, min_revision=made.revision)
    await update(plane, "changed", "tiers", tiers=[{"id": "free", "quotas": {"search": {**DAILY, "limit": 77}}}])

    async def explained() -> pb.ExplainDecisionResponse | None:
        try:
            return await plane.access().ExplainDecision(pb.ExplainDecisionRequest(decision_id=told.decision_id))
        except grpc.aio.AioRpcError:
            return None

    answer: pb.ExplainDecisionResponse = await until(explained)
    assert answer.steps[-1].explanation.startswith("2 of 1 a day")


RUN = "5f0c1c52-9d1e-4a4b-8f0e-1d2a3b4c5d6e"


@pytest.mark.parametrize("decision_id", ["x", RUN, f"{RUN}.", f"{RUN}.x", ".1"])
async def test_what_is_no_decision_id_is_said(plane: Plane, decision_id: str) -> None:
    async with refuses("INVALID_ARGUMENT", "DECISION_ID_INVALID"):
        await plane.access().ExplainDecision(pb.ExplainDecisionRequest(decision_id=decision_id))


async def test_a_decision_of_somebody_else_is_not_there(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    told = await validate(plane, made.token)

    async def known(identity: str = "operator", number: int = 1) -> bool:
        run = told.decision_id.partition(".")[0]
        try:
            request = pb.ExplainDecisionRequest(decision_id=f"{run}.{number}")
            return bool(await plane.access(identity).ExplainDecision(request))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
            return False

    await until(known)
    assert not await known("solution/search")
    assert not await known(number=2)
    listed = await plane.access("solution/search").ListDecisions(pb.ListDecisionsRequest(page_size=1000))
    assert {row.solution_id for row in listed.decisions} <= {"search"}
    usage = await plane.access("solution/search").ListUsage(pb.ListUsageRequest(page_size=1000))
    assert {row.solution_id for row in usage.usage} <= {"search"}


async def test_usage_comes_in_pages_newest_day_first(timed: tuple[Plane, Settable]) -> None:
    plane, clock = timed
    await create(plane, "daily", tiers=TIERS)
    made = await generate(plane, email(), "daily")
    clock.time = clock.time.replace(hour=12)
    for _ in range(3):
        clock.time += DAY
        await settled(plane)
        for action in ("search", "export"):
            assert await code(plane, made.token, action, "daily") == "ALLOWED"
    # The last ones are handed in a moment later.
    clock.time += timedelta(seconds=2)

    async def pages() -> list[tuple[str, str]] | None:
        found: list[tuple[str, str]] = []
        token = ""
        while True:
            request = pb.ListUsageRequest(filter='solution_id = "daily"', page_size=4, page_token=token)
            page = await plane.access().ListUsage(request)
            found += [(row.date, row.action) for row in page.usage]
            if not (token := page.next_page_token):
                return found if len(found) == 6 else None

    found = await until(pages)
    assert found == sorted(found, reverse=True)
    last = found[-1][0]
    request = pb.ListUsageRequest(filter=f'solution_id = "daily" AND date = "{last}"')
    assert len((await plane.access().ListUsage(request)).usage) == 2


async def test_a_rotated_token_goes_on_until_its_overlap_ends(timed: tuple[Plane, Settable]) -> None:
    plane, clock = timed
    await settled(plane)
    made = await generate(plane, email(), "shop")
    renewed = await rotate(plane, made.token_kid, timedelta(hours=1))
    for token in (made.token, renewed.secret):
        assert await code(plane, token, min_revision=renewed.token.revision) == "ALLOWED"
    clock.time += timedelta(hours=1)
    await settled(plane)
    assert await code(plane, made.token) == "TOKEN_EXPIRED"
    assert await code(plane, renewed.secret) == "ALLOWED"


async def test_a_token_that_is_shown_is_kept_under_the_newest_pepper(plane: Plane, shop: str) -> None:
    made = await generate(plane, email(), shop)
    newest = Peppers(plane.config.home).rotate()
    assert await code(plane, made.token) == "ALLOWED"
    with psycopg.connect(plane.config.database_url) as owner:
        assert owner.execute("SELECT pepper FROM tokens WHERE kid = %s", (made.token_kid,)).fetchone() == (newest,)
    beside = plane.beside()
    await beside.start()
    try:
        assert await code(beside, made.token) == "ALLOWED"
        assert await code(beside, damaged(made.token, made.token_kid)) == "TOKEN_UNKNOWN"
    finally:
        await beside.close()


async def test_logs_have_no_secret_and_no_email(plane: Plane, shop: str, capfd: pytest.CaptureFixture[str]) -> None:
    user = email()
    made = await generate(plane, user, shop)
    await validate(plane, made.token)
    for broken in (made.token[:-1], damaged(made.token, made.token_kid)):
        async with refuses("UNAUTHENTICATED"):
            await validate(plane, broken, http_status=True)
    async with refuses("INVALID_ARGUMENT"):
        await validate(plane, made.token, cost=-1)
    async with refuses("INVALID_ARGUMENT", "TIER_UNKNOWN"):
        await generate(plane, user, shop, access_tier="gold")
    await plane.access().ReportLeakedToken(pb.ReportLeakedTokenRequest(token=made.token))
    out, err = capfd.readouterr()
    assert "ValidateToken" in out + err, "this is the log"
    for said in (user, user.partition("@")[0], made.token[21:-6]):
        assert said not in out + err
