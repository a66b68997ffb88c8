import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import catalog_service_pb2 as _catalog_service_pb2
from center.control.v1 import quota_pb2 as _quota_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeatureState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_STATE_UNSPECIFIED: _ClassVar[FeatureState]
    FEATURE_STATE_ACTIVE: _ClassVar[FeatureState]
    FEATURE_STATE_ARCHIVED: _ClassVar[FeatureState]

class PlanVersionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLAN_VERSION_STATE_UNSPECIFIED: _ClassVar[PlanVersionState]
    PLAN_VERSION_STATE_DRAFT: _ClassVar[PlanVersionState]
    PLAN_VERSION_STATE_SCHEDULED: _ClassVar[PlanVersionState]
    PLAN_VERSION_STATE_ACTIVE: _ClassVar[PlanVersionState]
    PLAN_VERSION_STATE_ARCHIVED: _ClassVar[PlanVersionState]

class AddOnState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADD_ON_STATE_UNSPECIFIED: _ClassVar[AddOnState]
    ADD_ON_STATE_ACTIVE: _ClassVar[AddOnState]
    ADD_ON_STATE_ARCHIVED: _ClassVar[AddOnState]

class FeatureSourceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_SOURCE_KIND_UNSPECIFIED: _ClassVar[FeatureSourceKind]
    FEATURE_SOURCE_KIND_PLAN: _ClassVar[FeatureSourceKind]
    FEATURE_SOURCE_KIND_ADD_ON: _ClassVar[FeatureSourceKind]
    FEATURE_SOURCE_KIND_ROLLOUT: _ClassVar[FeatureSourceKind]
    FEATURE_SOURCE_KIND_OVERRIDE: _ClassVar[FeatureSourceKind]
    FEATURE_SOURCE_KIND_KILL_SWITCH: _ClassVar[FeatureSourceKind]

class FeatureEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_EFFECT_UNSPECIFIED: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_GRANTED: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_RAISED: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_LOWERED: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_REMOVED: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_HELD_BACK: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_KILLED: _ClassVar[FeatureEffect]
    FEATURE_EFFECT_NONE: _ClassVar[FeatureEffect]

class FeatureUseCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_USE_CODE_UNSPECIFIED: _ClassVar[FeatureUseCode]
    FEATURE_USE_CODE_ALLOWED: _ClassVar[FeatureUseCode]
    FEATURE_USE_CODE_ALLOWED_OVER_LIMIT: _ClassVar[FeatureUseCode]
    FEATURE_USE_CODE_FEATURE_ABSENT: _ClassVar[FeatureUseCode]
    FEATURE_USE_CODE_FEATURE_KILLED: _ClassVar[FeatureUseCode]
    FEATURE_USE_CODE_LIMIT_REACHED: _ClassVar[FeatureUseCode]
FEATURE_STATE_UNSPECIFIED: FeatureState
FEATURE_STATE_ACTIVE: FeatureState
FEATURE_STATE_ARCHIVED: FeatureState
PLAN_VERSION_STATE_UNSPECIFIED: PlanVersionState
PLAN_VERSION_STATE_DRAFT: PlanVersionState
PLAN_VERSION_STATE_SCHEDULED: PlanVersionState
PLAN_VERSION_STATE_ACTIVE: PlanVersionState
PLAN_VERSION_STATE_ARCHIVED: PlanVersionState
ADD_ON_STATE_UNSPECIFIED: AddOnState
ADD_ON_STATE_ACTIVE: AddOnState
ADD_ON_STATE_ARCHIVED: AddOnState
FEATURE_SOURCE_KIND_UNSPECIFIED: FeatureSourceKind
FEATURE_SOURCE_KIND_PLAN: FeatureSourceKind
FEATURE_SOURCE_KIND_ADD_ON: FeatureSourceKind
FEATURE_SOURCE_KIND_ROLLOUT: FeatureSourceKind
FEATURE_SOURCE_KIND_OVERRIDE: FeatureSourceKind
FEATURE_SOURCE_KIND_KILL_SWITCH: FeatureSourceKind
FEATURE_EFFECT_UNSPECIFIED: FeatureEffect
FEATURE_EFFECT_GRANTED: FeatureEffect
FEATURE_EFFECT_RAISED: FeatureEffect
FEATURE_EFFECT_LOWERED: FeatureEffect
FEATURE_EFFECT_REMOVED: FeatureEffect
FEATURE_EFFECT_HELD_BACK: FeatureEffect
FEATURE_EFFECT_KILLED: FeatureEffect
FEATURE_EFFECT_NONE: FeatureEffect
FEATURE_USE_CODE_UNSPECIFIED: FeatureUseCode
FEATURE_USE_CODE_ALLOWED: FeatureUseCode
FEATURE_USE_CODE_ALLOWED_OVER_LIMIT: FeatureUseCode
FEATURE_USE_CODE_FEATURE_ABSENT: FeatureUseCode
FEATURE_USE_CODE_FEATURE_KILLED: FeatureUseCode
FEATURE_USE_CODE_LIMIT_REACHED: FeatureUseCode

class Feature(_message.Message):
    __slots__ = ("id", "display_name", "description", "boolean", "metered", "configuration", "state", "rollouts", "kill_switches", "create_time", "update_time", "etag", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    METERED_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    KILL_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    description: str
    boolean: BooleanFeature
    metered: MeteredFeature
    configuration: ConfigurationFeature
    state: FeatureState
    rollouts: _containers.RepeatedCompositeFieldContainer[Rollout]
    kill_switches: _containers.RepeatedCompositeFieldContainer[KillSwitch]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    revision: int
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., boolean: _Optional[_Union[BooleanFeature, _Mapping]] = ..., metered: _Optional[_Union[MeteredFeature, _Mapping]] = ..., configuration: _Optional[_Union[ConfigurationFeature, _Mapping]] = ..., state: _Optional[_Union[FeatureState, str]] = ..., rollouts: _Optional[_Iterable[_Union[Rollout, _Mapping]]] = ..., kill_switches: _Optional[_Iterable[_Union[KillSwitch, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class BooleanFeature(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MeteredFeature(_message.Message):
    __slots__ = ("unit", "period")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    unit: str
    period: _quota_pb2.QuotaPeriod
    def __init__(self, unit: _Optional[str] = ..., period: _Optional[_Union[_quota_pb2.QuotaPeriod, str]] = ...) -> None: ...

class ConfigurationFeature(_message.Message):
    __slots__ = ("schema", "default_value")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    schema: ConfigurationSchema
    default_value: ConfigurationValue
    def __init__(self, schema: _Optional[_Union[ConfigurationSchema, _Mapping]] = ..., default_value: _Optional[_Union[ConfigurationValue, _Mapping]] = ...) -> None: ...

class ConfigurationSchema(_message.Message):
    __slots__ = ("integer", "number", "boolean", "text", "text_list", "rate_limit")
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_LIST_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    integer: IntegerSchema
    number: NumberSchema
    boolean: BooleanSchema
    text: TextSchema
    text_list: TextListSchema
    rate_limit: RateLimitSchema
    def __init__(self, integer: _Optional[_Union[IntegerSchema, _Mapping]] = ..., number: _Optional[_Union[NumberSchema, _Mapping]] = ..., boolean: _Optional[_Union[BooleanSchema, _Mapping]] = ..., text: _Optional[_Union[TextSchema, _Mapping]] = ..., text_list: _Optional[_Union[TextListSchema, _Mapping]] = ..., rate_limit: _Optional[_Union[RateLimitSchema, _Mapping]] = ...) -> None: ...

class IntegerSchema(_message.Message):
    __slots__ = ("minimum", "maximum", "allowed")
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    minimum: int
    maximum: int
    allowed: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, minimum: _Optional[int] = ..., maximum: _Optional[int] = ..., allowed: _Optional[_Iterable[int]] = ...) -> None: ...

class NumberSchema(_message.Message):
    __slots__ = ("minimum", "maximum")
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    minimum: float
    maximum: float
    def __init__(self, minimum: _Optional[float] = ..., maximum: _Optional[float] = ...) -> None: ...

class BooleanSchema(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TextSchema(_message.Message):
    __slots__ = ("min_length", "max_length", "allowed")
    MIN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    min_length: int
    max_length: int
    allowed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, min_length: _Optional[int] = ..., max_length: _Optional[int] = ..., allowed: _Optional[_Iterable[str]] = ...) -> None: ...

class TextListSchema(_message.Message):
    __slots__ = ("max_items", "items")
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    max_items: int
    items: TextSchema
    def __init__(self, max_items: _Optional[int] = ..., items: _Optional[_Union[TextSchema, _Mapping]] = ...) -> None: ...

class RateLimitSchema(_message.Message):
    __slots__ = ("max_per_second", "max_burst")
    MAX_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    MAX_BURST_FIELD_NUMBER: _ClassVar[int]
    max_per_second: float
    max_burst: int
    def __init__(self, max_per_second: _Optional[float] = ..., max_burst: _Optional[int] = ...) -> None: ...

class ConfigurationValue(_message.Message):
    __slots__ = ("integer", "number", "boolean", "text", "text_list", "rate_limit")
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_LIST_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    integer: int
    number: float
    boolean: bool
    text: str
    text_list: TextList
    rate_limit: _quota_pb2.RateLimit
    def __init__(self, integer: _Optional[int] = ..., number: _Optional[float] = ..., boolean: _Optional[bool] = ..., text: _Optional[str] = ..., text_list: _Optional[_Union[TextList, _Mapping]] = ..., rate_limit: _Optional[_Union[_quota_pb2.RateLimit, _Mapping]] = ...) -> None: ...

class TextList(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[str]] = ...) -> None: ...

class FeatureValue(_message.Message):
    __slots__ = ("boolean", "quota", "configuration")
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    boolean: bool
    quota: _quota_pb2.Quota
    configuration: ConfigurationValue
    def __init__(self, boolean: _Optional[bool] = ..., quota: _Optional[_Union[_quota_pb2.Quota, _Mapping]] = ..., configuration: _Optional[_Union[ConfigurationValue, _Mapping]] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("feature_id", "cluster_id", "basis_points", "reason", "update_time", "revision")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    BASIS_POINTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    cluster_id: str
    basis_points: int
    reason: str
    update_time: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, feature_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., basis_points: _Optional[int] = ..., reason: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class KillSwitch(_message.Message):
    __slots__ = ("id", "feature_id", "tenant_id", "cluster_id", "reason", "expire_time", "create_time", "caller", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    feature_id: str
    tenant_id: str
    cluster_id: str
    reason: str
    expire_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    caller: str
    revision: int
    def __init__(self, id: _Optional[str] = ..., feature_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., reason: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caller: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("id", "display_name", "description", "active_version", "latest_version", "create_time", "update_time", "etag", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    description: str
    active_version: int
    latest_version: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    revision: int
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., active_version: _Optional[int] = ..., latest_version: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class PlanFeature(_message.Message):
    __slots__ = ("feature_id", "value")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    value: FeatureValue
    def __init__(self, feature_id: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...

class PlanVersion(_message.Message):
    __slots__ = ("plan_id", "version", "state", "features", "note", "create_time", "update_time", "effective_time", "archive_time", "problems", "etag", "revision")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    version: int
    state: PlanVersionState
    features: _containers.RepeatedCompositeFieldContainer[PlanFeature]
    note: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    effective_time: _timestamp_pb2.Timestamp
    archive_time: _timestamp_pb2.Timestamp
    problems: _containers.RepeatedCompositeFieldContainer[PlanVersionProblem]
    etag: str
    revision: int
    def __init__(self, plan_id: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[PlanVersionState, str]] = ..., features: _Optional[_Iterable[_Union[PlanFeature, _Mapping]]] = ..., note: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., archive_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[PlanVersionProblem, _Mapping]]] = ..., etag: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class PlanVersionProblem(_message.Message):
    __slots__ = ("feature_id", "reason", "message")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    reason: str
    message: str
    def __init__(self, feature_id: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class AddOn(_message.Message):
    __slots__ = ("id", "display_name", "description", "features", "state", "create_time", "update_time", "etag", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    description: str
    features: _containers.RepeatedCompositeFieldContainer[AddOnFeature]
    state: AddOnState
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    revision: int
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., features: _Optional[_Iterable[_Union[AddOnFeature, _Mapping]]] = ..., state: _Optional[_Union[AddOnState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class AddOnFeature(_message.Message):
    __slots__ = ("feature_id", "grant", "extra_units")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_UNITS_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    grant: FeatureValue
    extra_units: int
    def __init__(self, feature_id: _Optional[str] = ..., grant: _Optional[_Union[FeatureValue, _Mapping]] = ..., extra_units: _Optional[int] = ...) -> None: ...

class Attachment(_message.Message):
    __slots__ = ("tenant_id", "add_on_id", "quantity", "expire_time", "create_time", "revision")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ADD_ON_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    add_on_id: str
    quantity: int
    expire_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, tenant_id: _Optional[str] = ..., add_on_id: _Optional[str] = ..., quantity: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Override(_message.Message):
    __slots__ = ("id", "tenant_id", "feature_id", "add", "remove", "lower", "reason", "expire_time", "create_time", "caller", "etag", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    RAISE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    feature_id: str
    add: FeatureValue
    remove: Removal
    lower: FeatureValue
    reason: str
    expire_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    caller: str
    etag: str
    revision: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., feature_id: _Optional[str] = ..., add: _Optional[_Union[FeatureValue, _Mapping]] = ..., remove: _Optional[_Union[Removal, _Mapping]] = ..., lower: _Optional[_Union[FeatureValue, _Mapping]] = ..., reason: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caller: _Optional[str] = ..., etag: _Optional[str] = ..., revision: _Optional[int] = ..., **kwargs) -> None: ...

class Removal(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PlanAssignment(_message.Message):
    __slots__ = ("tenant_id", "plan_id", "pinned_version", "assign_time", "reason", "create_time")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    PINNED_VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    plan_id: str
    pinned_version: int
    assign_time: _timestamp_pb2.Timestamp
    reason: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., pinned_version: _Optional[int] = ..., assign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TenantFeatures(_message.Message):
    __slots__ = ("tenant_id", "version", "hash", "plan_id", "plan_version", "features")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    version: int
    hash: str
    plan_id: str
    plan_version: int
    features: _containers.RepeatedCompositeFieldContainer[EffectiveFeature]
    def __init__(self, tenant_id: _Optional[str] = ..., version: _Optional[int] = ..., hash: _Optional[str] = ..., plan_id: _Optional[str] = ..., plan_version: _Optional[int] = ..., features: _Optional[_Iterable[_Union[EffectiveFeature, _Mapping]]] = ...) -> None: ...

class EffectiveFeature(_message.Message):
    __slots__ = ("feature_id", "enabled", "value", "sources", "hash")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    enabled: bool
    value: FeatureValue
    sources: _containers.RepeatedCompositeFieldContainer[FeatureSource]
    hash: str
    def __init__(self, feature_id: _Optional[str] = ..., enabled: _Optional[bool] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[FeatureSource, _Mapping]]] = ..., hash: _Optional[str] = ...) -> None: ...

class FeatureSource(_message.Message):
    __slots__ = ("kind", "id", "effect", "reason", "expire_time")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    kind: FeatureSourceKind
    id: str
    effect: FeatureEffect
    reason: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[_Union[FeatureSourceKind, str]] = ..., id: _Optional[str] = ..., effect: _Optional[_Union[FeatureEffect, str]] = ..., reason: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateFeatureRequest(_message.Message):
    __slots__ = ("feature", "request_id")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    feature: Feature
    request_id: str
    def __init__(self, feature: _Optional[_Union[Feature, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateFeatureResponse(_message.Message):
    __slots__ = ("feature",)
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    feature: Feature
    def __init__(self, feature: _Optional[_Union[Feature, _Mapping]] = ...) -> None: ...

class GetFeatureRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetFeatureResponse(_message.Message):
    __slots__ = ("feature",)
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    feature: Feature
    def __init__(self, feature: _Optional[_Union[Feature, _Mapping]] = ...) -> None: ...

class ListFeaturesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListFeaturesResponse(_message.Message):
    __slots__ = ("features", "next_page_token")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedCompositeFieldContainer[Feature]
    next_page_token: str
    def __init__(self, features: _Optional[_Iterable[_Union[Feature, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateFeatureRequest(_message.Message):
    __slots__ = ("feature", "update_mask", "request_id")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    feature: Feature
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, feature: _Optional[_Union[Feature, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateFeatureResponse(_message.Message):
    __slots__ = ("feature",)
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    feature: Feature
    def __init__(self, feature: _Optional[_Union[Feature, _Mapping]] = ...) -> None: ...

class ArchiveFeatureRequest(_message.Message):
    __slots__ = ("id", "reason", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ArchiveFeatureResponse(_message.Message):
    __slots__ = ("feature",)
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    feature: Feature
    def __init__(self, feature: _Optional[_Union[Feature, _Mapping]] = ...) -> None: ...

class SetRolloutRequest(_message.Message):
    __slots__ = ("rollout", "request_id")
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    rollout: Rollout
    request_id: str
    def __init__(self, rollout: _Optional[_Union[Rollout, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetRolloutResponse(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: Rollout
    def __init__(self, rollout: _Optional[_Union[Rollout, _Mapping]] = ...) -> None: ...

class RemoveRolloutRequest(_message.Message):
    __slots__ = ("feature_id", "cluster_id", "reason", "request_id")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    cluster_id: str
    reason: str
    request_id: str
    def __init__(self, feature_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveRolloutResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class SetKillSwitchRequest(_message.Message):
    __slots__ = ("kill_switch", "request_id")
    KILL_SWITCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    kill_switch: KillSwitch
    request_id: str
    def __init__(self, kill_switch: _Optional[_Union[KillSwitch, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetKillSwitchResponse(_message.Message):
    __slots__ = ("kill_switch",)
    KILL_SWITCH_FIELD_NUMBER: _ClassVar[int]
    kill_switch: KillSwitch
    def __init__(self, kill_switch: _Optional[_Union[KillSwitch, _Mapping]] = ...) -> None: ...

class RemoveKillSwitchRequest(_message.Message):
    __slots__ = ("id", "reason", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveKillSwitchResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ListKillSwitchesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListKillSwitchesResponse(_message.Message):
    __slots__ = ("kill_switches", "next_page_token")
    KILL_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    kill_switches: _containers.RepeatedCompositeFieldContainer[KillSwitch]
    next_page_token: str
    def __init__(self, kill_switches: _Optional[_Iterable[_Union[KillSwitch, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreatePlanRequest(_message.Message):
    __slots__ = ("plan", "features", "request_id")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    features: _containers.RepeatedCompositeFieldContainer[PlanFeature]
    request_id: str
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ..., features: _Optional[_Iterable[_Union[PlanFeature, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreatePlanResponse(_message.Message):
    __slots__ = ("plan", "version")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    version: PlanVersion
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ..., version: _Optional[_Union[PlanVersion, _Mapping]] = ...) -> None: ...

class GetPlanRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetPlanResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class ListPlansRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListPlansResponse(_message.Message):
    __slots__ = ("plans", "next_page_token")
    PLANS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    plans: _containers.RepeatedCompositeFieldContainer[Plan]
    next_page_token: str
    def __init__(self, plans: _Optional[_Iterable[_Union[Plan, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdatePlanRequest(_message.Message):
    __slots__ = ("plan", "update_mask", "request_id")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdatePlanResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class CreatePlanVersionRequest(_message.Message):
    __slots__ = ("plan_id", "features", "copy_version", "note", "request_id")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    COPY_VERSION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    features: _containers.RepeatedCompositeFieldContainer[PlanFeature]
    copy_version: int
    note: str
    request_id: str
    def __init__(self, plan_id: _Optional[str] = ..., features: _Optional[_Iterable[_Union[PlanFeature, _Mapping]]] = ..., copy_version: _Optional[int] = ..., note: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreatePlanVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: PlanVersion
    def __init__(self, version: _Optional[_Union[PlanVersion, _Mapping]] = ...) -> None: ...

class GetPlanVersionRequest(_message.Message):
    __slots__ = ("plan_id", "version")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    version: int
    def __init__(self, plan_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class GetPlanVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: PlanVersion
    def __init__(self, version: _Optional[_Union[PlanVersion, _Mapping]] = ...) -> None: ...

class ListPlanVersionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "plan_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    plan_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., plan_id: _Optional[str] = ...) -> None: ...

class ListPlanVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[PlanVersion]
    next_page_token: str
    def __init__(self, versions: _Optional[_Iterable[_Union[PlanVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdatePlanVersionRequest(_message.Message):
    __slots__ = ("version", "update_mask", "request_id")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    version: PlanVersion
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, version: _Optional[_Union[PlanVersion, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdatePlanVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: PlanVersion
    def __init__(self, version: _Optional[_Union[PlanVersion, _Mapping]] = ...) -> None: ...

class ValidatePlanVersionRequest(_message.Message):
    __slots__ = ("plan_id", "version")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    version: int
    def __init__(self, plan_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ValidatePlanVersionResponse(_message.Message):
    __slots__ = ("problems",)
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    problems: _containers.RepeatedCompositeFieldContainer[PlanVersionProblem]
    def __init__(self, problems: _Optional[_Iterable[_Union[PlanVersionProblem, _Mapping]]] = ...) -> None: ...

class PublishPlanVersionRequest(_message.Message):
    __slots__ = ("plan_id", "version", "effective_time", "validate_only", "reason", "etag", "request_id")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    version: int
    effective_time: _timestamp_pb2.Timestamp
    validate_only: bool
    reason: str
    etag: str
    request_id: str
    def __init__(self, plan_id: _Optional[str] = ..., version: _Optional[int] = ..., effective_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., validate_only: _Optional[bool] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class PublishPlanVersionResponse(_message.Message):
    __slots__ = ("version", "tenant_count")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_COUNT_FIELD_NUMBER: _ClassVar[int]
    version: PlanVersion
    tenant_count: int
    def __init__(self, version: _Optional[_Union[PlanVersion, _Mapping]] = ..., tenant_count: _Optional[int] = ...) -> None: ...

class ArchivePlanVersionRequest(_message.Message):
    __slots__ = ("plan_id", "version", "reason", "etag", "request_id")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    version: int
    reason: str
    etag: str
    request_id: str
    def __init__(self, plan_id: _Optional[str] = ..., version: _Optional[int] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ArchivePlanVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: PlanVersion
    def __init__(self, version: _Optional[_Union[PlanVersion, _Mapping]] = ...) -> None: ...

class DiffPlanVersionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "plan_id", "from_version", "to_version")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    plan_id: str
    from_version: int
    to_version: int
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., plan_id: _Optional[str] = ..., from_version: _Optional[int] = ..., to_version: _Optional[int] = ...) -> None: ...

class DiffPlanVersionsResponse(_message.Message):
    __slots__ = ("changes", "tenant_count", "tenants", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    TENANT_COUNT_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[FeatureChange]
    tenant_count: int
    tenants: _containers.RepeatedCompositeFieldContainer[TouchedTenant]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[FeatureChange, _Mapping]]] = ..., tenant_count: _Optional[int] = ..., tenants: _Optional[_Iterable[_Union[TouchedTenant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class FeatureChange(_message.Message):
    __slots__ = ("feature_id", "before", "after")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    before: FeatureValue
    after: FeatureValue
    def __init__(self, feature_id: _Optional[str] = ..., before: _Optional[_Union[FeatureValue, _Mapping]] = ..., after: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...

class TouchedTenant(_message.Message):
    __slots__ = ("tenant_id", "code", "changed_feature_ids")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FEATURE_IDS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    code: str
    changed_feature_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant_id: _Optional[str] = ..., code: _Optional[str] = ..., changed_feature_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateAddOnRequest(_message.Message):
    __slots__ = ("add_on", "request_id")
    ADD_ON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    add_on: AddOn
    request_id: str
    def __init__(self, add_on: _Optional[_Union[AddOn, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateAddOnResponse(_message.Message):
    __slots__ = ("add_on",)
    ADD_ON_FIELD_NUMBER: _ClassVar[int]
    add_on: AddOn
    def __init__(self, add_on: _Optional[_Union[AddOn, _Mapping]] = ...) -> None: ...

class GetAddOnRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetAddOnResponse(_message.Message):
    __slots__ = ("add_on",)
    ADD_ON_FIELD_NUMBER: _ClassVar[int]
    add_on: AddOn
    def __init__(self, add_on: _Optional[_Union[AddOn, _Mapping]] = ...) -> None: ...

class ListAddOnsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListAddOnsResponse(_message.Message):
    __slots__ = ("add_ons", "next_page_token")
    ADD_ONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    add_ons: _containers.RepeatedCompositeFieldContainer[AddOn]
    next_page_token: str
    def __init__(self, add_ons: _Optional[_Iterable[_Union[AddOn, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateAddOnRequest(_message.Message):
    __slots__ = ("add_on", "update_mask", "request_id")
    ADD_ON_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    add_on: AddOn
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, add_on: _Optional[_Union[AddOn, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateAddOnResponse(_message.Message):
    __slots__ = ("add_on",)
    ADD_ON_FIELD_NUMBER: _ClassVar[int]
    add_on: AddOn
    def __init__(self, add_on: _Optional[_Union[AddOn, _Mapping]] = ...) -> None: ...

class ArchiveAddOnRequest(_message.Message):
    __slots__ = ("id", "reason", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ArchiveAddOnResponse(_message.Message):
    __slots__ = ("add_on",)
    ADD_ON_FIELD_NUMBER: _ClassVar[int]
    add_on: AddOn
    def __init__(self, add_on: _Optional[_Union[AddOn, _Mapping]] = ...) -> None: ...

class AttachAddOnRequest(_message.Message):
    __slots__ = ("attachment", "reason", "request_id")
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    attachment: Attachment
    reason: str
    request_id: str
    def __init__(self, attachment: _Optional[_Union[Attachment, _Mapping]] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AttachAddOnResponse(_message.Message):
    __slots__ = ("attachment",)
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    attachment: Attachment
    def __init__(self, attachment: _Optional[_Union[Attachment, _Mapping]] = ...) -> None: ...

class DetachAddOnRequest(_message.Message):
    __slots__ = ("tenant_id", "add_on_id", "reason", "request_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ADD_ON_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    add_on_id: str
    reason: str
    request_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., add_on_id: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DetachAddOnResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ListAttachmentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListAttachmentsResponse(_message.Message):
    __slots__ = ("attachments", "next_page_token")
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    attachments: _containers.RepeatedCompositeFieldContainer[Attachment]
    next_page_token: str
    def __init__(self, attachments: _Optional[_Iterable[_Union[Attachment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetOverrideRequest(_message.Message):
    __slots__ = ("override", "request_id")
    OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    override: Override
    request_id: str
    def __init__(self, override: _Optional[_Union[Override, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetOverrideResponse(_message.Message):
    __slots__ = ("override",)
    OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    override: Override
    def __init__(self, override: _Optional[_Union[Override, _Mapping]] = ...) -> None: ...

class RemoveOverrideRequest(_message.Message):
    __slots__ = ("id", "reason", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveOverrideResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ListOverridesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListOverridesResponse(_message.Message):
    __slots__ = ("overrides", "next_page_token")
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    overrides: _containers.RepeatedCompositeFieldContainer[Override]
    next_page_token: str
    def __init__(self, overrides: _Optional[_Iterable[_Union[Override, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AssignPlanRequest(_message.Message):
    __slots__ = ("tenant_id", "plan_id", "pinned_version", "assign_time", "reason", "etag", "request_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    PINNED_VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    plan_id: str
    pinned_version: int
    assign_time: _timestamp_pb2.Timestamp
    reason: str
    etag: str
    request_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., pinned_version: _Optional[int] = ..., assign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AssignPlanResponse(_message.Message):
    __slots__ = ("features", "assignment", "revision")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    features: TenantFeatures
    assignment: PlanAssignment
    revision: int
    def __init__(self, features: _Optional[_Union[TenantFeatures, _Mapping]] = ..., assignment: _Optional[_Union[PlanAssignment, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class ListPlanAssignmentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListPlanAssignmentsResponse(_message.Message):
    __slots__ = ("assignments", "next_page_token")
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[PlanAssignment]
    next_page_token: str
    def __init__(self, assignments: _Optional[_Iterable[_Union[PlanAssignment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelPlanAssignmentRequest(_message.Message):
    __slots__ = ("tenant_id", "reason", "request_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    reason: str
    request_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelPlanAssignmentResponse(_message.Message):
    __slots__ = ("assignment",)
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    assignment: PlanAssignment
    def __init__(self, assignment: _Optional[_Union[PlanAssignment, _Mapping]] = ...) -> None: ...

class GetTenantFeaturesRequest(_message.Message):
    __slots__ = ("tenant_id", "min_revision")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    min_revision: int
    def __init__(self, tenant_id: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetTenantFeaturesResponse(_message.Message):
    __slots__ = ("features", "revision")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    features: TenantFeatures
    revision: int
    def __init__(self, features: _Optional[_Union[TenantFeatures, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class ExplainFeatureRequest(_message.Message):
    __slots__ = ("tenant_id", "feature_id", "time")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    feature_id: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., feature_id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExplainFeatureResponse(_message.Message):
    __slots__ = ("feature", "steps", "version", "hash")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    feature: EffectiveFeature
    steps: _containers.RepeatedCompositeFieldContainer[FeatureStep]
    version: int
    hash: str
    def __init__(self, feature: _Optional[_Union[EffectiveFeature, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[FeatureStep, _Mapping]]] = ..., version: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class FeatureStep(_message.Message):
    __slots__ = ("source", "message", "enabled", "value")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    source: FeatureSource
    message: str
    enabled: bool
    value: FeatureValue
    def __init__(self, source: _Optional[_Union[FeatureSource, _Mapping]] = ..., message: _Optional[str] = ..., enabled: _Optional[bool] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...

class WatchTenantFeaturesRequest(_message.Message):
    __slots__ = ("start", "report")
    START_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    start: FeatureWatchStart
    report: FeatureWatchReport
    def __init__(self, start: _Optional[_Union[FeatureWatchStart, _Mapping]] = ..., report: _Optional[_Union[FeatureWatchReport, _Mapping]] = ...) -> None: ...

class FeatureWatchStart(_message.Message):
    __slots__ = ("instance", "tenant_ids", "cluster_id", "known")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TENANT_IDS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    instance: str
    tenant_ids: _containers.RepeatedScalarFieldContainer[str]
    cluster_id: str
    known: _containers.RepeatedCompositeFieldContainer[KnownFeatures]
    def __init__(self, instance: _Optional[str] = ..., tenant_ids: _Optional[_Iterable[str]] = ..., cluster_id: _Optional[str] = ..., known: _Optional[_Iterable[_Union[KnownFeatures, _Mapping]]] = ...) -> None: ...

class KnownFeatures(_message.Message):
    __slots__ = ("tenant_id", "version", "hash")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    version: int
    hash: str
    def __init__(self, tenant_id: _Optional[str] = ..., version: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class FeatureWatchReport(_message.Message):
    __slots__ = ("applied_revision", "refusals")
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    applied_revision: int
    refusals: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Refusal]
    def __init__(self, applied_revision: _Optional[int] = ..., refusals: _Optional[_Iterable[_Union[_catalog_service_pb2.Refusal, _Mapping]]] = ...) -> None: ...

class WatchTenantFeaturesResponse(_message.Message):
    __slots__ = ("phase", "tenants", "deltas", "removed_tenant_ids", "revision", "time", "check")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    DELTAS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_TENANT_IDS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    phase: _catalog_service_pb2.WatchPhase
    tenants: _containers.RepeatedCompositeFieldContainer[TenantFeatures]
    deltas: _containers.RepeatedCompositeFieldContainer[FeaturesDelta]
    removed_tenant_ids: _containers.RepeatedScalarFieldContainer[str]
    revision: int
    time: _timestamp_pb2.Timestamp
    check: FeaturesCheck
    def __init__(self, phase: _Optional[_Union[_catalog_service_pb2.WatchPhase, str]] = ..., tenants: _Optional[_Iterable[_Union[TenantFeatures, _Mapping]]] = ..., deltas: _Optional[_Iterable[_Union[FeaturesDelta, _Mapping]]] = ..., removed_tenant_ids: _Optional[_Iterable[str]] = ..., revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., check: _Optional[_Union[FeaturesCheck, _Mapping]] = ...) -> None: ...

class FeaturesDelta(_message.Message):
    __slots__ = ("tenant_id", "previous_version", "version", "hash", "plan_id", "plan_version", "changed", "removed_feature_ids")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FEATURE_IDS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    previous_version: int
    version: int
    hash: str
    plan_id: str
    plan_version: int
    changed: _containers.RepeatedCompositeFieldContainer[EffectiveFeature]
    removed_feature_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant_id: _Optional[str] = ..., previous_version: _Optional[int] = ..., version: _Optional[int] = ..., hash: _Optional[str] = ..., plan_id: _Optional[str] = ..., plan_version: _Optional[int] = ..., changed: _Optional[_Iterable[_Union[EffectiveFeature, _Mapping]]] = ..., removed_feature_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class FeaturesCheck(_message.Message):
    __slots__ = ("tenant_count", "digest")
    TENANT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    tenant_count: int
    digest: int
    def __init__(self, tenant_count: _Optional[int] = ..., digest: _Optional[int] = ...) -> None: ...

class ListFeatureWatchersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListFeatureWatchersResponse(_message.Message):
    __slots__ = ("watchers", "next_page_token", "revision")
    WATCHERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    watchers: _containers.RepeatedCompositeFieldContainer[FeatureWatcher]
    next_page_token: str
    revision: int
    def __init__(self, watchers: _Optional[_Iterable[_Union[FeatureWatcher, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class FeatureWatcher(_message.Message):
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

class UseFeatureRequest(_message.Message):
    __slots__ = ("tenant_id", "feature_id", "units", "request_id", "min_revision")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    feature_id: str
    units: int
    request_id: str
    min_revision: int
    def __init__(self, tenant_id: _Optional[str] = ..., feature_id: _Optional[str] = ..., units: _Optional[int] = ..., request_id: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class UseFeatureResponse(_message.Message):
    __slots__ = ("allowed", "code", "limit", "used_units", "remaining_units", "window_start", "resets_at", "revision")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USED_UNITS_FIELD_NUMBER: _ClassVar[int]
    REMAINING_UNITS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    code: FeatureUseCode
    limit: int
    used_units: int
    remaining_units: int
    window_start: _timestamp_pb2.Timestamp
    resets_at: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, allowed: _Optional[bool] = ..., code: _Optional[_Union[FeatureUseCode, str]] = ..., limit: _Optional[int] = ..., used_units: _Optional[int] = ..., remaining_units: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resets_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class PeekFeatureRequest(_message.Message):
    __slots__ = ("tenant_id", "feature_id", "units", "min_revision")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    feature_id: str
    units: int
    min_revision: int
    def __init__(self, tenant_id: _Optional[str] = ..., feature_id: _Optional[str] = ..., units: _Optional[int] = ..., min_revision: _Optional[int] = ...) -> None: ...

class PeekFeatureResponse(_message.Message):
    __slots__ = ("allowed", "code", "limit", "used_units", "remaining_units", "window_start", "resets_at", "revision")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USED_UNITS_FIELD_NUMBER: _ClassVar[int]
    REMAINING_UNITS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    code: FeatureUseCode
    limit: int
    used_units: int
    remaining_units: int
    window_start: _timestamp_pb2.Timestamp
    resets_at: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, allowed: _Optional[bool] = ..., code: _Optional[_Union[FeatureUseCode, str]] = ..., limit: _Optional[int] = ..., used_units: _Optional[int] = ..., remaining_units: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resets_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class ReturnFeatureUnitsRequest(_message.Message):
    __slots__ = ("tenant_id", "feature_id", "units", "window_start", "request_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    feature_id: str
    units: int
    window_start: _timestamp_pb2.Timestamp
    request_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., feature_id: _Optional[str] = ..., units: _Optional[int] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReturnFeatureUnitsResponse(_message.Message):
    __slots__ = ("returned_units", "used_units")
    RETURNED_UNITS_FIELD_NUMBER: _ClassVar[int]
    USED_UNITS_FIELD_NUMBER: _ClassVar[int]
    returned_units: int
    used_units: int
    def __init__(self, returned_units: _Optional[int] = ..., used_units: _Optional[int] = ...) -> None: ...

class ListFeatureUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "filter")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    filter: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListFeatureUsageResponse(_message.Message):
    __slots__ = ("usage", "next_page_token")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    usage: _containers.RepeatedCompositeFieldContainer[FeatureUsage]
    next_page_token: str
    def __init__(self, usage: _Optional[_Iterable[_Union[FeatureUsage, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class FeatureUsage(_message.Message):
    __slots__ = ("feature_id", "window_start", "window_end", "used_units", "carried_units", "update_time")
    FEATURE_ID_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    USED_UNITS_FIELD_NUMBER: _ClassVar[int]
    CARRIED_UNITS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    feature_id: str
    window_start: _timestamp_pb2.Timestamp
    window_end: _timestamp_pb2.Timestamp
    used_units: int
    carried_units: int
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, feature_id: _Optional[str] = ..., window_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., window_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., used_units: _Optional[int] = ..., carried_units: _Optional[int] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
