"""CartService: what shoppers of one tenant are about to buy."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import cart_service_pb2 as pb
from center.dataplane.v1 import cart_service_pb2_grpc as pb_grpc
from dataplane.carts import domain, store
from dataplane.carts.domain import Cart, Line, State
from dataplane.carts.messages import ADDRESS, EMAIL, change, event, listed, to_proto
from dataplane.carts.pricing import Offer, Refused, Unavailable, offered, price
from dataplane.carts.tables import carts
from dataplane.customers import sessions
from dataplane.promotions import store as promotion_store
from shared.runtime import filters, journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.money import CURRENCIES
from shared.runtime.paging import PageTokens, page_size
from shared.runtime.vault import Vault

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_STATES: dict[str, object] = {name: state.value for state in State for name in (state.value, f"CART_STATE_{state}")}
_FIELDS = {
    "id": Field(carts.c.id, "uuid"),
    "state": Field(carts.c.state, "enum", _STATES),
    "currency": Field(carts.c.currency),
    "create_time": Field(carts.c.create_time, "timestamp"),
    "update_time": Field(carts.c.update_time, "timestamp"),
}
_ORDER = filters.order("create_time desc", {"create_time": _FIELDS["create_time"]}, carts.c.id)


class CartService(pb_grpc.CartServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, tokens: PageTokens, clock: Clock, vault: Vault) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._vault = vault

    @mutation
    async def CreateCart(self, request: pb.CreateCartRequest, tx: AsyncConnection) -> pb.CreateCartResponse:
        if request.currency_code not in CURRENCIES:
            why = "no currency that shops sell in"
            raise InvalidArgument("FIELD_INVALID", f"currency_code: {why}", fields={"currency_code": why})
        now = self._clock.now()
        cart = Cart(
            # Not of version 7: whoever knows the id has the cart, and there half of it is the time.
            id=str(uuid.uuid4()),
            currency=request.currency_code,
            create_time=now,
            update_time=now,
            customer_id=await sessions.signed_in(tx) or None,
        )
        await store.add(tx, current().tenant_id, cart)
        await journal.record(tx, current().tenant_id, [change(None, cart)], [event("created", cart)])
        return pb.CreateCartResponse(cart=await self._priced(tx, cart, {}, None))

    async def GetCart(self, request: pb.GetCartRequest, context: Context) -> pb.GetCartResponse:
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id) as tx:
            await sessions.signed_in(tx)
            cart, offers = await store.get(tx, tenant_id, request.id)
            if cart.state is State.MERGED:
                raise store.missing(request.id)
            address = self._address(cart)
            message = await self._priced(tx, cart, offers, address)
        message.email = self._vault.open(tenant_id, EMAIL, cart.email).decode()
        if address is not None:
            message.address.CopyFrom(address)
        return pb.GetCartResponse(cart=message)

    async def ListCarts(self, request: pb.ListCartsRequest, context: Context) -> pb.ListCartsResponse:
        condition = filters.where(request.filter, _FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, condition, _ORDER, cursor, size)
        return pb.ListCartsResponse(
            carts=[listed(cart, line_count) for cart, line_count in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def AddLine(self, request: pb.AddLineRequest, tx: AsyncConnection) -> pb.AddLineResponse:
        options = domain.options_of((option.name, option.value) for option in request.options)
        line = Line(uuid7(), request.variant_id.lower(), options, request.quantity)
        before, offers = await self._locked(tx, request.cart_id, request.etag)
        found, now = await store.offer(tx, current().tenant_id, line.variant_id, before), self._clock.now()
        offers[line.variant_id] = _sold(before, line, found, now)
        after = domain.add_line(before, line, now)
        return pb.AddLineResponse(cart=await self._kept(tx, before, after, offers))

    @mutation
    async def SetQuantity(self, request: pb.SetQuantityRequest, tx: AsyncConnection) -> pb.SetQuantityResponse:
        def decide(cart: Cart) -> Cart:
            return domain.set_quantity(cart, request.line_id.lower(), request.quantity, self._clock.now())

        return pb.SetQuantityResponse(cart=await self._changed(tx, request.cart_id, request.etag, decide))

    @mutation
    async def RemoveLine(self, request: pb.RemoveLineRequest, tx: AsyncConnection) -> pb.RemoveLineResponse:
        def decide(cart: Cart) -> Cart:
            return domain.remove_line(cart, request.line_id.lower(), self._clock.now())

        return pb.RemoveLineResponse(cart=await self._changed(tx, request.cart_id, request.etag, decide))

    @mutation
    async def SetAddress(self, request: pb.SetAddressRequest, tx: AsyncConnection) -> pb.SetAddressResponse:
        sealed = self._vault.seal(current().tenant_id, ADDRESS, request.address.SerializeToString())

        def decide(cart: Cart) -> Cart:
            return domain.set_address(cart, sealed, self._clock.now())

        return pb.SetAddressResponse(cart=await self._changed(tx, request.cart_id, request.etag, decide))

    @mutation
    async def SetEmail(self, request: pb.SetEmailRequest, tx: AsyncConnection) -> pb.SetEmailResponse:
        sealed = self._vault.seal(current().tenant_id, EMAIL, domain.email_of(request.email).encode())

        def decide(cart: Cart) -> Cart:
            return domain.set_email(cart, sealed, self._clock.now())

        return pb.SetEmailResponse(cart=await self._changed(tx, request.cart_id, request.etag, decide))

    @mutation
    async def ApplyCode(self, request: pb.ApplyCodeRequest, tx: AsyncConnection) -> pb.ApplyCodeResponse:
        code = domain.code_of(request.code)

        def decide(cart: Cart) -> Cart:
            return domain.apply_code(cart, code, self._clock.now())

        return pb.ApplyCodeResponse(cart=await self._changed(tx, request.cart_id, request.etag, decide))

    @mutation
    async def RemoveCode(self, request: pb.RemoveCodeRequest, tx: AsyncConnection) -> pb.RemoveCodeResponse:
        code = domain.code_of(request.code)

        def decide(cart: Cart) -> Cart:
            return domain.remove_code(cart, code, self._clock.now())

        return pb.RemoveCodeResponse(cart=await self._changed(tx, request.cart_id, request.etag, decide))

    @mutation
    async def MergeCarts(self, request: pb.MergeCartsRequest, tx: AsyncConnection) -> pb.MergeCartsResponse:
        tenant_id = current().tenant_id
        from_id, into_id = request.from_cart_id.lower(), request.into_cart_id.lower()
        if from_id == into_id:
            why = "a cart is not merged into itself"
            raise InvalidArgument("FIELD_INVALID", f"into_cart_id: {why}", fields={"into_cart_id": why})
        customer_id = await sessions.signed_in(tx)
        await store.lock(tx, tenant_id, from_id, into_id)
        source, _ = await store.get(tx, tenant_id, from_id)
        into, offers = await store.get(tx, tenant_id, into_id)
        if into.state is State.MERGED:
            raise store.missing(into_id)
        if source.state is State.MERGED:
            if source.merged_into != into_id:
                raise store.missing(from_id)
            journal.unchanged(tx)
            return pb.MergeCartsResponse(cart=await self._priced(tx, into, offers, self._address(into)))
        for cart in (source, into):
            domain.refuse_changes(cart)
        closed, filled = domain.merge(source, into, self._clock.now(), uuid7, customer_id)
        # The source first: what a line of it was called is free by then.
        pairs = [(before, after) for before, after in ((source, closed), (into, filled)) if after is not before]
        for before, after in pairs:
            await store.save(tx, tenant_id, before, after)
        await journal.record(
            tx, tenant_id, [change(*pair) for pair in pairs], [event("updated", after) for _, after in pairs]
        )
        filled, offers = await store.get(tx, tenant_id, into_id)
        return pb.MergeCartsResponse(cart=await self._priced(tx, filled, offers, self._address(filled)))

    @mutation
    async def DeleteCart(self, request: pb.DeleteCartRequest, tx: AsyncConnection) -> pb.DeleteCartResponse:
        cart, _ = await self._locked(tx, request.id, request.etag)
        await store.delete(tx, current().tenant_id, [cart.id])
        last = domain.deleted(cart)
        await journal.record(tx, current().tenant_id, [change(cart, None)], [event("deleted", last)])
        return pb.DeleteCartResponse()

    async def _locked(self, tx: AsyncConnection, cart_id: str, etag: str) -> tuple[Cart, dict[str, Offer]]:
        """A cart that may be changed, locked, and what its variants are offered at."""
        await sessions.signed_in(tx)
        await store.lock(tx, current().tenant_id, cart_id)
        cart, offers = await store.get(tx, current().tenant_id, cart_id)
        if cart.state is State.MERGED:
            raise store.missing(cart_id)
        domain.refuse_changes(cart, etag)
        return cart, offers

    async def _changed(self, tx: AsyncConnection, cart_id: str, etag: str, decide: Callable[[Cart], Cart]) -> pb.Cart:
        before, offers = await self._locked(tx, cart_id, etag)
        return await self._kept(tx, before, decide(before), offers)

    async def _kept(self, tx: AsyncConnection, before: Cart, after: Cart, offers: dict[str, Offer]) -> pb.Cart:
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save(tx, current().tenant_id, before, after)
            await journal.record(tx, current().tenant_id, [change(before, after)], [event("updated", after)])
        return await self._priced(tx, after, offers, self._address(after))

    async def _priced(
        self, tx: AsyncConnection, cart: Cart, offers: dict[str, Offer], address: pb.Address | None
    ) -> pb.Cart:
        """With what promotions make of it now, where it goes."""
        codes, customer_id = [code.code for code in cart.codes], cart.customer_id or ""
        found = await promotion_store.candidates(tx, current().tenant_id, codes, customer_id)
        country = address.country_code if address is not None else ""
        return to_proto(cart, price(cart, offers, found, self._clock.now(), country))

    def _address(self, cart: Cart) -> pb.Address | None:
        if not cart.address:
            return None
        return pb.Address.FromString(self._vault.open(current().tenant_id, ADDRESS, cart.address))


def _sold(cart: Cart, new: Line, offer: Offer | None, now: datetime) -> Offer:
    """What cannot be bought now is not put into a cart; nobody learns by it whether there is a draft."""
    # Together with what the line has: its price may be one from that quantity on.
    quantity = new.quantity + sum(line.quantity for line in cart.lines if line.key == new.key)
    found = offered(cart.currency, offer, quantity, now)
    if isinstance(found, Refused) and found.unavailable is Unavailable.CURRENCY_MISMATCH:
        raise FailedPrecondition("CURRENCY_MISMATCH", found.why, id=new.variant_id)
    if isinstance(found, Refused) or offer is None:
        raise NotFound("VARIANT_NOT_FOUND", f"no variant {new.variant_id} is on sale here", id=new.variant_id)
    return offer
