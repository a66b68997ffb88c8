from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetRegisterPageRequest(_message.Message):
    __slots__ = ("solution_id", "redirect_url", "state")
    SOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    solution_id: str
    redirect_url: str
    state: str
    def __init__(self, solution_id: _Optional[str] = ..., redirect_url: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class GetVerifyPageRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
