"""ShopperService and CustomerService on a real server and PostgreSQL."""

import asyncio
import base64
import email
import hashlib
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import customer_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.customer_service_pb2_grpc import CustomerServiceStub, ShopperServiceStub
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from dataplane.customers import domain
from dataplane.customers.domain import MOST_ENDED_SESSIONS, Customer, Tries, end_session, holds
from dataplane.customers.sessions import Sessions
from dataplane.orders import ops as order_ops
from shared.runtime.clock import SystemClock
from shared.runtime.context import Session
from shared.runtime.errors import ResourceExhausted
from shared.runtime.ids import uuid7
from shared.runtime.rpc import contract, rules
from tests.dataplane import orders
from tests.dataplane.cluster import Running, bearer, create, digest, entry, move_rows, of, product
from tests.dataplane.notices import until
from tests.support.grpc import Refusal, refuses

EMAIL, NAME, PHONE, PASSWORD = "ada.lovelace@mail.example", "Ada Lovelace", "+44 20 7946 0958", "difference-engine"
ADDRESS = carts_pb.Address(
    name=NAME, lines=["12 St James's Square"], postal_code="SW1Y 4LB", city="London", country_code="GB"
)
# As shared.runtime.passwords keeps it, and made with next to nothing.
_HASH = hashlib.scrypt(PASSWORD.encode(), salt=bytes(16), n=16, r=8, p=1, dklen=32)
CHEAP = f"scrypt$4$8$1${base64.b64encode(bytes(16)).decode()}${base64.b64encode(_HASH).decode()}"
# Not a part of it only: four digits stand in many a position of a log.
NUMBERS = (PHONE[-9:], PHONE[-9:].replace(" ", ""))
# What must stand nowhere in clear.
SECRETS = ("lovelace", "Lovelace", "mail.example", *NUMBERS, "James", "SW1Y", PASSWORD, "cs_")
SHOPPERS, CUSTOMERS = contract.of(ShopperServiceStub), contract.of(CustomerServiceStub)
MUTATING = sorted(
    name for each in (SHOPPERS, CUSTOMERS) for name, of_method in rules.of_service(each).items() if of_method.mutates
)


class At(SystemClock):
    """A clock that is ahead, or behind."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return super().now() + self._by


@dataclass
class Shop:
    """A tenant, as its shoppers and its people call."""

    running: Running
    id: str

    async def do(self, request: Message, session: str = "") -> Any:
        """As a shopper, or as the customer whose session it is."""
        stub = ShopperServiceStub(self.running.channel("envoy"))
        return await getattr(stub, _method(request))(request, metadata=of(self.id, *signed(session)))

    async def ask(self, request: Message) -> Any:
        """As one of the shop's people."""
        stub = CustomerServiceStub(self.running.channel("envoy"))
        metadata = of(self.id, bearer(self.running.home, self.id))
        return await getattr(stub, _method(request))(request, metadata=metadata)

    async def cart(self, request: Message, session: str = "") -> carts_pb.Cart:
        stub = CartServiceStub(self.running.channel("envoy"))
        return (await getattr(stub, _method(request))(request, metadata=of(self.id, *signed(session)))).cart

    async def register(self, address: str = EMAIL, **more: Any) -> pb.RegisterCustomerResponse:
        return await self.do(pb.RegisterCustomerRequest(email=address, password=PASSWORD, **more))

    async def log_in(self, address: str = EMAIL, password: str = PASSWORD) -> str:
        return (await self.do(pb.LogInRequest(email=address, password=password))).session.token

    async def customer(self, **more: Any) -> tuple[str, str]:
        """(id, session) of a new one, without the time that a password takes."""
        request = pb.UpsertCustomerRequest(email=f"{uuid7()}@mail.example", **more)
        made = (await self.ask(request)).customer
        return made.id, self.session(made.id)

    async def known(self) -> tuple[str, str]:
        """(id, session) of a new one with EMAIL and PASSWORD, which takes no time to look at."""
        made = (await self.ask(pb.UpsertCustomerRequest(email=EMAIL))).customer
        with self.owner() as owner:
            owner.execute("UPDATE customers SET password = %s WHERE id = %s", (CHEAP, made.id))
        return made.id, self.session(made.id)

    def session(self, customer_id: str, epoch: int = 1, age: timedelta = timedelta(0)) -> str:
        now = datetime.now(UTC)
        return Sessions(self.running.home, At(-age)).issue(self.id, Customer(customer_id, now, now, epoch=epoch))[0]

    async def me(self, session: str) -> pb.Customer:
        return (await self.do(pb.GetMeRequest(), session)).customer

    def owner(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.running.database_url, autocommit=True)

    def rows(self, table: str) -> str:
        with self.owner() as owner:
            found = owner.execute(f"SELECT * FROM {table} WHERE tenant_id = '{self.id}'".encode()).fetchall()
        return str([tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found])


def _method(request: Message) -> str:
    return type(request).__name__.removesuffix("Request")


def signed(session: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {session}")] if session else []


@pytest.fixture
def shop(eu: Running, tenant: str) -> Shop:
    return Shop(eu, tenant)


async def another(running: Running) -> Shop:
    await running.apply(new := entry())
    return Shop(running, new.id)


# who they are


async def test_who_registers_is_signed_in_and_has_the_e_mail(shop: Shop) -> None:
    request_id = str(uuid.uuid4())
    more: dict[str, Any] = {"name": f" {NAME} ", "locale": "en-GB", "marketing_consent": True}
    made = await shop.register(f" {EMAIL.title()} ", **more, request_id=request_id)
    session = made.session
    assert session.token.startswith("cs_") and session.customer_id == made.customer.id
    left = session.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    me = await shop.me(session.token)
    assert (me.id, me.email, me.name, me.locale) == (made.customer.id, EMAIL, NAME, "en-GB")
    assert (me.marketing_consent, me.has_password, me.etag) == (True, True, "1")
    assert me.marketing_consent_time == me.create_time
    again = await shop.register(f" {EMAIL.title()} ", **more, request_id=request_id)
    assert again.customer == made.customer and not again.HasField("session"), "it was told once"
    async with refuses("ALREADY_EXISTS", "EMAIL_TAKEN") as refusal:
        await shop.register(EMAIL.upper())
    assert "mail.example" not in str(refusal)
    other = await another(shop.running)
    assert (await other.register()).customer.id != me.id
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await shop.register("other@mail.example", request_id=request_id)


async def test_of_two_who_register_an_e_mail_at_once_one_has_it(shop: Shop) -> None:
    ends = await asyncio.gather(*(shop.register() for _ in range(2)), return_exceptions=True)
    [refused] = [end for end in ends if isinstance(end, grpc.aio.AioRpcError)]
    assert refused.code() is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"email": ""}, "email"),
        ({"email": "a@b\r\nbcc: c"}, "email"),
        ({"password": "seven77"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"name": "x" * 201}, "name"),
        ({"locale": "klingon!"}, "locale"),
    ],
)
async def test_what_nobody_can_register_with_is_told_by_its_field(
    shop: Shop, changes: dict[str, Any], field: str
) -> None:
    async with refuses("INVALID_ARGUMENT") as refusal:
        await shop.do(pb.RegisterCustomerRequest(**{"email": EMAIL, "password": PASSWORD, **changes}))
    assert list(refusal.violations) == [field]


# signing in


async def test_a_wrong_password_and_an_unknown_e_mail_are_answered_alike(shop: Shop) -> None:
    await shop.register()
    told: list[Refusal] = []
    took: list[float] = []
    for address in (EMAIL, "nobody@mail.example"):
        began = time.process_time()
        async with refuses("UNAUTHENTICATED", "LOGIN_FAILED") as refusal:
            await shop.log_in(address, "wrong-password")
        told.append(refusal)
        took.append(time.process_time() - began)
    assert told[0] == told[1]
    # A password is hashed for nobody, too: without that it is a fiftieth.
    assert took[1] > took[0] / 4, took
    assert (await shop.me(await shop.log_in(EMAIL.upper()))).email == EMAIL


async def test_a_password_that_changes_while_it_is_looked_at_opens_nothing(shop: Shop) -> None:
    id = (await shop.register()).customer.id
    signing_in = asyncio.ensure_future(shop.log_in())
    await until(lambda: asyncio.to_thread(lambda: shop.rows("customer_logins") != "[]"))
    with shop.owner() as owner:
        owner.execute("UPDATE customers SET password = 'scrypt$', epoch = 2 WHERE id = %s", (id,))
    async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
        await signing_in


async def test_nobody_without_a_password_signs_in(shop: Shop) -> None:
    await shop.ask(pb.UpsertCustomerRequest(email=EMAIL))
    for password in ("", PASSWORD):
        async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
            await shop.log_in(EMAIL, password)


async def test_many_guesses_at_once_get_no_further_than_one_by_one(shop: Shop) -> None:
    await shop.known()
    guesses = (shop.log_in(EMAIL, f"guess-{n}") for n in range(12))
    ends = await asyncio.gather(*guesses, return_exceptions=True)
    codes = [end.code() for end in ends if isinstance(end, grpc.aio.AioRpcError)]
    assert codes.count(grpc.StatusCode.UNAUTHENTICATED) == 5
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 7
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS") as refusal:
        await shop.log_in()
    assert refusal.retry_after_s is not None and 20 < refusal.retry_after_s <= 30
    other = await another(shop.running)
    async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
        await other.log_in(EMAIL, "their own count")
    with shop.owner() as owner:
        owner.execute(
            "UPDATE customer_logins SET last_time = last_time - interval '31 s' WHERE tenant_id = %s", (shop.id,)
        )
    assert await shop.log_in()
    assert shop.rows("customer_logins") == "[]", "who knows the password is forgiven"


def test_each_wrong_password_waits_twice_as_long_and_a_day_forgets_them() -> None:
    now = datetime.now(UTC)
    tries = Tries(0, now)
    for n in range(5):
        tries = domain.take(tries, now)
        assert tries == Tries(n + 1, now)
    for wait_s in (30, 60, 120, 240, 480, 900, 900):
        with pytest.raises(ResourceExhausted) as refused:
            domain.take(tries, now + timedelta(seconds=wait_s - 1))
        assert refused.value.retry_after_s == 1
        now += timedelta(seconds=wait_s)
        tries = domain.take(tries, now)
    assert domain.take(Tries(10**6, now), now + timedelta(days=1)).failures == 1


async def test_tries_with_made_up_e_mails_are_cleared_away(shop: Shop) -> None:
    with shop.owner() as owner:
        owner.execute(
            "INSERT INTO customer_logins SELECT %s, 'old-' || n, 9, now() - interval '25 h' "
            "FROM generate_series(1, 8) n",
            (shop.id,),
        )
    async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
        await shop.log_in()
    assert "old-" not in shop.rows("customer_logins")


# sessions


async def test_a_session_that_does_not_hold_is_refused_wherever_it_is_shown(shop: Shop) -> None:
    id, session = await shop.customer()
    other = await another(shop.running)
    now = datetime.now(UTC)
    link = Sessions(shop.running.home, SystemClock()).link(shop.id, Customer(id, now, now))
    middle = len(session) // 2
    forged = session[:middle] + ("A" if session[middle] != "A" else "B") + session[middle + 1 :]
    held = [
        (other.session(id), "SESSION_INVALID"),
        (forged, "SESSION_INVALID"),
        (f"cs_{link}", "SESSION_INVALID"),
        ("cs_", "SESSION_INVALID"),
        (shop.session(id, age=timedelta(days=31)), "SESSION_ENDED"),
    ]
    for token, reason in held:
        async with refuses("UNAUTHENTICATED", reason):
            await shop.me(token)
        async with refuses("UNAUTHENTICATED", reason):
            await shop.cart(carts_pb.CreateCartRequest(currency_code="EUR"), token)
        async with refuses("UNAUTHENTICATED", reason):
            stub = ProductServiceStub(shop.running.channel("envoy"))
            await stub.ListProducts(products_pb.ListProductsRequest(), metadata=of(shop.id, *signed(token)))
    for gone in (shop.session(id, epoch=2), shop.session(uuid7())):
        async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
            await shop.me(gone)
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await shop.do(pb.GetMeRequest())


async def test_a_customer_is_a_shopper_where_no_customers_are_named(shop: Shop) -> None:
    _, session = await shop.customer()
    await create(shop.running, shop.id, product("shown"), product("draft", status=products_pb.PRODUCT_STATUS_DRAFT))
    stub = ProductServiceStub(shop.running.channel("envoy"))
    metadata = of(shop.id, *signed(session))
    listed = await stub.ListProducts(products_pb.ListProductsRequest(), metadata=metadata)
    assert [each.handle for each in listed.products] == ["shown"]
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await stub.CreateProduct(products_pb.CreateProductRequest(product=product()), metadata=metadata)
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        backoffice = CustomerServiceStub(shop.running.channel("envoy"))
        await backoffice.ListCustomers(pb.ListCustomersRequest(), metadata=metadata)


async def test_signing_out_ends_the_session_that_asks_and_every_one_where_that_is_asked(shop: Shop) -> None:
    id, session = await shop.customer()
    # Begun in the same second.
    elsewhere, third = shop.session(id), shop.session(id)
    mine = await shop.cart(carts_pb.CreateCartRequest(currency_code="EUR"), session)

    async def ended(*sessions: str) -> None:
        for each in sessions:
            for call in (pb.GetMeRequest(), pb.UpdateMeRequest(name="x"), pb.ExportMeRequest(), pb.LogOutRequest()):
                async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
                    await shop.do(call, each)
            async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
                await shop.cart(carts_pb.GetCartRequest(id=mine.id), each)

    request = pb.LogOutRequest(request_id=str(uuid.uuid4()))
    for _ in range(2):
        await shop.do(request, session)
    await ended(session)
    assert (await shop.me(elsewhere)).id == (await shop.me(third)).id == id
    await shop.do(pb.LogOutRequest(everywhere=True), elsewhere)
    await ended(session, elsewhere, third)
    assert (await shop.me(shop.session(id, epoch=2))).id == id


def test_what_is_kept_of_ended_sessions_is_bounded() -> None:
    now = datetime.now(UTC)
    customer = Customer("c", now, now)

    def session(id: str, ends: timedelta) -> Session:
        return Session("customer/c", customer.epoch, id, now + ends)

    for n in range(MOST_ENDED_SESSIONS):
        customer = end_session(customer, session(str(n), timedelta(hours=n)), now)
    assert customer.epoch == 1 and not holds(customer, session("99", timedelta(0)))
    # What is over by itself makes room.
    later = end_session(customer, session("next", timedelta(days=9)), now + timedelta(minutes=1))
    assert later.epoch == 1 and "next" in later.ended_sessions and "0" not in later.ended_sessions
    full = end_session(customer, session("next", timedelta(days=9)), now)
    assert full.epoch == 2 and not full.ended_sessions and not holds(full, session("other", timedelta(days=1)))
    # One of before sessions had ids.
    assert end_session(later, session("", timedelta(days=1)), now).epoch == 2


# profile


async def test_a_profile_changes_in_what_is_said_and_consent_has_its_time(shop: Shop) -> None:
    _, session = await shop.customer(name=NAME)
    first = await shop.do(pb.UpdateMeRequest(phone=PHONE, marketing_consent=True), session)
    me = await shop.me(session)
    assert (me.name, me.phone, me.marketing_consent, me.etag) == (NAME, PHONE, True, "2")
    assert me.marketing_consent_time == me.update_time and not first.customer.phone
    same = await shop.do(pb.UpdateMeRequest(name=NAME, phone=PHONE, marketing_consent=True), session)
    assert same.customer == first.customer, "what changes nothing is no change"
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.do(pb.UpdateMeRequest(name="Eve", etag="1"), session)
    await shop.do(pb.UpdateMeRequest(marketing_consent=False, name="", locale="de-AT", etag="2"), session)
    me = await shop.me(session)
    assert (me.name, me.phone, me.locale, me.marketing_consent) == ("", PHONE, "de-AT", False)
    export = (await shop.do(pb.ExportMeRequest(), session)).export
    assert [change.given for change in export.marketing_consents] == [True, False]
    times = [change.time.ToNanoseconds() for change in export.marketing_consents]
    assert times == sorted(set(times)) and times[1] == me.marketing_consent_time.ToNanoseconds()
    assert export.customer == me


async def test_one_address_is_the_default(shop: Shop) -> None:
    _, session = await shop.customer()

    async def add(city: str, *, is_default: bool = False) -> str:
        address = carts_pb.Address(name=NAME, lines=["1"], city=city, country_code="GB")
        return (await shop.do(pb.AddMyAddressRequest(address=address, is_default=is_default), session)).id

    async def cities() -> list[tuple[str, bool]]:
        listed = await shop.do(pb.ListMyAddressesRequest(), session)
        return [(each.address.city, each.is_default) for each in listed.addresses]

    london, paris = await add("London"), await add("Paris")
    assert await cities() == [("London", True), ("Paris", False)]
    bath = await add("Bath", is_default=True)
    assert await cities() == [("Bath", True), ("London", False), ("Paris", False)]
    york = carts_pb.Address(name=NAME, lines=["1"], city="York", country_code="GB")
    await shop.do(pb.UpdateMyAddressRequest(id=paris.upper(), address=york), session)
    await shop.do(pb.UpdateMyAddressRequest(id=london, is_default=True), session)
    assert await cities() == [("London", True), ("York", False), ("Bath", False)]
    etag = (await shop.me(session)).etag
    await shop.do(pb.UpdateMyAddressRequest(id=paris, address=york), session)
    assert (await shop.me(session)).etag == etag
    await shop.do(pb.DeleteMyAddressRequest(id=london), session)
    assert await cities() == [("York", True), ("Bath", False)]
    for request in (pb.DeleteMyAddressRequest(id=london), pb.UpdateMyAddressRequest(id=london, is_default=True)):
        async with refuses("NOT_FOUND", "ADDRESS_NOT_FOUND"):
            await shop.do(request, session)
    _, stranger = await shop.customer()
    async with refuses("NOT_FOUND", "ADDRESS_NOT_FOUND"):
        await shop.do(pb.DeleteMyAddressRequest(id=bath), stranger)
    for _ in range(18):
        await add("More")
    async with refuses("RESOURCE_EXHAUSTED", "ADDRESS_LIMIT_REACHED"):
        await add("One more")
    assert [is_default for _, is_default in await cities()] == [True] + [False] * 19


# passwords


async def test_another_password_needs_the_old_one_and_ends_what_was_open(shop: Shop) -> None:
    _, session = await shop.known()
    async with refuses("PERMISSION_DENIED", "PASSWORD_WRONG"):
        await shop.do(pb.ChangeMyPasswordRequest(password="wrong", new_password="analytical"), session)
    request = pb.ChangeMyPasswordRequest(password=PASSWORD, new_password="analytical")
    new = (await shop.do(request, session)).session.token
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await shop.me(session)
    assert (await shop.me(new)).email == EMAIL
    async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
        await shop.log_in()
    assert await shop.log_in(EMAIL, "analytical")


async def test_who_has_a_session_only_cannot_guess_the_password(shop: Shop) -> None:
    _, session = await shop.known()
    with shop.owner() as owner:
        # Where LogIn would have counted them.
        hash = "SELECT tenant_id, email_hash, 5, now() FROM customers WHERE tenant_id = %s"
        owner.execute(f"INSERT INTO customer_logins {hash}".encode(), (shop.id,))
    for request in (
        pb.ChangeMyPasswordRequest(password=PASSWORD, new_password="analytical"),
        pb.EraseMeRequest(password=PASSWORD),
    ):
        async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
            await shop.do(request, session)


def mails(running: Running, tenant_id: str) -> list[Path]:
    return sorted((running.home / "mail" / tenant_id).glob("*.eml"))


async def test_a_link_by_mail_sets_a_password_once(eu: Running) -> None:
    name = f"reset-{uuid7()[-12:]}.example"
    await eu.apply(new := entry(domains=[{"name": name}], primary_domain=name))
    shop = Shop(eu, new.id)
    made = (await shop.ask(pb.UpsertCustomerRequest(external_id="14646", email=EMAIL))).customer
    assert not made.has_password
    for address in ("nobody@mail.example", EMAIL, EMAIL.upper(), EMAIL):
        answer = await shop.do(pb.RequestPasswordResetRequest(email=address))
        assert answer == pb.RequestPasswordResetResponse()

    async def arrived() -> bool:
        return bool(mails(eu, shop.id))

    await until(arrived)
    with shop.owner() as owner:
        count = owner.execute("SELECT count(*) FROM notifications WHERE tenant_id = %s", (shop.id,)).fetchone()
    assert count in ((1,), (2,)), "one a minute, and a minute may have begun"
    mail = email.message_from_bytes(mails(eu, shop.id)[0].read_bytes(), policy=default)
    body = mail.get_body(("plain",))
    assert mail["To"] == EMAIL and body is not None
    found = re.search(rf"https?://{name}\S*/account/password\?token=(\S+)", body.get_content())
    assert found is not None, body.get_content()
    token, session = found[1], shop.session(made.id)
    request = pb.ResetPasswordRequest(token=token, password=PASSWORD, request_id=str(uuid.uuid4()))
    for _ in range(2):
        await shop.do(request)
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await shop.me(session)
    assert (await shop.me(await shop.log_in())).external_id == "14646"
    now = datetime.now(UTC)
    second = Customer(made.id, now, now, epoch=2)
    links = Sessions(eu.home, SystemClock())
    for used_up in (
        token,
        "x",
        await shop.log_in(),
        links.link(uuid7(), second),
        Sessions(eu.home, At(-timedelta(hours=1, minutes=1))).link(shop.id, second),
        links.link(shop.id, Customer(uuid7(), now, now)),
    ):
        async with refuses("UNAUTHENTICATED", "RESET_INVALID"):
            await shop.do(pb.ResetPasswordRequest(token=used_up, password="another-one"))
    for table in ("notifications", "audit_entries", "idempotency", "outbox"):
        assert token not in shop.rows(table) and "mail.example" not in shop.rows(table)


async def test_customers_list_their_own_orders_and_learn_nothing_that_the_shop_keeps(shop: Shop) -> None:
    mine, session = await shop.customer()
    other, others = await shop.customer()
    db, now = shop.running.database("center_app"), datetime.now(UTC)
    own = [orders.order(orders.line(unit_minor=1250), customer_id=mine, cart_id=str(uuid.uuid4())) for _ in range(3)]
    for new in (*own, orders.order(orders.line(), customer_id=other), orders.order(orders.line())):
        async with db.transaction(shop.id) as tx:
            await order_ops.create(tx, shop.id, new, now=now)
    await db.close()
    first = await shop.do(pb.ListMyOrdersRequest(page_size=2), session)
    rest = await shop.do(pb.ListMyOrdersRequest(page_size=2, page_token=first.next_page_token), session)
    assert [each.id for each in (*first.orders, *rest.orders)] == [each.id for each in reversed(own)]
    assert not rest.next_page_token
    [newest, _] = first.orders
    assert (newest.number, newest.total.units, newest.total.nanos) == ("1003", 12, 500_000_000)
    assert newest.state == orders_pb.ORDER_STATE_PENDING_PAYMENT and newest.HasField("create_time")
    # The cart's id opens the order to whoever knows it.
    assert not any(each.cart_id in str(first) for each in own)
    assert len((await shop.do(pb.ListMyOrdersRequest(), others)).orders) == 1
    async with refuses("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await shop.do(pb.ListMyOrdersRequest(page_token="x"), session)
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await shop.do(pb.ListMyOrdersRequest())
    await shop.do(pb.LogOutRequest(), session)
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await shop.do(pb.ListMyOrdersRequest(), session)


async def test_a_shop_without_a_domain_sends_no_links(shop: Shop) -> None:
    async with refuses("FAILED_PRECONDITION", "TENANT_HAS_NO_DOMAIN"):
        await shop.do(pb.RequestPasswordResetRequest(email=EMAIL))


# carts


async def test_a_cart_is_the_customers_who_is_signed_in(shop: Shop) -> None:
    id, session = await shop.customer()
    new = carts_pb.CreateCartRequest(currency_code="EUR")
    mine, guest, theirs = await shop.cart(new, session), await shop.cart(new), await shop.cart(new)
    assert (mine.customer_id, guest.customer_id) == (id, "")
    assert await shop.cart(carts_pb.GetCartRequest(id=mine.id)) == mine, "its id is the key to it"
    merged = await shop.cart(carts_pb.MergeCartsRequest(from_cart_id=guest.id, into_cart_id=theirs.id), session)
    assert (merged.id, merged.customer_id) == (theirs.id, id)
    third = await shop.cart(new)
    merge = carts_pb.MergeCartsRequest(from_cart_id=third.id, into_cart_id=mine.id)
    assert (await shop.cart(merge)).customer_id == id, "whose it is stays"
    third = await shop.cart(new)
    merge = carts_pb.MergeCartsRequest(from_cart_id=mine.id, into_cart_id=third.id)
    assert (await shop.cart(merge)).customer_id == "", "a guest gets goods by it, and no customer"
    await shop.do(pb.LogOutRequest(), session)
    for request in (
        new,
        carts_pb.GetCartRequest(id=theirs.id),
        carts_pb.SetEmailRequest(cart_id=theirs.id, email=EMAIL),
        carts_pb.MergeCartsRequest(from_cart_id=third.id, into_cart_id=theirs.id),
    ):
        async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
            await shop.cart(request, session)


# the shop's people


async def test_an_import_finds_whom_it_brought_in_before(shop: Shop) -> None:
    then = Timestamp(seconds=1_291_190_400)
    request = pb.UpsertCustomerRequest(external_id="14646", create_time=then, name=NAME)
    made = await shop.ask(request)
    again = await shop.ask(request)
    assert (made.created, again.created, again.customer) == (True, False, made.customer)
    assert made.customer.create_time == then and not made.customer.name
    by_both = await shop.ask(pb.UpsertCustomerRequest(external_id="14646", email=EMAIL, create_time=Timestamp()))
    by_mail = await shop.ask(pb.UpsertCustomerRequest(email=EMAIL.upper(), marketing_consent=True))
    assert {by_both.customer.id, by_mail.customer.id} == {made.customer.id}
    found = (await shop.ask(pb.GetCustomerRequest(id=made.customer.id))).customer
    assert (found.name, found.email, found.external_id, found.create_time) == (NAME, EMAIL, "14646", then)
    assert (found.marketing_consent, found.etag, found.has_password) == (True, "3", False)
    for taken in (
        pb.UpsertCustomerRequest(external_id="nobody's yet", email=EMAIL),
        pb.UpsertCustomerRequest(external_id=(await _with(shop, "other")).external_id, email=EMAIL),
    ):
        async with refuses("ALREADY_EXISTS", "EMAIL_TAKEN"):
            await shop.ask(taken)
    later = Timestamp(seconds=int(time.time()) + 3600)
    for wrong, field in (
        (pb.UpsertCustomerRequest(name="x"), "external_id"),
        (pb.UpsertCustomerRequest(external_id="x", create_time=later), "create_time"),
        (pb.UpsertCustomerRequest(external_id="x", create_time=Timestamp(seconds=1 << 60)), "create_time"),
        (pb.UpsertCustomerRequest(email="x"), "email"),
    ):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
            await shop.ask(wrong)
        assert list(refusal.violations) == [field]


async def _with(shop: Shop, external_id: str) -> pb.Customer:
    return (await shop.ask(pb.UpsertCustomerRequest(external_id=external_id))).customer


async def test_eight_imports_at_once_bring_in_one(shop: Shop) -> None:
    requests = [pb.UpsertCustomerRequest(external_id="1", email=EMAIL), pb.UpsertCustomerRequest(email=EMAIL)] * 4
    ends = await asyncio.gather(*(shop.ask(request) for request in requests))
    assert len({end.customer.id for end in ends}) == 1
    assert [end.created for end in ends].count(True) == 1


async def test_customers_are_listed_and_found_by_e_mail(shop: Shop) -> None:
    ids = []
    for n in range(3):
        then = Timestamp(seconds=1_291_190_400 + n)
        request = pb.UpsertCustomerRequest(external_id=f"ref-{n}", email=f"c{n}@mail.example", create_time=then)
        ids.append((await shop.ask(request)).customer.id)

    async def listed(**given: Any) -> list[str]:
        found, token = [], ""
        while True:
            page = await shop.ask(pb.ListCustomersRequest(page_token=token, page_size=2, **given))
            found += [each.id for each in page.customers]
            if not (token := page.next_page_token):
                return found

    assert await listed() == ids[::-1]
    assert await listed(email="C1@mail.example") == [ids[1]]
    assert await listed(email="nobody@mail.example") == []
    assert await listed(filter="external_id = ref-2 AND state = ACTIVE") == [ids[2]]
    [one] = (await shop.ask(pb.ListCustomersRequest(email="c1@mail.example"))).customers
    assert one.email == "c1@mail.example"
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await listed(filter="email = x")
    other = await another(shop.running)
    assert not (await other.ask(pb.ListCustomersRequest(email="c1@mail.example"))).customers
    async with refuses("NOT_FOUND", "CUSTOMER_NOT_FOUND"):
        await other.ask(pb.GetCustomerRequest(id=ids[0]))


# what is kept, and what is not


TABLES = ("customers", "customer_addresses", "customer_consents", "customer_logins", "carts")
KEPT = ("audit_entries", "outbox", "idempotency")


async def test_who_is_erased_leaves_an_id(shop: Shop) -> None:
    made = await shop.register(name=NAME, marketing_consent=True)
    id, session = made.customer.id, made.session.token
    await shop.ask(pb.UpsertCustomerRequest(external_id="14646", email=EMAIL))
    await shop.do(pb.AddMyAddressRequest(address=ADDRESS, request_id=str(uuid.uuid4())), session)
    said = pb.UpdateMeRequest(phone=PHONE)
    await shop.do(pb.UpdateMeRequest(phone=PHONE, request_id=str(uuid.uuid4())), session)
    open_, done = [await shop.cart(carts_pb.CreateCartRequest(currency_code="EUR"), session) for _ in range(2)]
    for cart in (open_, done):
        await shop.cart(carts_pb.SetEmailRequest(cart_id=cart.id, email=EMAIL), session)
        await shop.cart(carts_pb.SetAddressRequest(cart_id=cart.id, address=ADDRESS), session)
    with shop.owner() as owner:
        owner.execute("UPDATE carts SET state = 'COMPLETED', complete_time = now() WHERE id = %s", (done.id,))
    export = (await shop.do(pb.ExportMeRequest(), session)).export
    assert (export.customer.email, export.customer.name, export.customer.phone) == (EMAIL, NAME, PHONE)
    assert [each.address for each in export.customer.addresses] == [ADDRESS]
    assert sorted(export.cart_ids) == sorted((open_.id, done.id))
    assert (await shop.ask(pb.ExportCustomerRequest(id=id))).export == export
    for table in (*TABLES, *KEPT):
        for secret in SECRETS:
            assert secret not in shop.rows(table), f"{secret} in {table}"
    assert str(hashlib.sha256(said.SerializeToString()).digest()) not in shop.rows("idempotency"), "it can be tried out"
    async with refuses("PERMISSION_DENIED", "PASSWORD_WRONG"):
        await shop.do(pb.EraseMeRequest(password="wrong"), session)
    await shop.do(pb.EraseMeRequest(password=PASSWORD), session)
    assert shop.rows("customer_logins") == "[]"
    for call in (pb.GetMeRequest(), pb.EraseMeRequest(password=PASSWORD)):
        async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
            await shop.do(call, session)
    async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
        await shop.log_in()
    left = (await shop.ask(pb.GetCustomerRequest(id=id))).customer
    assert left.state == pb.CUSTOMER_STATE_ERASED and left.HasField("erase_time")
    assert not (left.email or left.name or left.phone or left.addresses or left.has_password or left.marketing_consent)
    with shop.owner() as owner:
        sealed = "SELECT email, name, phone, email_hash, password FROM customers WHERE id = %s"
        assert owner.execute(sealed, (id,)).fetchone() == (b"", b"", b"", "", "")
        carts = "SELECT id::text, length(email), length(address) FROM carts WHERE customer_id = %s"
        assert owner.execute(carts, (id,)).fetchall() == [(done.id, 0, 0)]
        events = "SELECT type FROM outbox WHERE aggregate_id = %s ORDER BY aggregate_version"
        told = [type for (type,) in owner.execute(events, (id,)).fetchall()]
    assert told == ["customer.registered.v1", *["customer.updated.v1"] * 3, "customer.erased.v1"]
    assert shop.rows("customer_addresses") == "[]"
    # No import brings them back, and whoever has the e-mail is somebody new.
    again = await shop.ask(pb.UpsertCustomerRequest(external_id="14646", email=EMAIL, name=NAME))
    assert (again.customer.id, again.customer.state, again.created) == (id, pb.CUSTOMER_STATE_ERASED, False)
    assert (await shop.register()).customer.id != id


async def test_the_shops_people_erase_a_customer_once(shop: Shop) -> None:
    id, session = await shop.customer(name=NAME)
    request = pb.EraseCustomerRequest(id=id, reason=f"{EMAIL} asked for it")
    first = await shop.ask(request)
    assert first.customer.state == pb.CUSTOMER_STATE_ERASED
    assert (await shop.ask(request)).customer == first.customer
    async with refuses("UNAUTHENTICATED", "SESSION_ENDED"):
        await shop.me(session)
    assert "asked for it" in shop.rows("audit_entries") and "lovelace" not in shop.rows("audit_entries")
    async with refuses("NOT_FOUND", "CUSTOMER_NOT_FOUND"):
        await shop.ask(pb.EraseCustomerRequest(id=uuid7()))


# when


def requests(id: str, address_id: str) -> dict[str, Message]:
    """Of each method that changes something, one that nothing but the tenant's state refuses."""
    return {
        "RegisterCustomer": pb.RegisterCustomerRequest(email="new@mail.example", password=PASSWORD),
        "LogIn": pb.LogInRequest(email=EMAIL, password=PASSWORD),
        "RequestPasswordReset": pb.RequestPasswordResetRequest(email=EMAIL),
        "ResetPassword": pb.ResetPasswordRequest(token="x", password=PASSWORD),
        "LogOut": pb.LogOutRequest(),
        "UpdateMe": pb.UpdateMeRequest(name="Eve"),
        "AddMyAddress": pb.AddMyAddressRequest(address=ADDRESS),
        "UpdateMyAddress": pb.UpdateMyAddressRequest(id=address_id, is_default=True),
        "DeleteMyAddress": pb.DeleteMyAddressRequest(id=address_id),
        "ChangeMyPassword": pb.ChangeMyPasswordRequest(password=PASSWORD, new_password=PASSWORD),
        "EraseMe": pb.EraseMeRequest(password=PASSWORD),
        "UpsertCustomer": pb.UpsertCustomerRequest(external_id="new"),
        "EraseCustomer": pb.EraseCustomerRequest(id=id),
    }


def test_every_change_is_tried() -> None:
    assert sorted(requests("", "")) == MUTATING


CLOSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "read-only": ({"mode": tenant_pb2.TENANT_MODE_READ_ONLY}, "FAILED_PRECONDITION", "TENANT_READ_ONLY"),
    "suspended": ({"state": tenant_pb2.TENANT_STATE_SUSPENDED}, "FAILED_PRECONDITION", "TENANT_SUSPENDED"),
    "frozen": ({"writes_frozen": True, "moving_to_cluster_id": "us-1"}, "UNAVAILABLE", "TENANT_MOVING"),
}


@pytest.mark.parametrize("case", CLOSED)
async def test_a_closed_shops_customers_are_not_changed(shop: Shop, case: str) -> None:
    id, session = await shop.customer()
    address_id = (await shop.do(pb.AddMyAddressRequest(address=ADDRESS), session)).id
    changes, code, reason = CLOSED[case]
    await shop.running.apply(entry(shop.id, **changes))
    before = await digest(shop.running, shop.id)
    for name, request in requests(id, address_id).items():
        is_of_shoppers = name in SHOPPERS.methods_by_name
        needs_session = is_of_shoppers and rules.of(SHOPPERS.methods_by_name[name]).callers == {9}
        async with refuses(code, reason):
            await (shop.do(request, session if needs_session else "") if is_of_shoppers else shop.ask(request))
    assert await digest(shop.running, shop.id) == before
    if case != "suspended":
        assert (await shop.me(session)).id == id


async def test_a_session_goes_along_when_its_shop_moves(shop: Shop, us: Running) -> None:
    _, session = await shop.known()
    await shop.do(pb.AddMyAddressRequest(address=ADDRESS), session)
    await shop.do(pb.UpdateMeRequest(marketing_consent=True), session)
    await shop.cart(carts_pb.CreateCartRequest(currency_code="EUR"), session)
    async with refuses("UNAUTHENTICATED", "LOGIN_FAILED"):
        await shop.log_in("nobody@mail.example")
    before = (await shop.do(pb.ExportMeRequest(), session)).export
    moving = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await shop.running.apply(moving)
    await move_rows(shop.running, us, moving)
    assert await digest(us, shop.id) == await digest(shop.running, shop.id)
    await us.apply(entry(shop.id, cluster_id="us-1"))
    there = Shop(us, shop.id)
    assert (await there.do(pb.ExportMeRequest(), session)).export == before
    assert await there.log_in()


async def test_no_customer_is_anothers(shop: Shop) -> None:
    """Which one it is stands in the session alone."""
    one, two = [await shop.customer(name=name) for name in ("One", "Two")]
    assert [(await shop.me(session)).name for _, session in (one, two)] == ["One", "Two"]
    await shop.do(pb.UpdateMeRequest(name="Changed"), one[1])
    assert (await shop.me(two[1])).name == "Two"
