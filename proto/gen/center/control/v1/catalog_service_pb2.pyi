from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import solution_service_pb2 as _solution_service_pb2
from center.control.v1 import tenant_pb2 as _tenant_pb2
from center.shared.v1 import events_pb2 as _events_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCH_PHASE_UNSPECIFIED: _ClassVar[WatchPhase]
    WATCH_PHASE_SNAPSHOT: _ClassVar[WatchPhase]
    WATCH_PHASE_SNAPSHOT_END: _ClassVar[WatchPhase]
    WATCH_PHASE_CHANGES: _ClassVar[WatchPhase]
WATCH_PHASE_UNSPECIFIED: WatchPhase
WATCH_PHASE_SNAPSHOT: WatchPhase
WATCH_PHASE_SNAPSHOT_END: WatchPhase
WATCH_PHASE_CHANGES: WatchPhase

class WatchRequest(_message.Message):
    __slots__ = ("start", "report")
    START_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    start: WatchStart
    report: WatchReport
    def __init__(self, start: _Optional[_Union[WatchStart, _Mapping]] = ..., report: _Optional[_Union[WatchReport, _Mapping]] = ...) -> None: ...

class WatchStart(_message.Message):
    __slots__ = ("instance", "from_revision", "cluster_id")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    instance: str
    from_revision: int
    cluster_id: str
    def __init__(self, instance: _Optional[str] = ..., from_revision: _Optional[int] = ..., cluster_id: _Optional[str] = ...) -> None: ...

class WatchReport(_message.Message):
    __slots__ = ("applied_revision", "refusals")
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    applied_revision: int
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    def __init__(self, applied_revision: _Optional[int] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("resource_id", "reason")
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    resource_id: str
    reason: str
    def __init__(self, resource_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("phase", "entries", "revision")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    phase: WatchPhase
    entries: _containers.RepeatedCompositeFieldContainer[CatalogEntry]
    revision: int
    def __init__(self, phase: _Optional[_Union[WatchPhase, str]] = ..., entries: _Optional[_Iterable[_Union[CatalogEntry, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class CatalogEntry(_message.Message):
    __slots__ = ("revision", "tenant", "cluster", "removed_tenant_id", "removed_cluster_id", "solution", "removed_solution_id", "access", "features")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REMOVED_TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REMOVED_CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    REMOVED_SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: CatalogTenant
    cluster: CatalogCluster
    removed_tenant_id: str
    removed_cluster_id: str
    solution: _solution_service_pb2.Solution
    removed_solution_id: str
    access: CatalogAccess
    features: CatalogFeatures
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[CatalogTenant, _Mapping]] = ..., cluster: _Optional[_Union[CatalogCluster, _Mapping]] = ..., removed_tenant_id: _Optional[str] = ..., removed_cluster_id: _Optional[str] = ..., solution: _Optional[_Union[_solution_service_pb2.Solution, _Mapping]] = ..., removed_solution_id: _Optional[str] = ..., access: _Optional[_Union[CatalogAccess, _Mapping]] = ..., features: _Optional[_Union[CatalogFeatures, _Mapping]] = ...) -> None: ...

class CatalogAccess(_message.Message):
    __slots__ = ("solution_id", "entitlement_id", "token_kid")
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KID_FIELD_NUMBER: _ClassVar[int]
    solution_id: str
    entitlement_id: str
    token_kid: str
    def __init__(self, solution_id: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., token_kid: _Optional[str] = ...) -> None: ...

class CatalogFeatures(_message.Message):
    __slots__ = ("feature_id", "plan_id", "add_on_id", "tenant_id")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    ADD_ON_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    plan_id: str
    add_on_id: str
    tenant_id: str
    def __init__(self, feature_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., add_on_id: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class CatalogTenant(_message.Message):
    __slots__ = ("id", "code", "display_name", "state", "mode", "plan_id", "placement", "domains", "primary_domain", "config", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: str
    display_name: str
    state: _tenant_pb2.TenantState
    mode: _tenant_pb2.TenantMode
    plan_id: str
    placement: _tenant_pb2.Placement
    domains: _containers.RepeatedCompositeFieldContainer[CatalogDomain]
    primary_domain: str
    config: _tenant_pb2.TenantConfig
    revision: int
    def __init__(self, id: _Optional[str] = ..., code: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[_tenant_pb2.TenantState, str]] = ..., mode: _Optional[_Union[_tenant_pb2.TenantMode, str]] = ..., plan_id: _Optional[str] = ..., placement: _Optional[_Union[_tenant_pb2.Placement, _Mapping]] = ..., domains: _Optional[_Iterable[_Union[CatalogDomain, _Mapping]]] = ..., primary_domain: _Optional[str] = ..., config: _Optional[_Union[_tenant_pb2.TenantConfig, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class CatalogDomain(_message.Message):
    __slots__ = ("name", "number")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class CatalogCluster(_message.Message):
    __slots__ = ("id", "region_id", "endpoints", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    region_id: str
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    revision: int
    def __init__(self, id: _Optional[str] = ..., region_id: _Optional[str] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("host", "port")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    host: str
    port: int
    def __init__(self, host: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...
