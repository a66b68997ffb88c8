"""Features in a program: followed, acknowledged, last-good while control is away, and in OpenFeature's words."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import grpc
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from center_sdk.features import FeatureClient, FeatureReader, FeatureSets, Watched, set_hash
from center_sdk.openfeature import UNLIMITED, CenterProvider
from shared.runtime import pki
from shared.runtime.ids import uuid7
from shared.runtime.rpc.channel import connect
from tests.support.features import ScriptedPlans, a_set, boolean, delta, hashed, plans_at, rate, standing

SNAPSHOT, SNAPSHOT_END = catalog_pb.WATCH_PHASE_SNAPSHOT, catalog_pb.WATCH_PHASE_SNAPSHOT_END


class Heard:
    def __init__(self) -> None:
        self.changes: asyncio.Queue[Mapping[str, set[str]]] = asyncio.Queue()
        self.fresh: asyncio.Queue[bool] = asyncio.Queue()

    def features_changed(self, changed: Mapping[str, set[str]]) -> None:
        self.changes.put_nowait(changed)

    def features_fresh(self, is_fresh: bool) -> None:
        self.fresh.put_nowait(is_fresh)


@pytest.fixture
async def script() -> ScriptedPlans:
    return ScriptedPlans()


@pytest.fixture
async def address(home: Path, script: ScriptedPlans) -> AsyncIterator[str]:
    async with plans_at(home, script) as at:
        yield at


def channel(home: Path, address: str) -> grpc.aio.Channel:
    return connect(address, pki.load(home, "operator"), server="control")


async def test_changes_are_told_acknowledged_and_read_from_memory(
    home: Path, address: str, script: ScriptedPlans
) -> None:
    shop, other = uuid7(), uuid7()
    heard = Heard()
    watched = Watched("billing-1", (shop, other))
    async with channel(home, address) as wire, FeatureClient(wire, watched, listeners=[heard]) as client:
        first, theirs = a_set(shop, 1, products=5), a_set(other, 1)
        begun = await script.begin(first, theirs)
        assert (begun.instance, list(begun.tenant_ids), len(begun.known)) == ("billing-1", [shop, other], 0)
        await client.ready()
        assert client.features(shop) == first and client.features(uuid7()) is None
        assert await heard.fresh.get() is True
        assert await heard.changes.get() == {id: {"products", "bulk_import"} for id in (shop, other)}
        second = a_set(shop, 2, boolean("gift_wrap", True), products=6)
        await script.tell(delta(first, second))
        assert client.features(shop) == second
        assert await heard.changes.get() == {shop: {"products", "gift_wrap"}}
        await script.tell(other, holds=[second])
        assert client.features(other) is None
        assert await heard.changes.get() == {other: {"products", "bulk_import"}}


async def test_what_is_known_holds_while_control_is_away_and_is_told_when_it_is_back(
    home: Path, script: ScriptedPlans
) -> None:
    shop, heard = uuid7(), Heard()
    async with plans_at(home, script) as address:
        wire = channel(home, address)
        following = FeatureClient(wire, Watched("w", (shop,)), stale_after_s=0.3, listeners=[heard])
        client = await following.__aenter__()
        await script.begin(first := a_set(shop, 1))
        await client.ready()
    async with asyncio.timeout(10):
        assert [await heard.fresh.get(), await heard.fresh.get()] == [True, False]
    assert client.features(shop) == first and not client.is_fresh
    async with plans_at(home, script, port=int(address.rpartition(":")[2])):
        begun = await script.started()
        assert [(each.version, each.hash) for each in begun.known] == [(1, first.hash)]
        await script.tell(phase=SNAPSHOT_END, holds=[first])
        async with asyncio.timeout(10):
            assert await heard.fresh.get() is True
        await following.__aexit__(None, None, None)
    await wire.close()


async def test_a_broken_chain_is_mended_by_a_new_stream(home: Path, address: str, script: ScriptedPlans) -> None:
    shop = uuid7()
    first, second, third = (a_set(shop, n, products=n) for n in (1, 2, 3))
    async with channel(home, address) as wire, FeatureClient(wire, Watched("w", (shop,))) as client:
        await script.begin(first)
        script.say(delta(second, third))
        assert not (await script.started()).known
        assert client.features(shop) == first
        await script.tell(third, phase=SNAPSHOT_END)
        assert client.features(shop) == third


def response(*told: pb.TenantFeatures | pb.FeaturesDelta, **more: object) -> pb.WatchTenantFeaturesResponse:
    return pb.WatchTenantFeaturesResponse(
        tenants=[each for each in told if isinstance(each, pb.TenantFeatures)],
        deltas=[each for each in told if isinstance(each, pb.FeaturesDelta)],
        **more,  # type: ignore[arg-type]
    )


def test_only_what_fits_is_taken() -> None:
    shop, other, sets = uuid7(), uuid7(), FeatureSets()
    first, second = a_set(shop, 1, products=1), a_set(shop, 2, boolean("gift_wrap", True), products=2)
    sets.take(response(first, a_set(other, 1)))
    forged = delta(first, second)
    forged.changed[0].hash = "f" * 16
    sets.take(response(forged, delta(a_set(other, 1), a_set(other, 4, products=9))))
    assert sets.astray and sets.by_tenant[shop] == first and sets.by_tenant[other].version == 4
    assert [each.tenant_id for each in sets.known()] == [other]
    sets.take(response(second, phase=SNAPSHOT_END))
    assert not sets.astray and sets.by_tenant[shop] == second
    lying = a_set(shop, 3)
    lying.hash = "0" * 32
    sets.take(response(lying))
    assert sets.by_tenant[shop] == second and list(sets.refused) == [shop]


def test_what_was_not_said_to_be_known_and_is_not_named_is_gone() -> None:
    shop, gone, sets = uuid7(), uuid7(), FeatureSets()
    here = a_set(shop, 1)
    sets.take(response(here, a_set(gone, 1)))
    sets.take(response(check=pb.FeaturesCheck(tenant_count=1, digest=5)))
    assert sets.astray and sets.known() == []
    sets.take(response(here, phase=SNAPSHOT))
    changed = sets.take(response(phase=SNAPSHOT_END))
    assert list(sets.by_tenant) == [shop] and changed == {gone: {"products", "bulk_import"}}


# OpenFeature


def setting(id: str, **value: object) -> pb.EffectiveFeature:
    made = pb.EffectiveFeature(feature_id=id, enabled=True)
    made.value.configuration.CopyFrom(pb.ConfigurationValue(**value))  # type: ignore[arg-type]
    made.sources.add(kind=pb.FEATURE_SOURCE_KIND_PLAN, id="basic/1", effect=pb.FEATURE_EFFECT_GRANTED)
    return hashed(made)


def by(feature: pb.EffectiveFeature, kind: pb.FeatureSourceKind, id: str) -> pb.EffectiveFeature:
    feature.sources.add(kind=kind, id=id)
    return hashed(feature)


@pytest.fixture
async def provider(home: Path, address: str) -> AsyncIterator[CenterProvider]:
    """For a shop whose id is in `provider.shop`; not yet set."""
    shop = uuid7()
    made = CenterProvider(lambda: channel(home, address), Watched("web-1", (shop,)), ready_s=10, stale_after_s=0.5)
    made.shop = shop  # type: ignore[attr-defined]
    yield made
    await asyncio.to_thread(api.clear_providers)


async def ready(script: ScriptedPlans, provider: CenterProvider, *features: pb.EffectiveFeature) -> OpenFeatureClient:
    setting_it = asyncio.create_task(asyncio.to_thread(api.set_provider_and_wait, provider, "center"))
    await script.begin(a_set(provider.shop, 3, *features, products=7))  # type: ignore[attr-defined]
    await setting_it
    return api.get_client("center")


async def test_every_kind_of_feature_is_a_flag(script: ScriptedPlans, provider: CenterProvider) -> None:
    client = await ready(
        script,
        provider,
        boolean("gift_wrap", True),
        standing("domains", None),
        rate(5, 10),
        setting("theme", text="dark"),
        setting("columns", integer=4),
        setting("discount", number=0.5),
        setting("beta", boolean=True),
        setting("colours", text_list={"items": ["red", "blue"]}),
    )
    assert client.get_boolean_value("gift_wrap", False) is True
    assert client.get_boolean_value("beta", False) is True
    assert client.get_integer_value("products", 0) == 7
    assert client.get_integer_value("domains", 0) == UNLIMITED
    assert client.get_object_value("products", {}) == {
        "limit": 7,
        "unlimited": False,
        "period": "STANDING",
        "enforcement": "HARD",
        "rollover_limit": 0,
    }
    assert client.get_object_value("api_rate", {}) == {"per_second": 5.0, "burst": 10}
    assert client.get_string_value("theme", "") == "dark"
    assert client.get_integer_value("columns", 0) == 4
    assert client.get_float_value("columns", 0.0) == 4.0
    assert client.get_float_value("discount", 0.0) == 0.5
    assert client.get_object_value("colours", {}) == {"items": ["red", "blue"]}
    theme = client.get_string_details("theme", "")
    found = provider._reader.features(provider.shop)  # type: ignore[union-attr, attr-defined]
    assert found is not None
    assert (theme.reason, theme.variant) == (Reason.STATIC, "given")
    assert theme.flag_metadata == {
        "tenant_id": provider.shop,  # type: ignore[attr-defined]
        "version": 3,
        "hash": found.hash,
        "plan": "basic/1",
        "source": "PLAN/basic/1",
    }


async def test_errors_give_the_programs_default(script: ScriptedPlans, provider: CenterProvider) -> None:
    client = await ready(script, provider, setting("theme", text="dark"))
    for details, code in (
        (client.get_boolean_details("nothing", True), ErrorCode.FLAG_NOT_FOUND),
        (client.get_boolean_details("theme", True), ErrorCode.TYPE_MISMATCH),
        (client.get_boolean_details("products", True), ErrorCode.TYPE_MISMATCH),
    ):
        assert (details.value, details.error_code, details.reason) == (True, code, Reason.ERROR)
    assert client.get_string_details("bulk_import", "x").error_code is ErrorCode.TYPE_MISMATCH


async def test_the_reason_tells_what_decided(script: ScriptedPlans, provider: CenterProvider) -> None:
    removed, killed, raised = boolean("a", False), boolean("b", False), standing("c", 9)
    client = await ready(
        script,
        provider,
        by(removed, pb.FEATURE_SOURCE_KIND_OVERRIDE, "1"),
        by(killed, pb.FEATURE_SOURCE_KIND_KILL_SWITCH, "2"),
        by(raised, pb.FEATURE_SOURCE_KIND_ADD_ON, "3"),
    )
    details = [client.get_boolean_details("a", True), client.get_boolean_details("b", True)]
    assert [(each.value, each.reason, each.variant) for each in details] == [
        (False, Reason.DEFAULT, "off"),
        (False, Reason.DISABLED, "off"),
    ]
    assert client.get_integer_details("c", 0).reason == Reason.TARGETING_MATCH


@pytest.fixture
def events() -> list[tuple[ProviderEvent, EventDetails]]:
    """What handlers have heard, in any thread; they go when the providers are cleared."""
    heard: list[tuple[ProviderEvent, EventDetails]] = []
    for event in ProviderEvent:
        api.add_handler(event, lambda details, event=event: heard.append((event, details)))  # type: ignore[misc]
    return heard


async def until(events: list[tuple[ProviderEvent, EventDetails]], event: ProviderEvent, count: int = 1) -> None:
    async with asyncio.timeout(10):
        while [each for each, _ in events].count(event) < count:
            await asyncio.sleep(0.01)


async def test_changes_and_silence_are_events(
    home: Path,
    script: ScriptedPlans,
    provider: CenterProvider,
    address: str,
    events: list[tuple[ProviderEvent, EventDetails]],
) -> None:
    client = await ready(script, provider, boolean("gift_wrap", False))
    await until(events, ProviderEvent.PROVIDER_READY)
    before = a_set(provider.shop, 3, boolean("gift_wrap", False), products=7)  # type: ignore[attr-defined]
    after = a_set(provider.shop, 4, boolean("gift_wrap", True), products=7)  # type: ignore[attr-defined]
    await script.tell(delta(before, after))
    await until(events, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert [d.flags_changed for e, d in events if e is ProviderEvent.PROVIDER_CONFIGURATION_CHANGED] == [["gift_wrap"]]
    assert client.get_boolean_value("gift_wrap", False) is True
    await until(events, ProviderEvent.PROVIDER_STALE)
    stale = client.get_boolean_details("gift_wrap", False)
    assert (stale.value, stale.reason, stale.error_code) == (True, Reason.STALE, None)
    await script.tell()
    await until(events, ProviderEvent.PROVIDER_READY, 2)


async def test_without_a_control_plane_the_provider_says_so_and_gets_ready_later(
    home: Path, script: ScriptedPlans, events: list[tuple[ProviderEvent, EventDetails]]
) -> None:
    async with plans_at(home, script) as address:
        port = int(address.rpartition(":")[2])
    shop = uuid7()
    provider = CenterProvider(lambda: channel(home, address), Watched("web-1", (shop,)), ready_s=0.2)
    await asyncio.to_thread(api.set_provider, provider, "center")
    client = api.get_client("center")
    await until(events, ProviderEvent.PROVIDER_ERROR)
    assert client.get_boolean_value("bulk_import", False) is False
    async with plans_at(home, script, port):
        await script.begin(a_set(shop, 1))
        await until(events, ProviderEvent.PROVIDER_READY)
        assert client.get_boolean_value("bulk_import", False) is True
        await asyncio.to_thread(api.clear_providers)


async def test_one_provider_for_several_shops_asks_which(home: Path, address: str, script: ScriptedPlans) -> None:
    shops = (uuid7(), uuid7())
    provider = CenterProvider(lambda: channel(home, address), Watched("web-1", shops))
    setting_it = asyncio.create_task(asyncio.to_thread(api.set_provider_and_wait, provider, "center"))
    await script.begin(a_set(shops[0], 1, products=1), a_set(shops[1], 1, products=2))
    await setting_it
    client = api.get_client("center")
    for n, shop in enumerate(shops, 1):
        assert client.get_integer_value("products", 0, EvaluationContext(targeting_key=shop)) == n
    assert client.get_integer_details("products", 0).error_code is ErrorCode.TARGETING_KEY_MISSING
    await asyncio.to_thread(api.clear_providers)


async def test_a_program_without_a_loop_reads_from_any_thread(home: Path, address: str, script: ScriptedPlans) -> None:
    shop = uuid7()
    reader = FeatureReader(lambda: channel(home, address), Watched("w", (shop,)))
    await script.begin(known := a_set(shop, 1))
    await asyncio.to_thread(reader.wait_ready, 10)
    seen: list[pb.TenantFeatures | None] = []
    thread = threading.Thread(target=lambda: seen.append(reader.features(shop)))
    thread.start()
    thread.join()
    assert seen == [known] and set_hash(known) == known.hash
    await asyncio.to_thread(reader.close)
