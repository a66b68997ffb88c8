"""Entitlements and tokens: given, taken over with overlap, ended, and never stored in clear."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from psycopg import sql

from center.control.v1 import access_service_pb2 as pb
from center.control.v1 import solution_service_pb2 as solutions_pb
from center.shared.v1 import audit_service_pb2 as audit_pb
from center_sdk import tokens
from control.peppers import Peppers
from shared.runtime.errors import PlatformError
from tests.control.plane import Plane
from tests.control.solutions import create, key_of
from tests.support.grpc import refuses

DAY = timedelta(days=1)


class Settable:
    """A clock that stands where it is put."""

    def __init__(self, time: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time


@pytest.fixture(scope="module")
async def timed(start_plane: Any) -> AsyncIterator[tuple[Plane, Settable]]:
    clock = Settable()
    async with start_plane(clock=clock) as plane:
        await create(plane, "search")
        yield plane, clock


def email() -> str:
    return f"{uuid.uuid4().hex}@mail.example"


def length(time: timedelta) -> Duration:
    made = Duration()
    made.FromTimedelta(time)
    return made


async def generate(
    plane: Plane, user_email: str, solution_id: str = "search", identity: str = "operator", **how: Any
) -> pb.GenerateSolutionTokenResponse:
    request = pb.GenerateSolutionTokenRequest(user_email=user_email, solution_id=solution_id, **how)
    return await plane.access(identity).GenerateSolutionToken(request)


async def listed(plane: Plane, filter: str, identity: str = "operator", **how: Any) -> list[pb.Token]:
    return list((await plane.access(identity).ListTokens(pb.ListTokensRequest(filter=filter, **how))).tokens)


async def states(plane: Plane, entitlement_id: str) -> list[str]:
    """Of the entitlement's tokens, newest first."""
    found = await listed(plane, f'entitlement_id = "{entitlement_id}"')
    return [pb.TokenState.Name(token.state).removeprefix("TOKEN_STATE_") for token in found]


async def entitlement(plane: Plane, entitlement_id: str, identity: str = "operator") -> pb.Entitlement:
    request = pb.GetEntitlementRequest(id=entitlement_id)
    return (await plane.access(identity).GetEntitlement(request)).entitlement


async def change(plane: Plane, entitlement_id: str, identity: str = "operator", **how: Any) -> pb.Entitlement:
    request = pb.UpdateEntitlementRequest(id=entitlement_id, reason=how.pop("reason", "asked for"), **how)
    return (await plane.access(identity).UpdateEntitlement(request)).entitlement


async def rotate(plane: Plane, kid: str, overlap: timedelta = timedelta(0), **how: Any) -> pb.RotateTokenResponse:
    request = pb.RotateTokenRequest(kid=kid, overlap=length(overlap), **how)
    return await plane.access().RotateToken(request)


async def report(plane: Plane, token: str, identity: str = "envoy", **how: Any) -> None:
    await plane.access(identity).ReportLeakedToken(pb.ReportLeakedTokenRequest(token=token, **how))


async def test_a_user_gets_a_permanent_token_and_an_entitlement(plane: Plane, search: str) -> None:
    made = await generate(plane, "Ann@Mail.example")
    parsed = tokens.parse(made.token)
    assert parsed is not None and (parsed.kind, parsed.environment, parsed.kid) == ("cct", "dev", made.token_kid)
    assert not made.HasField("expires_at") and made.revision > 0
    granted = await entitlement(plane, made.entitlement_id)
    assert (granted.tier, granted.status) == ("registered", pb.ENTITLEMENT_STATUS_ACTIVE)
    [token] = await listed(plane, f'kid = "{made.token_kid}"')
    assert token.state == pb.TOKEN_STATE_ACTIVE and token.user_id == made.user_id == granted.user_id
    again = await generate(plane, " ann@mail.example ")
    assert (again.user_id, again.entitlement_id) == (made.user_id, made.entitlement_id), "one user, however spelt"
    assert again.token != made.token


async def test_a_new_token_ends_the_old_ones_or_lets_them_overlap(plane: Plane, search: str) -> None:
    user = email()
    first = await generate(plane, user)
    await generate(plane, user, overlap=length(DAY))
    assert await states(plane, first.entitlement_id) == ["ACTIVE", "ACTIVE"]
    third = await generate(plane, user)
    assert await states(plane, first.entitlement_id) == ["ACTIVE", "REVOKED", "REVOKED"]
    old = (await listed(plane, f'kid = "{first.token_kid}"'))[0]
    assert old.next_kid == third.token_kid, "whoever still has it can be told what took its place"


async def test_a_tier_is_the_one_asked_for_or_what_the_user_has(plane: Plane, search: str) -> None:
    user = email()
    made = await generate(plane, user, access_tier="pro")
    await generate(plane, user)
    assert (await entitlement(plane, made.entitlement_id)).tier == "pro"
    await generate(plane, user, access_tier="registered")
    assert (await entitlement(plane, made.entitlement_id)).tier == "registered"
    async with refuses("INVALID_ARGUMENT", "TIER_UNKNOWN") as refusal:
        await generate(plane, user, access_tier="gold")
    assert list(refusal.violations) == ["access_tier"]


@pytest.mark.parametrize("wrong", ["no-at-sign", "a@b", "@mail.example", "a b@mail.example", "a@mail..example"])
async def test_what_is_no_email_is_refused_without_being_repeated(plane: Plane, search: str, wrong: str) -> None:
    async with refuses("INVALID_ARGUMENT", "EMAIL_INVALID") as refusal:
        await generate(plane, wrong)
    assert list(refusal.violations) == ["user_email"]
    assert wrong not in refusal.message


async def test_a_token_for_no_solution_is_none(plane: Plane) -> None:
    async with refuses("NOT_FOUND", "SOLUTION_NOT_FOUND"):
        await generate(plane, email(), "nowhere")


async def test_the_browser_is_sent_with_a_code_and_with_the_token_only_where_that_is_switched_on(plane: Plane) -> None:
    await create(plane, "modern", redirect_urls=["https://search.example/done?shop=1"])
    await create(plane, "compatible", redirect_urls=["https://old.example/"], token_in_redirect=True)
    await create(plane, "alone", redirect_urls=[])
    made = await generate(plane, email(), "modern")
    query = parse_qs(urlsplit(made.redirect_url).query)
    assert set(query) == {"shop", "code"} and made.token not in made.redirect_url
    user = email()
    old = await generate(plane, user, "compatible")
    assert parse_qs(urlsplit(old.redirect_url).query) == {"token": [old.token], "user_email": [user]}
    entries = await plane.audit.ListEntries(audit_pb.ListEntriesRequest(filter=f'resource_id = "{old.token_kid}"'))
    assert len(entries.entries) == 2, "issued, and put into a URL"
    assert not (await generate(plane, email(), "alone")).redirect_url


async def test_a_secret_is_shown_once_and_stored_nowhere(plane: Plane, search: str) -> None:
    request_id, user = str(uuid.uuid4()), email()
    made = await generate(plane, user, request_id=request_id)
    again = await generate(plane, user, request_id=request_id)
    assert made.token and made.redirect_url and not again.token and not again.redirect_url
    assert (again.token_kid, again.revision) == (made.token_kid, made.revision)
    renewed = await rotate(plane, made.token_kid, request_id=str(uuid.uuid4()))
    with psycopg.connect(plane.config.database_url) as owner:
        tables = [row[0] for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for table in tables:
            for said in (made.token[20:], renewed.secret[20:], user):
                stmt = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s OR t::text LIKE %s")
                likes = (f"%{said}%", f"%{said.encode().hex()}%")
                assert owner.execute(stmt.format(sql.Identifier(table)), likes).fetchone() == (0,), table


async def test_two_who_register_one_user_at_once_share_one_entitlement(plane: Plane, search: str) -> None:
    user = email()
    made = await asyncio.gather(*(generate(plane, user, overlap=length(DAY)) for _ in range(6)))
    assert len({each.entitlement_id for each in made}) == len({each.user_id for each in made}) == 1
    assert await states(plane, made[0].entitlement_id) == ["ACTIVE"] * 6


async def test_a_token_has_one_successor_with_overlap(plane: Plane, search: str) -> None:
    made = await generate(plane, email())
    renewed = await rotate(plane, made.token_kid, DAY)
    assert renewed.previous.state == pb.TOKEN_STATE_ACTIVE and renewed.previous.HasField("expire_time")
    assert renewed.previous.next_kid == renewed.token.kid
    parsed = tokens.parse(renewed.secret)
    assert parsed is not None and parsed.kid == renewed.token.kid
    at_once = await rotate(plane, renewed.token.kid)
    assert at_once.previous.state == pb.TOKEN_STATE_REVOKED
    async with refuses("FAILED_PRECONDITION", "TOKEN_REVOKED"):
        await rotate(plane, renewed.token.kid)
    async with refuses("NOT_FOUND", "TOKEN_NOT_FOUND"):
        await rotate(plane, "0" * 12)


async def test_an_entitlement_has_so_many_live_tokens_and_no_more(plane: Plane, search: str) -> None:
    user = email()
    made = [await generate(plane, user, overlap=length(DAY)) for _ in range(10)]
    async with refuses("FAILED_PRECONDITION", "TOO_MANY_TOKENS"):
        await generate(plane, user, overlap=length(DAY))
    async with refuses("FAILED_PRECONDITION", "TOO_MANY_TOKENS"):
        await rotate(plane, made[0].token_kid, DAY)
    await rotate(plane, made[0].token_kid)
    await generate(plane, user)
    assert (await states(plane, made[0].entitlement_id)).count("ACTIVE") == 1


async def test_a_token_ends_with_its_time_and_its_successor_too(timed: tuple[Plane, Settable]) -> None:
    plane, clock = timed
    user = email()
    made = await generate(plane, user, ttl=length(2 * DAY))
    assert made.expires_at.ToDatetime(UTC) == clock.time + 2 * DAY
    renewed = await rotate(plane, made.token_kid, 30 * DAY)
    assert renewed.previous.expire_time == made.expires_at, "the overlap is never past its own end"
    assert renewed.token.expire_time == made.expires_at
    clock.time += 2 * DAY
    assert await states(plane, made.entitlement_id) == ["EXPIRED", "EXPIRED"]
    assert await listed(plane, f'state = EXPIRED AND user_id = "{made.user_id}"')
    assert not await listed(plane, f'state = ACTIVE AND user_id = "{made.user_id}"')
    async with refuses("FAILED_PRECONDITION", "TOKEN_EXPIRED"):
        await rotate(plane, renewed.token.kid)


async def test_a_revoked_token_stays_revoked(plane: Plane, search: str) -> None:
    made = await generate(plane, email())
    request = pb.RevokeTokenRequest(kid=made.token_kid, reason="lost")
    first = (await plane.access().RevokeToken(request)).token
    again = (await plane.access().RevokeToken(request)).token
    assert first.state == pb.TOKEN_STATE_REVOKED and first.revision > made.revision
    assert (again.revoke_time, again.revision) == (first.revoke_time, first.revision)
    async with refuses("NOT_FOUND", "TOKEN_NOT_FOUND"):
        await plane.access().RevokeToken(pb.RevokeTokenRequest(kid="nothing", reason="lost"))


async def test_an_entitlement_changes_under_its_tokens(plane: Plane, search: str) -> None:
    user = email()
    made = await generate(plane, user)
    before = await entitlement(plane, made.entitlement_id)
    pro = await change(plane, before.id, tier="pro", etag=before.etag)
    assert (pro.tier, pro.revision > before.revision) == ("pro", True)
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await change(plane, before.id, tier="registered", etag=before.etag)
    async with refuses("INVALID_ARGUMENT", "TIER_UNKNOWN") as refusal:
        await change(plane, before.id, tier="gold")
    assert list(refusal.violations) == ["tier"]
    suspended = await change(plane, before.id, status=pb.ENTITLEMENT_STATUS_SUSPENDED, reason="unpaid")
    assert (suspended.status_reason, suspended.tier) == ("unpaid", "pro")
    async with refuses("FAILED_PRECONDITION", "ENTITLEMENT_NOT_ACTIVE"):
        await rotate(plane, made.token_kid)
    async with refuses("FAILED_PRECONDITION", "ENTITLEMENT_NOT_ACTIVE"):
        await generate(plane, user)
    await change(plane, before.id, status=pb.ENTITLEMENT_STATUS_ACTIVE)
    await change(plane, before.id, status=pb.ENTITLEMENT_STATUS_CANCELLED)
    async with refuses("FAILED_PRECONDITION", "ENTITLEMENT_CANCELLED"):
        await change(plane, before.id, status=pb.ENTITLEMENT_STATUS_ACTIVE)
    async with refuses("NOT_FOUND", "ENTITLEMENT_NOT_FOUND"):
        await change(plane, str(uuid.uuid4()), tier="pro")


async def test_a_tier_that_somebody_has_stays(plane: Plane) -> None:
    made = await create(plane, "tiered")
    granted = await generate(plane, email(), "tiered", access_tier="pro")

    async def drop() -> None:
        kept = solutions_pb.Solution(id="tiered", tiers=[made.tiers[0]])
        request = solutions_pb.UpdateSolutionRequest(solution=kept)
        request.update_mask.paths.append("tiers")
        await plane.solutions.UpdateSolution(request)

    async with refuses("FAILED_PRECONDITION", "TIER_IN_USE") as refusal:
        await drop()
    assert refusal.metadata["tier"] == "pro"
    await change(plane, granted.entitlement_id, tier="registered")
    await drop()


async def test_a_solution_with_users_goes_only_by_force_and_takes_their_entitlements_along(plane: Plane) -> None:
    await create(plane, "closing")
    made = await generate(plane, email(), "closing")
    async with refuses("FAILED_PRECONDITION", "SOLUTION_IN_USE") as refusal:
        await plane.solutions.DeleteSolution(solutions_pb.DeleteSolutionRequest(id="closing", reason="over"))
    assert refusal.metadata["active_entitlements"] == "1"
    await plane.solutions.DeleteSolution(solutions_pb.DeleteSolutionRequest(id="closing", reason="over", force=True))
    ended = await entitlement(plane, made.entitlement_id)
    assert (ended.status, ended.status_reason) == (pb.ENTITLEMENT_STATUS_CANCELLED, "over")
    async with refuses("NOT_FOUND", "SOLUTION_NOT_FOUND"):
        await generate(plane, email(), "closing")


async def test_a_reported_token_is_revoked_by_anybody_who_has_the_whole_of_it(plane: Plane, search: str) -> None:
    user = email()
    made = await generate(plane, user)
    other = await generate(plane, user, overlap=length(DAY))
    await report(plane, made.token, source="a public repository")
    assert await states(plane, made.entitlement_id) == ["ACTIVE", "REVOKED"]
    assert (await entitlement(plane, made.entitlement_id)).status == pb.ENTITLEMENT_STATUS_ACTIVE
    await report(plane, other.token, suspend=True)
    assert (await entitlement(plane, made.entitlement_id)).status == pb.ENTITLEMENT_STATUS_SUSPENDED


async def test_reports_of_what_is_no_live_token_are_answered_alike_and_do_nothing(plane: Plane, search: str) -> None:
    made = await generate(plane, email())
    forged = tokens.issue("dev")
    told = f"cct_dev_{made.token_kid}_{forged[21:-6]}"
    for token in (forged, told + tokens._crc(told), tokens.issue("prod"), tokens.issue("dev", tokens.SOLUTION_KEY)):
        await report(plane, token, suspend=True)
    assert await states(plane, made.entitlement_id) == ["ACTIVE"]
    assert (await entitlement(plane, made.entitlement_id)).status == pb.ENTITLEMENT_STATUS_ACTIVE
    for token in ("nonsense", made.token[:-1], made.token + "0", made.token.swapcase()):
        async with refuses("INVALID_ARGUMENT", "TOKEN_MALFORMED"):
            await report(plane, token)


async def test_a_reported_key_ends_too(plane: Plane) -> None:
    await create(plane, "leaky")
    key = await key_of(plane, "leaky")
    await report(plane, key.secret)
    keys = await plane.solutions.ListSolutionKeys(solutions_pb.ListSolutionKeysRequest(solution_id="leaky"))
    assert keys.keys[0].HasField("revoke_time")


async def test_a_solution_sees_and_changes_only_what_is_its_own(plane: Plane, search: str) -> None:
    await create(plane, "stranger")
    mine, theirs = await generate(plane, email()), await generate(plane, email(), "stranger")
    me = "solution/search"
    assert (await entitlement(plane, mine.entitlement_id, me)).id == mine.entitlement_id
    async with refuses("NOT_FOUND", "ENTITLEMENT_NOT_FOUND"):
        await entitlement(plane, theirs.entitlement_id, me)
    async with refuses("NOT_FOUND", "ENTITLEMENT_NOT_FOUND"):
        await change(plane, theirs.entitlement_id, me, tier="pro")
    async with refuses("NOT_FOUND", "TOKEN_NOT_FOUND"):
        await plane.access(me).RevokeToken(pb.RevokeTokenRequest(kid=theirs.token_kid, reason="mine"))
    async with refuses("NOT_FOUND", "TOKEN_NOT_FOUND"):
        await plane.access(me).RotateToken(pb.RotateTokenRequest(kid=theirs.token_kid))
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await generate(plane, email(), "stranger", identity=me)
    assert {token.solution_id for token in await listed(plane, "", me, page_size=1000)} == {"search"}
    all_mine = await plane.access(me).ListEntitlements(pb.ListEntitlementsRequest(page_size=1000))
    assert {each.solution_id for each in all_mine.entitlements} == {"search"}
    assert (await generate(plane, email(), identity=me)).token


async def test_lists_come_in_pages_newest_first(plane: Plane) -> None:
    await create(plane, "paged")
    made = [(await generate(plane, email(), "paged")).token_kid for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListTokensRequest(filter='solution_id = "paged"', page_size=2, page_token=token)
        page = await plane.access().ListTokens(request)
        seen += [each.kid for each in page.tokens]
        if not (token := page.next_page_token):
            break
    assert seen == made[::-1]
    request = pb.ListTokensRequest(page_token="x")
    async with refuses("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await plane.access().ListTokens(request)
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await listed(plane, "mac = 1")


async def test_a_retired_pepper_still_holds_for_what_it_made(plane: Plane, search: str) -> None:
    made = await generate(plane, email())
    peppers = Peppers(plane.config.home)
    newest = peppers.rotate()
    later = await generate(plane, email())
    assert plane.running is not None
    async with plane.running.db.transaction() as tx:
        rows = await tx.exec_driver_sql(
            "SELECT kid, pepper FROM tokens WHERE kid IN (%s, %s)", (made.token_kid, later.token_kid)
        )
        used = {row.kid: row.pepper for row in rows}
    assert used == {made.token_kid: newest - 1, later.token_kid: newest}
    for token in (made, later):
        await report(plane, token.token)
        assert await states(plane, token.entitlement_id) == ["REVOKED"]


@pytest.mark.parametrize("table", ["solutions", "solution_keys", "entitlements", "tokens"])
async def test_what_was_granted_stays_in_the_books(plane: Plane, table: str) -> None:
    assert plane.running is not None
    with pytest.raises(PlatformError):
        async with plane.running.db.transaction() as tx:
            await tx.exec_driver_sql(f"DELETE FROM {table}")
