import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import quota_pb2 as _quota_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FailMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAIL_MODE_UNSPECIFIED: _ClassVar[FailMode]
    FAIL_MODE_CLOSED: _ClassVar[FailMode]
    FAIL_MODE_OPEN: _ClassVar[FailMode]
FAIL_MODE_UNSPECIFIED: FailMode
FAIL_MODE_CLOSED: FailMode
FAIL_MODE_OPEN: FailMode

class Solution(_message.Message):
    __slots__ = ("id", "display_name", "tiers", "default_tier", "anonymous_tier", "redirect_urls", "fail_mode", "max_age", "token_in_redirect", "verified_email_required", "email_hidden", "time_zone", "upgrade_url", "gateway", "etag", "create_time", "update_time", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TIER_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_TIER_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URLS_FIELD_NUMBER: _ClassVar[int]
    FAIL_MODE_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IN_REDIRECT_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_EMAIL_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    EMAIL_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_URL_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    tiers: _containers.RepeatedCompositeFieldContainer[Tier]
    default_tier: str
    anonymous_tier: str
    redirect_urls: _containers.RepeatedScalarFieldContainer[str]
    fail_mode: FailMode
    max_age: _duration_pb2.Duration
    token_in_redirect: bool
    verified_email_required: bool
    email_hidden: bool
    time_zone: str
    upgrade_url: str
    gateway: SolutionGateway
    etag: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[Tier, _Mapping]]] = ..., default_tier: _Optional[str] = ..., anonymous_tier: _Optional[str] = ..., redirect_urls: _Optional[_Iterable[str]] = ..., fail_mode: _Optional[_Union[FailMode, str]] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., token_in_redirect: _Optional[bool] = ..., verified_email_required: _Optional[bool] = ..., email_hidden: _Optional[bool] = ..., time_zone: _Optional[str] = ..., upgrade_url: _Optional[str] = ..., gateway: _Optional[_Union[SolutionGateway, _Mapping]] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Tier(_message.Message):
    __slots__ = ("id", "display_name", "quotas", "rate_limit")
    class QuotasEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _quota_pb2.Quota
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_quota_pb2.Quota, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    quotas: _containers.MessageMap[str, _quota_pb2.Quota]
    rate_limit: _quota_pb2.RateLimit
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., quotas: _Optional[_Mapping[str, _quota_pb2.Quota]] = ..., rate_limit: _Optional[_Union[_quota_pb2.RateLimit, _Mapping]] = ...) -> None: ...

class SolutionGateway(_message.Message):
    __slots__ = ("hosts", "upstream_host", "upstream_port", "rules")
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_HOST_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_PORT_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    upstream_host: str
    upstream_port: int
    rules: _containers.RepeatedCompositeFieldContainer[GatewayRule]
    def __init__(self, hosts: _Optional[_Iterable[str]] = ..., upstream_host: _Optional[str] = ..., upstream_port: _Optional[int] = ..., rules: _Optional[_Iterable[_Union[GatewayRule, _Mapping]]] = ...) -> None: ...

class GatewayRule(_message.Message):
    __slots__ = ("methods", "path_prefix", "action", "cost")
    METHODS_FIELD_NUMBER: _ClassVar[int]
    PATH_PREFIX_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    methods: _containers.RepeatedScalarFieldContainer[str]
    path_prefix: str
    action: str
    cost: int
    def __init__(self, methods: _Optional[_Iterable[str]] = ..., path_prefix: _Optional[str] = ..., action: _Optional[str] = ..., cost: _Optional[int] = ...) -> None: ...

class SolutionKey(_message.Message):
    __slots__ = ("kid", "solution_id", "display_name", "create_time", "revoke_time", "last_use_time")
    KID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_USE_TIME_FIELD_NUMBER: _ClassVar[int]
    kid: str
    solution_id: str
    display_name: str
    create_time: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    last_use_time: _timestamp_pb2.Timestamp
    def __init__(self, kid: _Optional[str] = ..., solution_id: _Optional[str] = ..., display_name: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_use_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateSolutionRequest(_message.Message):
    __slots__ = ("solution", "request_id")
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    solution: Solution
    request_id: str
    def __init__(self, solution: _Optional[_Union[Solution, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateSolutionResponse(_message.Message):
    __slots__ = ("solution",)
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    solution: Solution
    def __init__(self, solution: _Optional[_Union[Solution, _Mapping]] = ...) -> None: ...

class GetSolutionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetSolutionResponse(_message.Message):
    __slots__ = ("solution",)
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    solution: Solution
    def __init__(self, solution: _Optional[_Union[Solution, _Mapping]] = ...) -> None: ...

class ListSolutionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListSolutionsResponse(_message.Message):
    __slots__ = ("solutions", "next_page_token")
    SOLUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    solutions: _containers.RepeatedCompositeFieldContainer[Solution]
    next_page_token: str
    def __init__(self, solutions: _Optional[_Iterable[_Union[Solution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateSolutionRequest(_message.Message):
    __slots__ = ("solution", "update_mask", "reason", "request_id")
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    solution: Solution
    update_mask: _field_mask_pb2.FieldMask
    reason: str
    request_id: str
    def __init__(self, solution: _Optional[_Union[Solution, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateSolutionResponse(_message.Message):
    __slots__ = ("solution",)
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    solution: Solution
    def __init__(self, solution: _Optional[_Union[Solution, _Mapping]] = ...) -> None: ...

class DeleteSolutionRequest(_message.Message):
    __slots__ = ("id", "etag", "force", "reason", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    etag: str
    force: bool
    reason: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., etag: _Optional[str] = ..., force: _Optional[bool] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteSolutionResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class CreateSolutionKeyRequest(_message.Message):
    __slots__ = ("solution_id", "display_name", "request_id")
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    solution_id: str
    display_name: str
    request_id: str
    def __init__(self, solution_id: _Optional[str] = ..., display_name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateSolutionKeyResponse(_message.Message):
    __slots__ = ("key", "secret")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    key: SolutionKey
    secret: str
    def __init__(self, key: _Optional[_Union[SolutionKey, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class ListSolutionKeysRequest(_message.Message):
    __slots__ = ("solution_id", "page_size", "page_token")
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    solution_id: str
    page_size: int
    page_token: str
    def __init__(self, solution_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSolutionKeysResponse(_message.Message):
    __slots__ = ("keys", "next_page_token")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[SolutionKey]
    next_page_token: str
    def __init__(self, keys: _Optional[_Iterable[_Union[SolutionKey, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RevokeSolutionKeyRequest(_message.Message):
    __slots__ = ("kid", "reason", "request_id")
    KID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    kid: str
    reason: str
    request_id: str
    def __init__(self, kid: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RevokeSolutionKeyResponse(_message.Message):
    __slots__ = ("key", "revision")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    key: SolutionKey
    revision: int
    def __init__(self, key: _Optional[_Union[SolutionKey, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...
