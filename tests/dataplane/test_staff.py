"""StaffService on a real server and PostgreSQL, and what each role and credential lets in, whatever is called."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from sqlalchemy import text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import staff_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.staff_service_pb2_grpc import StaffServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from center.shared.v1 import rules_pb2
from dataplane.staff import domain, store
from dataplane.staff.credentials import API_KEY, INVITATION, KEY, MEMBER, SESSION, Credentials, Known
from dataplane.staff.domain import Role
from dataplane.staff.service import _KEY_ORDER, _MEMBER_ORDER
from dataplane.staff.tables import staff_members
from dataplane.staff.tries import Tries
from shared.runtime import journal, keys, passwords
from shared.runtime.backoffice import Verifier
from shared.runtime.clock import SystemClock
from shared.runtime.errors import ResourceExhausted, Unauthenticated
from shared.runtime.ids import uuid7
from shared.runtime.rpc import rules
from tests.dataplane.cluster import Running, bearer, digest, entry, move_rows, of, product
from tests.dataplane.notices import until as look
from tests.dataplane.test_contract import send
from tests.dataplane.test_plans import Large, plans
from tests.support.contracts import services
from tests.support.grpc import refuses
from tests.support.platform import until

READ_ONLY, STAFF, MANAGER, OWNER = (
    rules_pb2.STAFF_ROLE_READ_ONLY,
    rules_pb2.STAFF_ROLE_STAFF,
    rules_pb2.STAFF_ROLE_MANAGER,
    rules_pb2.STAFF_ROLE_OWNER,
)
PASSWORD = "a brass lamp burns"
numbers = itertools.count(1)


def authorized(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


@dataclass
class Shop:
    """A tenant, as an operator sees it; `at` is as somebody with a credential does, through Envoy."""

    running: Running
    id: str

    def call(self, name: str, token: str = "", *, is_outside: bool = False, **request: Any) -> Any:
        stub = StaffServiceStub(self.running.channel("envoy" if token or is_outside else "operator"))
        metadata = of(self.id, *([authorized(token)] if token else []))
        return getattr(stub, name)(getattr(pb, f"{name}Request")(**request), metadata=metadata)

    async def invited(self, role: Any = STAFF, email: str = "") -> pb.InviteMemberResponse:
        answer: pb.InviteMemberResponse = await self.call(
            "InviteMember", email=email or f"p{next(numbers)}@mail.example", role=role
        )
        return answer

    async def joined(self, role: Any = STAFF, email: str = "") -> pb.AcceptInvitationResponse:
        secret = (await self.invited(role, email)).secret
        answer: pb.AcceptInvitationResponse = await self.call(
            "AcceptInvitation", is_outside=True, secret=secret, password=PASSWORD
        )
        return answer

    async def key(self, role: Any = STAFF, **more: Any) -> pb.CreateApiKeyResponse:
        answer: pb.CreateApiKeyResponse = await self.call("CreateApiKey", display_name="sync", role=role, **more)
        return answer

    async def lists(self, token: str, tenant_id: str = "") -> int:
        """Lists the shop's carts, as only its own people may: what a credential is good for."""
        products = ProductServiceStub(self.running.channel("envoy"))
        listed = await products.ListProducts(
            products_pb.ListProductsRequest(), metadata=of(tenant_id or self.id, authorized(token))
        )
        return len(listed.products)


@pytest.fixture
async def shop(eu: Running, tenant: str) -> Shop:
    return Shop(eu, tenant)


async def test_whoever_is_invited_becomes_a_member_and_signs_in(shop: Shop) -> None:
    invited = await shop.invited(MANAGER, "Ada@Mail.example")
    assert (invited.member.role, invited.member.state) == (MANAGER, pb.MEMBER_STATE_INVITED)
    assert invited.secret.startswith("si_") and invited.member.HasField("invitation_expire_time")
    accepted = await shop.call("AcceptInvitation", is_outside=True, secret=invited.secret, password=PASSWORD)
    assert accepted.member.id == invited.member.id
    assert accepted.member.state == pb.MEMBER_STATE_ACTIVE
    assert await shop.lists(accepted.token) == 0

    signed_in = await shop.call("SignIn", is_outside=True, email=" ada@mail.EXAMPLE ", password=PASSWORD)
    lasts = signed_in.expire_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < lasts <= timedelta(hours=12)
    [listed] = (await shop.call("ListMembers", signed_in.token)).members
    got = (await shop.call("GetMember", signed_in.token, id=accepted.member.id)).member
    assert listed == got and got.email == "ada@mail.example" and got.role == MANAGER


async def test_an_invitation_is_used_once_and_ended_by_the_next_one(shop: Shop) -> None:
    first, second = await shop.invited(email="ada@mail.example"), await shop.invited(OWNER, "ada@mail.example")
    assert first.member.id == second.member.id

    async def refused(secret: str) -> None:
        async with refuses("NOT_FOUND", "INVITATION_NOT_FOUND"):
            await shop.call("AcceptInvitation", is_outside=True, secret=secret, password=PASSWORD)

    await refused(first.secret)
    both = [
        shop.call("AcceptInvitation", is_outside=True, secret=second.secret, password=f"{PASSWORD} {n}")
        for n in range(3)
    ]
    answers = await asyncio.gather(*both, return_exceptions=True)
    [accepted] = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert accepted.member.role == OWNER
    assert {answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)} == {
        grpc.StatusCode.NOT_FOUND
    }
    await refused("si_" + "A" * 64)
    async with refuses("ALREADY_EXISTS", "MEMBER_EXISTS"):
        await shop.invited(email="ADA@mail.example")
    withdrawn = await shop.invited()
    await shop.call("RemoveMember", id=withdrawn.member.id)
    await refused(withdrawn.secret)


async def test_an_invitation_is_mailed_as_a_link_that_nothing_else_keeps(eu: Running, shop: Shop) -> None:
    assert not (await shop.invited()).is_mailed, "a shop without a domain has no link to send"
    name = f"invite-{uuid7()[-12:]}.example"
    await eu.apply(new := entry(domains=[{"name": name}], primary_domain=name))
    there = Shop(eu, new.id)
    again = {"request_id": uuid7(), "email": "Ada@mail.example", "role": OWNER}
    invited, replayed = await there.call("InviteMember", **again), await there.call("InviteMember", **again)
    assert invited.is_mailed and replayed.is_mailed and not replayed.secret

    async def mails() -> list[Path]:
        return list((eu.home / "mail" / new.id).glob("*.eml"))

    [mail] = await look(mails)
    message = message_from_bytes(mail.read_bytes(), policy=policy.default)
    body = message.get_body(("plain",))
    assert message["To"] == "ada@mail.example" and name in message["Subject"] and body is not None
    [link] = [word for word in body.get_content().split() if word.startswith("http")]
    assert link.endswith(f"//{name}:8080/account/invitation?token={invited.secret}")
    admin = eu.database()
    async with admin.transaction() as tx:
        for table in ("notifications", "audit_entries", "idempotency", "staff_members", "outbox"):
            rows = (await tx.execute(text(f"SELECT t::text FROM {table} t WHERE tenant_id = '{new.id}'"))).scalars()
            kept = "\n".join(rows)
            assert kept or table == "outbox"
            assert invited.secret not in kept and "mail.example" not in kept, table
            # Bytes are hex in a row's text.
            assert invited.secret.encode().hex() not in kept, table
    await admin.close()


async def test_what_is_shown_once_is_not_shown_again(shop: Shop) -> None:
    again = {"request_id": uuid7(), "email": "ada@mail.example", "role": STAFF}
    invited, replayed = await shop.call("InviteMember", **again), await shop.call("InviteMember", **again)
    assert replayed.member == invited.member and not replayed.secret
    accept = {"request_id": uuid7(), "secret": invited.secret, "password": PASSWORD, "is_outside": True}
    accepted, replayed = await shop.call("AcceptInvitation", **accept), await shop.call("AcceptInvitation", **accept)
    assert replayed.member == accepted.member and accepted.token and not replayed.token
    make = {"request_id": uuid7(), "display_name": "sync", "role": STAFF}
    made, replayed = await shop.call("CreateApiKey", **make), await shop.call("CreateApiKey", **make)
    assert replayed.api_key == made.api_key and not replayed.key
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await shop.call("AcceptInvitation", **accept | {"password": "another password"})


async def test_nobody_learns_who_is_a_member_here(shop: Shop) -> None:
    """By the answer, or by the time it takes."""
    await shop.joined(email="ada@mail.example")
    await shop.invited(email="open@mail.example")
    told, took = [], []
    for email in ("ada@mail.example", "nobody@mail.example", "open@mail.example"):
        tries = []
        for _ in range(2):
            began = time.perf_counter()
            async with refuses("UNAUTHENTICATED", "SIGN_IN_REFUSED") as refusal:
                await shop.call("SignIn", is_outside=True, email=email, password="not the password")
            tries.append(time.perf_counter() - began)
        told.append((refusal.message, refusal.metadata))
        took.append(min(tries))
    assert told[0] == told[1] == told[2]
    assert min(took) > took[0] / 3, took


async def test_a_password_is_not_guessed_however_many_try_at_once(shop: Shop) -> None:
    await shop.joined(email="ada@mail.example")
    await shop.joined(email="bea@mail.example")

    async def attempt(email: str, password: str) -> str:
        try:
            await shop.call("SignIn", is_outside=True, email=email, password=password)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    guesses = await asyncio.gather(*(attempt("ada@mail.example", f"guess {n}") for n in range(8)))
    assert sorted(guesses) == ["RESOURCE_EXHAUSTED"] * 3 + ["UNAUTHENTICATED"] * 5
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_TRIES") as refusal:
        await shop.call("SignIn", is_outside=True, email="ada@mail.example", password=PASSWORD)
    assert refusal.retry_after_s is not None and 20 < refusal.retry_after_s <= 30
    assert await attempt("bea@mail.example", PASSWORD) == "OK"


def test_tries_are_counted_by_shop_too_and_forgotten_once_one_succeeds() -> None:
    tries = Tries()
    for n in range(100):
        tries.take("a", f"who {n}")
    with pytest.raises(ResourceExhausted, match="TOO_MANY_TRIES"):
        tries.take("a", "who 100")
    for _ in range(50):
        tries.take("b", "ada")
        tries.succeeded("b", "ada")


async def test_signing_out_ends_every_session_on_the_next_call(shop: Shop) -> None:
    first = (await shop.joined(email="ada@mail.example")).token
    second = (await shop.call("SignIn", is_outside=True, email="ada@mail.example", password=PASSWORD)).token
    await shop.lists(second)
    await shop.call("SignOut", first)
    for token in (first, second):
        async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
            await shop.lists(token)
    for token in ((await shop.key(OWNER)).key, bearer(shop.running.home, shop.id)[1].partition(" ")[2]):
        async with refuses("FAILED_PRECONDITION", "NOT_A_MEMBER"):
            await shop.call("SignOut", token)


async def test_another_password_ends_what_the_old_one_began(shop: Shop) -> None:
    session = await shop.joined(READ_ONLY, "ada@mail.example")
    async with refuses("FAILED_PRECONDITION", "PASSWORD_WRONG"):
        await shop.call("ChangePassword", session.token, current_password="a guess", new_password="another lamp burns")
    again = {"current_password": PASSWORD, "new_password": "another lamp burns", "request_id": uuid7()}
    changed = await shop.call("ChangePassword", session.token, **again)
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await shop.lists(session.token)
    assert await shop.lists(changed.token) == 0
    replayed = await shop.call("ChangePassword", changed.token, **again)
    assert replayed.member == changed.member and not replayed.token
    async with refuses("UNAUTHENTICATED", "SIGN_IN_REFUSED"):
        await shop.call("SignIn", is_outside=True, email="ada@mail.example", password=PASSWORD)
    await shop.call("SignIn", is_outside=True, email="ada@mail.example", password="another lamp burns")


async def test_a_role_holds_from_the_next_call_on(shop: Shop) -> None:
    owner, member = await shop.joined(OWNER), await shop.joined(STAFF)
    made = products_pb.CreateProductRequest(product=product())

    async def create() -> None:
        stub = ProductServiceStub(shop.running.channel("envoy"))
        await stub.CreateProduct(made, metadata=of(shop.id, authorized(member.token)))

    await create()
    made.product.MergeFrom(product())
    changed = await shop.call("ChangeRole", owner.token, id=member.member.id, role=READ_ONLY, etag=member.member.etag)
    assert changed.member.role == READ_ONLY
    async with refuses("PERMISSION_DENIED", "ROLE_NOT_ALLOWED") as refusal:
        await create()
    assert refusal.metadata["needed_role"] == "STAFF" and refusal.metadata["role"] == "READ_ONLY"
    assert refusal.metadata["caller"] == f"staff/{member.member.id}" and "STAFF" in refusal.message
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.call("ChangeRole", owner.token, id=member.member.id, role=OWNER, etag=member.member.etag)
    await shop.call("RemoveMember", owner.token, id=member.member.id)
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await shop.lists(member.token)
    async with refuses("NOT_FOUND", "MEMBER_NOT_FOUND"):
        await shop.call("GetMember", id=member.member.id)
    assert (await shop.invited(email="again@mail.example")).member.id != member.member.id


async def test_the_last_owner_stays_one(shop: Shop) -> None:
    owner = await shop.joined(OWNER, "ada@mail.example")
    # Who has not accepted cannot sign in, and saves nobody.
    invited = await shop.invited(OWNER)
    for name, more in (("ChangeRole", {"role": MANAGER}), ("RemoveMember", {})):
        for token in (owner.token, ""):
            async with refuses("FAILED_PRECONDITION", "LAST_OWNER"):
                await shop.call(name, token, id=owner.member.id, **more)
    await shop.call("ChangeRole", owner.token, id=owner.member.id, role=OWNER)
    await shop.call("RemoveMember", owner.token, id=invited.member.id)
    second = await shop.joined(OWNER)
    await shop.call("ChangeRole", owner.token, id=owner.member.id, role=MANAGER)
    async with refuses("FAILED_PRECONDITION", "LAST_OWNER"):
        await shop.call("RemoveMember", second.token, id=second.member.id)


async def test_of_owners_who_all_leave_at_once_one_stays(shop: Shop) -> None:
    first, second, third = [(await shop.joined(OWNER)).member.id for _ in range(3)]
    for _ in range(10):
        leaving = [
            shop.call("ChangeRole", id=first, role=STAFF),
            shop.call("ChangeRole", id=second, role=READ_ONLY),
            shop.call("ChangeRole", id=third, role=MANAGER),
        ]
        answers = await asyncio.gather(*leaving, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert [error.code().name for error in refused] == ["FAILED_PRECONDITION"]
        [left] = (await shop.call("ListMembers", filter="role = OWNER")).members
        for id in {first, second, third} - {left.id}:
            await shop.call("ChangeRole", id=id, role=OWNER)
    removals = [shop.call("RemoveMember", id=id) for id in (first, second, third)]
    await asyncio.gather(*removals, return_exceptions=True)
    assert len((await shop.call("ListMembers", filter="role = OWNER")).members) == 1


async def test_an_api_key_opens_until_it_is_revoked(shop: Shop) -> None:
    made = await shop.key(STAFF)
    assert made.key.startswith("ck_") and made.api_key.state == pb.API_KEY_STATE_ACTIVE
    assert await shop.lists(made.key) == 0
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    async def is_used() -> bool:
        [listed] = (await shop.call("ListApiKeys")).api_keys
        return listed.HasField("last_use_time")

    await until(is_used, what="the use of a key to be written")
    [listed] = (await shop.call("ListApiKeys")).api_keys
    used = listed.last_use_time.ToDatetime(tzinfo=UTC)
    assert used - hour in (timedelta(0), timedelta(hours=1))
    assert made.key[3:] not in str(listed)
    revoked = await shop.call("RevokeApiKey", id=made.api_key.id)
    assert revoked.api_key.state == pb.API_KEY_STATE_REVOKED
    async with refuses("UNAUTHENTICATED", "API_KEY_REVOKED"):
        await shop.lists(made.key)
    assert (await shop.call("RevokeApiKey", id=made.api_key.id)).api_key.etag == revoked.api_key.etag
    async with refuses("FAILED_PRECONDITION", "API_KEY_ENDED"):
        await shop.call("RotateApiKey", id=made.api_key.id)


async def test_a_key_that_is_rotated_opens_with_both_secrets_for_a_while(shop: Shop) -> None:
    made = await shop.key()
    rotated = await shop.call("RotateApiKey", id=made.api_key.id)
    lasts = rotated.api_key.previous_expire_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(hours=23) < lasts <= timedelta(hours=24)
    for key in (made.key, rotated.key):
        await shop.lists(key)
    last = await shop.call("RotateApiKey", id=made.api_key.id, overlap={})
    for key in (made.key, rotated.key):
        async with refuses("UNAUTHENTICATED", "API_KEY_REVOKED"):
            await shop.lists(key)
    await shop.lists(last.key)


async def test_a_key_ends_at_its_time(shop: Shop) -> None:
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await shop.key(expire_time=datetime.now(UTC) - timedelta(seconds=1))
    assert list(refusal.violations) == ["expire_time"]
    made = await shop.key(expire_time=datetime.now(UTC) + timedelta(hours=1))
    await shop.lists(made.key)
    owner = shop.running.database()
    async with owner.transaction() as tx:
        await tx.execute(text(f"UPDATE api_keys SET expire_time = now() WHERE id = '{made.api_key.id}'"))
    await owner.close()
    async with refuses("UNAUTHENTICATED", "API_KEY_EXPIRED"):
        await shop.lists(made.key)
    [listed] = (await shop.call("ListApiKeys")).api_keys
    assert listed.state == pb.API_KEY_STATE_EXPIRED


def test_what_ends_at_its_time_has_ended_then() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    secret = b"secret"
    member = domain.Member("m", b"", "", Role.STAFF, now, now, domain.digest(secret), now + timedelta(seconds=1))
    assert domain.accept(member, secret, "hash", now).password_hash == "hash"
    with pytest.raises(domain.NotFound):
        domain.accept(member, secret, "hash", now + timedelta(seconds=1))
    with pytest.raises(domain.NotFound):
        domain.accept(member, b"other", "hash", now)
    key = domain.rotate(domain.ApiKey("k", "", Role.STAFF, domain.digest(b"old"), now, now), b"", timedelta(1), now)
    standing = domain.KeyStanding(Role.STAFF, b"", key.previous_digest, key.previous_expire_time, None, None, None)
    assert domain.role_of_key(standing, b"old", now) is Role.STAFF
    with pytest.raises(Unauthenticated, match="API_KEY_REVOKED"):
        domain.role_of_key(standing, b"old", now + timedelta(1))


@dataclass
class Clock(SystemClock):
    ahead: timedelta = field(default=timedelta(0))

    def now(self) -> datetime:
        return super().now() + self.ahead


def test_only_what_this_platform_made_for_the_shop_is_looked_up(shop_keys: tuple[Known, Credentials, Clock]) -> None:
    known, credentials, clock = shop_keys
    mine, other, id = uuid7(), uuid7(), uuid7()
    session, _ = credentials.begin(mine, id, 1, clock.now())
    key, _ = credentials.new(KEY, mine, id)
    invitation, _ = credentials.new(INVITATION, mine, id)
    assert (known(session, mine), known(key, mine)) == (MEMBER + id, API_KEY + id)
    spoilt = [key[:-1] + ("A" if key[-1] != "A" else "B"), key + "A", key[:-1], KEY, SESSION, f"{key} ", "ck_é" * 16]
    swapped = [SESSION + key[3:], KEY + session[3:], KEY + invitation[3:], SESSION + invitation[3:], invitation]
    for text_, tenant_id in (*((each, mine) for each in (*spoilt, *swapped)), (session, other), (key, other)):
        with pytest.raises(Unauthenticated, match="TOKEN_INVALID"):
            known(text_, tenant_id)
    clock.ahead = timedelta(hours=12)
    with pytest.raises(Unauthenticated, match="TOKEN_EXPIRED"):
        known(session, mine)
    assert known(key, mine) == API_KEY + id


@pytest.fixture
def shop_keys(eu: Running) -> tuple[Known, Credentials, Clock]:
    clock, credentials = Clock(), Credentials(keys.load(eu.home, "staff"))
    return Known(credentials, Verifier(eu.home, clock), clock), credentials, clock


async def test_a_credential_of_one_shop_is_nothing_at_another(shop: Shop) -> None:
    other = Shop(shop.running, (new := entry()).id)
    await shop.running.apply(new)
    session, made, invited = await shop.joined(OWNER), await shop.key(OWNER), await shop.invited(OWNER)
    for token in (session.token, made.key):
        await shop.lists(token)
        async with refuses("UNAUTHENTICATED", "TOKEN_INVALID"):
            await shop.lists(token, other.id)
    async with refuses("NOT_FOUND", "INVITATION_NOT_FOUND"):
        await other.call("AcceptInvitation", is_outside=True, secret=invited.secret, password=PASSWORD)
    [mine] = (await shop.call("ListMembers", filter="state = ACTIVE")).members
    async with refuses("UNAUTHENTICATED", "SIGN_IN_REFUSED"):
        await other.call("SignIn", is_outside=True, email=mine.email, password=PASSWORD)


# What each role may


OPEN = [
    method
    for service in services("center.dataplane.v1", "center.shared.v1")
    for method in service.methods
    if rules_pb2.CALLER_MERCHANT in rules.of(method).callers
    and rules_pb2.CALLER_CONTROL not in rules.of(method).callers
]


@dataclass
class Credentialed(Shop):
    token: str


@pytest.fixture(scope="module")
async def by_role(eu: Running) -> Mapping[Role, Credentialed]:
    """A shop, and a key of each role."""
    new = entry()
    await eu.apply(new)
    shop = Shop(eu, new.id)
    made = {role: (await shop.key(int(role))).key for role in Role}
    return {role: Credentialed(eu, new.id, key) for role, key in made.items()}


@pytest.mark.parametrize("method", OPEN, ids=lambda m: f"{m.containing_service.name}-{m.name}")
async def test_a_method_takes_no_lesser_role_than_its_contract_names(
    eu: Running, by_role: Mapping[Role, Credentialed], method: MethodDescriptor
) -> None:
    needed = Role(rules.of(method).role)
    for role, shop in by_role.items():
        # No message: whoever gets past the check is refused for that, and nothing is done.
        code, reason = await send(eu, method, "envoy", [b"\xff"], of(shop.id, authorized(shop.token)))
        refused = ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
        assert (code, reason) == (refused if role < needed else ("INVALID_ARGUMENT", "MESSAGE_MALFORMED")), role


def test_who_may_change_how_the_shop_works_stands_in_the_contract() -> None:
    needed = {f"{each.containing_service.name}/{each.name}": Role(rules.of(each).role) for each in OPEN}
    of_staff = {name: role for name, role in needed.items() if name.startswith("StaffService/")}
    self_service = {"SignIn", "AcceptInvitation", "SignOut", "ChangePassword"}
    for name, role in of_staff.items():
        short = name.partition("/")[2]
        reading = {"GetMember": Role.MANAGER, "ListMembers": Role.MANAGER}
        assert role is (Role.READ_ONLY if short in self_service else reading.get(short, Role.OWNER)), name
    assert needed["PaymentService/SetPaymentSettings"] is Role.MANAGER
    assert needed["ProductService/CreateProduct"] is Role.STAFF
    assert needed["ProductService/ListProducts"] is Role.READ_ONLY
    mutating = {f"{each.containing_service.name}/{each.name}" for each in OPEN if rules.of(each).mutates}
    of_oneself = {f"StaffService/{name}" for name in self_service}
    assert {name for name in mutating if needed[name] is Role.READ_ONLY} == mutating & of_oneself


async def test_a_token_of_controls_acts_as_an_owner(shop: Shop) -> None:
    token = bearer(shop.running.home, shop.id)[1].partition(" ")[2]
    await shop.call("InviteMember", token, email="ada@mail.example", role=OWNER)
    for outside in ("", "st_nothing", "ck_nothing"):
        async with refuses("PERMISSION_DENIED" if not outside else "UNAUTHENTICATED"):
            await shop.call("ListMembers", outside, is_outside=True)


# What goes with it


async def test_the_audit_names_who_called_and_nobody_by_their_address(shop: Shop) -> None:
    owner = await shop.joined(OWNER, "ada.lovelace@mail.example")
    made = await shop.call("CreateApiKey", owner.token, display_name="sync", role=OWNER)
    member = await shop.call("InviteMember", made.key, email="bea@mail.example", role=STAFF, request_id=uuid7())
    invite = pb.InviteMemberRequest(email="bea@mail.example", role=STAFF)
    tried_out = hashlib.sha256(invite.SerializeToString(deterministic=True)).digest()
    await shop.call("ChangeRole", owner.token, id=member.member.id, role=MANAGER, request_id=uuid7())
    await shop.call("ChangePassword", owner.token, current_password=PASSWORD, new_password="another lamp burns")
    listed = await shop.running.audit.ListEntries(audit_pb.ListEntriesRequest(tenant_id=shop.id))
    said = {(each.method.rpartition("/")[2], each.caller) for each in listed.entries}
    assert said >= {
        ("InviteMember", "operator"),
        ("AcceptInvitation", "envoy"),
        ("CreateApiKey", f"staff/{owner.member.id}"),
        ("InviteMember", f"api-key/{made.api_key.id}"),
        ("ChangeRole", f"staff/{owner.member.id}"),
        ("ChangePassword", f"staff/{owner.member.id}"),
    }
    admin = shop.running.database()
    async with admin.transaction() as tx:
        for table in ("audit_entries", "idempotency", "staff_members", "api_keys", "outbox"):
            rows = (await tx.execute(text(f"SELECT * FROM {table} WHERE tenant_id = '{shop.id}'"))).all()
            kept = b"\n".join(
                bytes(x) if isinstance(x, bytes | memoryview) else str(x).encode() for r in rows for x in r
            )
            assert rows or table == "outbox"
            for secret in ("lovelace", "bea@", PASSWORD, "another lamp", made.key, owner.token, member.secret):
                assert secret.encode() not in kept, (table, secret)
            assert tried_out not in kept, table
    await admin.close()


async def test_each_query_finds_its_rows_by_an_index(eu: Running) -> None:
    tenants = [entry() for _ in range(20)]
    await eu.apply(*tenants)
    db, owner = eu.database("center_app"), eu.database()
    now = datetime.now(UTC)
    for tenant in tenants:
        async with db.transaction(tenant.id) as tx:
            await tx.execute(
                text(
                    f"INSERT INTO staff_members SELECT '{tenant.id}', gen_random_uuid(), '', 'hash ' || n, "
                    "CASE WHEN n < 3 THEN 'OWNER' ELSE 'STAFF' END, 'ACTIVE', 'x', 1, '', NULL, 1, now(), now() "
                    "FROM generate_series(1, 300) n"
                )
            )
            await tx.execute(
                text(
                    f"INSERT INTO api_keys SELECT '{tenant.id}', gen_random_uuid(), '', 'STAFF', '', '', NULL, NULL, "
                    "NULL, NULL, 1, now() - make_interval(secs => n), now() FROM generate_series(1, 300) n"
                )
            )
    async with owner.transaction() as tx:
        await tx.execute(text("ANALYZE staff_members, api_keys"))
    shop = tenants[0].id

    async def ask(tx: AsyncConnection) -> None:
        found = await store.find(tx, shop, staff_members.c.email_hash == "hash 7", lock=True)
        assert found is not None and len(await store.owners(tx, shop)) == 2
        await store.member(tx, shop, found.id)
        await store.members(tx, shop, true(), _MEMBER_ORDER, None, 10)
        [key, *_], _ = await store.keys(tx, shop, true(), _KEY_ORDER, None, 10)
        await store.key(tx, shop, key.id)
        await store.used(tx, shop, key.id, domain.hour_of(now))

    asked = await plans(Large(eu, db, shop), ask)
    assert len(asked) == 7
    for statement, plan in asked:
        for node in plan:
            if "Relation Name" in node and "Actual Rows" in node and node["Node Type"] != "ModifyTable":
                assert node["Node Type"] != "Seq Scan", statement
                assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 11, (statement, node)
            if "Index Cond" in node:
                assert "tenant_id" in node["Index Cond"], node
    await db.close()
    await owner.close()


def test_a_credential_that_somebody_writes_down_is_masked(shop_keys: tuple[Known, Credentials, Clock]) -> None:
    _, credentials, clock = shop_keys
    texts = [credentials.new(kind, uuid7(), uuid7())[0] for kind in (KEY, INVITATION)]
    texts.append(credentials.begin(uuid7(), uuid7(), 1, clock.now())[0])
    for each in texts:
        assert journal.masked(f"my key is {each}, thanks") == "my key is [secret], thanks"


async def test_a_shop_that_is_read_only_lets_its_people_in(shop: Shop) -> None:
    await shop.joined(MANAGER, "ada@mail.example")
    made = await shop.key(MANAGER)
    await shop.running.apply(entry(shop.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    session = await shop.call("SignIn", is_outside=True, email="ada@mail.example", password=PASSWORD)
    for token in (session.token, made.key):
        assert await shop.lists(token) == 0
    async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
        await shop.call("SignOut", session.token)


async def test_staff_and_keys_move_with_their_shop(shop: Shop, us: Running) -> None:
    owner, made = await shop.joined(OWNER, "ada@mail.example"), await shop.key(OWNER)
    revoked = await shop.key(OWNER)
    await shop.call("RevokeApiKey", id=revoked.api_key.id)
    moving = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await shop.running.apply(moving)
    before = await digest(shop.running, shop.id)
    await move_rows(shop.running, us, moving)
    assert await digest(us, shop.id) == before
    await us.apply(there := entry(shop.id, cluster_id="us-1"))
    await shop.running.apply(there)
    await shop.running.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=shop.id, revision=there.revision))
    # Not that the session ended: it did not.
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await shop.lists(owner.token)
    moved = Shop(us, shop.id)
    [listed] = (await moved.call("ListMembers", owner.token)).members
    assert listed.email == "ada@mail.example"
    for token in (owner.token, made.key):
        assert await moved.lists(token) == 0
    async with refuses("UNAUTHENTICATED", "API_KEY_REVOKED"):
        await moved.lists(revoked.key)
    await moved.call("SignOut", owner.token)
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await moved.lists(owner.token)


async def test_a_password_is_the_same_however_its_letters_are_typed() -> None:
    kept = await passwords.hashed("A\u030angstro\u0308m lamp")
    assert await passwords.matches("\u00c5ngstr\u00f6m lamp", kept)
    assert not await passwords.matches("Angstrom lamp", kept)
    assert not await passwords.matches("", "")
