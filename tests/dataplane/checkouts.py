"""Shops that sell: with products, stock, an account at the provider, and carts that are ready to be checked out."""

from dataclasses import dataclass
from typing import Any

from google.type import money_pb2

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.checkout_service_pb2_grpc import CheckoutServiceStub, SellingServiceStub
from center.dataplane.v1.order_service_pb2_grpc import OrderServiceStub
from center.shared.v1 import payment_service_pb2 as payments_pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from shared.payments.simulator.books import Account
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, create, of, product, variant
from tests.dataplane.test_payments import open_shop
from tests.support.payments import Served

EMAIL = "ada.lovelace@mail.example"
ADDRESS = carts_pb.Address(name="Ada Lovelace", lines=["Square 12"], postal_code="1", city="London", country_code="GB")


@dataclass
class Shop:
    """A tenant, as its shoppers call."""

    running: Running
    simulator: Served
    id: str
    account: Account

    @property
    def call(self) -> Any:
        return CheckoutServiceStub(self.running.channel("envoy"))

    @property
    def selling(self) -> Any:
        return SellingServiceStub(self.running.channel("operator"))

    @property
    def orders(self) -> Any:
        return OrderServiceStub(self.running.channel("operator"))

    @property
    def carts(self) -> Any:
        return CartServiceStub(self.running.channel("envoy"))

    async def sells(self, units: int = 12, stock: int = 10, currency: str = "EUR") -> str:
        """The id of a new variant that is there so many times."""
        [made] = await create(self.running, self.id, product(variants=[variant(uuid7(), units, 0, currency)]))
        variant_id = made.variants[0].id
        if stock:
            received = {"variant_id": variant_id, "kind": "STOCK_MOVEMENT_KIND_RECEIVED", "quantity": stock}
            request = stock_pb.AdjustStockRequest(adjustments=[received])
            await self.running.inventory.AdjustStock(request, metadata=of(self.id))
        return variant_id

    async def cart(self, *lines: tuple[str, int], currency: str = "EUR", is_ready: bool = True) -> str:
        made = await self.carts.CreateCart(carts_pb.CreateCartRequest(currency_code=currency), metadata=of(self.id))
        cart_id: str = made.cart.id
        for variant_id, quantity in lines:
            await self.add(cart_id, variant_id, quantity)
        if is_ready:
            await self.carts.SetEmail(carts_pb.SetEmailRequest(cart_id=cart_id, email=EMAIL), metadata=of(self.id))
            request = carts_pb.SetAddressRequest(cart_id=cart_id, address=ADDRESS)
            await self.carts.SetAddress(request, metadata=of(self.id))
        return cart_id

    async def add(self, cart_id: str, variant_id: str, quantity: int = 1) -> None:
        request = carts_pb.AddLineRequest(cart_id=cart_id, variant_id=variant_id, quantity=quantity)
        await self.carts.AddLine(request, metadata=of(self.id))

    async def get_cart(self, cart_id: str) -> carts_pb.Cart:
        answer = await self.carts.GetCart(carts_pb.GetCartRequest(id=cart_id), metadata=of(self.id))
        cart: carts_pb.Cart = answer.cart
        return cart

    async def start(self, cart_id: str, **more: str) -> pb.Checkout:
        answer = await self.call.StartCheckout(pb.StartCheckoutRequest(cart_id=cart_id, **more), metadata=of(self.id))
        checkout: pb.Checkout = answer.checkout
        return checkout

    async def get(self, cart_id: str) -> pb.Checkout:
        answer = await self.call.GetCheckout(pb.GetCheckoutRequest(cart_id=cart_id), metadata=of(self.id))
        checkout: pb.Checkout = answer.checkout
        return checkout

    async def complete(
        self, cart_id: str, total: money_pb2.Money, card: str = "pm_card_visa", request_id: str = ""
    ) -> pb.Checkout:
        request = pb.CompleteCheckoutRequest(
            cart_id=cart_id, payment_method=card, expected_total=total, request_id=request_id
        )
        answer = await self.call.CompleteCheckout(request, metadata=of(self.id))
        checkout: pb.Checkout = answer.checkout
        return checkout

    async def abandon(self, cart_id: str, request_id: str = "") -> None:
        request = pb.AbandonCheckoutRequest(cart_id=cart_id, request_id=request_id)
        await self.call.AbandonCheckout(request, metadata=of(self.id))

    async def buy(self, cart_id: str, card: str = "pm_card_visa") -> pb.Checkout:
        return await self.complete(cart_id, (await self.start(cart_id)).total, card)

    async def order(self, order_id: str) -> orders_pb.Order:
        answer = await self.orders.GetOrder(orders_pb.GetOrderRequest(id=order_id), metadata=of(self.id))
        order: orders_pb.Order = answer.order
        return order

    async def level(self, variant_id: str) -> tuple[int, int]:
        """(on hand, reserved)"""
        request = stock_pb.GetStockRequest(variant_ids=[variant_id])
        answer: Any = await self.running.inventory.GetStock(request, metadata=of(self.id))
        [level] = answer.levels
        return level.on_hand, level.reserved

    async def payments(self, order_id: str) -> list[payments_pb.Payment]:
        stub: Any = PaymentServiceStub(self.running.channel("operator"))
        request = payments_pb.ListPaymentsRequest(filter=f'reference = "{order_id}"')
        listed = (await stub.ListPayments(request, metadata=of(self.id))).payments
        return [
            (await stub.GetPayment(payments_pb.GetPaymentRequest(id=each.id), metadata=of(self.id))).payment
            for each in listed
        ]

    async def reconciled(self) -> bool:
        """Whether the provider has said all that it owes."""
        stub: Any = PaymentServiceStub(self.running.channel("operator"))
        answer = await stub.Reconcile(payments_pb.ReconcileRequest(), metadata=of(self.id))
        return not answer.still_open

    async def sell(self, **settings: Any) -> pb.SellingSettings:
        request = pb.SetSellingSettingsRequest(settings=pb.SellingSettings(**settings))
        answer = await self.selling.SetSellingSettings(request, metadata=of(self.id))
        kept: pb.SellingSettings = answer.settings
        return kept


async def open_for_sale(running: Running, simulator: Served, tenant_id: str, *, webhooks: bool = True) -> Shop:
    paid = await open_shop(running, simulator, tenant_id, webhooks=webhooks)
    return Shop(running, simulator, tenant_id, paid.account)
