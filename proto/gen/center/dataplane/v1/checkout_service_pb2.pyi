import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.dataplane.v1 import order_service_pb2 as _order_service_pb2
from center.shared.v1 import events_pb2 as _events_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckoutState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECKOUT_STATE_UNSPECIFIED: _ClassVar[CheckoutState]
    CHECKOUT_STATE_STARTED: _ClassVar[CheckoutState]
    CHECKOUT_STATE_PAYMENT_FAILED: _ClassVar[CheckoutState]
    CHECKOUT_STATE_PAYMENT_OPEN: _ClassVar[CheckoutState]
    CHECKOUT_STATE_COMPLETED: _ClassVar[CheckoutState]
    CHECKOUT_STATE_ENDED: _ClassVar[CheckoutState]

class Requirement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REQUIREMENT_UNSPECIFIED: _ClassVar[Requirement]
    REQUIREMENT_LINES: _ClassVar[Requirement]
    REQUIREMENT_AVAILABLE_LINES: _ClassVar[Requirement]
    REQUIREMENT_EMAIL: _ClassVar[Requirement]
    REQUIREMENT_ADDRESS: _ClassVar[Requirement]
    REQUIREMENT_SHIPPING_METHOD: _ClassVar[Requirement]
    REQUIREMENT_TOTAL: _ClassVar[Requirement]

class CaptureMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPTURE_MODE_UNSPECIFIED: _ClassVar[CaptureMode]
    CAPTURE_MODE_WHEN_PLACED: _ClassVar[CaptureMode]
    CAPTURE_MODE_WHEN_FULFILLED: _ClassVar[CaptureMode]
CHECKOUT_STATE_UNSPECIFIED: CheckoutState
CHECKOUT_STATE_STARTED: CheckoutState
CHECKOUT_STATE_PAYMENT_FAILED: CheckoutState
CHECKOUT_STATE_PAYMENT_OPEN: CheckoutState
CHECKOUT_STATE_COMPLETED: CheckoutState
CHECKOUT_STATE_ENDED: CheckoutState
REQUIREMENT_UNSPECIFIED: Requirement
REQUIREMENT_LINES: Requirement
REQUIREMENT_AVAILABLE_LINES: Requirement
REQUIREMENT_EMAIL: Requirement
REQUIREMENT_ADDRESS: Requirement
REQUIREMENT_SHIPPING_METHOD: Requirement
REQUIREMENT_TOTAL: Requirement
CAPTURE_MODE_UNSPECIFIED: CaptureMode
CAPTURE_MODE_WHEN_PLACED: CaptureMode
CAPTURE_MODE_WHEN_FULFILLED: CaptureMode

class Checkout(_message.Message):
    __slots__ = ("cart_id", "state", "shipping_method", "subtotal", "discount", "shipping", "tax", "prices_include_tax", "total", "explanation", "expire_time", "order_id", "order_number", "order_state", "action_url", "failure_reason")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_METHOD_FIELD_NUMBER: _ClassVar[int]
    SUBTOTAL_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_FIELD_NUMBER: _ClassVar[int]
    TAX_FIELD_NUMBER: _ClassVar[int]
    PRICES_INCLUDE_TAX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ORDER_STATE_FIELD_NUMBER: _ClassVar[int]
    ACTION_URL_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    state: CheckoutState
    shipping_method: ShippingMethod
    subtotal: _money_pb2.Money
    discount: _money_pb2.Money
    shipping: _money_pb2.Money
    tax: _money_pb2.Money
    prices_include_tax: bool
    total: _money_pb2.Money
    explanation: _containers.RepeatedScalarFieldContainer[str]
    expire_time: _timestamp_pb2.Timestamp
    order_id: str
    order_number: str
    order_state: _order_service_pb2.OrderState
    action_url: str
    failure_reason: str
    def __init__(self, cart_id: _Optional[str] = ..., state: _Optional[_Union[CheckoutState, str]] = ..., shipping_method: _Optional[_Union[ShippingMethod, _Mapping]] = ..., subtotal: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., discount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., shipping: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., tax: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., prices_include_tax: _Optional[bool] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., explanation: _Optional[_Iterable[str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_id: _Optional[str] = ..., order_number: _Optional[str] = ..., order_state: _Optional[_Union[_order_service_pb2.OrderState, str]] = ..., action_url: _Optional[str] = ..., failure_reason: _Optional[str] = ...) -> None: ...

class CheckoutStarted(_message.Message):
    __slots__ = ("cart_id", "cart_version", "customer_id", "shipping_method", "total", "expire_time")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    CART_VERSION_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_METHOD_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    cart_version: int
    customer_id: str
    shipping_method: str
    total: _money_pb2.Money
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, cart_id: _Optional[str] = ..., cart_version: _Optional[int] = ..., customer_id: _Optional[str] = ..., shipping_method: _Optional[str] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ShippingMethod(_message.Message):
    __slots__ = ("id", "name", "price", "explanation")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    price: _money_pb2.Money
    explanation: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., explanation: _Optional[str] = ...) -> None: ...

class SellingSettings(_message.Message):
    __slots__ = ("prices_include_tax", "tax_rates", "shipping_rates", "capture", "hold_seconds", "update_time", "etag")
    PRICES_INCLUDE_TAX_FIELD_NUMBER: _ClassVar[int]
    TAX_RATES_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_RATES_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_FIELD_NUMBER: _ClassVar[int]
    HOLD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    prices_include_tax: bool
    tax_rates: _containers.RepeatedCompositeFieldContainer[TaxRate]
    shipping_rates: _containers.RepeatedCompositeFieldContainer[ShippingRate]
    capture: CaptureMode
    hold_seconds: int
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, prices_include_tax: _Optional[bool] = ..., tax_rates: _Optional[_Iterable[_Union[TaxRate, _Mapping]]] = ..., shipping_rates: _Optional[_Iterable[_Union[ShippingRate, _Mapping]]] = ..., capture: _Optional[_Union[CaptureMode, str]] = ..., hold_seconds: _Optional[int] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class TaxRate(_message.Message):
    __slots__ = ("country_code", "basis_points", "name", "applies_to_shipping")
    COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    BASIS_POINTS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    APPLIES_TO_SHIPPING_FIELD_NUMBER: _ClassVar[int]
    country_code: str
    basis_points: int
    name: str
    applies_to_shipping: bool
    def __init__(self, country_code: _Optional[str] = ..., basis_points: _Optional[int] = ..., name: _Optional[str] = ..., applies_to_shipping: _Optional[bool] = ...) -> None: ...

class ShippingRate(_message.Message):
    __slots__ = ("id", "name", "country_codes", "currency_code", "rows")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_CODES_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    country_codes: _containers.RepeatedScalarFieldContainer[str]
    currency_code: str
    rows: _containers.RepeatedCompositeFieldContainer[ShippingRow]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., country_codes: _Optional[_Iterable[str]] = ..., currency_code: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[ShippingRow, _Mapping]]] = ...) -> None: ...

class ShippingRow(_message.Message):
    __slots__ = ("price",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    price: _money_pb2.Money
    def __init__(self, price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., **kwargs) -> None: ...

class GetRequirementsRequest(_message.Message):
    __slots__ = ("cart_id",)
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    def __init__(self, cart_id: _Optional[str] = ...) -> None: ...

class GetRequirementsResponse(_message.Message):
    __slots__ = ("missing", "shipping_methods")
    MISSING_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_METHODS_FIELD_NUMBER: _ClassVar[int]
    missing: _containers.RepeatedScalarFieldContainer[Requirement]
    shipping_methods: _containers.RepeatedCompositeFieldContainer[ShippingMethod]
    def __init__(self, missing: _Optional[_Iterable[_Union[Requirement, str]]] = ..., shipping_methods: _Optional[_Iterable[_Union[ShippingMethod, _Mapping]]] = ...) -> None: ...

class StartCheckoutRequest(_message.Message):
    __slots__ = ("cart_id", "shipping_method", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    shipping_method: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., shipping_method: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class StartCheckoutResponse(_message.Message):
    __slots__ = ("checkout",)
    CHECKOUT_FIELD_NUMBER: _ClassVar[int]
    checkout: Checkout
    def __init__(self, checkout: _Optional[_Union[Checkout, _Mapping]] = ...) -> None: ...

class GetCheckoutRequest(_message.Message):
    __slots__ = ("cart_id",)
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    def __init__(self, cart_id: _Optional[str] = ...) -> None: ...

class GetCheckoutResponse(_message.Message):
    __slots__ = ("checkout",)
    CHECKOUT_FIELD_NUMBER: _ClassVar[int]
    checkout: Checkout
    def __init__(self, checkout: _Optional[_Union[Checkout, _Mapping]] = ...) -> None: ...

class CompleteCheckoutRequest(_message.Message):
    __slots__ = ("cart_id", "payment_method", "expected_total", "return_url", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    payment_method: str
    expected_total: _money_pb2.Money
    return_url: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., payment_method: _Optional[str] = ..., expected_total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., return_url: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CompleteCheckoutResponse(_message.Message):
    __slots__ = ("checkout",)
    CHECKOUT_FIELD_NUMBER: _ClassVar[int]
    checkout: Checkout
    def __init__(self, checkout: _Optional[_Union[Checkout, _Mapping]] = ...) -> None: ...

class AbandonCheckoutRequest(_message.Message):
    __slots__ = ("cart_id", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AbandonCheckoutResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSellingSettingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSellingSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: SellingSettings
    def __init__(self, settings: _Optional[_Union[SellingSettings, _Mapping]] = ...) -> None: ...

class SetSellingSettingsRequest(_message.Message):
    __slots__ = ("settings", "request_id")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    settings: SellingSettings
    request_id: str
    def __init__(self, settings: _Optional[_Union[SellingSettings, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetSellingSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: SellingSettings
    def __init__(self, settings: _Optional[_Union[SellingSettings, _Mapping]] = ...) -> None: ...
