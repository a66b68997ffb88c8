"""What both services do with customers, inside the caller's transaction."""

import hashlib
import hmac
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import customer_service_pb2 as pb
from dataplane.carts import ops as carts
from dataplane.carts import store as cart_store
from dataplane.customers import domain, messages, store
from dataplane.customers.domain import Customer, Said
from dataplane.orders import messages as order_messages
from dataplane.orders import ops as orders
from shared.notifications import queue as notifications
from shared.notifications.vault import Vault as NotificationVault
from shared.runtime import journal, keys
from shared.runtime.clock import Clock
from shared.runtime.vault import Vault

# Where what is sealed is kept.
_EMAIL, _ADDRESS = "customers.email", "customer_addresses.address"
_PLACES = {"email": _EMAIL, "name": "customers.name", "phone": "customers.phone"}


class Customers:
    """What is kept of a customer and must not be read where it is kept."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self.clock = clock
        self._vault = Vault(home, "customers")
        self._orders = Vault(home, order_messages.RING)
        self._notifications = NotificationVault(home)
        self._lookup = keys.load(home, "customer-lookup")

    def email_hash(self, tenant_id: str, email: str) -> str:
        """Finds who has the e-mail; of no use in another tenant, nor to anybody without the key. Empty for none."""
        about = f"{tenant_id}\0{email}".encode()
        return hmac.new(self._lookup, about, hashlib.sha256).hexdigest() if email else ""

    def seal_email(self, tenant_id: str, email: str) -> bytes:
        return self._vault.seal(tenant_id, _EMAIL, email.encode())

    def said(
        self,
        tenant_id: str,
        before: Customer | None,
        request: pb.RegisterCustomerRequest | pb.UpdateMeRequest | pb.UpsertCustomerRequest,
    ) -> Said:
        """What a request says of a customer, sealed. InvalidArgument FIELD_INVALID."""
        given = {field.name: value for field, value in request.ListFields()}
        for field in ("name", "phone"):
            if field in given:
                plain = given[field].strip().encode()
                given[field] = self._sealed(tenant_id, _PLACES[field], plain, getattr(before, field, b""))
        if "locale" in given:
            given["locale"] = domain.locale_of(given["locale"])
        names = ("name", "phone", "locale", "marketing_consent")
        return Said(**{name: given.get(name) for name in names})

    def seal_address(self, tenant_id: str, address: carts_pb.Address, before: bytes = b"") -> bytes:
        return self._sealed(tenant_id, _ADDRESS, address.SerializeToString(deterministic=True), before)

    def to_proto(self, tenant_id: str, customer: Customer) -> pb.Customer:
        message = messages.outline(customer)
        for field, place in _PLACES.items():
            setattr(message, field, self._vault.open(tenant_id, place, getattr(customer, field)).decode())
        message.addresses.extend(self.addresses(tenant_id, customer))
        return message

    def addresses(self, tenant_id: str, customer: Customer) -> list[pb.CustomerAddress]:
        """The default first."""
        found = []
        for each in sorted(customer.addresses, key=lambda each: (not each.is_default, each.id)):
            address = carts_pb.Address.FromString(self._vault.open(tenant_id, _ADDRESS, each.address))
            found.append(pb.CustomerAddress(id=each.id, address=address, is_default=each.is_default))
            found[-1].create_time.FromDatetime(each.create_time)
        return found

    async def change(self, tx: AsyncConnection, tenant_id: str, before: Customer, after: Customer) -> None:
        if after is before:
            journal.unchanged(tx)
            return
        await store.save(tx, tenant_id, before, after)
        await journal.record(tx, tenant_id, [messages.change(before, after)], [messages.event("updated", after)])

    async def erase(self, tx: AsyncConnection, tenant_id: str, before: Customer, reason: str = "") -> Customer:
        """Whoever calls holds the lock. Who is erased already stays so."""
        now = self.clock.now()
        after = domain.erase(before, now)
        if after is before:
            journal.unchanged(tx)
            return before
        await store.save(tx, tenant_id, before, after)
        await store.forgive(tx, tenant_id, before.email_hash)
        changes, events = await carts.forget_customer(tx, tenant_id, before.id, now)
        emails = {self._vault.open(tenant_id, _EMAIL, before.email).decode()}
        for order in await orders.forget_customer(tx, tenant_id, before.id, now):
            emails.add(order_messages.email(order, self._orders, tenant_id))
        for email in emails:
            await notifications.forget(tx, tenant_id, self._notifications.fingerprint(tenant_id, email), now)
        await journal.record(
            tx,
            tenant_id,
            [messages.change(before, after, reason), *changes],
            [messages.event("erased", after), *events],
        )
        return after

    async def export(self, tx: AsyncConnection, tenant_id: str, customer: Customer) -> pb.CustomerExport:
        consents = await store.consents(tx, tenant_id, customer.id)
        return pb.CustomerExport(
            customer=self.to_proto(tenant_id, customer),
            marketing_consents=messages.consents(consents),
            cart_ids=await cart_store.of_customer(tx, tenant_id, customer.id),
        )

    def _sealed(self, tenant_id: str, place: str, plain: bytes, before: bytes) -> bytes:
        """What is there already when it says the same: sealed twice, nothing looks alike."""
        if self._vault.open(tenant_id, place, before) == plain:
            return before
        return self._vault.seal(tenant_id, place, plain)
