import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import catalog_service_pb2 as _catalog_service_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.longrunning import operations_proto_pb2 as _operations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_KIND_UNSPECIFIED: _ClassVar[OperationKind]
    OPERATION_KIND_PROVISION: _ClassVar[OperationKind]
    OPERATION_KIND_MOVE: _ClassVar[OperationKind]
    OPERATION_KIND_PURGE: _ClassVar[OperationKind]
    OPERATION_KIND_ERASE: _ClassVar[OperationKind]
    OPERATION_KIND_REWRAP: _ClassVar[OperationKind]
OPERATION_KIND_UNSPECIFIED: OperationKind
OPERATION_KIND_PROVISION: OperationKind
OPERATION_KIND_MOVE: OperationKind
OPERATION_KIND_PURGE: OperationKind
OPERATION_KIND_ERASE: OperationKind
OPERATION_KIND_REWRAP: OperationKind

class GetPlatformStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPlatformStatusResponse(_message.Message):
    __slots__ = ("name", "revision", "time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WaitAppliedRequest(_message.Message):
    __slots__ = ("revision", "timeout")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    timeout: _duration_pb2.Duration
    def __init__(self, revision: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitAppliedResponse(_message.Message):
    __slots__ = ("applied", "revision", "behind")
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    applied: bool
    revision: int
    behind: _containers.RepeatedCompositeFieldContainer[Watcher]
    def __init__(self, applied: _Optional[bool] = ..., revision: _Optional[int] = ..., behind: _Optional[_Iterable[_Union[Watcher, _Mapping]]] = ...) -> None: ...

class ListWatchersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWatchersResponse(_message.Message):
    __slots__ = ("watchers",)
    WATCHERS_FIELD_NUMBER: _ClassVar[int]
    watchers: _containers.RepeatedCompositeFieldContainer[Watcher]
    def __init__(self, watchers: _Optional[_Iterable[_Union[Watcher, _Mapping]]] = ...) -> None: ...

class Watcher(_message.Message):
    __slots__ = ("id", "applied_revision", "live", "seen_time", "refusals")
    ID_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    id: str
    applied_revision: int
    live: bool
    seen_time: _timestamp_pb2.Timestamp
    refusals: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Refusal]
    def __init__(self, id: _Optional[str] = ..., applied_revision: _Optional[int] = ..., live: _Optional[bool] = ..., seen_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refusals: _Optional[_Iterable[_Union[_catalog_service_pb2.Refusal, _Mapping]]] = ...) -> None: ...

class RetryOperationRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ...) -> None: ...

class ResyncTenantRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ResyncTenantResponse(_message.Message):
    __slots__ = ("drift",)
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    drift: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, drift: _Optional[_Iterable[str]] = ...) -> None: ...

class OperationMetadata(_message.Message):
    __slots__ = ("kind", "tenant_id", "step", "steps_done", "steps_total", "attempts", "last_error", "next_attempt_time", "cancel_requested", "create_time", "update_time", "caller", "reason", "source_cluster_id", "target_cluster_id", "write_freeze", "rows_copied", "user_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_DONE_FIELD_NUMBER: _ClassVar[int]
    STEPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    WRITE_FREEZE_FIELD_NUMBER: _ClassVar[int]
    ROWS_COPIED_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    kind: OperationKind
    tenant_id: str
    step: str
    steps_done: int
    steps_total: int
    attempts: int
    last_error: _status_pb2.Status
    next_attempt_time: _timestamp_pb2.Timestamp
    cancel_requested: bool
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    caller: str
    reason: str
    source_cluster_id: str
    target_cluster_id: str
    write_freeze: _duration_pb2.Duration
    rows_copied: int
    user_id: str
    def __init__(self, kind: _Optional[_Union[OperationKind, str]] = ..., tenant_id: _Optional[str] = ..., step: _Optional[str] = ..., steps_done: _Optional[int] = ..., steps_total: _Optional[int] = ..., attempts: _Optional[int] = ..., last_error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caller: _Optional[str] = ..., reason: _Optional[str] = ..., source_cluster_id: _Optional[str] = ..., target_cluster_id: _Optional[str] = ..., write_freeze: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rows_copied: _Optional[int] = ..., user_id: _Optional[str] = ...) -> None: ...
