"""An OpenFeature provider over the control plane's stream: features are read from memory, changes are pushed.

    from openfeature import api
    api.set_provider_and_wait(CenterProvider(lambda: credentials.channel(address), Watched("web-1", (tenant_id,))))
    api.get_client().get_boolean_value("gift_wrap", False)

Made for one tenant, every question is about that one. Made for several, or for a cluster, the targeting key of the
evaluation context names the tenant.

Quotas are whole numbers (no limit is 2**63 - 1) and objects (limit, unlimited, period, enforcement, rollover_limit). A
rate is an object (per_second, burst), and so is a list of texts (items), as stock flagd SDKs have them, too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import grpc
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    FlagNotFoundError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from center_sdk.features import FeatureReader, Watched

UNLIMITED = 2**63 - 1

Object: TypeAlias = Sequence[FlagValueType] | Mapping[str, FlagValueType]
T = TypeVar("T")


class CenterProvider(AbstractProvider):
    """make_channel: makes a channel to the control plane, on the event loop that calls it.

    ready_s: how long initialize() waits for the first features. Later ones make the provider ready all the same.
    stale_after_s: how long the control plane may be silent before answers say that they may be old.
    """

    def __init__(
        self,
        make_channel: Callable[[], grpc.aio.Channel],
        watched: Watched,
        *,
        metadata: Sequence[tuple[str, str]] = (),
        ready_s: float = 10.0,
        stale_after_s: float = 30.0,
    ) -> None:
        super().__init__()
        self._make_channel = make_channel
        self._watched = watched
        self._call_metadata = tuple(metadata)
        self._ready_s = ready_s
        self._stale_after_s = stale_after_s
        self._reader: FeatureReader | None = None
        # Whether initialize() is over, which has a word of its own for being ready.
        self._initialized = False

    def get_metadata(self) -> Metadata:
        return Metadata(name="center")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self._reader = FeatureReader(
            self._make_channel,
            self._watched,
            metadata=self._call_metadata,
            stale_after_s=self._stale_after_s,
            listeners=[self],
        )
        self._reader.wait_ready(self._ready_s)
        self._initialized = True
        if not self._reader.is_ready:
            raise ProviderNotReadyError(f"no features within {self._ready_s:g} s: {self._reader.trouble}")

    def shutdown(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def features_changed(self, changed: Mapping[str, set[str]]) -> None:
        if self._initialized:
            flags = sorted({feature_id for ids in changed.values() for feature_id in ids})
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=flags))

    def features_fresh(self, is_fresh: bool) -> None:
        if not self._initialized:
            return
        if is_fresh:
            self.emit_provider_ready(ProviderEventDetails(message="the control plane is heard of"))
        else:
            self.emit_provider_stale(ProviderEventDetails(message="the control plane is silent; last good holds"))

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolved(flag_key, evaluation_context, boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolved(flag_key, evaluation_context, text)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolved(flag_key, evaluation_context, integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolved(flag_key, evaluation_context, number)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        return self._resolved(flag_key, evaluation_context, structure)

    def _resolved(
        self, flag_key: str, context: EvaluationContext | None, read: Callable[[pb.FeatureValue], T | None]
    ) -> FlagResolutionDetails[T]:
        reader = self._reader
        if reader is None or not reader.is_ready:
            raise ProviderNotReadyError("no features have come yet")
        tenant_id = self._tenant_id(context)
        found = reader.features(tenant_id)
        feature = next((each for each in found.features if each.feature_id == flag_key), None) if found else None
        if found is None or feature is None:
            raise FlagNotFoundError(f"nothing gives or takes {flag_key} for tenant {tenant_id}")
        value = read(feature.value)
        if value is None:
            raise TypeMismatchError(f"{flag_key} is a {kind(feature.value)}")
        source = feature.sources[-1] if feature.sources else pb.FeatureSource()
        return FlagResolutionDetails(
            value=value,
            reason=reason(feature) if reader.is_fresh else Reason.STALE,
            variant=variant(feature),
            flag_metadata={
                "tenant_id": tenant_id,
                "version": found.version,
                "hash": found.hash,
                "plan": f"{found.plan_id}/{found.plan_version}",
                "source": f"{_name(pb.FeatureSourceKind.Name(source.kind), 'FEATURE_SOURCE_KIND_')}/{source.id}",
            },
        )

    def _tenant_id(self, context: EvaluationContext | None) -> str:
        if len(self._watched.tenant_ids) == 1:
            return self._watched.tenant_ids[0]
        if context is not None and context.targeting_key:
            return context.targeting_key
        raise TargetingKeyMissingError("the targeting key names the tenant")


def boolean(value: pb.FeatureValue) -> bool | None:
    match kind(value):
        case "boolean":
            return value.boolean if value.HasField("boolean") else value.configuration.boolean
    return None


def integer(value: pb.FeatureValue) -> int | None:
    match kind(value):
        case "quota":
            return value.quota.limit if value.quota.HasField("limit") else UNLIMITED
        case "integer":
            return value.configuration.integer
    return None


def number(value: pb.FeatureValue) -> float | None:
    match kind(value):
        case "number":
            return value.configuration.number
        case "integer":
            return float(value.configuration.integer)
    return None


def text(value: pb.FeatureValue) -> str | None:
    return value.configuration.text if kind(value) == "text" else None


def structure(value: pb.FeatureValue) -> Object | None:
    match kind(value):
        case "quota":
            quota = value.quota
            is_limited = quota.HasField("limit")
            return {
                "limit": quota.limit if is_limited else UNLIMITED,
                "unlimited": not is_limited,
                "period": _name(quota_pb2.QuotaPeriod.Name(quota.period), "QUOTA_PERIOD_"),
                "enforcement": _name(quota_pb2.QuotaEnforcement.Name(quota.enforcement), "QUOTA_ENFORCEMENT_"),
                "rollover_limit": quota.rollover_limit,
            }
        case "rate_limit":
            rate = value.configuration.rate_limit
            return {"per_second": rate.per_second, "burst": rate.burst}
        case "text_list":
            return {"items": list(value.configuration.text_list.items)}
    return None


def kind(value: pb.FeatureValue) -> str:
    """boolean, quota, or the type of a setting."""
    outer = value.WhichOneof("value") or ""
    return (value.configuration.WhichOneof("value") or "") if outer == "configuration" else outer


def reason(feature: pb.EffectiveFeature) -> Reason:
    """STATIC: the plan alone says so. TARGETING_MATCH: something of this tenant's own had a part in it. DISABLED: a
    kill switch took it away. DEFAULT: the tenant does not have it, and what then holds does."""
    if feature.sources and feature.sources[-1].kind == pb.FEATURE_SOURCE_KIND_KILL_SWITCH:
        return Reason.DISABLED
    if not feature.enabled:
        return Reason.DEFAULT
    is_plan_only = all(each.kind == pb.FEATURE_SOURCE_KIND_PLAN for each in feature.sources)
    return Reason.STATIC if is_plan_only else Reason.TARGETING_MATCH


def variant(feature: pb.EffectiveFeature) -> str:
    match kind(feature.value):
        case "boolean":
            return "on" if boolean(feature.value) else "off"
        case "quota" if feature.enabled:
            return "limited" if feature.value.quota.HasField("limit") else "unlimited"
    return "given" if feature.enabled else "default"


def _name(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)
