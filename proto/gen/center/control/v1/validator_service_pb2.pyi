import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import access_service_pb2 as _access_service_pb2
from center.control.v1 import solution_service_pb2 as _solution_service_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchAccessRequest(_message.Message):
    __slots__ = ("start", "report")
    START_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    start: WatchAccessStart
    report: WatchAccessReport
    def __init__(self, start: _Optional[_Union[WatchAccessStart, _Mapping]] = ..., report: _Optional[_Union[WatchAccessReport, _Mapping]] = ...) -> None: ...

class WatchAccessStart(_message.Message):
    __slots__ = ("instance", "solution_ids", "from_revision")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_IDS_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    instance: str
    solution_ids: _containers.RepeatedScalarFieldContainer[str]
    from_revision: int
    def __init__(self, instance: _Optional[str] = ..., solution_ids: _Optional[_Iterable[str]] = ..., from_revision: _Optional[int] = ...) -> None: ...

class WatchAccessReport(_message.Message):
    __slots__ = ("applied_revision",)
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    applied_revision: int
    def __init__(self, applied_revision: _Optional[int] = ...) -> None: ...

class WatchAccessResponse(_message.Message):
    __slots__ = ("revision", "time", "reset", "solutions", "removed_solution_ids", "tokens", "entitlements", "recalled_lease_ids", "send_time")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    SOLUTIONS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_SOLUTION_IDS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    RECALLED_LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    revision: int
    time: _timestamp_pb2.Timestamp
    reset: bool
    solutions: _containers.RepeatedCompositeFieldContainer[_solution_service_pb2.Solution]
    removed_solution_ids: _containers.RepeatedScalarFieldContainer[str]
    tokens: _containers.RepeatedCompositeFieldContainer[TokenTerms]
    entitlements: _containers.RepeatedCompositeFieldContainer[EntitlementTerms]
    recalled_lease_ids: _containers.RepeatedScalarFieldContainer[str]
    send_time: _timestamp_pb2.Timestamp
    def __init__(self, revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reset: _Optional[bool] = ..., solutions: _Optional[_Iterable[_Union[_solution_service_pb2.Solution, _Mapping]]] = ..., removed_solution_ids: _Optional[_Iterable[str]] = ..., tokens: _Optional[_Iterable[_Union[TokenTerms, _Mapping]]] = ..., entitlements: _Optional[_Iterable[_Union[EntitlementTerms, _Mapping]]] = ..., recalled_lease_ids: _Optional[_Iterable[str]] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TokenTerms(_message.Message):
    __slots__ = ("kid", "entitlement_id", "state", "expire_time")
    KID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    kid: str
    entitlement_id: str
    state: _access_service_pb2.TokenState
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, kid: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., state: _Optional[_Union[_access_service_pb2.TokenState, str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EntitlementTerms(_message.Message):
    __slots__ = ("id", "user_id", "user_email", "solution_id", "tier", "status")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    id: str
    user_id: str
    user_email: str
    solution_id: str
    tier: str
    status: _access_service_pb2.EntitlementStatus
    def __init__(self, id: _Optional[str] = ..., user_id: _Optional[str] = ..., user_email: _Optional[str] = ..., solution_id: _Optional[str] = ..., tier: _Optional[str] = ..., status: _Optional[_Union[_access_service_pb2.EntitlementStatus, str]] = ...) -> None: ...

class AdmitTokenRequest(_message.Message):
    __slots__ = ("instance", "solution_id", "token", "anonymous_id", "action", "least_units", "wanted_units")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    LEAST_UNITS_FIELD_NUMBER: _ClassVar[int]
    WANTED_UNITS_FIELD_NUMBER: _ClassVar[int]
    instance: str
    solution_id: str
    token: str
    anonymous_id: str
    action: str
    least_units: int
    wanted_units: int
    def __init__(self, instance: _Optional[str] = ..., solution_id: _Optional[str] = ..., token: _Optional[str] = ..., anonymous_id: _Optional[str] = ..., action: _Optional[str] = ..., least_units: _Optional[int] = ..., wanted_units: _Optional[int] = ...) -> None: ...

class AdmitTokenResponse(_message.Message):
    __slots__ = ("code", "token", "entitlement", "lease", "revision")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    code: _access_service_pb2.DecisionCode
    token: TokenTerms
    entitlement: EntitlementTerms
    lease: Lease
    revision: int
    def __init__(self, code: _Optional[_Union[_access_service_pb2.DecisionCode, str]] = ..., token: _Optional[_Union[TokenTerms, _Mapping]] = ..., entitlement: _Optional[_Union[EntitlementTerms, _Mapping]] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("id", "entitlement_id", "action", "units", "window_start", "window_end", "expire_time", "limit", "taken_units", "outstanding_units")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TAKEN_UNITS_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDING_UNITS_FIELD_NUMBER: _ClassVar[int]
    id: str
    entitlement_id: str
    action: str
    units: int
    window_start: _timestamp_pb2.Timestamp
    window_end: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    limit: int
    taken_units: int
    outstanding_units: int
    def __init__(self, id: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., action: _Optional[str] = ..., units: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ..., taken_units: _Optional[int] = ..., outstanding_units: _Optional[int] = ...) -> None: ...

class SettleLeasesRequest(_message.Message):
    __slots__ = ("instance", "settlements", "runs")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENTS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    instance: str
    settlements: _containers.RepeatedCompositeFieldContainer[Settlement]
    runs: _containers.RepeatedCompositeFieldContainer[DecisionRun]
    def __init__(self, instance: _Optional[str] = ..., settlements: _Optional[_Iterable[_Union[Settlement, _Mapping]]] = ..., runs: _Optional[_Iterable[_Union[DecisionRun, _Mapping]]] = ...) -> None: ...

class Settlement(_message.Message):
    __slots__ = ("lease_id", "wanted_units", "close", "least_units", "renew")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    WANTED_UNITS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    LEAST_UNITS_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    wanted_units: int
    close: bool
    least_units: int
    renew: bool
    def __init__(self, lease_id: _Optional[str] = ..., wanted_units: _Optional[int] = ..., close: _Optional[bool] = ..., least_units: _Optional[int] = ..., renew: _Optional[bool] = ...) -> None: ...

class DecisionRun(_message.Message):
    __slots__ = ("id", "solution_id", "token_kid", "entitlement_id", "user_id", "tier", "action", "code", "cost", "count", "first_time", "last_time", "revision", "lease_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    solution_id: str
    token_kid: str
    entitlement_id: str
    user_id: str
    tier: str
    action: str
    code: _access_service_pb2.DecisionCode
    cost: int
    count: int
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    revision: int
    lease_id: str
    def __init__(self, id: _Optional[str] = ..., solution_id: _Optional[str] = ..., token_kid: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., user_id: _Optional[str] = ..., tier: _Optional[str] = ..., action: _Optional[str] = ..., code: _Optional[_Union[_access_service_pb2.DecisionCode, str]] = ..., cost: _Optional[int] = ..., count: _Optional[int] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., lease_id: _Optional[str] = ...) -> None: ...

class SettleLeasesResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ...) -> None: ...
