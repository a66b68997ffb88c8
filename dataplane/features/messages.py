"""Features on the wire, as far as a cluster reads them."""

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from dataplane.features.domain import API_RATE, BULK_IMPORT, MEDIA_BYTES, PRODUCTS, Grants, Rate


def grants(features: pb.TenantFeatures) -> Grants:
    """What the set says. What it does not name the tenant does not have, but for the rate: that is a setting, and one
    that nobody has set limits nothing."""
    by_id = {each.feature_id: each for each in features.features}
    return Grants(
        plan_id=features.plan_id,
        products_limit=_limit(by_id.get(PRODUCTS)),
        bulk_import=BULK_IMPORT in by_id and by_id[BULK_IMPORT].enabled,
        api_rate=_rate(by_id.get(API_RATE)),
        media_bytes=_limit(by_id.get(MEDIA_BYTES)),
    )


def _limit(feature: pb.EffectiveFeature | None) -> int | None:
    """A feature of another kind than a quota is had without limit, or not at all."""
    if feature is None or not feature.enabled:
        return 0
    quota = feature.value.quota
    is_hard = quota.enforcement != quota_pb2.QUOTA_ENFORCEMENT_SOFT
    return quota.limit if quota.WhichOneof("amount") == "limit" and is_hard else None


def _rate(feature: pb.EffectiveFeature | None) -> Rate | None:
    """Where the tenant does not have it, the value is the setting's default."""
    if feature is None or feature.value.configuration.WhichOneof("value") != "rate_limit":
        return None
    rate = feature.value.configuration.rate_limit
    return Rate(rate.per_second, rate.burst)
