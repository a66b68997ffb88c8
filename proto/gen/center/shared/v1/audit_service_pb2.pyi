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

class AuditFindingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_FINDING_KIND_UNSPECIFIED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_CHANGED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_REMOVED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_REORDERED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_SLIPPED_IN: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_SEAL_BROKEN: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_TRUNCATED: _ClassVar[AuditFindingKind]
    AUDIT_FINDING_KIND_REWRITTEN: _ClassVar[AuditFindingKind]
AUDIT_FINDING_KIND_UNSPECIFIED: AuditFindingKind
AUDIT_FINDING_KIND_CHANGED: AuditFindingKind
AUDIT_FINDING_KIND_REMOVED: AuditFindingKind
AUDIT_FINDING_KIND_REORDERED: AuditFindingKind
AUDIT_FINDING_KIND_SLIPPED_IN: AuditFindingKind
AUDIT_FINDING_KIND_SEAL_BROKEN: AuditFindingKind
AUDIT_FINDING_KIND_TRUNCATED: AuditFindingKind
AUDIT_FINDING_KIND_REWRITTEN: AuditFindingKind

class ListEntriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "tenant_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    tenant_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetEntryRequest(_message.Message):
    __slots__ = ("id", "tenant_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class GetEntryResponse(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: AuditEntry
    def __init__(self, entry: _Optional[_Union[AuditEntry, _Mapping]] = ...) -> None: ...

class VerifyChainRequest(_message.Message):
    __slots__ = ("tenant_id", "all_chains", "from_position", "to_position", "known")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ALL_CHAINS_FIELD_NUMBER: _ClassVar[int]
    FROM_POSITION_FIELD_NUMBER: _ClassVar[int]
    TO_POSITION_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    all_chains: bool
    from_position: int
    to_position: int
    known: AuditAnchor
    def __init__(self, tenant_id: _Optional[str] = ..., all_chains: _Optional[bool] = ..., from_position: _Optional[int] = ..., to_position: _Optional[int] = ..., known: _Optional[_Union[AuditAnchor, _Mapping]] = ...) -> None: ...

class VerifyChainResponse(_message.Message):
    __slots__ = ("tenant_id", "links", "findings", "complete", "end", "seal_time", "unsealed")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SEAL_TIME_FIELD_NUMBER: _ClassVar[int]
    UNSEALED_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    links: int
    findings: _containers.RepeatedCompositeFieldContainer[AuditFinding]
    complete: bool
    end: AuditAnchor
    seal_time: _timestamp_pb2.Timestamp
    unsealed: int
    def __init__(self, tenant_id: _Optional[str] = ..., links: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[AuditFinding, _Mapping]]] = ..., complete: _Optional[bool] = ..., end: _Optional[_Union[AuditAnchor, _Mapping]] = ..., seal_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., unsealed: _Optional[int] = ...) -> None: ...

class AuditAnchor(_message.Message):
    __slots__ = ("position", "hash")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    position: int
    hash: bytes
    def __init__(self, position: _Optional[int] = ..., hash: _Optional[bytes] = ...) -> None: ...

class AuditFinding(_message.Message):
    __slots__ = ("kind", "position", "until", "entry_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    kind: AuditFindingKind
    position: int
    until: int
    entry_id: str
    def __init__(self, kind: _Optional[_Union[AuditFindingKind, str]] = ..., position: _Optional[int] = ..., until: _Optional[int] = ..., entry_id: _Optional[str] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("tenant_id", "from_position")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_POSITION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    from_position: int
    def __init__(self, tenant_id: _Optional[str] = ..., from_position: _Optional[int] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("chain", "signer", "link", "seal")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    chain: AuditChain
    signer: AuditSigner
    link: AuditLink
    seal: AuditSeal
    def __init__(self, chain: _Optional[_Union[AuditChain, _Mapping]] = ..., signer: _Optional[_Union[AuditSigner, _Mapping]] = ..., link: _Optional[_Union[AuditLink, _Mapping]] = ..., seal: _Optional[_Union[AuditSeal, _Mapping]] = ...) -> None: ...

class AuditChain(_message.Message):
    __slots__ = ("tenant_id", "after_position", "after_hash")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_POSITION_FIELD_NUMBER: _ClassVar[int]
    AFTER_HASH_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    after_position: int
    after_hash: bytes
    def __init__(self, tenant_id: _Optional[str] = ..., after_position: _Optional[int] = ..., after_hash: _Optional[bytes] = ...) -> None: ...

class AuditSigner(_message.Message):
    __slots__ = ("signer", "certificate")
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    signer: str
    certificate: bytes
    def __init__(self, signer: _Optional[str] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class AuditLink(_message.Message):
    __slots__ = ("position", "digest", "hash", "entry_id", "entry", "proof")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    position: int
    digest: bytes
    hash: bytes
    entry_id: str
    entry: AuditEntry
    proof: bytes
    def __init__(self, position: _Optional[int] = ..., digest: _Optional[bytes] = ..., hash: _Optional[bytes] = ..., entry_id: _Optional[str] = ..., entry: _Optional[_Union[AuditEntry, _Mapping]] = ..., proof: _Optional[bytes] = ...) -> None: ...

class AuditSeal(_message.Message):
    __slots__ = ("begin", "position", "hash", "create_time", "signer", "signature")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    begin: int
    position: int
    hash: bytes
    create_time: _timestamp_pb2.Timestamp
    signer: str
    signature: bytes
    def __init__(self, begin: _Optional[int] = ..., position: _Optional[int] = ..., hash: _Optional[bytes] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signer: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("id", "create_time", "method", "caller", "resource", "resource_id", "tenant_id", "reason", "revision", "trace_id", "request_id", "changes")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    id: str
    create_time: _timestamp_pb2.Timestamp
    method: str
    caller: str
    resource: str
    resource_id: str
    tenant_id: str
    reason: str
    revision: int
    trace_id: str
    request_id: str
    changes: _containers.RepeatedCompositeFieldContainer[FieldChange]
    def __init__(self, id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., method: _Optional[str] = ..., caller: _Optional[str] = ..., resource: _Optional[str] = ..., resource_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., reason: _Optional[str] = ..., revision: _Optional[int] = ..., trace_id: _Optional[str] = ..., request_id: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("field", "before", "after")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    field: str
    before: str
    after: str
    def __init__(self, field: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...
