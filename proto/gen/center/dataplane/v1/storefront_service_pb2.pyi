from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetHomePageRequest(_message.Message):
    __slots__ = ("q", "page")
    Q_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    q: str
    page: str
    def __init__(self, q: _Optional[str] = ..., page: _Optional[str] = ...) -> None: ...

class GetCategoriesPageRequest(_message.Message):
    __slots__ = ("page",)
    PAGE_FIELD_NUMBER: _ClassVar[int]
    page: str
    def __init__(self, page: _Optional[str] = ...) -> None: ...

class GetCategoryPageRequest(_message.Message):
    __slots__ = ("handle", "page")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    handle: str
    page: str
    def __init__(self, handle: _Optional[str] = ..., page: _Optional[str] = ...) -> None: ...

class GetCollectionPageRequest(_message.Message):
    __slots__ = ("handle", "page")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    handle: str
    page: str
    def __init__(self, handle: _Optional[str] = ..., page: _Optional[str] = ...) -> None: ...

class GetProductPageRequest(_message.Message):
    __slots__ = ("handle",)
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    handle: str
    def __init__(self, handle: _Optional[str] = ...) -> None: ...

class GetCartPageRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SubmitCartRequest(_message.Message):
    __slots__ = ("action", "form")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    action: str
    form: _httpbody_pb2.HttpBody
    def __init__(self, action: _Optional[str] = ..., form: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class GetCheckoutPageRequest(_message.Message):
    __slots__ = ("step",)
    STEP_FIELD_NUMBER: _ClassVar[int]
    step: str
    def __init__(self, step: _Optional[str] = ...) -> None: ...

class SubmitCheckoutRequest(_message.Message):
    __slots__ = ("action", "form")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    action: str
    form: _httpbody_pb2.HttpBody
    def __init__(self, action: _Optional[str] = ..., form: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class GetAccountPageRequest(_message.Message):
    __slots__ = ("page",)
    PAGE_FIELD_NUMBER: _ClassVar[int]
    page: str
    def __init__(self, page: _Optional[str] = ...) -> None: ...

class GetAccountFormRequest(_message.Message):
    __slots__ = ("name", "token", "done")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    name: str
    token: str
    done: str
    def __init__(self, name: _Optional[str] = ..., token: _Optional[str] = ..., done: _Optional[str] = ...) -> None: ...

class SubmitAccountRequest(_message.Message):
    __slots__ = ("action", "form")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    action: str
    form: _httpbody_pb2.HttpBody
    def __init__(self, action: _Optional[str] = ..., form: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class GetOrderPageRequest(_message.Message):
    __slots__ = ("id", "key")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class GetAssetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...
