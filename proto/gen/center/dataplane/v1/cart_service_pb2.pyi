import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
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

class CartState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CART_STATE_UNSPECIFIED: _ClassVar[CartState]
    CART_STATE_OPEN: _ClassVar[CartState]
    CART_STATE_COMPLETED: _ClassVar[CartState]
    CART_STATE_MERGED: _ClassVar[CartState]

class LineStock(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINE_STOCK_UNSPECIFIED: _ClassVar[LineStock]
    LINE_STOCK_ENOUGH: _ClassVar[LineStock]
    LINE_STOCK_BACKORDER: _ClassVar[LineStock]
    LINE_STOCK_TOO_FEW: _ClassVar[LineStock]
    LINE_STOCK_SOLD_OUT: _ClassVar[LineStock]

class Unavailable(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNAVAILABLE_UNSPECIFIED: _ClassVar[Unavailable]
    UNAVAILABLE_VARIANT_GONE: _ClassVar[Unavailable]
    UNAVAILABLE_PRODUCT_DRAFT: _ClassVar[Unavailable]
    UNAVAILABLE_PRODUCT_ARCHIVED: _ClassVar[Unavailable]
    UNAVAILABLE_CURRENCY_MISMATCH: _ClassVar[Unavailable]
    UNAVAILABLE_AMOUNT_TOO_LARGE: _ClassVar[Unavailable]
CART_STATE_UNSPECIFIED: CartState
CART_STATE_OPEN: CartState
CART_STATE_COMPLETED: CartState
CART_STATE_MERGED: CartState
LINE_STOCK_UNSPECIFIED: LineStock
LINE_STOCK_ENOUGH: LineStock
LINE_STOCK_BACKORDER: LineStock
LINE_STOCK_TOO_FEW: LineStock
LINE_STOCK_SOLD_OUT: LineStock
UNAVAILABLE_UNSPECIFIED: Unavailable
UNAVAILABLE_VARIANT_GONE: Unavailable
UNAVAILABLE_PRODUCT_DRAFT: Unavailable
UNAVAILABLE_PRODUCT_ARCHIVED: Unavailable
UNAVAILABLE_CURRENCY_MISMATCH: Unavailable
UNAVAILABLE_AMOUNT_TOO_LARGE: Unavailable

class Cart(_message.Message):
    __slots__ = ("id", "state", "currency_code", "lines", "codes", "adjustments", "subtotal", "discount", "total", "explanation", "email", "address", "line_count", "etag", "create_time", "update_time", "complete_time", "order_id", "merged_into", "customer_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    SUBTOTAL_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_TIME_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    MERGED_INTO_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: CartState
    currency_code: str
    lines: _containers.RepeatedCompositeFieldContainer[CartLine]
    codes: _containers.RepeatedCompositeFieldContainer[CartCode]
    adjustments: _containers.RepeatedCompositeFieldContainer[Adjustment]
    subtotal: _money_pb2.Money
    discount: _money_pb2.Money
    total: _money_pb2.Money
    explanation: CartExplanation
    email: str
    address: Address
    line_count: int
    etag: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    complete_time: _timestamp_pb2.Timestamp
    order_id: str
    merged_into: str
    customer_id: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[CartState, str]] = ..., currency_code: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[CartLine, _Mapping]]] = ..., codes: _Optional[_Iterable[_Union[CartCode, _Mapping]]] = ..., adjustments: _Optional[_Iterable[_Union[Adjustment, _Mapping]]] = ..., subtotal: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., discount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., explanation: _Optional[_Union[CartExplanation, _Mapping]] = ..., email: _Optional[str] = ..., address: _Optional[_Union[Address, _Mapping]] = ..., line_count: _Optional[int] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., complete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_id: _Optional[str] = ..., merged_into: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class CartLine(_message.Message):
    __slots__ = ("id", "variant_id", "quantity", "options", "product_id", "product_title", "variant_title", "sku", "unit_price", "amount", "unavailable", "explanation", "stock", "available_quantity")
    ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_TITLE_FIELD_NUMBER: _ClassVar[int]
    VARIANT_TITLE_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    variant_id: str
    quantity: int
    options: _containers.RepeatedCompositeFieldContainer[LineOption]
    product_id: str
    product_title: str
    variant_title: str
    sku: str
    unit_price: _money_pb2.Money
    amount: _money_pb2.Money
    unavailable: Unavailable
    explanation: str
    stock: LineStock
    available_quantity: int
    def __init__(self, id: _Optional[str] = ..., variant_id: _Optional[str] = ..., quantity: _Optional[int] = ..., options: _Optional[_Iterable[_Union[LineOption, _Mapping]]] = ..., product_id: _Optional[str] = ..., product_title: _Optional[str] = ..., variant_title: _Optional[str] = ..., sku: _Optional[str] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., unavailable: _Optional[_Union[Unavailable, str]] = ..., explanation: _Optional[str] = ..., stock: _Optional[_Union[LineStock, str]] = ..., available_quantity: _Optional[int] = ...) -> None: ...

class LineOption(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class CartCode(_message.Message):
    __slots__ = ("code", "entered", "explanation")
    CODE_FIELD_NUMBER: _ClassVar[int]
    ENTERED_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    code: str
    entered: str
    explanation: str
    def __init__(self, code: _Optional[str] = ..., entered: _Optional[str] = ..., explanation: _Optional[str] = ...) -> None: ...

class Adjustment(_message.Message):
    __slots__ = ("promotion_id", "code", "amount", "explanation")
    PROMOTION_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    promotion_id: str
    code: str
    amount: _money_pb2.Money
    explanation: str
    def __init__(self, promotion_id: _Optional[str] = ..., code: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., explanation: _Optional[str] = ...) -> None: ...

class CartExplanation(_message.Message):
    __slots__ = ("subtotal", "discount", "total")
    SUBTOTAL_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    subtotal: str
    discount: str
    total: str
    def __init__(self, subtotal: _Optional[str] = ..., discount: _Optional[str] = ..., total: _Optional[str] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("name", "lines", "postal_code", "city", "country_code")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    POSTAL_CODE_FIELD_NUMBER: _ClassVar[int]
    CITY_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    lines: _containers.RepeatedScalarFieldContainer[str]
    postal_code: str
    city: str
    country_code: str
    def __init__(self, name: _Optional[str] = ..., lines: _Optional[_Iterable[str]] = ..., postal_code: _Optional[str] = ..., city: _Optional[str] = ..., country_code: _Optional[str] = ...) -> None: ...

class CartChanged(_message.Message):
    __slots__ = ("id", "state", "currency_code", "lines", "codes", "has_email", "has_address", "version", "merged_into", "create_time", "update_time", "customer_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    HAS_EMAIL_FIELD_NUMBER: _ClassVar[int]
    HAS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MERGED_INTO_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: CartState
    currency_code: str
    lines: _containers.RepeatedCompositeFieldContainer[CartChangedLine]
    codes: int
    has_email: bool
    has_address: bool
    version: int
    merged_into: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    customer_id: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[CartState, str]] = ..., currency_code: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[CartChangedLine, _Mapping]]] = ..., codes: _Optional[int] = ..., has_email: _Optional[bool] = ..., has_address: _Optional[bool] = ..., version: _Optional[int] = ..., merged_into: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., customer_id: _Optional[str] = ...) -> None: ...

class CartChangedLine(_message.Message):
    __slots__ = ("id", "variant_id", "quantity")
    ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    variant_id: str
    quantity: int
    def __init__(self, id: _Optional[str] = ..., variant_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class CreateCartRequest(_message.Message):
    __slots__ = ("currency_code", "request_id")
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    currency_code: str
    request_id: str
    def __init__(self, currency_code: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateCartResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class GetCartRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetCartResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class ListCartsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListCartsResponse(_message.Message):
    __slots__ = ("carts", "next_page_token")
    CARTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    carts: _containers.RepeatedCompositeFieldContainer[Cart]
    next_page_token: str
    def __init__(self, carts: _Optional[_Iterable[_Union[Cart, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AddLineRequest(_message.Message):
    __slots__ = ("cart_id", "variant_id", "quantity", "options", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    variant_id: str
    quantity: int
    options: _containers.RepeatedCompositeFieldContainer[LineOption]
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., quantity: _Optional[int] = ..., options: _Optional[_Iterable[_Union[LineOption, _Mapping]]] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AddLineResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class SetQuantityRequest(_message.Message):
    __slots__ = ("cart_id", "line_id", "quantity", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    line_id: str
    quantity: int
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., line_id: _Optional[str] = ..., quantity: _Optional[int] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetQuantityResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class RemoveLineRequest(_message.Message):
    __slots__ = ("cart_id", "line_id", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    line_id: str
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., line_id: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveLineResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class SetAddressRequest(_message.Message):
    __slots__ = ("cart_id", "address", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    address: Address
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., address: _Optional[_Union[Address, _Mapping]] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetAddressResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class SetEmailRequest(_message.Message):
    __slots__ = ("cart_id", "email", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    email: str
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., email: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetEmailResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class ApplyCodeRequest(_message.Message):
    __slots__ = ("cart_id", "code", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    code: str
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., code: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ApplyCodeResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class RemoveCodeRequest(_message.Message):
    __slots__ = ("cart_id", "code", "etag", "request_id")
    CART_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cart_id: str
    code: str
    etag: str
    request_id: str
    def __init__(self, cart_id: _Optional[str] = ..., code: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveCodeResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class MergeCartsRequest(_message.Message):
    __slots__ = ("from_cart_id", "into_cart_id", "request_id")
    FROM_CART_ID_FIELD_NUMBER: _ClassVar[int]
    INTO_CART_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    from_cart_id: str
    into_cart_id: str
    request_id: str
    def __init__(self, from_cart_id: _Optional[str] = ..., into_cart_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class MergeCartsResponse(_message.Message):
    __slots__ = ("cart",)
    CART_FIELD_NUMBER: _ClassVar[int]
    cart: Cart
    def __init__(self, cart: _Optional[_Union[Cart, _Mapping]] = ...) -> None: ...

class DeleteCartRequest(_message.Message):
    __slots__ = ("id", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteCartResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
