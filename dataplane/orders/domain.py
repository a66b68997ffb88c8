"""What an order is, what may become of it, and how its statuses follow from its payments and fulfillments."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# Values of what a shopper wants of a line beside its variant, by name.
Options = tuple[tuple[str, str], ...]


class State(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"
    PLACED = "PLACED"
    PARTIALLY_FULFILLED = "PARTIALLY_FULFILLED"
    FULFILLED = "FULFILLED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"


class PaymentStatus(StrEnum):
    NONE = "NONE"
    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"


class FulfillmentStatus(StrEnum):
    UNFULFILLED = "UNFULFILLED"
    PARTIALLY_FULFILLED = "PARTIALLY_FULFILLED"
    FULFILLED = "FULFILLED"
    DELIVERED = "DELIVERED"


@dataclass(frozen=True, slots=True)
class Line:
    """Amounts in minor units. discount_minor, tax_minor: the line's parts of the order's."""

    id: str
    variant_id: str
    product_id: str
    sku: str
    product_title: str
    variant_title: str
    options: Options
    quantity: int
    unit_minor: int
    discount_minor: int
    tax_minor: int
    fulfilled: int = 0
    refunded: int = 0

    @property
    def amount_minor(self) -> int:
        return self.unit_minor * self.quantity


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a promotion took off, in minor units."""

    promotion_id: str
    code: str
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Order:
    """Amounts in minor units of the currency. discount_minor: of lines and shipping. email, address: sealed.

    expire_time: while its payment is awaited.
    """

    id: str
    number: int
    currency: str
    subtotal_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    prices_include_tax: bool
    shipping_method: str
    country: str
    email: bytes
    address: bytes
    captures_late: bool
    create_time: datetime
    update_time: datetime
    expire_time: datetime | None
    cart_id: str = ""
    customer_id: str = ""
    external_reference: str = ""
    state: State = State.PENDING_PAYMENT
    payment_status: PaymentStatus = PaymentStatus.NONE
    fulfillment_status: FulfillmentStatus = FulfillmentStatus.UNFULFILLED
    paid_minor: int = 0
    refunded_minor: int = 0
    place_time: datetime | None = None
    version: int = 1
    lines: tuple[Line, ...] = field(default=())
    adjustments: tuple[Adjustment, ...] = field(default=())

    @property
    def etag(self) -> str:
        return str(self.version)

    @property
    def total_minor(self) -> int:
        goods = self.subtotal_minor - self.discount_minor + self.shipping_minor
        return goods if self.prices_include_tax else goods + self.tax_minor
