from center.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QuotaPeriod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTA_PERIOD_UNSPECIFIED: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_HOUR: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_DAY: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_WEEK: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_MONTH: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_STANDING: _ClassVar[QuotaPeriod]

class QuotaEnforcement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTA_ENFORCEMENT_UNSPECIFIED: _ClassVar[QuotaEnforcement]
    QUOTA_ENFORCEMENT_HARD: _ClassVar[QuotaEnforcement]
    QUOTA_ENFORCEMENT_SOFT: _ClassVar[QuotaEnforcement]
QUOTA_PERIOD_UNSPECIFIED: QuotaPeriod
QUOTA_PERIOD_HOUR: QuotaPeriod
QUOTA_PERIOD_DAY: QuotaPeriod
QUOTA_PERIOD_WEEK: QuotaPeriod
QUOTA_PERIOD_MONTH: QuotaPeriod
QUOTA_PERIOD_STANDING: QuotaPeriod
QUOTA_ENFORCEMENT_UNSPECIFIED: QuotaEnforcement
QUOTA_ENFORCEMENT_HARD: QuotaEnforcement
QUOTA_ENFORCEMENT_SOFT: QuotaEnforcement

class Quota(_message.Message):
    __slots__ = ("limit", "unlimited", "period", "enforcement", "rollover_limit")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    UNLIMITED_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    ROLLOVER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    unlimited: Unlimited
    period: QuotaPeriod
    enforcement: QuotaEnforcement
    rollover_limit: int
    def __init__(self, limit: _Optional[int] = ..., unlimited: _Optional[_Union[Unlimited, _Mapping]] = ..., period: _Optional[_Union[QuotaPeriod, str]] = ..., enforcement: _Optional[_Union[QuotaEnforcement, str]] = ..., rollover_limit: _Optional[int] = ...) -> None: ...

class Unlimited(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("per_second", "burst")
    PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    per_second: float
    burst: int
    def __init__(self, per_second: _Optional[float] = ..., burst: _Optional[int] = ...) -> None: ...
