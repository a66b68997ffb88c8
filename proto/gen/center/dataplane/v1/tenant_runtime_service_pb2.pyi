import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.control.v1 import catalog_service_pb2 as _catalog_service_pb2
from center.dataplane.v1 import order_service_pb2 as _order_service_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApplyTenantsRequest(_message.Message):
    __slots__ = ("tenants",)
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.CatalogTenant]
    def __init__(self, tenants: _Optional[_Iterable[_Union[_catalog_service_pb2.CatalogTenant, _Mapping]]] = ...) -> None: ...

class ApplyTenantsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveTenantRequest(_message.Message):
    __slots__ = ("tenant_id", "revision")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    revision: int
    def __init__(self, tenant_id: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class RemoveTenantResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: bool
    def __init__(self, removed: _Optional[bool] = ...) -> None: ...

class ResyncTenantRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: _catalog_service_pb2.CatalogTenant
    def __init__(self, tenant: _Optional[_Union[_catalog_service_pb2.CatalogTenant, _Mapping]] = ...) -> None: ...

class ResyncTenantResponse(_message.Message):
    __slots__ = ("drift",)
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    drift: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, drift: _Optional[_Iterable[str]] = ...) -> None: ...

class GetTenantStatsRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetTenantStatsResponse(_message.Message):
    __slots__ = ("active_products", "draft_products", "archived_products", "variants", "last_write_time", "revision", "open_carts", "stock", "media_bytes", "orders", "customers")
    ACTIVE_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    DRAFT_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    LAST_WRITE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPEN_CARTS_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    MEDIA_BYTES_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    active_products: int
    draft_products: int
    archived_products: int
    variants: int
    last_write_time: _timestamp_pb2.Timestamp
    revision: int
    open_carts: int
    stock: StockFigures
    media_bytes: int
    orders: _containers.RepeatedCompositeFieldContainer[OrderFigures]
    customers: int
    def __init__(self, active_products: _Optional[int] = ..., draft_products: _Optional[int] = ..., archived_products: _Optional[int] = ..., variants: _Optional[int] = ..., last_write_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., open_carts: _Optional[int] = ..., stock: _Optional[_Union[StockFigures, _Mapping]] = ..., media_bytes: _Optional[int] = ..., orders: _Optional[_Iterable[_Union[OrderFigures, _Mapping]]] = ..., customers: _Optional[int] = ...) -> None: ...

class OrderFigures(_message.Message):
    __slots__ = ("state", "count", "total", "paid", "refunded")
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PAID_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    state: _order_service_pb2.OrderState
    count: int
    total: _money_pb2.Money
    paid: _money_pb2.Money
    refunded: _money_pb2.Money
    def __init__(self, state: _Optional[_Union[_order_service_pb2.OrderState, str]] = ..., count: _Optional[int] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., paid: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., refunded: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class StockFigures(_message.Message):
    __slots__ = ("levels", "on_hand", "reserved", "backordered")
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    BACKORDERED_FIELD_NUMBER: _ClassVar[int]
    levels: int
    on_hand: int
    reserved: int
    backordered: int
    def __init__(self, levels: _Optional[int] = ..., on_hand: _Optional[int] = ..., reserved: _Optional[int] = ..., backordered: _Optional[int] = ...) -> None: ...

class ListTenantsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTenantsResponse(_message.Message):
    __slots__ = ("tenants", "next_page_token")
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[LocalTenant]
    next_page_token: str
    def __init__(self, tenants: _Optional[_Iterable[_Union[LocalTenant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LocalTenant(_message.Message):
    __slots__ = ("tenant", "served")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    tenant: _catalog_service_pb2.CatalogTenant
    served: bool
    def __init__(self, tenant: _Optional[_Union[_catalog_service_pb2.CatalogTenant, _Mapping]] = ..., served: _Optional[bool] = ...) -> None: ...

class ExportTenantRequest(_message.Message):
    __slots__ = ("tenant_id", "target_object_place")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_OBJECT_PLACE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    target_object_place: str
    def __init__(self, tenant_id: _Optional[str] = ..., target_object_place: _Optional[str] = ...) -> None: ...

class ExportTenantResponse(_message.Message):
    __slots__ = ("rows", "object")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    rows: TenantRows
    object: TenantObject
    def __init__(self, rows: _Optional[_Union[TenantRows, _Mapping]] = ..., object: _Optional[_Union[TenantObject, _Mapping]] = ...) -> None: ...

class TenantObject(_message.Message):
    __slots__ = ("key", "data")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    data: bytes
    def __init__(self, key: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class GetObjectPlaceRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetObjectPlaceResponse(_message.Message):
    __slots__ = ("place",)
    PLACE_FIELD_NUMBER: _ClassVar[int]
    place: str
    def __init__(self, place: _Optional[str] = ...) -> None: ...

class TenantRows(_message.Message):
    __slots__ = ("table", "columns", "data", "schema_version")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    table: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    data: bytes
    schema_version: str
    def __init__(self, table: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., data: _Optional[bytes] = ..., schema_version: _Optional[str] = ...) -> None: ...

class ImportTenantRequest(_message.Message):
    __slots__ = ("tenant", "rows", "object")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    tenant: _catalog_service_pb2.CatalogTenant
    rows: TenantRows
    object: TenantObject
    def __init__(self, tenant: _Optional[_Union[_catalog_service_pb2.CatalogTenant, _Mapping]] = ..., rows: _Optional[_Union[TenantRows, _Mapping]] = ..., object: _Optional[_Union[TenantObject, _Mapping]] = ...) -> None: ...

class ImportTenantResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: int
    def __init__(self, rows: _Optional[int] = ...) -> None: ...

class GetTenantDigestRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetTenantDigestResponse(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableDigest]
    def __init__(self, tables: _Optional[_Iterable[_Union[TableDigest, _Mapping]]] = ...) -> None: ...

class TableDigest(_message.Message):
    __slots__ = ("table", "rows", "checksum")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    table: str
    rows: int
    checksum: str
    def __init__(self, table: _Optional[str] = ..., rows: _Optional[int] = ..., checksum: _Optional[str] = ...) -> None: ...
