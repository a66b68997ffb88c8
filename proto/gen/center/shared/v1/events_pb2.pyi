from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor
EVENT_FIELD_NUMBER: _ClassVar[int]
event: _descriptor.FieldDescriptor

class EventRules(_message.Message):
    __slots__ = ("plane", "types", "major")
    PLANE_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    MAJOR_FIELD_NUMBER: _ClassVar[int]
    plane: str
    types: _containers.RepeatedScalarFieldContainer[str]
    major: int
    def __init__(self, plane: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., major: _Optional[int] = ...) -> None: ...
