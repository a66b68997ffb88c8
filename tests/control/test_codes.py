"""One-time codes: good once, for a minute, for one solution, and worth nothing to anybody else."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from center.control.v1 import user_service_pb2 as pb
from control.users.crypto import Proofs
from shared.runtime.ids import uuid7
from tests.control.people import ACTIVE, Moved, People, an_email, code_in
from tests.control.plane import until
from tests.support.grpc import refusal_of, refuses


@pytest.fixture(scope="module")
async def people(start_plane: Any) -> AsyncIterator[People]:
    clock = Moved()
    async with start_plane(clock=clock) as plane:
        yield People(plane, clock)


async def test_a_code_becomes_a_token_with_the_solutions_default_tier(people: People) -> None:
    solution, email = await people.solution(), an_email()
    registered = await people.register(email, solution, state="s p&=1")
    assert registered.redirect_url.startswith("https://search.example/done?state=s+p%26%3D1&code=ccc_")
    given = await people.exchange(code_in(registered.redirect_url), solution)
    assert given.token.startswith("cct_dev_") and given.token_kid in given.token
    assert (given.access_tier, given.user_email, given.email_verified) == ("registered", email, False)
    assert given.user_id == (await people.find(email)).id
    assert await people.token_states(given.user_id) == {given.token_kid: ACTIVE}
    assert given.revision > 0


async def test_of_many_who_exchange_a_code_at_once_exactly_one_gets_a_token(people: People) -> None:
    solution = await people.solution()
    code = code_in((await people.register(an_email(), solution)).redirect_url)

    async def exchanged() -> str:
        try:
            return (await people.exchange(code, solution)).user_id
        except grpc.aio.AioRpcError as error:
            return refusal_of(error).reason

    registered = (await people.users.ListUsers(pb.ListUsersRequest(page_size=1))).users[0]
    url = people.plane.config.database_url
    async with (
        await psycopg.AsyncConnection.connect(url) as held,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as looking,
    ):
        # They have all seen the code unused, and wait for its user.
        await held.execute("SELECT FROM users WHERE id = %s FOR UPDATE", (registered.id,))
        running = asyncio.gather(*(exchanged() for _ in range(12)))

        async def all_wait() -> bool:
            waiting = "wait_event_type = 'Lock' AND datname = current_database()"
            cursor = await looking.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}")  # type: ignore[arg-type]
            return await cursor.fetchone() == (12,)

        await until(all_wait)
    results = await running
    assert results.count("CODE_USED") == 11
    [user_id] = [result for result in results if result != "CODE_USED"]
    assert len(await people.token_states(user_id)) == 1


async def test_a_used_code_a_late_code_a_foreign_code_and_a_forged_code_are_refused(people: People) -> None:
    solution, other = await people.solution(), await people.solution()
    code = code_in((await people.register(an_email(), solution)).redirect_url)
    async with refuses("FAILED_PRECONDITION", "CODE_FOREIGN"):
        await people.exchange(code, other)
    await people.exchange(code, solution)
    async with refuses("FAILED_PRECONDITION", "CODE_USED"):
        await people.exchange(code, solution)
    late = code_in((await people.register(an_email(), solution)).redirect_url)
    people.clock.by += timedelta(seconds=60)
    async with refuses("FAILED_PRECONDITION", "CODE_EXPIRED"):
        await people.exchange(late, solution)
    for forged in (late[:-1] + ("A" if late[-1] != "A" else "Q"), late + "A", late[4:], "ccc_", "x", late[:-2]):
        async with refuses("NOT_FOUND", "CODE_UNKNOWN"):
            await people.exchange(forged, solution)


async def test_a_code_of_another_home_is_unknown(people: People, tmp_path: Path) -> None:
    async with refuses("NOT_FOUND", "CODE_UNKNOWN"):
        await people.exchange(Proofs(tmp_path).code(uuid7()), await people.solution())


async def test_a_replay_of_an_exchange_gives_no_second_token(people: People) -> None:
    solution = await people.solution()
    code, request_id = code_in((await people.register(an_email(), solution)).redirect_url), str(uuid.uuid4())
    first = await people.exchange(code, solution, request_id=request_id)
    again = await people.exchange(code, solution, request_id=request_id)
    assert (again.token_kid, again.token, again.user_email) == (first.token_kid, "", "")


async def test_a_replay_of_a_registration_gives_the_same_code_while_it_is_good(people: People) -> None:
    solution, email, request_id = await people.solution(), an_email(), str(uuid.uuid4())
    first = await people.register(email, solution, request_id=request_id, state="x")
    assert await people.register(email, solution, request_id=request_id, state="x") == first
    await people.exchange(code_in(first.redirect_url), solution)
    again = await people.register(email, solution, request_id=request_id, state="x")
    assert (again.registration_id, again.redirect_url) == (first.registration_id, "")
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await people.register(an_email(), solution, request_id=request_id, state="x")


async def test_the_old_form_puts_token_and_e_mail_into_the_url_only_where_the_solution_says_so(people: People) -> None:
    solution, email = await people.solution(token_in_redirect=True), an_email()
    registered = await people.register(email, solution)
    assert "token=cct_dev_" in registered.redirect_url and f"user_email={email.replace('@', '%40')}" in (
        registered.redirect_url
    )
    assert "code=" not in registered.redirect_url
    user_id = (await people.find(email)).id
    [kid] = await people.token_states(user_id)
    noted = [change for entry in await people.audited(user_id) for change in entry.changes]
    assert ("token_in_redirect", "true") in [(change.field, change.after) for change in noted]
    assert ("token_kid", kid) in [(change.field, change.after) for change in noted]


async def test_a_solution_that_hides_e_mail_gets_none(people: People) -> None:
    solution = await people.solution(email_hidden=True)
    assert (await people.token(an_email(), solution)).user_email == ""


async def test_a_suspended_user_gets_no_token(people: People) -> None:
    solution, email = await people.solution(), an_email()
    first = await people.token(email, solution)
    await people.register(email, solution)
    proven = await people.verify(await people.link(first.user_id, 2))
    await people.users.EraseUser(pb.EraseUserRequest(id=first.user_id, reason="test"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await people.exchange(code_in(proven.redirect_url), solution)
    assert refusal_of(refused.value).reason in ("USER_ERASED", "CODE_UNKNOWN")
