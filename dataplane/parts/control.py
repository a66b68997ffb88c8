"""The cluster as the control plane's: the tenants and features that it is told of, and the commands that it takes."""

from dataclasses import dataclass
from functools import partial

from center.control.v1.catalog_service_pb2_grpc import CatalogServiceStub
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from dataplane import upkeep
from dataplane.catalog import CatalogFollower
from dataplane.features.follower import FeaturesFollower
from dataplane.parts.audit import Audit
from dataplane.parts.ground import Ground, Part
from dataplane.parts.media import Media
from dataplane.tenants.service import TenantRuntimeService
from shared.runtime.rpc import contract
from shared.runtime.rpc.channel import connect


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Part):
    follower: CatalogFollower
    features: FeaturesFollower


def wire_control(ground: Ground, audit: Audit, media: Media) -> Control:
    cluster_id, tenants, steward = ground.config.cluster_id, ground.tenants, ground.steward
    commands = TenantRuntimeService(
        cluster_id=cluster_id,
        tenants=tenants,
        steward=steward,
        movers=ground.database("center_steward", 4),
        db=ground.db,
        tokens=ground.tokens,
        seal=audit.sealer.seal,
        objects=media.objects,
    )
    followed = [contract.of(CatalogServiceStub), contract.of(PlanServiceStub)]
    channel = connect(ground.config.control_address, ground.identity, server="control", services=followed)
    ground.stack.push_async_callback(channel.close)
    follower = CatalogFollower(
        cluster_id=cluster_id, channel=channel, commands=commands, tenants=tenants, steward=steward
    )
    features = FeaturesFollower(cluster_id=cluster_id, channel=channel, features=ground.features, steward=steward)
    return Control(
        follower=follower,
        features=features,
        services=ground.admitted(commands),
        workers=[follower.run, features.run, partial(upkeep.run, steward, ground.writes(), ground.clock, ground.name)],
    )
