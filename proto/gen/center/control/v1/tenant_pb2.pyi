import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TenantState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENANT_STATE_UNSPECIFIED: _ClassVar[TenantState]
    TENANT_STATE_DRAFT: _ClassVar[TenantState]
    TENANT_STATE_PROVISIONING: _ClassVar[TenantState]
    TENANT_STATE_ACTIVE: _ClassVar[TenantState]
    TENANT_STATE_SUSPENDED: _ClassVar[TenantState]
    TENANT_STATE_TERMINATED: _ClassVar[TenantState]
    TENANT_STATE_FAILED: _ClassVar[TenantState]
    TENANT_STATE_DELETING: _ClassVar[TenantState]

class TenantMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENANT_MODE_UNSPECIFIED: _ClassVar[TenantMode]
    TENANT_MODE_NORMAL: _ClassVar[TenantMode]
    TENANT_MODE_READ_ONLY: _ClassVar[TenantMode]
    TENANT_MODE_MAINTENANCE: _ClassVar[TenantMode]

class Isolation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ISOLATION_UNSPECIFIED: _ClassVar[Isolation]
    ISOLATION_SHARED: _ClassVar[Isolation]
    ISOLATION_DEDICATED: _ClassVar[Isolation]
TENANT_STATE_UNSPECIFIED: TenantState
TENANT_STATE_DRAFT: TenantState
TENANT_STATE_PROVISIONING: TenantState
TENANT_STATE_ACTIVE: TenantState
TENANT_STATE_SUSPENDED: TenantState
TENANT_STATE_TERMINATED: TenantState
TENANT_STATE_FAILED: TenantState
TENANT_STATE_DELETING: TenantState
TENANT_MODE_UNSPECIFIED: TenantMode
TENANT_MODE_NORMAL: TenantMode
TENANT_MODE_READ_ONLY: TenantMode
TENANT_MODE_MAINTENANCE: TenantMode
ISOLATION_UNSPECIFIED: Isolation
ISOLATION_SHARED: Isolation
ISOLATION_DEDICATED: Isolation

class Tenant(_message.Message):
    __slots__ = ("id", "code", "display_name", "labels", "state", "state_reason", "mode", "mode_reason", "mode_expire_time", "plan_id", "placement", "primary_domain", "domains", "config", "create_time", "update_time", "delete_time", "purge_time", "etag", "revision", "operation")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MODE_REASON_FIELD_NUMBER: _ClassVar[int]
    MODE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: str
    display_name: str
    labels: _containers.ScalarMap[str, str]
    state: TenantState
    state_reason: str
    mode: TenantMode
    mode_reason: str
    mode_expire_time: _timestamp_pb2.Timestamp
    plan_id: str
    placement: Placement
    primary_domain: str
    domains: _containers.RepeatedScalarFieldContainer[str]
    config: TenantConfig
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    delete_time: _timestamp_pb2.Timestamp
    purge_time: _timestamp_pb2.Timestamp
    etag: str
    revision: int
    operation: str
    def __init__(self, id: _Optional[str] = ..., code: _Optional[str] = ..., display_name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., state: _Optional[_Union[TenantState, str]] = ..., state_reason: _Optional[str] = ..., mode: _Optional[_Union[TenantMode, str]] = ..., mode_reason: _Optional[str] = ..., mode_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., plan_id: _Optional[str] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., primary_domain: _Optional[str] = ..., domains: _Optional[_Iterable[str]] = ..., config: _Optional[_Union[TenantConfig, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., revision: _Optional[int] = ..., operation: _Optional[str] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("region_id", "cluster_id", "shard_id", "isolation", "residency", "moving_to_cluster_id", "writes_frozen")
    REGION_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_ID_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    RESIDENCY_FIELD_NUMBER: _ClassVar[int]
    MOVING_TO_CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    WRITES_FROZEN_FIELD_NUMBER: _ClassVar[int]
    region_id: str
    cluster_id: str
    shard_id: str
    isolation: Isolation
    residency: _containers.RepeatedScalarFieldContainer[str]
    moving_to_cluster_id: str
    writes_frozen: bool
    def __init__(self, region_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., shard_id: _Optional[str] = ..., isolation: _Optional[_Union[Isolation, str]] = ..., residency: _Optional[_Iterable[str]] = ..., moving_to_cluster_id: _Optional[str] = ..., writes_frozen: _Optional[bool] = ...) -> None: ...

class TenantConfig(_message.Message):
    __slots__ = ("version", "currency_code", "locale", "time_zone", "support_email", "theme", "notice")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_EMAIL_FIELD_NUMBER: _ClassVar[int]
    THEME_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    version: int
    currency_code: str
    locale: str
    time_zone: str
    support_email: str
    theme: Theme
    notice: str
    def __init__(self, version: _Optional[int] = ..., currency_code: _Optional[str] = ..., locale: _Optional[str] = ..., time_zone: _Optional[str] = ..., support_email: _Optional[str] = ..., theme: _Optional[_Union[Theme, _Mapping]] = ..., notice: _Optional[str] = ...) -> None: ...

class Theme(_message.Message):
    __slots__ = ("accent_color", "logo_url")
    ACCENT_COLOR_FIELD_NUMBER: _ClassVar[int]
    LOGO_URL_FIELD_NUMBER: _ClassVar[int]
    accent_color: str
    logo_url: str
    def __init__(self, accent_color: _Optional[str] = ..., logo_url: _Optional[str] = ...) -> None: ...
