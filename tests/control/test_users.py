"""Users: who may go on without proof, what a proof ends, and that an erased user is nowhere to be read."""

import asyncio
import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import grpc
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import page_service_pb2 as pages_pb
from center.control.v1 import user_service_pb2 as pb
from center.control.v1.access_service_pb2_grpc import AccessServiceStub
from center.control.v1.page_service_pb2_grpc import PageServiceStub
from control.operations.domain import STEPS, Kind
from control.users import crypto, domain, ops, store, upkeep
from control.users.crypto import Proofs, Vault, Wrapped
from control.users.mail import FileMailbox
from shared.platform import ports
from shared.runtime import pki
from shared.runtime.errors import Internal, InvalidArgument
from shared.runtime.ids import uuid7
from tests.control.people import ACTIVE, REVOKED, Moved, People, an_email, code_in, link_in
from tests.control.plane import Plane, config, until
from tests.support.grpc import refuses
from tests.support.server import free_port


@pytest.fixture(scope="module")
async def people(start_plane: Any) -> AsyncIterator[People]:
    clock = Moved()
    async with start_plane(clock=clock) as plane:
        yield People(plane, clock)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


# Registration and proof.


async def test_a_known_e_mail_goes_on_by_mail_only(people: People) -> None:
    solution, email = await people.solution(), an_email()
    first = await people.register(email, solution)
    again = await people.register(f"  {email.upper()} ", solution)
    assert first.redirect_url and not again.redirect_url
    assert again.registration_id and again.registration_secret
    user = await people.find(email)
    message = await people.mail(user.id, 2)
    assert message["To"] == email and "Search & <Find>" in message["Subject"]
    proven = await people.verify(link_in(message))
    assert (await people.exchange(code_in(proven.redirect_url), solution)).email_verified
    assert (await people.get(user.id)).verify_time.seconds > 0


async def test_a_user_who_is_known_from_elsewhere_goes_on_by_mail_only(people: People) -> None:
    email = an_email()
    await people.register(email, await people.solution())
    assert not (await people.register(email, await people.solution())).redirect_url


async def test_the_state_of_the_browser_comes_back_by_mail_too(people: People) -> None:
    solution, email = await people.solution(verified_email_required=True), an_email()
    await people.register(email, solution, state="begun here & now")
    proven = await people.verify(await people.link((await people.find(email)).id))
    assert parse_qs(urlsplit(proven.redirect_url).query)["state"] == ["begun here & now"]


async def test_a_solution_that_asks_for_proof_answers_new_and_known_alike(people: People) -> None:
    solution, email = await people.solution(verified_email_required=True), an_email()
    answers = [await people.register(email, solution) for _ in range(2)]
    for answer in answers:
        assert not answer.redirect_url
        assert {field.name for field, _ in answer.ListFields()} == {"registration_id", "registration_secret"}
    user = await people.find(email)
    proven = await people.verify(await people.link(user.id))
    assert (await people.exchange(code_in(proven.redirect_url), solution)).user_id == user.id


async def test_whoever_registered_a_strangers_e_mail_loses_it_to_the_first_proof(people: People) -> None:
    solution, email = await people.solution(), an_email("victim")
    stolen = await people.token(email, solution)
    unused = await people.solution()
    await people.register(email, unused)
    own = await people.register(email, solution)
    link = await people.link(stolen.user_id, 3)
    access = AccessServiceStub(people.plane.channel())
    asked = access_pb.ValidateTokenRequest(token=stolen.token, solution_id=solution, action="search")
    assert (await access.ValidateToken(asked)).allowed
    proven = await people.verify(link, registration_secrets=[own.registration_secret])
    assert proven.revoked_tokens == 1
    assert (await access.ValidateToken(asked)).code == access_pb.DECISION_CODE_TOKEN_REVOKED, "from the answer on"
    kept = await people.exchange(code_in(proven.redirect_url), solution)
    assert await people.token_states(stolen.user_id) == {stolen.token_kid: REVOKED, kept.token_kid: ACTIVE}


async def test_a_code_that_a_stranger_still_holds_dies_with_the_first_proof(people: People) -> None:
    solution, email = await people.solution(), an_email("victim")
    held = code_in((await people.register(email, solution)).redirect_url)
    await people.register(email, solution)
    await people.verify(await people.link((await people.find(email)).id, 2))
    async with refuses("FAILED_PRECONDITION", "CODE_EXPIRED"):
        await people.exchange(held, solution)


async def test_the_mail_of_a_strangers_registration_does_not_keep_the_strangers_token(people: People) -> None:
    """The victim opens the only mail there is: without the browser's secret even its own registration's token ends."""
    solution, email = await people.solution(), an_email("victim")
    stolen = await people.token(email, solution)
    assert (await people.verify(await people.link(stolen.user_id))).revoked_tokens == 1
    assert (await people.token_states(stolen.user_id))[stolen.token_kid] == REVOKED


async def test_who_proves_in_the_browser_that_registered_keeps_the_token(people: People) -> None:
    solution, email = await people.solution(), an_email()
    registered = await people.register(email, solution)
    given_ = await people.exchange(code_in(registered.redirect_url), solution)
    link = await people.link(given_.user_id)
    proven = await people.verify(link, registration_secrets=["other", registered.registration_secret])
    assert proven.revoked_tokens == 0
    assert (await people.token_states(given_.user_id))[given_.token_kid] == ACTIVE


async def test_every_registration_of_the_browser_keeps_its_token_and_a_strangers_between_them_does_not(
    people: People,
) -> None:
    email, solution, other = an_email(), await people.solution(), await people.solution()
    first = await people.register(email, solution)
    own = await people.exchange(code_in(first.redirect_url), solution)
    await people.register(email, solution)  # somebody else
    second = await people.register(email, other)
    link = await people.link(own.user_id, 3)
    secrets = [first.registration_secret, second.registration_secret]
    assert (await people.verify(link, registration_secrets=secrets)).revoked_tokens == 0
    assert (await people.token_states(own.user_id))[own.token_kid] == ACTIVE


async def test_tokens_that_trusted_callers_gave_outlive_the_first_proof_and_successors_do_not(people: People) -> None:
    assert domain.with_successors(["a", "x"], {"a": "b", "b": "c", "c": "a", "t": ""}) == ["a", "b", "c", "x"]


async def test_a_link_is_good_once_and_for_a_day(people: People) -> None:
    solution, email = await people.solution(), an_email()
    await people.register(email, solution)
    user = await people.find(email)
    link = await people.link(user.id)
    await people.verify(link)
    async with refuses("FAILED_PRECONDITION", "LINK_USED"):
        await people.verify(link)
    await people.register(email, solution)
    late = await people.link(user.id, 2)
    people.clock.by += timedelta(hours=24)
    async with refuses("FAILED_PRECONDITION", "LINK_EXPIRED"):
        await people.verify(late)


async def test_of_two_who_use_a_link_at_once_one_gets_on(people: People) -> None:
    email = an_email()
    await people.register(email, await people.solution())
    link = await people.link((await people.find(email)).id)
    answers = await asyncio.gather(*(people.verify(link) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(answer, pb.VerifyEmailResponse) for answer in answers) == 1


async def test_a_replayed_proof_leads_on_while_its_code_is_good(people: People) -> None:
    email, solution = an_email(), await people.solution()
    await people.register(email, solution)
    link, request_id = await people.link((await people.find(email)).id), str(uuid.uuid4())
    first = await people.verify(link, request_id=request_id)
    assert await people.verify(link, request_id=request_id) == first


async def test_forged_links_are_invalid(people: People, tmp_path: Path) -> None:
    email = an_email()
    registered = await people.register(email, await people.solution())
    user = await people.find(email)
    link = await people.link(user.id)
    foreign = Proofs(tmp_path).link("r", registered.registration_id, b"")
    for forged in (
        link[:-1] + ("A" if link[-1] != "A" else "Q"),
        "c" + link[1:],
        "x" + link[1:],
        foreign,
        "r",
        "\u00e9" * 9,
    ):
        async with refuses("INVALID_ARGUMENT", "LINK_INVALID") as refusal:
            await people.verify(forged)
        assert "token" in refusal.violations


async def test_redirects_lead_to_the_solution_only(people: People) -> None:
    solution = await people.solution()
    for wrong in (
        "https://evil.example/done",
        "https://search.example.evil.example/done",
        "https://search.example@evil.example/done",
        "https://search.example/done/../x",
        "http://search.example/done",
        "//search.example/done",
        "javascript:alert(1)",
        "https://search.example:444/done",
        "https://[",
    ):
        async with refuses("INVALID_ARGUMENT", "REDIRECT_URL_UNKNOWN"):
            await people.register(an_email(), solution, redirect_url=wrong)
    right = "https://search.example/other?lang=de&code=mine&token=mine#part"
    led = await people.register(an_email(), solution, redirect_url=right)
    assert (
        led.redirect_url.startswith("https://search.example/other?lang=de&code=ccc_") and "mine" not in led.redirect_url
    )
    async with refuses("FAILED_PRECONDITION", "REDIRECT_URL_MISSING"):
        await people.register(an_email(), await people.solution(redirect_urls=[]))
    async with refuses("NOT_FOUND", "SOLUTION_NOT_FOUND"):
        await people.register(an_email(), "nosuch")


async def test_an_e_mail_is_registered_a_few_times_and_then_after_a_while(people: People) -> None:
    solution, email = await people.solution(), an_email()
    for _ in range(5):
        await people.register(email, solution)
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_REGISTRATIONS") as refusal:
        await people.register(email, solution)
    assert refusal.retry_after_s and 500 < refusal.retry_after_s <= 600
    await people.register(an_email(), solution)
    people.clock.by += timedelta(minutes=10)
    await people.register(email, solution)


async def test_a_client_behind_envoy_registers_so_many_and_others_go_on(people: People) -> None:
    solution = await people.solution()
    envoy = type(people.users)(people.plane.channel("envoy"))

    async def register(address: str) -> None:
        request = pb.RegisterUserRequest(email=an_email(), solution_id=solution)
        await envoy.RegisterUser(request, metadata=(("x-forwarded-for", f"198.51.100.7, {address}"),))

    for number in range(60):
        await register(f"2001:db8:1:2::{number + 1:x}")
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_REGISTRATIONS"):
        await register("2001:db8:1:2:ffff::1")
    await register("2001:db8:1:3::1")
    await register("203.0.113.9")


async def test_a_solution_registers_its_own_users_only(people: People) -> None:
    mine, other = await people.solution(), await people.solution()
    pki.ensure(people.plane.config.home, [f"solution/{mine}"])
    stub = type(people.users)(people.plane.channel(f"solution/{mine}"))
    made = await stub.RegisterUser(pb.RegisterUserRequest(email=an_email(), solution_id=mine))
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await stub.RegisterUser(pb.RegisterUserRequest(email=an_email(), solution_id=other))
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await stub.ExchangeCode(pb.ExchangeCodeRequest(code=code_in(made.redirect_url), solution_id=other))
    await stub.ExchangeCode(pb.ExchangeCodeRequest(code=code_in(made.redirect_url), solution_id=mine))


async def test_no_hash_of_a_request_lets_anybody_try_e_mails_out(people: People) -> None:
    """Whoever has the database and guesses an e-mail could compute a plain hash of the request that had it."""
    solution, email, wanted = await people.solution(), an_email(), an_email()
    await people.register(email, solution, request_id=str(uuid.uuid4()))
    user_id = (await people.find(email)).id
    asked = pb.ChangeUserEmailRequest(id=user_id, email=wanted, reason="x", request_id=str(uuid.uuid4()))
    await people.users.ChangeUserEmail(asked)
    trusted = access_pb.GenerateSolutionTokenRequest(
        user_email=email, solution_id=solution, request_id=str(uuid.uuid4())
    )
    access = AccessServiceStub(people.plane.channel())
    first, again = [await access.GenerateSolutionToken(trusted) for _ in range(2)]
    assert (first.token_kid, again.token) == (again.token_kid, "")
    dump = await dumped(people.plane)
    for request in (asked, trusted):
        request.ClearField("request_id")
    for guessed in (pb.RegisterUserRequest(email=email, solution_id=solution), asked, trusted):
        assert not is_in(hashlib.sha256(guessed.SerializeToString(deterministic=True)).digest(), dump)


async def test_many_who_register_one_e_mail_at_once_are_one_user_and_one_goes_on(people: People) -> None:
    solution, email = await people.solution(), an_email()
    answers = await asyncio.gather(*(people.register(email, solution) for _ in range(5)))
    assert sum(bool(answer.redirect_url) for answer in answers) == 1


# A change of e-mail.


async def test_an_e_mail_changes_when_its_new_owner_says_so_and_the_old_one_is_told(people: People) -> None:
    solution, old, new = await people.solution(), an_email(), an_email("new")
    user_id = (await people.token(old, solution)).user_id
    await people.users.ChangeUserEmail(pb.ChangeUserEmailRequest(id=user_id, email=new.upper(), reason="asked"))
    assert (await people.get(user_id)).email == old
    assert (await people.export(user_id)).wanted_email == new
    before = await people.link(user_id)
    asked = await people.mail(user_id, 2)
    assert asked["To"] == new
    await people.verify(link_in(asked))
    changed = await people.get(user_id)
    assert changed.email == new and changed.verify_time.seconds
    assert (await people.find(new)).id == user_id
    async with refuses("NOT_FOUND", "USER_NOT_FOUND"):
        await people.find(old)
    assert (await people.mail(user_id, 3))["To"] == old
    # What went to the old address leads nowhere any more, and neither does the link that was used.
    for dead in (before, link_in(asked)):
        async with refuses("INVALID_ARGUMENT", "LINK_INVALID"):
            await people.verify(dead)


async def test_another_users_e_mail_is_not_for_the_taking(people: People) -> None:
    solution, taken, wanted = await people.solution(), an_email(), an_email()
    await people.register(taken, solution)
    user_id = (await people.token(an_email(), solution)).user_id
    async with refuses("ALREADY_EXISTS", "EMAIL_TAKEN"):
        await people.users.ChangeUserEmail(pb.ChangeUserEmailRequest(id=user_id, email=taken, reason="x"))
    await people.users.ChangeUserEmail(pb.ChangeUserEmailRequest(id=user_id, email=wanted, reason="x"))
    await people.register(wanted, solution)
    link = await people.link(user_id, 2)
    async with refuses("ALREADY_EXISTS", "EMAIL_TAKEN"):
        await people.verify(link)


# Operators' reads.


async def test_users_are_listed_without_e_mail_and_read_with_it(people: People) -> None:
    solution = await people.solution()
    emails = [an_email() for _ in range(3)]
    ids = [(await people.token(email, solution)).user_id for email in emails]
    listed, token = [], ""
    while len(listed) < 3:
        page = await people.users.ListUsers(pb.ListUsersRequest(page_size=2, page_token=token, filter="state = ACTIVE"))
        listed += page.users
        token = page.next_page_token
    assert [user.id for user in listed[:3]] == ids[::-1]
    assert not any(user.email for user in listed)
    assert [(await people.get(each)).email for each in ids] == emails
    unproven = pb.ListUsersRequest(filter=f"verified = false AND id = {ids[0]}")
    assert len((await people.users.ListUsers(unproven)).users) == 1
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await people.users.ListUsers(pb.ListUsersRequest(filter='email = "x"'))
    async with refuses("NOT_FOUND", "USER_NOT_FOUND"):
        await people.get(uuid7())


# Erasure.


async def test_an_export_has_everything_and_an_erasure_leaves_nothing_to_read(people: People) -> None:
    solution, email, state = await people.solution(), an_email("forgetme"), f"state-{uuid.uuid4().hex}"
    registered = await people.register(email, solution, state=state)
    given_ = await people.exchange(code_in(registered.redirect_url), solution)
    await people.mail(given_.user_id)
    export = await people.export(given_.user_id)
    assert export.user.email == email
    assert [each.tier for each in export.entitlements] == ["registered"]
    assert [each.kid for each in export.tokens] == [given_.token_kid]
    assert [each.redirect_url for each in export.registrations] == [f"https://search.example/done?state={state}"]
    assert len(export.mails) == 1 and export.audit_entry_count >= 3
    vault = Vault(people.plane.config.home)
    async with people.plane.running.db.transaction() as tx:  # type: ignore[union-attr]
        _, sealed = await store.get(tx, given_.user_id)
    assert sealed.data_key is not None and sealed.email_hash is not None
    secrets = {
        "e-mail": email.encode(),
        "state": state.encode(),
        "data key": vault.unwrap(given_.user_id, sealed.data_key),
        "wrapped key": sealed.data_key.data,
        "hash": sealed.email_hash,
        "sealed e-mail": sealed.email,
    }
    held = await dumped(people.plane)
    assert [name for name, secret in secrets.items() if is_in(secret, held)] == ["wrapped key", "hash", "sealed e-mail"]

    operation = (await people.users.EraseUser(pb.EraseUserRequest(id=given_.user_id, reason="article 17"))).operation
    ended = await people.plane.wait(operation.name)
    receipt = pb.ErasureReceipt()
    assert ended.response.Unpack(receipt), ended
    assert receipt.user_id == given_.user_id and receipt.erase_time.seconds
    touched = {each.store: each.action for each in receipt.stores}
    assert {"users", "entitlements", "tokens", "registrations", "codes", "mails", "mailbox"} <= touched.keys()
    assert touched["tokens"].startswith("1 revoked") and touched["entitlements"].startswith("1 cancelled")

    left = await dumped(people.plane)
    assert [name for name, secret in secrets.items() if is_in(secret, left)] == []
    mailbox = people.plane.config.home / "mail"
    assert not [path for path in mailbox.rglob("*.eml") if email in path.read_text()]
    after = await people.export(given_.user_id)
    assert after.user.state == pb.USER_STATE_ERASED and not after.user.email
    assert [each.state for each in after.tokens] == [REVOKED] and not after.registrations
    async with refuses("NOT_FOUND", "USER_NOT_FOUND"):
        await people.find(email)
    async with refuses("FAILED_PRECONDITION", "USER_ERASED"):
        await people.users.EraseUser(pb.EraseUserRequest(id=given_.user_id, reason="again"))
    anew = await people.token(email, solution)
    assert anew.user_id != given_.user_id


async def test_an_export_has_what_was_decided_and_used(people: People) -> None:
    solution = await people.solution()
    given_ = await people.token(an_email(), solution)
    access = AccessServiceStub(people.plane.channel())
    asked = access_pb.ValidateTokenRequest(token=given_.token, solution_id=solution, action="search", cost=3)
    asked.min_revision = given_.revision
    for _ in range(4):
        await access.ValidateToken(asked)

    async def is_settled() -> pb.ExportUserResponse | None:
        export = await people.export(given_.user_id)
        return export if export.decision_count == 4 else None

    [used] = (await until(is_settled)).usage
    assert (used.used_units, used.allowed_count, used.denied_count) == (9, 3, 1)


async def test_time_forgets_what_is_done_and_keeps_what_the_first_proof_has_to_end(
    start_plane: Any, tmp_path: Path
) -> None:
    clock = Moved()
    async with start_plane(clock=clock) as plane:
        people = People(plane, clock)
        solution, email, proven = await people.solution(), an_email("victim"), an_email()
        stolen = await people.token(email, solution)
        own = await people.token(proven, solution)
        await people.verify(await people.link(own.user_id))
        message = await people.mail(stolen.user_id)
        clock.by += timedelta(days=31)
        vault, mailbox = Vault(plane.config.home), FileMailbox(plane.config.home)
        await upkeep.clean_once(plane.running.db, clock, vault, mailbox)  # type: ignore[union-attr]
        assert message and not await people.mails(stolen.user_id) and not await people.mails(own.user_id)
        assert not (await people.export(stolen.user_id)).registrations
        await people.register(email, solution)
        assert (await people.verify(await people.link(stolen.user_id))).revoked_tokens == 1
        assert (await people.token_states(stolen.user_id))[stolen.token_kid] == REVOKED


async def test_a_key_that_was_wrapped_as_before_during_a_rotation_is_wrapped_anew_later(start_plane: Any) -> None:
    async with start_plane() as plane:
        people, email = People(plane), an_email()
        user_id = (await people.token(email, await people.solution())).user_id
        vault, db = Vault(plane.config.home), plane.running.db
        newest = vault.rotate()
        async with db.transaction() as tx:
            assert [each for each, _ in await store.wrapped_before(tx, newest, 100)] == [user_id]
        await upkeep.clean_once(db, Moved(), vault, FileMailbox(plane.config.home))
        async with db.transaction() as tx:
            assert await store.count_wrapped_before(tx, newest) == 0
        assert (await people.get(user_id)).email == email


async def dumped(plane: Plane) -> bytes:
    """Every row of every table, as PostgreSQL writes it."""
    found = []
    async with await psycopg.AsyncConnection.connect(plane.config.database_url) as connection:
        rows = await (
            await connection.execute(
                "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'partitions')"
            )
        ).fetchall()
        for (table,) in rows:
            cursor = connection.cursor()
            async with cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as copy:  # type: ignore[arg-type]
                async for data in copy:
                    found.append(bytes(data))
    return b"".join(found)


def is_in(secret: bytes, dump: bytes) -> bool:
    """As text, and as PostgreSQL writes bytes."""
    return secret in dump or secret.hex().encode() in dump


async def test_who_registers_with_the_e_mail_of_somebody_who_is_being_erased_is_somebody_new(start_plane: Any) -> None:
    go_on = asyncio.Event()

    async def boundary(kind: Kind, step: str, point: str) -> None:
        await go_on.wait()

    async with start_plane(boundary=boundary) as plane:
        people, email = People(plane), an_email()
        solution = await people.solution()
        erased = (await people.token(email, solution)).user_id
        operation = (await people.users.EraseUser(pb.EraseUserRequest(id=erased, reason="test"))).operation
        assert (await people.get(erased)).state == pb.USER_STATE_ERASING
        anew = await people.token(email, solution)
        assert anew.user_id != erased
        go_on.set()
        assert (await plane.wait(operation.name)).HasField("response")
        assert (await people.find(email)).id == anew.user_id
        assert await people.token_states(anew.user_id) == {anew.token_kid: ACTIVE}


class Killed(BaseException):
    """A worker's sudden end."""


@pytest.fixture(scope="module")
async def mortal(start_plane: Any) -> AsyncIterator[tuple[People, list[tuple[str, str, str]]]]:
    """A plane whose workers die once at each of the boundaries in the list."""
    at: list[tuple[str, str, str]] = []

    async def boundary(kind: Kind, step: str, point: str) -> None:
        if (kind, step, point) in at:
            at.remove((kind, step, point))
            raise Killed

    async with start_plane(boundary=boundary, lease_s=0.5) as plane:
        yield People(plane), at


@pytest.mark.parametrize("step", STEPS[Kind.ERASE])
@pytest.mark.parametrize("point", ("claimed", "worked", "moved"))
async def test_an_erasure_survives_the_death_of_its_worker(mortal: Any, step: str, point: str) -> None:
    people, at = mortal
    solution, email = await people.solution(), an_email()
    user_id = (await people.token(email, solution)).user_id
    await people.mail(user_id)
    at.append((Kind.ERASE, step, point))
    operation = (await people.users.EraseUser(pb.EraseUserRequest(id=user_id, reason="test"))).operation
    ended = await people.plane.wait(operation.name)

    async def has_died() -> bool:
        return not at

    await until(has_died)
    assert ended.HasField("response"), ended
    assert (await people.get(user_id)).state == pb.USER_STATE_ERASED
    assert set((await people.token_states(user_id)).values()) == {REVOKED}
    assert not is_in(email.encode(), await dumped(people.plane))
    done = [entry for entry in await people.audited(user_id) if entry.method == "workflow/ERASE/shred"]
    assert len(done) == 1


async def test_an_erasure_survives_kill_9_of_control_at_any_moment(
    home: Path, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    offset = free_port() - ports.CONTROL
    database = make_database("control")
    plane = Plane(config(home, database, address=f"127.0.0.1:{ports.CONTROL + offset}"))
    people, log = People(plane), (tmp_path / "control.log").open("ab")
    process = started(home, database, offset, log)
    try:
        await until(lambda: serves(people))
        solution, emails = await people.solution(), [an_email("killed") for _ in range(12)]
        users = [(await people.token(email, solution)).user_id for email in emails]
        operations = []
        for number, user_id in enumerate(users):
            request = pb.EraseUserRequest(id=user_id, reason="test", request_id=str(uuid.uuid4()))
            operations.append((await people.users.EraseUser(request)).operation.name)
            if number % 4 == 3:
                # Steps of several erasures are under way, or done, or not begun.
                process.kill()
                await asyncio.to_thread(process.wait)
                process = started(home, database, offset, log)
                await until(lambda: serves(people))
        for name in operations:
            assert (await plane.wait(name)).HasField("response")
        dump = await dumped(plane)
        for email, user_id in zip(emails, users, strict=True):
            assert (await people.get(user_id)).state == pb.USER_STATE_ERASED
            assert set((await people.token_states(user_id)).values()) == {REVOKED}
            assert not is_in(email.encode(), dump)
            assert sum(entry.method == "workflow/ERASE/shred" for entry in await people.audited(user_id)) == 1
            assert not [path for path in (home / "mail").rglob("*.eml") if email.encode() in path.read_bytes()]
    finally:
        process.kill()
        log.close()
        await plane.close()


def started(home: Path, database: str, offset: int, log: IO[bytes], **more: str) -> subprocess.Popen[bytes]:
    """A control process of its own."""
    told = {
        "CENTER_HOME": str(home),
        "CENTER_DATABASE_URL": database,
        "CENTER_PORT_OFFSET": str(offset),
        "CENTER_LOG_FORMAT": "json",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        **more,
    }
    return subprocess.Popen([sys.executable, "-m", "control"], env=told, stdout=log, stderr=log)


async def serves(people: People) -> bool:
    try:
        await people.users.ListUsers(pb.ListUsersRequest(), timeout=5)
    except grpc.aio.AioRpcError as error:
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error
        return False
    return True


# Keys.


async def test_keys_rotate_under_users_that_are_in_use(people: People) -> None:
    solution = await people.solution()
    emails = [an_email("rotated") for _ in range(30)]
    ids = [(await people.token(email, solution)).user_id for email in emails]
    rotating = True

    async def use() -> int:
        used = 0
        while rotating:
            number = used % len(ids)
            assert (await people.get(ids[number])).email == emails[number]
            used += 1
        return used

    async def join() -> list[tuple[str, str]]:
        joined = []
        while rotating:
            email = an_email("joined")
            joined.append((email, (await people.token(email, solution)).user_id))
        return joined

    jobs = asyncio.gather(use(), use(), join())
    keks = []
    for _ in range(3):
        operation = (await people.users.RotateUserKeys(pb.RotateUserKeysRequest(reason="monthly"))).operation
        ended = await people.plane.wait(operation.name)
        receipt = pb.KeyRotationReceipt()
        assert ended.response.Unpack(receipt), ended
        assert receipt.rewrapped_users >= 30
        keks.append(receipt.kek)
    rotating = False
    *used, joined = await jobs
    assert keks == list(range(keks[0], keks[0] + 3)) and sum(used) > 0
    for email, user_id in [*zip(emails, ids, strict=True), *joined]:
        assert (await people.get(user_id)).email == email


async def test_a_rotation_survives_the_death_of_its_worker(mortal: Any) -> None:
    people, at = mortal
    email = an_email()
    user_id = (await people.token(email, await people.solution())).user_id
    at.append((Kind.REWRAP, "rewrap", "worked"))
    operation = (await people.users.RotateUserKeys(pb.RotateUserKeysRequest(reason="test"))).operation
    assert (await people.plane.wait(operation.name)).HasField("response")
    assert not at and (await people.get(user_id)).email == email


async def test_a_backup_of_an_erased_user_is_unreadable_once_the_old_keys_are_retired(
    make_database: Callable[[str], str], tmp_path: Path
) -> None:
    pki.ensure(tmp_path, ["control", "operator"])
    plane = Plane(config(tmp_path, make_database("control")))
    await plane.start()
    people, email, staying = People(plane), an_email(), an_email("stays")
    solution = await people.solution()
    user_id = (await people.token(email, solution)).user_id
    stays_id = (await people.token(staying, solution)).user_id
    async with plane.running.db.transaction() as tx:  # type: ignore[union-attr]
        _, backup = await store.get(tx, user_id)
    assert ops.email_of(Vault(tmp_path), user_id, backup) == email
    operation = (await people.users.EraseUser(pb.EraseUserRequest(id=user_id, reason="test"))).operation
    await plane.wait(operation.name)
    assert ops.email_of(Vault(tmp_path), user_id, backup) == email, "a backup and its key are as they were"
    operation = (await people.users.RotateUserKeys(pb.RotateUserKeysRequest(reason="test"))).operation
    await plane.wait(operation.name)
    async with refuses("FAILED_PRECONDITION", "KEY_TOO_NEW") as refusal:
        await people.users.RetireUserKeys(pb.RetireUserKeysRequest(reason="test"))
    assert refusal.retry_after_s
    newest = tmp_path / "secrets" / "kek-2.key"
    os.utime(newest, (newest.stat().st_atime, newest.stat().st_mtime - 130))
    assert list((await people.users.RetireUserKeys(pb.RetireUserKeysRequest(reason="test"))).keks) == [1]
    with pytest.raises(Internal, match="DATA_KEY_UNREADABLE"):
        ops.email_of(Vault(tmp_path), user_id, backup)
    assert (await people.get(stays_id)).email == staying
    Vault(tmp_path).rotate()
    os.utime(tmp_path / "secrets" / "kek-3.key", (0, 0))
    async with refuses("FAILED_PRECONDITION", "KEY_IN_USE"):
        await people.users.RetireUserKeys(pb.RetireUserKeysRequest(reason="test"))
    await plane.stop()
    await plane.start()
    assert (await people.get(stays_id)).email == staying, "a new process needs the retired keys no more"
    await plane.close()


@given(text=st.text(max_size=300), other=st.binary(max_size=80), place=st.integers(0, 400), bit=st.integers(0, 7))
def test_what_is_sealed_opens_in_its_own_place_only(text: str, other: bytes, place: int, bit: int) -> None:
    key, user_id = crypto.new_data_key(), uuid7()
    sealed = crypto.seal(key, user_id, "email", text)
    assert crypto.unseal(key, user_id, "email", sealed) == text
    assert len(text) < 8 or text.encode() not in sealed
    flipped = bytearray(sealed)
    flipped[place % len(sealed)] ^= 1 << bit
    for wrong in (
        (key, uuid7(), "email", sealed),
        (key, user_id, "wanted_email", sealed),
        (crypto.new_data_key(), user_id, "email", sealed),
        (key, user_id, "email", bytes(flipped)),
        (key, user_id, "email", other),
    ):
        with pytest.raises(Internal, match="SEAL_BROKEN"):
            crypto.unseal(*wrong)


def test_swapped_data_keys_open_nothing(vault: Vault) -> None:
    one, two = uuid7(), uuid7()
    wrapped = vault.wrap(one, crypto.new_data_key())
    with pytest.raises(Internal, match="DATA_KEY_UNREADABLE"):
        vault.unwrap(two, wrapped)
    with pytest.raises(Internal, match="DATA_KEY_UNREADABLE"):
        vault.unwrap(one, Wrapped(99, wrapped.data))
    with pytest.raises(Internal, match="DATA_KEY_UNREADABLE"):
        vault.unwrap(one, Wrapped(wrapped.kek, b""))


def test_the_newest_key_wraps_and_every_one_opens_in_every_process(tmp_path: Path) -> None:
    one, other, user_id = Vault(tmp_path), Vault(tmp_path), uuid7()
    data_key = crypto.new_data_key()
    old = one.wrap(user_id, data_key)
    assert other.rotate() == old.kek + 1
    new = one.rewrap(user_id, old)
    assert new.kek == old.kek + 1 and new.data != old.data
    assert [vault.unwrap(user_id, each) for vault in (one, other) for each in (old, new)] == [data_key] * 4


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        (" ann+tag@example.com ", "ann+tag@example.com"),
        ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example"),
        ("ann@BU\u0308CHER.example", "ann@xn--bcher-kva.example"),
    ],
)
def test_one_mailbox_has_one_spelling(said: str, meant: str) -> None:
    assert domain.normalise(said) == domain.normalise(meant) == meant


@pytest.mark.parametrize(
    "wrong",
    ("", "@", "ann", "ann@", "@example.com", "ann@example", "ann@ex ample.com", "a\nb@example.com", "a@b@example.com",
     "ann@-x.example", "\u00e4nn@example.com", f"{'a' * 65}@example.com", f"a@{'b' * 250}.com",
     "a@example.com\r\nBcc: b@c.de", "ann@[127.0.0.1]", "ann\0@example.com"),
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_repeated(wrong: str) -> None:
    with pytest.raises(InvalidArgument, match="EMAIL_INVALID") as refused:
        domain.normalise(wrong)
    assert len(wrong) < 4 or wrong not in str(refused.value)


@given(st.text(max_size=80))
def test_normalising_never_breaks_and_twice_is_once(text: str) -> None:
    try:
        once = domain.normalise(text)
    except InvalidArgument:
        return
    assert domain.normalise(once) == once and once.isascii() and "\n" not in once


# Pages.


async def test_pages_escape_what_they_are_given_and_run_their_own_scripts_only(people: People) -> None:
    solution = await people.solution(display_name='"><script>alert(1)</script>')
    stub = PageServiceStub(people.plane.channel("envoy"))
    call = stub.GetRegisterPage(pages_pb.GetRegisterPageRequest(solution_id=solution, state='"><img src=x onerror=y>'))
    headers = dict(await call.initial_metadata())
    page = (await call).data.decode()
    assert "<script>alert" not in page and "<img" not in page and page.count("<script>") == 1
    policy = str(headers["content-security-policy"])
    assert "default-src 'none'" in policy and "unsafe" not in policy and headers["referrer-policy"] == "no-referrer"
    async with refuses("INVALID_ARGUMENT", "REDIRECT_URL_UNKNOWN"):
        await stub.GetRegisterPage(
            pages_pb.GetRegisterPageRequest(solution_id=solution, redirect_url="https://evil.example")
        )
    for metadata in ((), (("accept", "text/html"),)):
        async with refuses("NOT_FOUND", "SOLUTION_NOT_FOUND"):
            await stub.GetRegisterPage(pages_pb.GetRegisterPageRequest(solution_id="nosuch"), metadata=metadata)
    assert b"<button" in (await stub.GetVerifyPage(pages_pb.GetVerifyPageRequest())).data


# Logs.


async def test_no_log_and_no_audit_of_a_whole_flow_tells_an_e_mail_or_a_secret(
    home: Path, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    """A process of its own, at its most talkative, through everything that users do, refusals and a crash included."""
    offset = free_port() - ports.CONTROL
    database = make_database("control")
    log = tmp_path / "control.log"
    with log.open("wb") as out:
        # Nobody listens there: mail fails and is tried again.
        smtp = f"smtp://127.0.0.1:{free_port()}"
        process = started(home, database, offset, out, CENTER_LOG_LEVEL="debug", CENTER_SMTP_URL=smtp)
    try:
        plane = Plane(config(home, database, address=f"127.0.0.1:{ports.CONTROL + offset}"))
        secrets_ = await _a_whole_flow(People(plane))
        dump = await dumped(plane)
        await plane.close()
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)
    written = log.read_bytes()
    assert b"TOO_MANY_REGISTRATIONS" in written and b"mail not taken" in written, "the log is not what was meant"
    for name, secret in secrets_.items():
        assert secret.encode() not in written, f"{name} is in the log"
        assert secret.encode() not in dump, f"{name} is in the database"


async def _a_whole_flow(people: People) -> dict[str, str]:
    """What nobody may read afterwards."""

    await until(lambda: serves(people))
    solution, old_form = await people.solution(), await people.solution(token_in_redirect=True)
    email, other, odd = an_email("secretive"), an_email("oldfashioned"), "se cret" + uuid.uuid4().hex
    request_id = str(uuid.uuid4())
    registered = await people.register(email, solution, request_id=request_id)
    code = code_in(registered.redirect_url)
    given_ = await people.exchange(code, solution, request_id=str(uuid.uuid4()))
    in_url = (await people.register(other, old_form, request_id=str(uuid.uuid4()))).redirect_url
    for _ in range(4):
        await people.register(email, solution)
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_REGISTRATIONS"):
        await people.register(email, solution)
    async with refuses("INVALID_ARGUMENT", "EMAIL_INVALID"):
        await people.register(odd, solution)
    async with refuses("NOT_FOUND", "USER_NOT_FOUND"):
        await people.find("nobody." + email)
    async with refuses("FAILED_PRECONDITION", "CODE_USED"):
        await people.exchange(code, solution)
    wanted = an_email("wanted")
    asked = pb.ChangeUserEmailRequest(id=given_.user_id, email=wanted, reason="x", request_id=str(uuid.uuid4()))
    await people.users.ChangeUserEmail(asked)
    # The link that would be mailed, if there were a server.
    vault, proofs = Vault(people.plane.config.home), Proofs(people.plane.config.home)
    bound = vault.fingerprint("email", email)
    link = proofs.link("r", registered.registration_id, bound)
    proven = await people.verify(link, request_id=str(uuid.uuid4()))

    async def has_failed() -> bool:
        return any("ConnectionRefused" in mail.last_error for mail in await people.mails(given_.user_id))

    await until(has_failed)
    return {
        "the e-mail": email,
        "the other e-mail": other,
        "the odd e-mail": odd,
        "the wanted e-mail": wanted,
        "the code": code,
        "the second code": code_in(proven.redirect_url),
        "the token": given_.token,
        "the token of the URL": parse_qs(urlsplit(in_url).query)["token"][0],
        "the link": link,
        "the registration's secret": registered.registration_secret,
    }
