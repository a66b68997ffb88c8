import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StorefrontTheme(_message.Message):
    __slots__ = ("title", "logo_text", "tagline", "accent_color", "etag", "update_time")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LOGO_TEXT_FIELD_NUMBER: _ClassVar[int]
    TAGLINE_FIELD_NUMBER: _ClassVar[int]
    ACCENT_COLOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    title: str
    logo_text: str
    tagline: str
    accent_color: str
    etag: str
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, title: _Optional[str] = ..., logo_text: _Optional[str] = ..., tagline: _Optional[str] = ..., accent_color: _Optional[str] = ..., etag: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetThemeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetThemeResponse(_message.Message):
    __slots__ = ("theme",)
    THEME_FIELD_NUMBER: _ClassVar[int]
    theme: StorefrontTheme
    def __init__(self, theme: _Optional[_Union[StorefrontTheme, _Mapping]] = ...) -> None: ...

class SetThemeRequest(_message.Message):
    __slots__ = ("theme", "request_id")
    THEME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    theme: StorefrontTheme
    request_id: str
    def __init__(self, theme: _Optional[_Union[StorefrontTheme, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetThemeResponse(_message.Message):
    __slots__ = ("theme",)
    THEME_FIELD_NUMBER: _ClassVar[int]
    theme: StorefrontTheme
    def __init__(self, theme: _Optional[_Union[StorefrontTheme, _Mapping]] = ...) -> None: ...
