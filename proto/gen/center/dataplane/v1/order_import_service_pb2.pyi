import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ImportOrdersRequest(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[ImportedRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[ImportedRecord, _Mapping]]] = ...) -> None: ...

class ImportedRecord(_message.Message):
    __slots__ = ("order", "returned")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    order: ImportedOrder
    returned: ImportedReturn
    def __init__(self, order: _Optional[_Union[ImportedOrder, _Mapping]] = ..., returned: _Optional[_Union[ImportedReturn, _Mapping]] = ...) -> None: ...

class ImportedOrder(_message.Message):
    __slots__ = ("reference", "customer_id", "place_time", "country_code", "lines", "shipping")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PLACE_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_FIELD_NUMBER: _ClassVar[int]
    reference: str
    customer_id: str
    place_time: _timestamp_pb2.Timestamp
    country_code: str
    lines: _containers.RepeatedCompositeFieldContainer[ImportedLine]
    shipping: _money_pb2.Money
    def __init__(self, reference: _Optional[str] = ..., customer_id: _Optional[str] = ..., place_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., country_code: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ImportedLine, _Mapping]]] = ..., shipping: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class ImportedLine(_message.Message):
    __slots__ = ("sku", "title", "quantity", "unit_price")
    SKU_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    sku: str
    title: str
    quantity: int
    unit_price: _money_pb2.Money
    def __init__(self, sku: _Optional[str] = ..., title: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class ImportedReturn(_message.Message):
    __slots__ = ("reference", "customer_id", "return_time", "country_code", "lines")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    RETURN_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    reference: str
    customer_id: str
    return_time: _timestamp_pb2.Timestamp
    country_code: str
    lines: _containers.RepeatedCompositeFieldContainer[ImportedReturnLine]
    def __init__(self, reference: _Optional[str] = ..., customer_id: _Optional[str] = ..., return_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., country_code: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ImportedReturnLine, _Mapping]]] = ...) -> None: ...

class ImportedReturnLine(_message.Message):
    __slots__ = ("sku", "quantity", "unit_price", "is_money_only")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    IS_MONEY_ONLY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    unit_price: _money_pb2.Money
    is_money_only: bool
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., is_money_only: _Optional[bool] = ...) -> None: ...

class ImportOrdersResponse(_message.Message):
    __slots__ = ("records_done", "orders_created", "orders_known", "returns_created", "returns_known", "errors")
    RECORDS_DONE_FIELD_NUMBER: _ClassVar[int]
    ORDERS_CREATED_FIELD_NUMBER: _ClassVar[int]
    ORDERS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    RETURNS_CREATED_FIELD_NUMBER: _ClassVar[int]
    RETURNS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    records_done: int
    orders_created: int
    orders_known: int
    returns_created: int
    returns_known: int
    errors: _containers.RepeatedCompositeFieldContainer[ImportedRecordError]
    def __init__(self, records_done: _Optional[int] = ..., orders_created: _Optional[int] = ..., orders_known: _Optional[int] = ..., returns_created: _Optional[int] = ..., returns_known: _Optional[int] = ..., errors: _Optional[_Iterable[_Union[ImportedRecordError, _Mapping]]] = ...) -> None: ...

class ImportedRecordError(_message.Message):
    __slots__ = ("record", "reason", "field", "message", "quantity")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    record: int
    reason: str
    field: str
    message: str
    quantity: int
    def __init__(self, record: _Optional[int] = ..., reason: _Optional[str] = ..., field: _Optional[str] = ..., message: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class SumImportedOrdersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SumImportedOrdersResponse(_message.Message):
    __slots__ = ("sums",)
    SUMS_FIELD_NUMBER: _ClassVar[int]
    sums: _containers.RepeatedCompositeFieldContainer[ImportedSum]
    def __init__(self, sums: _Optional[_Iterable[_Union[ImportedSum, _Mapping]]] = ...) -> None: ...

class ImportedSum(_message.Message):
    __slots__ = ("day", "country_code", "orders", "total", "refunded")
    DAY_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    day: str
    country_code: str
    orders: int
    total: _money_pb2.Money
    refunded: _money_pb2.Money
    def __init__(self, day: _Optional[str] = ..., country_code: _Optional[str] = ..., orders: _Optional[int] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., refunded: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...
