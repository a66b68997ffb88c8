import datetime

from center.buf.validate import validate_pb2 as _validate_pb2
from center.shared.v1 import events_pb2 as _events_pb2
from center.shared.v1 import rules_pb2 as _rules_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PromotionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_STATUS_UNSPECIFIED: _ClassVar[PromotionStatus]
    PROMOTION_STATUS_ACTIVE: _ClassVar[PromotionStatus]
    PROMOTION_STATUS_PAUSED: _ClassVar[PromotionStatus]
    PROMOTION_STATUS_ARCHIVED: _ClassVar[PromotionStatus]

class PromotionAttribute(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_ATTRIBUTE_UNSPECIFIED: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_SKU: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_PRODUCT_ID: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_VARIANT_ID: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_UNIT_PRICE: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_ITEM_QUANTITY: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_SUBTOTAL: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_CURRENCY: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_COUNTRY: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_CUSTOMER_ID: _ClassVar[PromotionAttribute]
    PROMOTION_ATTRIBUTE_CUSTOMER_GROUP: _ClassVar[PromotionAttribute]

class PromotionOp(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_OP_UNSPECIFIED: _ClassVar[PromotionOp]
    PROMOTION_OP_IN: _ClassVar[PromotionOp]
    PROMOTION_OP_NOT_IN: _ClassVar[PromotionOp]
    PROMOTION_OP_AT_LEAST: _ClassVar[PromotionOp]
    PROMOTION_OP_AT_MOST: _ClassVar[PromotionOp]

class PromotionEffectType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_EFFECT_TYPE_UNSPECIFIED: _ClassVar[PromotionEffectType]
    PROMOTION_EFFECT_TYPE_PERCENT: _ClassVar[PromotionEffectType]
    PROMOTION_EFFECT_TYPE_FIXED: _ClassVar[PromotionEffectType]
    PROMOTION_EFFECT_TYPE_FREE_SHIPPING: _ClassVar[PromotionEffectType]
    PROMOTION_EFFECT_TYPE_BUY_X_GET_Y: _ClassVar[PromotionEffectType]

class PromotionTarget(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_TARGET_UNSPECIFIED: _ClassVar[PromotionTarget]
    PROMOTION_TARGET_ORDER: _ClassVar[PromotionTarget]
    PROMOTION_TARGET_ITEM: _ClassVar[PromotionTarget]
    PROMOTION_TARGET_SHIPPING: _ClassVar[PromotionTarget]

class PromotionAllocation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_ALLOCATION_UNSPECIFIED: _ClassVar[PromotionAllocation]
    PROMOTION_ALLOCATION_EACH: _ClassVar[PromotionAllocation]
    PROMOTION_ALLOCATION_ACROSS: _ClassVar[PromotionAllocation]

class PromotionVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_VERDICT_UNSPECIFIED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_APPLIED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_NOT_ACTIVE: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_NOT_STARTED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_ENDED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_CODE_NOT_ENTERED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_CURRENCY_DIFFERS: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_RULES_NOT_MET: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_USAGE_LIMIT_REACHED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_CUSTOMER_UNKNOWN: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_CUSTOMER_LIMIT_REACHED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_EXCLUDED: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_GROUP_TAKEN: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_NOTHING_LEFT: _ClassVar[PromotionVerdict]
    PROMOTION_VERDICT_BUDGET_SPENT: _ClassVar[PromotionVerdict]
PROMOTION_STATUS_UNSPECIFIED: PromotionStatus
PROMOTION_STATUS_ACTIVE: PromotionStatus
PROMOTION_STATUS_PAUSED: PromotionStatus
PROMOTION_STATUS_ARCHIVED: PromotionStatus
PROMOTION_ATTRIBUTE_UNSPECIFIED: PromotionAttribute
PROMOTION_ATTRIBUTE_SKU: PromotionAttribute
PROMOTION_ATTRIBUTE_PRODUCT_ID: PromotionAttribute
PROMOTION_ATTRIBUTE_VARIANT_ID: PromotionAttribute
PROMOTION_ATTRIBUTE_UNIT_PRICE: PromotionAttribute
PROMOTION_ATTRIBUTE_ITEM_QUANTITY: PromotionAttribute
PROMOTION_ATTRIBUTE_SUBTOTAL: PromotionAttribute
PROMOTION_ATTRIBUTE_CURRENCY: PromotionAttribute
PROMOTION_ATTRIBUTE_COUNTRY: PromotionAttribute
PROMOTION_ATTRIBUTE_CUSTOMER_ID: PromotionAttribute
PROMOTION_ATTRIBUTE_CUSTOMER_GROUP: PromotionAttribute
PROMOTION_OP_UNSPECIFIED: PromotionOp
PROMOTION_OP_IN: PromotionOp
PROMOTION_OP_NOT_IN: PromotionOp
PROMOTION_OP_AT_LEAST: PromotionOp
PROMOTION_OP_AT_MOST: PromotionOp
PROMOTION_EFFECT_TYPE_UNSPECIFIED: PromotionEffectType
PROMOTION_EFFECT_TYPE_PERCENT: PromotionEffectType
PROMOTION_EFFECT_TYPE_FIXED: PromotionEffectType
PROMOTION_EFFECT_TYPE_FREE_SHIPPING: PromotionEffectType
PROMOTION_EFFECT_TYPE_BUY_X_GET_Y: PromotionEffectType
PROMOTION_TARGET_UNSPECIFIED: PromotionTarget
PROMOTION_TARGET_ORDER: PromotionTarget
PROMOTION_TARGET_ITEM: PromotionTarget
PROMOTION_TARGET_SHIPPING: PromotionTarget
PROMOTION_ALLOCATION_UNSPECIFIED: PromotionAllocation
PROMOTION_ALLOCATION_EACH: PromotionAllocation
PROMOTION_ALLOCATION_ACROSS: PromotionAllocation
PROMOTION_VERDICT_UNSPECIFIED: PromotionVerdict
PROMOTION_VERDICT_APPLIED: PromotionVerdict
PROMOTION_VERDICT_NOT_ACTIVE: PromotionVerdict
PROMOTION_VERDICT_NOT_STARTED: PromotionVerdict
PROMOTION_VERDICT_ENDED: PromotionVerdict
PROMOTION_VERDICT_CODE_NOT_ENTERED: PromotionVerdict
PROMOTION_VERDICT_CURRENCY_DIFFERS: PromotionVerdict
PROMOTION_VERDICT_RULES_NOT_MET: PromotionVerdict
PROMOTION_VERDICT_USAGE_LIMIT_REACHED: PromotionVerdict
PROMOTION_VERDICT_CUSTOMER_UNKNOWN: PromotionVerdict
PROMOTION_VERDICT_CUSTOMER_LIMIT_REACHED: PromotionVerdict
PROMOTION_VERDICT_EXCLUDED: PromotionVerdict
PROMOTION_VERDICT_GROUP_TAKEN: PromotionVerdict
PROMOTION_VERDICT_NOTHING_LEFT: PromotionVerdict
PROMOTION_VERDICT_BUDGET_SPENT: PromotionVerdict

class Promotion(_message.Message):
    __slots__ = ("id", "display_name", "code", "automatic", "priority", "exclusive", "stack_group", "start_time", "end_time", "usage_limit", "per_customer_limit", "budget", "currency_code", "status", "rule_sets", "effect", "uses", "spent", "create_time", "update_time", "etag")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    STACK_GROUP_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    USAGE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PER_CUSTOMER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RULE_SETS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    id: str
    display_name: str
    code: str
    automatic: bool
    priority: int
    exclusive: bool
    stack_group: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    usage_limit: int
    per_customer_limit: int
    budget: _money_pb2.Money
    currency_code: str
    status: PromotionStatus
    rule_sets: _containers.RepeatedCompositeFieldContainer[PromotionRuleSet]
    effect: PromotionEffect
    uses: int
    spent: _money_pb2.Money
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, id: _Optional[str] = ..., display_name: _Optional[str] = ..., code: _Optional[str] = ..., automatic: _Optional[bool] = ..., priority: _Optional[int] = ..., exclusive: _Optional[bool] = ..., stack_group: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., usage_limit: _Optional[int] = ..., per_customer_limit: _Optional[int] = ..., budget: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., currency_code: _Optional[str] = ..., status: _Optional[_Union[PromotionStatus, str]] = ..., rule_sets: _Optional[_Iterable[_Union[PromotionRuleSet, _Mapping]]] = ..., effect: _Optional[_Union[PromotionEffect, _Mapping]] = ..., uses: _Optional[int] = ..., spent: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class PromotionRuleSet(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[PromotionRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[PromotionRule, _Mapping]]] = ...) -> None: ...

class PromotionRule(_message.Message):
    __slots__ = ("attribute", "op", "values")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    attribute: PromotionAttribute
    op: PromotionOp
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attribute: _Optional[_Union[PromotionAttribute, str]] = ..., op: _Optional[_Union[PromotionOp, str]] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class PromotionEffect(_message.Message):
    __slots__ = ("type", "target", "allocation", "basis_points", "amount", "max_quantity", "buy_quantity", "get_quantity")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ALLOCATION_FIELD_NUMBER: _ClassVar[int]
    BASIS_POINTS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    BUY_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    GET_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    type: PromotionEffectType
    target: PromotionTarget
    allocation: PromotionAllocation
    basis_points: int
    amount: _money_pb2.Money
    max_quantity: int
    buy_quantity: int
    get_quantity: int
    def __init__(self, type: _Optional[_Union[PromotionEffectType, str]] = ..., target: _Optional[_Union[PromotionTarget, str]] = ..., allocation: _Optional[_Union[PromotionAllocation, str]] = ..., basis_points: _Optional[int] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., max_quantity: _Optional[int] = ..., buy_quantity: _Optional[int] = ..., get_quantity: _Optional[int] = ...) -> None: ...

class PromotionRedemption(_message.Message):
    __slots__ = ("id", "promotion_id", "order_id", "customer_id", "amount", "create_time", "cancel_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CANCEL_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    promotion_id: str
    order_id: str
    customer_id: str
    amount: _money_pb2.Money
    create_time: _timestamp_pb2.Timestamp
    cancel_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., promotion_id: _Optional[str] = ..., order_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PromotionRedemptionChanged(_message.Message):
    __slots__ = ("redemption",)
    REDEMPTION_FIELD_NUMBER: _ClassVar[int]
    redemption: PromotionRedemption
    def __init__(self, redemption: _Optional[_Union[PromotionRedemption, _Mapping]] = ...) -> None: ...

class CreatePromotionRequest(_message.Message):
    __slots__ = ("promotion", "request_id")
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    request_id: str
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreatePromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class GetPromotionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetPromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class ListPromotionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListPromotionsResponse(_message.Message):
    __slots__ = ("promotions", "next_page_token")
    PROMOTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    promotions: _containers.RepeatedCompositeFieldContainer[Promotion]
    next_page_token: str
    def __init__(self, promotions: _Optional[_Iterable[_Union[Promotion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdatePromotionRequest(_message.Message):
    __slots__ = ("promotion", "update_mask", "request_id")
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdatePromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class ArchivePromotionRequest(_message.Message):
    __slots__ = ("id", "etag", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    etag: str
    request_id: str
    def __init__(self, id: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ArchivePromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class SimulateRequest(_message.Message):
    __slots__ = ("cart", "time", "promotion_ids")
    CART_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_IDS_FIELD_NUMBER: _ClassVar[int]
    cart: SimulatedCart
    time: _timestamp_pb2.Timestamp
    promotion_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cart: _Optional[_Union[SimulatedCart, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., promotion_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SimulatedCart(_message.Message):
    __slots__ = ("currency_code", "lines", "shipping", "codes", "customer_id", "customer_groups", "country_code")
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_GROUPS_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
    currency_code: str
    lines: _containers.RepeatedCompositeFieldContainer[SimulatedLine]
    shipping: _money_pb2.Money
    codes: _containers.RepeatedScalarFieldContainer[str]
    customer_id: str
    customer_groups: _containers.RepeatedScalarFieldContainer[str]
    country_code: str
    def __init__(self, currency_code: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[SimulatedLine, _Mapping]]] = ..., shipping: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., codes: _Optional[_Iterable[str]] = ..., customer_id: _Optional[str] = ..., customer_groups: _Optional[_Iterable[str]] = ..., country_code: _Optional[str] = ...) -> None: ...

class SimulatedLine(_message.Message):
    __slots__ = ("id", "variant_id", "product_id", "sku", "quantity", "unit_price")
    ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    id: str
    variant_id: str
    product_id: str
    sku: str
    quantity: int
    unit_price: _money_pb2.Money
    def __init__(self, id: _Optional[str] = ..., variant_id: _Optional[str] = ..., product_id: _Optional[str] = ..., sku: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class SimulateResponse(_message.Message):
    __slots__ = ("adjustments", "outcomes", "subtotal", "shipping", "discount", "total", "unknown_codes")
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    SUBTOTAL_FIELD_NUMBER: _ClassVar[int]
    SHIPPING_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_CODES_FIELD_NUMBER: _ClassVar[int]
    adjustments: _containers.RepeatedCompositeFieldContainer[PromotionAdjustment]
    outcomes: _containers.RepeatedCompositeFieldContainer[PromotionOutcome]
    subtotal: _money_pb2.Money
    shipping: _money_pb2.Money
    discount: _money_pb2.Money
    total: _money_pb2.Money
    unknown_codes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, adjustments: _Optional[_Iterable[_Union[PromotionAdjustment, _Mapping]]] = ..., outcomes: _Optional[_Iterable[_Union[PromotionOutcome, _Mapping]]] = ..., subtotal: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., shipping: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., discount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., unknown_codes: _Optional[_Iterable[str]] = ...) -> None: ...

class PromotionAdjustment(_message.Message):
    __slots__ = ("promotion_id", "target", "line_id", "amount", "explanation")
    PROMOTION_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    LINE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    promotion_id: str
    target: PromotionTarget
    line_id: str
    amount: _money_pb2.Money
    explanation: str
    def __init__(self, promotion_id: _Optional[str] = ..., target: _Optional[_Union[PromotionTarget, str]] = ..., line_id: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., explanation: _Optional[str] = ...) -> None: ...

class PromotionOutcome(_message.Message):
    __slots__ = ("promotion_id", "verdict", "explanation", "amount")
    PROMOTION_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    promotion_id: str
    verdict: PromotionVerdict
    explanation: str
    amount: _money_pb2.Money
    def __init__(self, promotion_id: _Optional[str] = ..., verdict: _Optional[_Union[PromotionVerdict, str]] = ..., explanation: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class ListRedemptionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListRedemptionsResponse(_message.Message):
    __slots__ = ("redemptions", "next_page_token")
    REDEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    redemptions: _containers.RepeatedCompositeFieldContainer[PromotionRedemption]
    next_page_token: str
    def __init__(self, redemptions: _Optional[_Iterable[_Union[PromotionRedemption, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
