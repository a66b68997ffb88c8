import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntitlementStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTITLEMENT_STATUS_UNSPECIFIED: _ClassVar[EntitlementStatus]
    ENTITLEMENT_STATUS_ACTIVE: _ClassVar[EntitlementStatus]
    ENTITLEMENT_STATUS_SUSPENDED: _ClassVar[EntitlementStatus]
    ENTITLEMENT_STATUS_CANCELLED: _ClassVar[EntitlementStatus]

class TokenState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_STATE_UNSPECIFIED: _ClassVar[TokenState]
    TOKEN_STATE_ACTIVE: _ClassVar[TokenState]
    TOKEN_STATE_EXPIRED: _ClassVar[TokenState]
    TOKEN_STATE_REVOKED: _ClassVar[TokenState]

class DecisionCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_CODE_UNSPECIFIED: _ClassVar[DecisionCode]
    DECISION_CODE_ALLOWED: _ClassVar[DecisionCode]
    DECISION_CODE_ALLOWED_OVER_LIMIT: _ClassVar[DecisionCode]
    DECISION_CODE_ALLOWED_STALE: _ClassVar[DecisionCode]
    DECISION_CODE_TOKEN_MISSING: _ClassVar[DecisionCode]
    DECISION_CODE_TOKEN_MALFORMED: _ClassVar[DecisionCode]
    DECISION_CODE_TOKEN_FOREIGN: _ClassVar[DecisionCode]
    DECISION_CODE_TOKEN_UNKNOWN: _ClassVar[DecisionCode]
    DECISION_CODE_TOKEN_EXPIRED: _ClassVar[DecisionCode]
    DECISION_CODE_TOKEN_REVOKED: _ClassVar[DecisionCode]
    DECISION_CODE_SOLUTION_MISMATCH: _ClassVar[DecisionCode]
    DECISION_CODE_SOLUTION_UNKNOWN: _ClassVar[DecisionCode]
    DECISION_CODE_ENTITLEMENT_SUSPENDED: _ClassVar[DecisionCode]
    DECISION_CODE_ENTITLEMENT_CANCELLED: _ClassVar[DecisionCode]
    DECISION_CODE_ACTION_NOT_ALLOWED: _ClassVar[DecisionCode]
    DECISION_CODE_RATE_LIMITED: _ClassVar[DecisionCode]
    DECISION_CODE_QUOTA_EXHAUSTED: _ClassVar[DecisionCode]
    DECISION_CODE_ANONYMOUS_EXHAUSTED: _ClassVar[DecisionCode]
    DECISION_CODE_STALE: _ClassVar[DecisionCode]
    DECISION_CODE_LOG_FULL: _ClassVar[DecisionCode]
ENTITLEMENT_STATUS_UNSPECIFIED: EntitlementStatus
ENTITLEMENT_STATUS_ACTIVE: EntitlementStatus
ENTITLEMENT_STATUS_SUSPENDED: EntitlementStatus
ENTITLEMENT_STATUS_CANCELLED: EntitlementStatus
TOKEN_STATE_UNSPECIFIED: TokenState
TOKEN_STATE_ACTIVE: TokenState
TOKEN_STATE_EXPIRED: TokenState
TOKEN_STATE_REVOKED: TokenState
DECISION_CODE_UNSPECIFIED: DecisionCode
DECISION_CODE_ALLOWED: DecisionCode
DECISION_CODE_ALLOWED_OVER_LIMIT: DecisionCode
DECISION_CODE_ALLOWED_STALE: DecisionCode
DECISION_CODE_TOKEN_MISSING: DecisionCode
DECISION_CODE_TOKEN_MALFORMED: DecisionCode
DECISION_CODE_TOKEN_FOREIGN: DecisionCode
DECISION_CODE_TOKEN_UNKNOWN: DecisionCode
DECISION_CODE_TOKEN_EXPIRED: DecisionCode
DECISION_CODE_TOKEN_REVOKED: DecisionCode
DECISION_CODE_SOLUTION_MISMATCH: DecisionCode
DECISION_CODE_SOLUTION_UNKNOWN: DecisionCode
DECISION_CODE_ENTITLEMENT_SUSPENDED: DecisionCode
DECISION_CODE_ENTITLEMENT_CANCELLED: DecisionCode
DECISION_CODE_ACTION_NOT_ALLOWED: DecisionCode
DECISION_CODE_RATE_LIMITED: DecisionCode
DECISION_CODE_QUOTA_EXHAUSTED: DecisionCode
DECISION_CODE_ANONYMOUS_EXHAUSTED: DecisionCode
DECISION_CODE_STALE: DecisionCode
DECISION_CODE_LOG_FULL: DecisionCode

class Entitlement(_message.Message):
    __slots__ = ("id", "user_id", "solution_id", "tier", "status", "status_reason", "etag", "create_time", "update_time", "revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    user_id: str
    solution_id: str
    tier: str
    status: EntitlementStatus
    status_reason: str
    etag: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, id: _Optional[str] = ..., user_id: _Optional[str] = ..., solution_id: _Optional[str] = ..., tier: _Optional[str] = ..., status: _Optional[_Union[EntitlementStatus, str]] = ..., status_reason: _Optional[str] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("kid", "entitlement_id", "user_id", "solution_id", "state", "create_time", "expire_time", "revoke_time", "last_use_time", "next_kid", "revision")
    KID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_USE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_KID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    kid: str
    entitlement_id: str
    user_id: str
    solution_id: str
    state: TokenState
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    last_use_time: _timestamp_pb2.Timestamp
    next_kid: str
    revision: int
    def __init__(self, kid: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., user_id: _Optional[str] = ..., solution_id: _Optional[str] = ..., state: _Optional[_Union[TokenState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_use_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_kid: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class GenerateSolutionTokenRequest(_message.Message):
    __slots__ = ("user_email", "solution_id", "access_tier", "overlap", "ttl", "request_id")
    USER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TIER_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_email: str
    solution_id: str
    access_tier: str
    overlap: _duration_pb2.Duration
    ttl: _duration_pb2.Duration
    request_id: str
    def __init__(self, user_email: _Optional[str] = ..., solution_id: _Optional[str] = ..., access_tier: _Optional[str] = ..., overlap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GenerateSolutionTokenResponse(_message.Message):
    __slots__ = ("token", "expires_at", "redirect_url", "token_kid", "entitlement_id", "user_id", "revision")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires_at: _timestamp_pb2.Timestamp
    redirect_url: str
    token_kid: str
    entitlement_id: str
    user_id: str
    revision: int
    def __init__(self, token: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., redirect_url: _Optional[str] = ..., token_kid: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., user_id: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class ValidateTokenRequest(_message.Message):
    __slots__ = ("token", "action", "solution_id", "cost", "peek", "min_revision", "anonymous_id", "http_status")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    PEEK_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_ID_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_FIELD_NUMBER: _ClassVar[int]
    token: str
    action: str
    solution_id: str
    cost: int
    peek: bool
    min_revision: int
    anonymous_id: str
    http_status: bool
    def __init__(self, token: _Optional[str] = ..., action: _Optional[str] = ..., solution_id: _Optional[str] = ..., cost: _Optional[int] = ..., peek: _Optional[bool] = ..., min_revision: _Optional[int] = ..., anonymous_id: _Optional[str] = ..., http_status: _Optional[bool] = ...) -> None: ...

class ValidateTokenResponse(_message.Message):
    __slots__ = ("allowed", "user_email", "access_tier", "quota_remaining", "quota_resets_at", "code", "user_id", "quota_limit", "decision_id", "upgrade_url", "retry_after", "revision", "entitlement_id")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    USER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TIER_FIELD_NUMBER: _ClassVar[int]
    QUOTA_REMAINING_FIELD_NUMBER: _ClassVar[int]
    QUOTA_RESETS_AT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    QUOTA_LIMIT_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_URL_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    user_email: str
    access_tier: str
    quota_remaining: int
    quota_resets_at: _timestamp_pb2.Timestamp
    code: DecisionCode
    user_id: str
    quota_limit: int
    decision_id: str
    upgrade_url: str
    retry_after: _duration_pb2.Duration
    revision: int
    entitlement_id: str
    def __init__(self, allowed: _Optional[bool] = ..., user_email: _Optional[str] = ..., access_tier: _Optional[str] = ..., quota_remaining: _Optional[int] = ..., quota_resets_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code: _Optional[_Union[DecisionCode, str]] = ..., user_id: _Optional[str] = ..., quota_limit: _Optional[int] = ..., decision_id: _Optional[str] = ..., upgrade_url: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., revision: _Optional[int] = ..., entitlement_id: _Optional[str] = ...) -> None: ...

class ReserveUnitsRequest(_message.Message):
    __slots__ = ("token", "solution_id", "action", "units", "ttl", "request_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    solution_id: str
    action: str
    units: int
    ttl: _duration_pb2.Duration
    request_id: str
    def __init__(self, token: _Optional[str] = ..., solution_id: _Optional[str] = ..., action: _Optional[str] = ..., units: _Optional[int] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReserveUnitsResponse(_message.Message):
    __slots__ = ("decision", "reservation_id", "expire_time")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    decision: ValidateTokenResponse
    reservation_id: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, decision: _Optional[_Union[ValidateTokenResponse, _Mapping]] = ..., reservation_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CommitReservationRequest(_message.Message):
    __slots__ = ("reservation_id", "cost", "request_id")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    cost: int
    request_id: str
    def __init__(self, reservation_id: _Optional[str] = ..., cost: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class CommitReservationResponse(_message.Message):
    __slots__ = ("spent_units", "released_units", "short_units")
    SPENT_UNITS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_UNITS_FIELD_NUMBER: _ClassVar[int]
    SHORT_UNITS_FIELD_NUMBER: _ClassVar[int]
    spent_units: int
    released_units: int
    short_units: int
    def __init__(self, spent_units: _Optional[int] = ..., released_units: _Optional[int] = ..., short_units: _Optional[int] = ...) -> None: ...

class ReleaseReservationRequest(_message.Message):
    __slots__ = ("reservation_id", "request_id")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    request_id: str
    def __init__(self, reservation_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReleaseReservationResponse(_message.Message):
    __slots__ = ("released_units",)
    RELEASED_UNITS_FIELD_NUMBER: _ClassVar[int]
    released_units: int
    def __init__(self, released_units: _Optional[int] = ...) -> None: ...

class GetEntitlementRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetEntitlementResponse(_message.Message):
    __slots__ = ("entitlement",)
    ENTITLEMENT_FIELD_NUMBER: _ClassVar[int]
    entitlement: Entitlement
    def __init__(self, entitlement: _Optional[_Union[Entitlement, _Mapping]] = ...) -> None: ...

class ListEntitlementsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListEntitlementsResponse(_message.Message):
    __slots__ = ("entitlements", "next_page_token")
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entitlements: _containers.RepeatedCompositeFieldContainer[Entitlement]
    next_page_token: str
    def __init__(self, entitlements: _Optional[_Iterable[_Union[Entitlement, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateEntitlementRequest(_message.Message):
    __slots__ = ("id", "tier", "status", "reason", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    tier: str
    status: EntitlementStatus
    reason: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., tier: _Optional[str] = ..., status: _Optional[_Union[EntitlementStatus, str]] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateEntitlementResponse(_message.Message):
    __slots__ = ("entitlement",)
    ENTITLEMENT_FIELD_NUMBER: _ClassVar[int]
    entitlement: Entitlement
    def __init__(self, entitlement: _Optional[_Union[Entitlement, _Mapping]] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens", "next_page_token")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    next_page_token: str
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RotateTokenRequest(_message.Message):
    __slots__ = ("kid", "overlap", "reason", "request_id")
    KID_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    kid: str
    overlap: _duration_pb2.Duration
    reason: str
    request_id: str
    def __init__(self, kid: _Optional[str] = ..., overlap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RotateTokenResponse(_message.Message):
    __slots__ = ("secret", "token", "previous")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    secret: str
    token: Token
    previous: Token
    def __init__(self, secret: _Optional[str] = ..., token: _Optional[_Union[Token, _Mapping]] = ..., previous: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("kid", "reason", "request_id")
    KID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    kid: str
    reason: str
    request_id: str
    def __init__(self, kid: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class ReportLeakedTokenRequest(_message.Message):
    __slots__ = ("token", "source", "suspend", "request_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    source: str
    suspend: bool
    request_id: str
    def __init__(self, token: _Optional[str] = ..., source: _Optional[str] = ..., suspend: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReportLeakedTokenResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Decision(_message.Message):
    __slots__ = ("id", "token_kid", "user_id", "solution_id", "entitlement_id", "tier", "action", "code", "cost", "count", "first_time", "last_time", "validator", "revision", "create_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    token_kid: str
    user_id: str
    solution_id: str
    entitlement_id: str
    tier: str
    action: str
    code: DecisionCode
    cost: int
    count: int
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    validator: str
    revision: int
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., token_kid: _Optional[str] = ..., user_id: _Optional[str] = ..., solution_id: _Optional[str] = ..., entitlement_id: _Optional[str] = ..., tier: _Optional[str] = ..., action: _Optional[str] = ..., code: _Optional[_Union[DecisionCode, str]] = ..., cost: _Optional[int] = ..., count: _Optional[int] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., validator: _Optional[str] = ..., revision: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListDecisionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListDecisionsResponse(_message.Message):
    __slots__ = ("decisions", "next_page_token")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    next_page_token: str
    def __init__(self, decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExplainDecisionRequest(_message.Message):
    __slots__ = ("decision_id",)
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    def __init__(self, decision_id: _Optional[str] = ...) -> None: ...

class ExplainDecisionResponse(_message.Message):
    __slots__ = ("decision", "steps")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    steps: _containers.RepeatedCompositeFieldContainer[DecisionStep]
    def __init__(self, decision: _Optional[_Union[Decision, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[DecisionStep, _Mapping]]] = ...) -> None: ...

class DecisionStep(_message.Message):
    __slots__ = ("check", "passed", "explanation")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    check: str
    passed: bool
    explanation: str
    def __init__(self, check: _Optional[str] = ..., passed: _Optional[bool] = ..., explanation: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("entitlement_id", "user_id", "solution_id", "action", "date", "used_units", "lost_units", "allowed_count", "denied_count", "last_request_time", "quota_limit")
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DATE_FIELD_NUMBER: _ClassVar[int]
    USED_UNITS_FIELD_NUMBER: _ClassVar[int]
    LOST_UNITS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DENIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_REQUEST_TIME_FIELD_NUMBER: _ClassVar[int]
    QUOTA_LIMIT_FIELD_NUMBER: _ClassVar[int]
    entitlement_id: str
    user_id: str
    solution_id: str
    action: str
    date: str
    used_units: int
    lost_units: int
    allowed_count: int
    denied_count: int
    last_request_time: _timestamp_pb2.Timestamp
    quota_limit: int
    def __init__(self, entitlement_id: _Optional[str] = ..., user_id: _Optional[str] = ..., solution_id: _Optional[str] = ..., action: _Optional[str] = ..., date: _Optional[str] = ..., used_units: _Optional[int] = ..., lost_units: _Optional[int] = ..., allowed_count: _Optional[int] = ..., denied_count: _Optional[int] = ..., last_request_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quota_limit: _Optional[int] = ...) -> None: ...

class ListUsageRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListUsageResponse(_message.Message):
    __slots__ = ("usage", "next_page_token")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    usage: _containers.RepeatedCompositeFieldContainer[Usage]
    next_page_token: str
    def __init__(self, usage: _Optional[_Iterable[_Union[Usage, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
