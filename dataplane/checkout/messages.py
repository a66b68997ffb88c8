"""Checkouts and settings on the wire, as they are stored, and in the audit."""

from collections.abc import Sequence

from google.type import money_pb2

from center.dataplane.v1 import checkout_service_pb2 as pb
from dataplane.carts.domain import Cart
from dataplane.checkout import domain
from dataplane.checkout.domain import Capture, Checkout, Method, Quote, Settings, ShippingRate, ShippingRow, TaxRate
from dataplane.orders.domain import Order, State
from shared.payments.domain import Payment
from shared.payments.domain import State as PaymentState
from shared.runtime import money
from shared.runtime.errors import InvalidArgument
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money

# Nobody has said yet what became of it.
_OPEN = (PaymentState.PENDING, PaymentState.REQUIRES_ACTION)


def method_to_proto(currency: str, method: Method) -> pb.ShippingMethod:
    price = money.to_proto(Money(currency, method.price_minor))
    return pb.ShippingMethod(id=method.id, name=method.name, price=price, explanation=method.why)


def started(checkout: Checkout, currency: str, quoted: Quote, method: Method, *, is_over: bool) -> pb.Checkout:
    """One that has no order yet. is_over: it would not be completed any more."""
    priced = quoted.priced
    message = pb.Checkout(
        cart_id=checkout.cart_id,
        state=pb.CHECKOUT_STATE_ENDED if is_over else pb.CHECKOUT_STATE_STARTED,
        shipping_method=method_to_proto(currency, method),
        prices_include_tax=quoted.prices_include_tax,
        explanation=domain.explained(
            currency,
            priced.subtotal_minor,
            [(each.amount_minor, each.explanation) for each in priced.discounts],
            quoted.shipping_minor,
            quoted.tax_minor,
            quoted.total_minor,
            included=quoted.prices_include_tax,
        ),
    )
    _set_sums(
        message,
        currency,
        priced.subtotal_minor,
        priced.discount_minor,
        quoted.shipping_minor,
        quoted.tax_minor,
        quoted.total_minor,
    )
    message.expire_time.FromDatetime(checkout.expire_time)
    return message


def ordered(checkout: Checkout, order: Order, payments: Sequence[Payment]) -> pb.Checkout:
    """One that became an order. payments: of the order, the oldest first."""
    open_ones = [payment for payment in payments if payment.state in _OPEN]
    method = Method(checkout.shipping_method, order.shipping_method, order.shipping_minor, "as ordered")
    message = pb.Checkout(
        cart_id=checkout.cart_id,
        state=_state(order, has_open=bool(open_ones)),
        shipping_method=method_to_proto(order.currency, method),
        prices_include_tax=order.prices_include_tax,
        explanation=domain.explained(
            order.currency,
            order.subtotal_minor,
            [(each.amount_minor, each.explanation) for each in order.adjustments],
            order.shipping_minor,
            order.tax_minor,
            order.total_minor,
            included=order.prices_include_tax,
        ),
        order_id=order.id,
        order_number=str(order.number),
        order_state=f"ORDER_STATE_{order.state}",
        action_url=open_ones[-1].action_url if open_ones else "",
        failure_reason="" if open_ones or not payments else payments[-1].failure_reason,
    )
    _set_sums(
        message,
        order.currency,
        order.subtotal_minor,
        order.discount_minor,
        order.shipping_minor,
        order.tax_minor,
        order.total_minor,
    )
    if order.expire_time is not None:
        message.expire_time.FromDatetime(order.expire_time)
    return message


def is_open(payment: Payment) -> bool:
    return payment.state in _OPEN


def _state(order: Order, *, has_open: bool) -> "pb.CheckoutState":
    if order.place_time is not None:
        return pb.CHECKOUT_STATE_COMPLETED
    if order.state is not State.PENDING_PAYMENT:
        return pb.CHECKOUT_STATE_ENDED
    return pb.CHECKOUT_STATE_PAYMENT_OPEN if has_open else pb.CHECKOUT_STATE_PAYMENT_FAILED


def _set_sums(
    message: pb.Checkout, currency: str, subtotal: int, discount: int, shipping: int, tax: int, total: int
) -> None:
    def of(minor: int) -> money_pb2.Money:
        return money.to_proto(Money(currency, minor))

    message.subtotal.CopyFrom(of(subtotal))
    message.discount.CopyFrom(of(discount))
    message.shipping.CopyFrom(of(shipping))
    message.tax.CopyFrom(of(tax))
    message.total.CopyFrom(of(total))


def change(before: Checkout | None, after: Checkout | None) -> Change:
    cart_id = next(each.cart_id for each in (before, after) if each is not None)
    return Change("checkout", cart_id, _facts(before), _facts(after))


def _facts(checkout: Checkout | None) -> dict[str, str]:
    if checkout is None:
        return {}
    return {
        "shipping_method": checkout.shipping_method,
        "shipping_minor": str(checkout.shipping_minor),
        "total_minor": str(checkout.total_minor),
        "expire_time": checkout.expire_time.isoformat(),
    }


def started_event(checkout: Checkout, cart: Cart) -> Event:
    said = pb.CheckoutStarted(
        cart_id=checkout.cart_id,
        cart_version=checkout.cart_version,
        customer_id=cart.customer_id or "",
        shipping_method=checkout.shipping_method,
        total=money.to_proto(Money(cart.currency, checkout.total_minor)),
    )
    said.expire_time.FromDatetime(checkout.expire_time)
    return Event("checkout.started.v1", checkout.cart_id, checkout.cart_version, said)


def settings_of(message: pb.SellingSettings) -> Settings:
    """As they were sent or stored. InvalidArgument MONEY_INVALID, FIELD_INVALID."""
    return Settings(
        prices_include_tax=message.prices_include_tax,
        tax_rates=tuple(
            TaxRate(each.country_code, each.basis_points, each.name, each.applies_to_shipping)
            for each in message.tax_rates
        ),
        shipping_rates=tuple(_rate(each, f"shipping_rates[{n}]") for n, each in enumerate(message.shipping_rates)),
        capture=Capture(
            pb.CaptureMode.Name(message.capture or pb.CAPTURE_MODE_WHEN_PLACED).removeprefix("CAPTURE_MODE_")
        ),
        hold_s=message.hold_seconds or Settings().hold_s,
    )


def settings_to_proto(settings: Settings) -> pb.SellingSettings:
    message = pb.SellingSettings(
        prices_include_tax=settings.prices_include_tax,
        tax_rates=[
            pb.TaxRate(
                country_code=each.country,
                basis_points=each.basis_points,
                name=each.name,
                applies_to_shipping=each.applies_to_shipping,
            )
            for each in settings.tax_rates
        ],
        shipping_rates=[_rate_to_proto(each) for each in settings.shipping_rates],
        capture=f"CAPTURE_MODE_{settings.capture}",
        hold_seconds=settings.hold_s,
        etag=settings.etag,
    )
    if settings.update_time is not None:
        message.update_time.FromDatetime(settings.update_time)
    return message


def settings_change(tenant_id: str, before: Settings, after: Settings) -> Change:
    return Change(
        "selling_settings", tenant_id, _settings_facts(before) if before.version else {}, _settings_facts(after)
    )


def _settings_facts(settings: Settings) -> dict[str, str]:
    taxes = {
        f"tax_rates[{each.country}]": f"{each.basis_points} {each.name}{', shipping too' * each.applies_to_shipping}"
        for each in settings.tax_rates
    }
    rates = {
        f"shipping_rates[{each.id}]": f"{each.name} ({each.currency} {','.join(each.countries) or 'everywhere'}): "
        + ", ".join(f"{row.from_minor}: {row.price_minor}" for row in each.rows)
        for each in settings.shipping_rates
    }
    return {
        "prices_include_tax": str(settings.prices_include_tax).lower(),
        "capture": settings.capture.value,
        "hold_seconds": str(settings.hold_s),
        **taxes,
        **rates,
    }


def _rate(message: pb.ShippingRate, field: str) -> ShippingRate:
    rows = []
    for n, row in enumerate(message.rows):
        path = f"{field}.rows[{n}]"
        # `from` is a word of Python's.
        start = getattr(row, "from")
        from_minor = _minor(start, message.currency_code, f"{path}.from") if row.HasField("from") else 0
        rows.append(ShippingRow(from_minor, _minor(row.price, message.currency_code, f"{path}.price")))
    return ShippingRate(message.id, message.name, message.currency_code, tuple(rows), tuple(message.country_codes))


def _minor(message: money_pb2.Money, currency: str, field: str) -> int:
    amount = money.from_proto(message, field)
    if amount.currency != currency:
        why = f"in {amount.currency}, and the rate is in {currency}"
        raise InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
    return amount.amount_minor


def _rate_to_proto(rate: ShippingRate) -> pb.ShippingRate:
    def of(minor: int) -> money_pb2.Money:
        return money.to_proto(Money(rate.currency, minor))

    return pb.ShippingRate(
        id=rate.id,
        name=rate.name,
        country_codes=rate.countries,
        currency_code=rate.currency,
        rows=[pb.ShippingRow(**{"from": of(row.from_minor), "price": of(row.price_minor)}) for row in rate.rows],
    )
