"""A shop's files."""

from dataclasses import dataclass

from dataplane.parts.ground import Ground, Part
from dataplane.tenants.origins import Origins
from shared.media.objects import Objects
from shared.media.service import MediaService
from shared.media.signing import Signer
from shared.media.sweeper import Sweeper
from shared.runtime import keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Media(Part):
    objects: Objects
    sweeper: Sweeper


def wire_media(ground: Ground) -> Media:
    config, writes = ground.config, ground.writes()
    objects = Objects.at(config.media_url or f"file://{config.home}/media", config.cluster_id)
    sweeper = Sweeper(config.cluster_id, ground.steward, writes, objects, ground.clock)
    media = MediaService(
        db=writes,
        reads=ground.db,
        objects=objects,
        tokens=ground.tokens,
        clock=ground.clock,
        signer=Signer(keys.load(config.home, "media")),
        allowance=ground.features.media,
        origin=Origins(ground.steward, config.public_url).of,
        woken=sweeper.wake,
    )
    return Media(objects=objects, sweeper=sweeper, services=ground.admitted(media), workers=[sweeper.run])
