from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StaffRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAFF_ROLE_UNSPECIFIED: _ClassVar[StaffRole]
    STAFF_ROLE_READ_ONLY: _ClassVar[StaffRole]
    STAFF_ROLE_STAFF: _ClassVar[StaffRole]
    STAFF_ROLE_MANAGER: _ClassVar[StaffRole]
    STAFF_ROLE_OWNER: _ClassVar[StaffRole]

class Caller(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALLER_UNSPECIFIED: _ClassVar[Caller]
    CALLER_OPERATOR: _ClassVar[Caller]
    CALLER_CONTROL: _ClassVar[Caller]
    CALLER_CLUSTER: _ClassVar[Caller]
    CALLER_EDGE: _ClassVar[Caller]
    CALLER_SHOPPER: _ClassVar[Caller]
    CALLER_MERCHANT: _ClassVar[Caller]
    CALLER_ENVOY: _ClassVar[Caller]
    CALLER_SOLUTION: _ClassVar[Caller]
    CALLER_CUSTOMER: _ClassVar[Caller]

class TenantContext(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENANT_CONTEXT_UNSPECIFIED: _ClassVar[TenantContext]
    TENANT_CONTEXT_NONE: _ClassVar[TenantContext]
    TENANT_CONTEXT_REQUIRED: _ClassVar[TenantContext]
STAFF_ROLE_UNSPECIFIED: StaffRole
STAFF_ROLE_READ_ONLY: StaffRole
STAFF_ROLE_STAFF: StaffRole
STAFF_ROLE_MANAGER: StaffRole
STAFF_ROLE_OWNER: StaffRole
CALLER_UNSPECIFIED: Caller
CALLER_OPERATOR: Caller
CALLER_CONTROL: Caller
CALLER_CLUSTER: Caller
CALLER_EDGE: Caller
CALLER_SHOPPER: Caller
CALLER_MERCHANT: Caller
CALLER_ENVOY: Caller
CALLER_SOLUTION: Caller
CALLER_CUSTOMER: Caller
TENANT_CONTEXT_UNSPECIFIED: TenantContext
TENANT_CONTEXT_NONE: TenantContext
TENANT_CONTEXT_REQUIRED: TenantContext
RULES_FIELD_NUMBER: _ClassVar[int]
rules: _descriptor.FieldDescriptor

class MethodRules(_message.Message):
    __slots__ = ("callers", "tenant", "mutates", "idempotent", "not_audited_because", "role")
    CALLERS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MUTATES_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
    NOT_AUDITED_BECAUSE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    callers: _containers.RepeatedScalarFieldContainer[Caller]
    tenant: TenantContext
    mutates: bool
    idempotent: bool
    not_audited_because: str
    role: StaffRole
    def __init__(self, callers: _Optional[_Iterable[_Union[Caller, str]]] = ..., tenant: _Optional[_Union[TenantContext, str]] = ..., mutates: _Optional[bool] = ..., idempotent: _Optional[bool] = ..., not_audited_because: _Optional[str] = ..., role: _Optional[_Union[StaffRole, str]] = ...) -> None: ...
