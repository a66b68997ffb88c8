"""ShopperService: customers of one tenant's shop, for themselves."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import customer_service_pb2 as pb
from center.dataplane.v1 import customer_service_pb2_grpc as pb_grpc
from dataplane.customers import domain, messages, sessions, store
from dataplane.customers.domain import Address, Customer
from dataplane.customers.ops import Customers
from dataplane.customers.sessions import Sessions
from dataplane.orders import store as order_store
from dataplane.orders.tables import orders
from shared.notifications import ops as notifications
from shared.notifications.domain import Asked, Channel
from shared.notifications.vault import Vault as NotificationVault
from shared.runtime import filters, journal, passwords
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import NotFound, PermissionDenied, Unauthenticated
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation, revealing
from shared.runtime.ids import uuid7
from shared.runtime.paging import PageTokens, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_TEMPLATE = "password-reset"
# The page of a storefront that a link leads to.
_PAGE = "/account/password?token="
_MAIL_EVERY_S = 60
_NEWEST_FIRST = filters.order(
    "create_time desc", {"create_time": Field(orders.c.create_time, "timestamp")}, orders.c.id
)


class ShopperService(pb_grpc.ShopperServiceServicer):
    """db: transactions that may write, whose commits wake those who send mail; reads: those that do not.

    origin: where a tenant's shop is reached from outside (dataplane.tenants.origins).
    """

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        tokens: PageTokens,
        customers: Customers,
        sessions: Sessions,
        vault: NotificationVault,
        origin: Callable[[str], Awaitable[str]],
    ) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._customers = customers
        self._sessions = sessions
        self._vault = vault
        self._origin = origin
        self._clock = customers.clock

    async def RegisterCustomer(
        self, request: pb.RegisterCustomerRequest, context: Context
    ) -> pb.RegisterCustomerResponse:
        tenant_id, email, now = current().tenant_id, domain.email_of(request.email), self._clock.now()
        said = self._customers.said(tenant_id, None, request)
        # Before the transaction: it takes a core a while, and no connection meanwhile.
        password = await passwords.hashed(request.password)
        new = Customer(
            id=uuid7(),
            create_time=now,
            update_time=now,
            email_hash=self._customers.email_hash(tenant_id, email),
            email=self._customers.seal_email(tenant_id, email),
            password=password,
        )

        @revealing("session")
        async def register(
            self: ShopperService, request: pb.RegisterCustomerRequest, tx: AsyncConnection
        ) -> pb.RegisterCustomerResponse:
            customer = domain.told(new, said, now)
            if not await store.add(tx, tenant_id, customer):
                raise domain.email_taken()
            await journal.record(
                tx, tenant_id, [messages.change(None, customer)], [messages.event("registered", customer)]
            )
            return pb.RegisterCustomerResponse(customer=messages.outline(customer), session=self._session(customer))

        return await register(self, request, context)

    async def LogIn(self, request: pb.LogInRequest, context: Context) -> pb.LogInResponse:
        tenant_id = current().tenant_id
        email_hash = self._customers.email_hash(tenant_id, domain.email_of(request.email))
        async with self.db.transaction(tenant_id) as tx:
            await store.take_try(tx, tenant_id, email_hash, self._clock.now())
            known = await store.by_email(tx, tenant_id, email_hash)
        password = known.password if known is not None else ""
        if not await passwords.matches(request.password, password):
            raise _login_failed()
        async with self.db.transaction(tenant_id) as tx:
            customer = await store.by_email(tx, tenant_id, email_hash)
            if customer is None or customer.password != password:
                raise _login_failed()
            await store.forgive(tx, tenant_id, email_hash)
        return pb.LogInResponse(session=self._session(customer))

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Context
    ) -> pb.RequestPasswordResetResponse:
        email = domain.email_of(request.email)
        url = await self._origin(current().tenant_id) + _PAGE

        @mutation
        async def send(
            self: ShopperService, request: pb.RequestPasswordResetRequest, tx: AsyncConnection
        ) -> pb.RequestPasswordResetResponse:
            await self._send_link(tx, email, url)
            return pb.RequestPasswordResetResponse()

        return await send(self, request, context)

    async def ResetPassword(self, request: pb.ResetPasswordRequest, context: Context) -> pb.ResetPasswordResponse:
        tenant_id = current().tenant_id
        customer_id, epoch = self._sessions.read_link(tenant_id, request.token)
        password = await passwords.hashed(request.password)

        @mutation
        async def reset(
            self: ShopperService, request: pb.ResetPasswordRequest, tx: AsyncConnection
        ) -> pb.ResetPasswordResponse:
            try:
                before = await store.get(tx, tenant_id, customer_id, lock=True)
            except NotFound:
                raise sessions.reset_invalid() from None
            if not before.is_active or before.epoch != epoch:
                raise sessions.reset_invalid()
            await self._put_password(tx, before, password)
            return pb.ResetPasswordResponse()

        return await reset(self, request, context)

    @mutation
    async def LogOut(self, request: pb.LogOutRequest, tx: AsyncConnection) -> pb.LogOutResponse:
        before, now = await _me(tx, lock=True), self._clock.now()
        session = current().session
        if session is None or request.everywhere:
            after = domain.end_sessions(before, now)
        else:
            after = domain.end_session(before, session, now)
        await self._customers.change(tx, current().tenant_id, before, after)
        return pb.LogOutResponse()

    async def GetMe(self, request: pb.GetMeRequest, context: Context) -> pb.GetMeResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            customer = await _me(tx)
        return pb.GetMeResponse(customer=self._customers.to_proto(current().tenant_id, customer))

    @mutation
    async def UpdateMe(self, request: pb.UpdateMeRequest, tx: AsyncConnection) -> pb.UpdateMeResponse:
        before = await _me(tx, lock=True)
        said = self._customers.said(current().tenant_id, before, request)
        after = domain.update(before, said, self._clock.now(), request.etag)
        await self._customers.change(tx, current().tenant_id, before, after)
        return pb.UpdateMeResponse(customer=messages.outline(after))

    async def ListMyAddresses(self, request: pb.ListMyAddressesRequest, context: Context) -> pb.ListMyAddressesResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            customer = await _me(tx)
        return pb.ListMyAddressesResponse(addresses=self._customers.addresses(current().tenant_id, customer))

    @mutation
    async def AddMyAddress(self, request: pb.AddMyAddressRequest, tx: AsyncConnection) -> pb.AddMyAddressResponse:
        before, now = await _me(tx, lock=True), self._clock.now()
        sealed = self._customers.seal_address(current().tenant_id, request.address)
        new = Address(uuid7(), sealed, request.is_default, now)
        await self._customers.change(tx, current().tenant_id, before, domain.add_address(before, new, now))
        return pb.AddMyAddressResponse(id=new.id)

    @mutation
    async def UpdateMyAddress(
        self, request: pb.UpdateMyAddressRequest, tx: AsyncConnection
    ) -> pb.UpdateMyAddressResponse:
        before, address_id = await _me(tx, lock=True), request.id.lower()
        former = next((each.address for each in before.addresses if each.id == address_id), b"")
        sealed = None
        if request.HasField("address"):
            sealed = self._customers.seal_address(current().tenant_id, request.address, former)
        after = domain.update_address(before, address_id, sealed, request.is_default, self._clock.now())
        await self._customers.change(tx, current().tenant_id, before, after)
        return pb.UpdateMyAddressResponse()

    @mutation
    async def DeleteMyAddress(
        self, request: pb.DeleteMyAddressRequest, tx: AsyncConnection
    ) -> pb.DeleteMyAddressResponse:
        before = await _me(tx, lock=True)
        after = domain.delete_address(before, request.id.lower(), self._clock.now())
        await self._customers.change(tx, current().tenant_id, before, after)
        return pb.DeleteMyAddressResponse()

    async def ListMyOrders(self, request: pb.ListMyOrdersRequest, context: Context) -> pb.ListMyOrdersResponse:
        tenant_id = current().tenant_id
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(tenant_id) as tx:
            customer = await _me(tx)
            theirs = orders.c.customer_id == customer.id
            page, following = await order_store.page(tx, tenant_id, theirs, _NEWEST_FIRST, cursor, size)
        return pb.ListMyOrdersResponse(
            orders=map(messages.my_order, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def ChangeMyPassword(
        self, request: pb.ChangeMyPasswordRequest, context: Context
    ) -> pb.ChangeMyPasswordResponse:
        await self._prove(request.password)
        password = await passwords.hashed(request.new_password)

        @revealing("session")
        async def change(
            self: ShopperService, request: pb.ChangeMyPasswordRequest, tx: AsyncConnection
        ) -> pb.ChangeMyPasswordResponse:
            after = await self._put_password(tx, await _me(tx, lock=True), password)
            return pb.ChangeMyPasswordResponse(session=self._session(after))

        return await change(self, request, context)

    async def ExportMe(self, request: pb.ExportMeRequest, context: Context) -> pb.ExportMeResponse:
        async with self._reads.transaction(current().tenant_id, snapshot=True) as tx:
            export = await self._customers.export(tx, current().tenant_id, await _me(tx))
        return pb.ExportMeResponse(export=export)

    async def EraseMe(self, request: pb.EraseMeRequest, context: Context) -> pb.EraseMeResponse:
        await self._prove(request.password)

        @mutation
        async def erase(self: ShopperService, request: pb.EraseMeRequest, tx: AsyncConnection) -> pb.EraseMeResponse:
            await self._customers.erase(tx, current().tenant_id, await _me(tx, lock=True))
            return pb.EraseMeResponse()

        return await erase(self, request, context)

    async def _send_link(self, tx: AsyncConnection, email: str, url: str) -> None:
        tenant_id = current().tenant_id
        customer = await store.by_email(tx, tenant_id, self._customers.email_hash(tenant_id, email))
        if customer is None:
            journal.unchanged(tx)
            return
        asked = Asked(
            channel=Channel.EMAIL,
            recipient=email,
            template=_TEMPLATE,
            locale=customer.locale,
            variables={"url": url + self._sessions.link(tenant_id, customer)},
            # Whoever asks again and again fills nobody's mailbox.
            dedup_key=f"{_TEMPLATE}/{customer.id}/{int(self._clock.now().timestamp()) // _MAIL_EVERY_S}",
        )
        await notifications.send(tx, tenant_id, asked, self._vault, self._clock)

    async def _prove(self, password: str) -> None:
        """Who is signed in knows the password: it is theirs for as long as the session holds.

        PermissionDenied PASSWORD_WRONG, ResourceExhausted TOO_MANY_ATTEMPTS.
        """
        tenant_id = current().tenant_id
        async with self.db.transaction(tenant_id) as tx:
            customer = await _me(tx)
            await store.take_try(tx, tenant_id, customer.email_hash, self._clock.now())
            journal.unchanged(tx)
        if not await passwords.matches(password, customer.password):
            raise PermissionDenied("PASSWORD_WRONG", "that is not the customer's password")

    async def _put_password(self, tx: AsyncConnection, before: Customer, password: str) -> Customer:
        after = domain.set_password(before, password, self._clock.now())
        await self._customers.change(tx, current().tenant_id, before, after)
        await store.forgive(tx, current().tenant_id, before.email_hash)
        return after

    def _session(self, customer: Customer) -> pb.Session:
        return messages.session(customer.id, *self._sessions.issue(current().tenant_id, customer))


async def _me(tx: AsyncConnection, *, lock: bool = False) -> Customer:
    """Unauthenticated SESSION_ENDED."""
    call = current()
    try:
        customer = await store.get(tx, call.tenant_id, sessions.customer_id(), lock=lock)
    except NotFound:
        raise sessions.ended() from None
    if call.session is None or not domain.holds(customer, call.session):
        raise sessions.ended()
    return customer


def _login_failed() -> Unauthenticated:
    return Unauthenticated("LOGIN_FAILED", "no customer of this shop has this e-mail and this password")
