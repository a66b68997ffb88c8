import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import events_pb2 as _events_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PaymentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_STATE_UNSPECIFIED: _ClassVar[PaymentState]
    PAYMENT_STATE_PENDING: _ClassVar[PaymentState]
    PAYMENT_STATE_REQUIRES_ACTION: _ClassVar[PaymentState]
    PAYMENT_STATE_AUTHORIZED: _ClassVar[PaymentState]
    PAYMENT_STATE_CAPTURED: _ClassVar[PaymentState]
    PAYMENT_STATE_PARTIALLY_REFUNDED: _ClassVar[PaymentState]
    PAYMENT_STATE_REFUNDED: _ClassVar[PaymentState]
    PAYMENT_STATE_VOIDED: _ClassVar[PaymentState]
    PAYMENT_STATE_FAILED: _ClassVar[PaymentState]

class PaymentOperationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_OPERATION_KIND_UNSPECIFIED: _ClassVar[PaymentOperationKind]
    PAYMENT_OPERATION_KIND_AUTHORIZE: _ClassVar[PaymentOperationKind]
    PAYMENT_OPERATION_KIND_CAPTURE: _ClassVar[PaymentOperationKind]
    PAYMENT_OPERATION_KIND_REFUND: _ClassVar[PaymentOperationKind]
    PAYMENT_OPERATION_KIND_VOID: _ClassVar[PaymentOperationKind]

class PaymentOperationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_OPERATION_STATE_UNSPECIFIED: _ClassVar[PaymentOperationState]
    PAYMENT_OPERATION_STATE_PENDING: _ClassVar[PaymentOperationState]
    PAYMENT_OPERATION_STATE_SUCCEEDED: _ClassVar[PaymentOperationState]
    PAYMENT_OPERATION_STATE_FAILED: _ClassVar[PaymentOperationState]
    PAYMENT_OPERATION_STATE_UNKNOWN: _ClassVar[PaymentOperationState]
PAYMENT_STATE_UNSPECIFIED: PaymentState
PAYMENT_STATE_PENDING: PaymentState
PAYMENT_STATE_REQUIRES_ACTION: PaymentState
PAYMENT_STATE_AUTHORIZED: PaymentState
PAYMENT_STATE_CAPTURED: PaymentState
PAYMENT_STATE_PARTIALLY_REFUNDED: PaymentState
PAYMENT_STATE_REFUNDED: PaymentState
PAYMENT_STATE_VOIDED: PaymentState
PAYMENT_STATE_FAILED: PaymentState
PAYMENT_OPERATION_KIND_UNSPECIFIED: PaymentOperationKind
PAYMENT_OPERATION_KIND_AUTHORIZE: PaymentOperationKind
PAYMENT_OPERATION_KIND_CAPTURE: PaymentOperationKind
PAYMENT_OPERATION_KIND_REFUND: PaymentOperationKind
PAYMENT_OPERATION_KIND_VOID: PaymentOperationKind
PAYMENT_OPERATION_STATE_UNSPECIFIED: PaymentOperationState
PAYMENT_OPERATION_STATE_PENDING: PaymentOperationState
PAYMENT_OPERATION_STATE_SUCCEEDED: PaymentOperationState
PAYMENT_OPERATION_STATE_FAILED: PaymentOperationState
PAYMENT_OPERATION_STATE_UNKNOWN: PaymentOperationState

class Payment(_message.Message):
    __slots__ = ("id", "reference", "state", "amount", "authorized", "captured", "refunded", "provider", "provider_payment_id", "action_url", "failure_reason", "operations", "create_time", "update_time", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZED_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_URL_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    reference: str
    state: PaymentState
    amount: _money_pb2.Money
    authorized: _money_pb2.Money
    captured: _money_pb2.Money
    refunded: _money_pb2.Money
    provider: str
    provider_payment_id: str
    action_url: str
    failure_reason: str
    operations: _containers.RepeatedCompositeFieldContainer[PaymentOperation]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, id: _Optional[str] = ..., reference: _Optional[str] = ..., state: _Optional[_Union[PaymentState, str]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., authorized: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., captured: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., refunded: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., provider: _Optional[str] = ..., provider_payment_id: _Optional[str] = ..., action_url: _Optional[str] = ..., failure_reason: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[PaymentOperation, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class PaymentOperation(_message.Message):
    __slots__ = ("id", "kind", "state", "amount", "failure_reason", "provider_reference", "attempts", "create_time", "update_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: PaymentOperationKind
    state: PaymentOperationState
    amount: _money_pb2.Money
    failure_reason: str
    provider_reference: str
    attempts: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[PaymentOperationKind, str]] = ..., state: _Optional[_Union[PaymentOperationState, str]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., failure_reason: _Optional[str] = ..., provider_reference: _Optional[str] = ..., attempts: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PaymentSettings(_message.Message):
    __slots__ = ("provider", "api_base", "has_secret_key", "has_webhook_secret", "update_time", "etag")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    API_BASE_FIELD_NUMBER: _ClassVar[int]
    HAS_SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    HAS_WEBHOOK_SECRET_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    provider: str
    api_base: str
    has_secret_key: bool
    has_webhook_secret: bool
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, provider: _Optional[str] = ..., api_base: _Optional[str] = ..., has_secret_key: _Optional[bool] = ..., has_webhook_secret: _Optional[bool] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class PaymentChanged(_message.Message):
    __slots__ = ("payment", "operation")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    operation: PaymentOperation
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ..., operation: _Optional[_Union[PaymentOperation, _Mapping]] = ...) -> None: ...

class AuthorizeRequest(_message.Message):
    __slots__ = ("amount", "reference", "payment_method", "return_url", "request_id")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    amount: _money_pb2.Money
    reference: str
    payment_method: str
    return_url: str
    request_id: str
    def __init__(self, amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., reference: _Optional[str] = ..., payment_method: _Optional[str] = ..., return_url: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AuthorizeResponse(_message.Message):
    __slots__ = ("payment", "operation")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    operation: PaymentOperation
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ..., operation: _Optional[_Union[PaymentOperation, _Mapping]] = ...) -> None: ...

class CaptureRequest(_message.Message):
    __slots__ = ("payment_id", "amount", "request_id")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    amount: _money_pb2.Money
    request_id: str
    def __init__(self, payment_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CaptureResponse(_message.Message):
    __slots__ = ("payment", "operation")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    operation: PaymentOperation
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ..., operation: _Optional[_Union[PaymentOperation, _Mapping]] = ...) -> None: ...

class RefundRequest(_message.Message):
    __slots__ = ("payment_id", "amount", "reason", "request_id")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    amount: _money_pb2.Money
    reason: str
    request_id: str
    def __init__(self, payment_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RefundResponse(_message.Message):
    __slots__ = ("payment", "operation")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    operation: PaymentOperation
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ..., operation: _Optional[_Union[PaymentOperation, _Mapping]] = ...) -> None: ...

class VoidRequest(_message.Message):
    __slots__ = ("payment_id", "reason", "request_id")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    reason: str
    request_id: str
    def __init__(self, payment_id: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class VoidResponse(_message.Message):
    __slots__ = ("payment", "operation")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    operation: PaymentOperation
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ..., operation: _Optional[_Union[PaymentOperation, _Mapping]] = ...) -> None: ...

class GetPaymentRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetPaymentResponse(_message.Message):
    __slots__ = ("payment",)
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ...) -> None: ...

class ListPaymentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListPaymentsResponse(_message.Message):
    __slots__ = ("payments", "next_page_token")
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    payments: _containers.RepeatedCompositeFieldContainer[Payment]
    next_page_token: str
    def __init__(self, payments: _Optional[_Iterable[_Union[Payment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReportProviderEventRequest(_message.Message):
    __slots__ = ("provider", "body")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    provider: str
    body: _httpbody_pb2.HttpBody
    def __init__(self, provider: _Optional[str] = ..., body: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class ReportProviderEventResponse(_message.Message):
    __slots__ = ("duplicate", "ignored")
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    IGNORED_FIELD_NUMBER: _ClassVar[int]
    duplicate: bool
    ignored: bool
    def __init__(self, duplicate: _Optional[bool] = ..., ignored: _Optional[bool] = ...) -> None: ...

class ReconcileRequest(_message.Message):
    __slots__ = ("payment_id",)
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    def __init__(self, payment_id: _Optional[str] = ...) -> None: ...

class ReconcileResponse(_message.Message):
    __slots__ = ("asked", "still_open")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    STILL_OPEN_FIELD_NUMBER: _ClassVar[int]
    asked: int
    still_open: int
    def __init__(self, asked: _Optional[int] = ..., still_open: _Optional[int] = ...) -> None: ...

class GetPaymentSettingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPaymentSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: PaymentSettings
    def __init__(self, settings: _Optional[_Union[PaymentSettings, _Mapping]] = ...) -> None: ...

class SetPaymentSettingsRequest(_message.Message):
    __slots__ = ("settings", "secret_key", "webhook_secret", "request_id")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_SECRET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    settings: PaymentSettings
    secret_key: str
    webhook_secret: str
    request_id: str
    def __init__(self, settings: _Optional[_Union[PaymentSettings, _Mapping]] = ..., secret_key: _Optional[str] = ..., webhook_secret: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetPaymentSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: PaymentSettings
    def __init__(self, settings: _Optional[_Union[PaymentSettings, _Mapping]] = ...) -> None: ...
