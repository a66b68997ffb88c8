import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RouteOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROUTE_OUTCOME_UNSPECIFIED: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_CLUSTER: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_CLUSTER_READ_ONLY: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_PLATFORM: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_SUSPENDED: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_MAINTENANCE: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_GONE: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_UNKNOWN_HOST: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_NO_ENDPOINT: _ClassVar[RouteOutcome]
    ROUTE_OUTCOME_SOLUTION: _ClassVar[RouteOutcome]
ROUTE_OUTCOME_UNSPECIFIED: RouteOutcome
ROUTE_OUTCOME_CLUSTER: RouteOutcome
ROUTE_OUTCOME_CLUSTER_READ_ONLY: RouteOutcome
ROUTE_OUTCOME_PLATFORM: RouteOutcome
ROUTE_OUTCOME_SUSPENDED: RouteOutcome
ROUTE_OUTCOME_MAINTENANCE: RouteOutcome
ROUTE_OUTCOME_GONE: RouteOutcome
ROUTE_OUTCOME_UNKNOWN_HOST: RouteOutcome
ROUTE_OUTCOME_NO_ENDPOINT: RouteOutcome
ROUTE_OUTCOME_SOLUTION: RouteOutcome

class ExplainRouteRequest(_message.Message):
    __slots__ = ("host",)
    HOST_FIELD_NUMBER: _ClassVar[int]
    host: str
    def __init__(self, host: _Optional[str] = ...) -> None: ...

class ExplainRouteResponse(_message.Message):
    __slots__ = ("outcome", "tenant_id", "cluster_id", "revision", "steps", "solution_id")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    outcome: RouteOutcome
    tenant_id: str
    cluster_id: str
    revision: int
    steps: _containers.RepeatedCompositeFieldContainer[RouteStep]
    solution_id: str
    def __init__(self, outcome: _Optional[_Union[RouteOutcome, str]] = ..., tenant_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., revision: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[RouteStep, _Mapping]]] = ..., solution_id: _Optional[str] = ...) -> None: ...

class RouteStep(_message.Message):
    __slots__ = ("subject", "finding", "consequence")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    CONSEQUENCE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    finding: str
    consequence: str
    def __init__(self, subject: _Optional[str] = ..., finding: _Optional[str] = ..., consequence: _Optional[str] = ...) -> None: ...

class ListEdgesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEdgesResponse(_message.Message):
    __slots__ = ("edges",)
    EDGES_FIELD_NUMBER: _ClassVar[int]
    edges: _containers.RepeatedCompositeFieldContainer[Edge]
    def __init__(self, edges: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ...) -> None: ...

class Edge(_message.Message):
    __slots__ = ("id", "address", "version", "connect_time", "applied_revision", "types")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONNECT_TIME_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    id: str
    address: str
    version: str
    connect_time: _timestamp_pb2.Timestamp
    applied_revision: int
    types: _containers.RepeatedCompositeFieldContainer[EdgeType]
    def __init__(self, id: _Optional[str] = ..., address: _Optional[str] = ..., version: _Optional[str] = ..., connect_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., applied_revision: _Optional[int] = ..., types: _Optional[_Iterable[_Union[EdgeType, _Mapping]]] = ...) -> None: ...

class EdgeType(_message.Message):
    __slots__ = ("type", "subscribed", "acknowledged", "pending", "acknowledge_time", "refused")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_TIME_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    type: str
    subscribed: int
    acknowledged: int
    pending: int
    acknowledge_time: _timestamp_pb2.Timestamp
    refused: _containers.RepeatedCompositeFieldContainer[RefusedResource]
    def __init__(self, type: _Optional[str] = ..., subscribed: _Optional[int] = ..., acknowledged: _Optional[int] = ..., pending: _Optional[int] = ..., acknowledge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refused: _Optional[_Iterable[_Union[RefusedResource, _Mapping]]] = ...) -> None: ...

class RefusedResource(_message.Message):
    __slots__ = ("name", "tenant_id", "reason", "time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant_id: str
    reason: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., tenant_id: _Optional[str] = ..., reason: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
