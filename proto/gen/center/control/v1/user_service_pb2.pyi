import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import access_service_pb2 as _access_service_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.longrunning import operations_proto_pb2 as _operations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UserState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USER_STATE_UNSPECIFIED: _ClassVar[UserState]
    USER_STATE_ACTIVE: _ClassVar[UserState]
    USER_STATE_ERASING: _ClassVar[UserState]
    USER_STATE_ERASED: _ClassVar[UserState]

class MailTemplate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MAIL_TEMPLATE_UNSPECIFIED: _ClassVar[MailTemplate]
    MAIL_TEMPLATE_VERIFY: _ClassVar[MailTemplate]
    MAIL_TEMPLATE_SIGN_IN: _ClassVar[MailTemplate]
    MAIL_TEMPLATE_CHANGE: _ClassVar[MailTemplate]
    MAIL_TEMPLATE_CHANGED: _ClassVar[MailTemplate]

class MailState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MAIL_STATE_UNSPECIFIED: _ClassVar[MailState]
    MAIL_STATE_PENDING: _ClassVar[MailState]
    MAIL_STATE_SENT: _ClassVar[MailState]
    MAIL_STATE_FAILED: _ClassVar[MailState]
    MAIL_STATE_DROPPED: _ClassVar[MailState]
USER_STATE_UNSPECIFIED: UserState
USER_STATE_ACTIVE: UserState
USER_STATE_ERASING: UserState
USER_STATE_ERASED: UserState
MAIL_TEMPLATE_UNSPECIFIED: MailTemplate
MAIL_TEMPLATE_VERIFY: MailTemplate
MAIL_TEMPLATE_SIGN_IN: MailTemplate
MAIL_TEMPLATE_CHANGE: MailTemplate
MAIL_TEMPLATE_CHANGED: MailTemplate
MAIL_STATE_UNSPECIFIED: MailState
MAIL_STATE_PENDING: MailState
MAIL_STATE_SENT: MailState
MAIL_STATE_FAILED: MailState
MAIL_STATE_DROPPED: MailState

class User(_message.Message):
    __slots__ = ("id", "state", "email", "verify_time", "create_time", "update_time", "erase_time", "etag")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    VERIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ERASE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: UserState
    email: str
    verify_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    erase_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[UserState, str]] = ..., email: _Optional[str] = ..., verify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., erase_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class RegisterUserRequest(_message.Message):
    __slots__ = ("email", "solution_id", "redirect_url", "state", "request_id")
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    email: str
    solution_id: str
    redirect_url: str
    state: str
    request_id: str
    def __init__(self, email: _Optional[str] = ..., solution_id: _Optional[str] = ..., redirect_url: _Optional[str] = ..., state: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RegisterUserResponse(_message.Message):
    __slots__ = ("redirect_url", "registration_id", "registration_secret")
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_ID_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_SECRET_FIELD_NUMBER: _ClassVar[int]
    redirect_url: str
    registration_id: str
    registration_secret: str
    def __init__(self, redirect_url: _Optional[str] = ..., registration_id: _Optional[str] = ..., registration_secret: _Optional[str] = ...) -> None: ...

class VerifyEmailRequest(_message.Message):
    __slots__ = ("token", "registration_secrets", "request_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_SECRETS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    registration_secrets: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    def __init__(self, token: _Optional[str] = ..., registration_secrets: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class VerifyEmailResponse(_message.Message):
    __slots__ = ("redirect_url", "user_id", "revoked_tokens")
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    REVOKED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    redirect_url: str
    user_id: str
    revoked_tokens: int
    def __init__(self, redirect_url: _Optional[str] = ..., user_id: _Optional[str] = ..., revoked_tokens: _Optional[int] = ...) -> None: ...

class ExchangeCodeRequest(_message.Message):
    __slots__ = ("code", "solution_id", "request_id")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    code: str
    solution_id: str
    request_id: str
    def __init__(self, code: _Optional[str] = ..., solution_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExchangeCodeResponse(_message.Message):
    __slots__ = ("token", "token_kid", "user_id", "user_email", "email_verified", "entitlement_id", "access_tier", "revision")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_KID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_EMAIL_FIELD_NUMBER: _ClassVar[int]
    EMAIL_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TIER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    token: str
    token_kid: str
    user_id: str
    user_email: str
    email_verified: bool
    entitlement_id: str
    access_tier: str
    revision: int
    def __init__(self, token: _Optional[str] = ..., token_kid: _Optional[str] = ..., user_id: _Optional[str] = ..., user_email: _Optional[str] = ..., email_verified: _Optional[bool] = ..., entitlement_id: _Optional[str] = ..., access_tier: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class GetUserRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ListUsersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users", "next_page_token")
    USERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    next_page_token: str
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class FindUserRequest(_message.Message):
    __slots__ = ("email",)
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    email: str
    def __init__(self, email: _Optional[str] = ...) -> None: ...

class FindUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ChangeUserEmailRequest(_message.Message):
    __slots__ = ("id", "email", "reason", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    email: str
    reason: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., email: _Optional[str] = ..., reason: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ChangeUserEmailResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ExportUserRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ExportUserResponse(_message.Message):
    __slots__ = ("user", "wanted_email", "entitlements", "tokens", "usage", "decision_count", "registrations", "mails", "audit_entry_count", "export_time")
    USER_FIELD_NUMBER: _ClassVar[int]
    WANTED_EMAIL_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    DECISION_COUNT_FIELD_NUMBER: _ClassVar[int]
    REGISTRATIONS_FIELD_NUMBER: _ClassVar[int]
    MAILS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ENTRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPORT_TIME_FIELD_NUMBER: _ClassVar[int]
    user: User
    wanted_email: str
    entitlements: _containers.RepeatedCompositeFieldContainer[_access_service_pb2.Entitlement]
    tokens: _containers.RepeatedCompositeFieldContainer[_access_service_pb2.Token]
    usage: _containers.RepeatedCompositeFieldContainer[_access_service_pb2.Usage]
    decision_count: int
    registrations: _containers.RepeatedCompositeFieldContainer[UserRegistration]
    mails: _containers.RepeatedCompositeFieldContainer[Mail]
    audit_entry_count: int
    export_time: _timestamp_pb2.Timestamp
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., wanted_email: _Optional[str] = ..., entitlements: _Optional[_Iterable[_Union[_access_service_pb2.Entitlement, _Mapping]]] = ..., tokens: _Optional[_Iterable[_Union[_access_service_pb2.Token, _Mapping]]] = ..., usage: _Optional[_Iterable[_Union[_access_service_pb2.Usage, _Mapping]]] = ..., decision_count: _Optional[int] = ..., registrations: _Optional[_Iterable[_Union[UserRegistration, _Mapping]]] = ..., mails: _Optional[_Iterable[_Union[Mail, _Mapping]]] = ..., audit_entry_count: _Optional[int] = ..., export_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UserRegistration(_message.Message):
    __slots__ = ("id", "solution_id", "redirect_url", "create_time", "verify_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    VERIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    solution_id: str
    redirect_url: str
    create_time: _timestamp_pb2.Timestamp
    verify_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., solution_id: _Optional[str] = ..., redirect_url: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EraseUserRequest(_message.Message):
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

class EraseUserResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ...) -> None: ...

class ErasureReceipt(_message.Message):
    __slots__ = ("user_id", "erase_time", "stores")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ERASE_TIME_FIELD_NUMBER: _ClassVar[int]
    STORES_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    erase_time: _timestamp_pb2.Timestamp
    stores: _containers.RepeatedCompositeFieldContainer[TouchedStore]
    def __init__(self, user_id: _Optional[str] = ..., erase_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stores: _Optional[_Iterable[_Union[TouchedStore, _Mapping]]] = ...) -> None: ...

class TouchedStore(_message.Message):
    __slots__ = ("store", "action")
    STORE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    store: str
    action: str
    def __init__(self, store: _Optional[str] = ..., action: _Optional[str] = ...) -> None: ...

class RotateUserKeysRequest(_message.Message):
    __slots__ = ("reason", "request_id")
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reason: str
    request_id: str
    def __init__(self, reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RotateUserKeysResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ...) -> None: ...

class RetireUserKeysRequest(_message.Message):
    __slots__ = ("reason", "request_id")
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reason: str
    request_id: str
    def __init__(self, reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetireUserKeysResponse(_message.Message):
    __slots__ = ("keks",)
    KEKS_FIELD_NUMBER: _ClassVar[int]
    keks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, keks: _Optional[_Iterable[int]] = ...) -> None: ...

class KeyRotationReceipt(_message.Message):
    __slots__ = ("kek", "rewrapped_users")
    KEK_FIELD_NUMBER: _ClassVar[int]
    REWRAPPED_USERS_FIELD_NUMBER: _ClassVar[int]
    kek: int
    rewrapped_users: int
    def __init__(self, kek: _Optional[int] = ..., rewrapped_users: _Optional[int] = ...) -> None: ...

class Mail(_message.Message):
    __slots__ = ("id", "user_id", "template", "state", "attempts", "next_attempt_time", "last_error", "create_time", "end_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    user_id: str
    template: MailTemplate
    state: MailState
    attempts: int
    next_attempt_time: _timestamp_pb2.Timestamp
    last_error: str
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., user_id: _Optional[str] = ..., template: _Optional[_Union[MailTemplate, str]] = ..., state: _Optional[_Union[MailState, str]] = ..., attempts: _Optional[int] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListMailsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListMailsResponse(_message.Message):
    __slots__ = ("mails", "next_page_token")
    MAILS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    mails: _containers.RepeatedCompositeFieldContainer[Mail]
    next_page_token: str
    def __init__(self, mails: _Optional[_Iterable[_Union[Mail, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
