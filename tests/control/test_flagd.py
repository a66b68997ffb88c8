"""OpenFeature over control: the stock flagd SDK in a process of its own, the protocol by itself, and our provider."""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.event import ProviderEvent
from openfeature.flag_evaluation import Reason

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2, tenant_pb2
from center.flagd.sync.v1 import sync_pb2 as flagd_pb
from center.flagd.sync.v1.sync_pb2_grpc import FlagSyncServiceStub
from center_sdk import Credentials
from center_sdk.features import Watched
from center_sdk.openfeature import CenterProvider
from shared.runtime import pki
from tests.control.plane import Plane
from tests.support.grpc import refuses

READER = Path(__file__).parents[1] / "support" / "flagd_reader.py"


@pytest.fixture(scope="module")
async def lone(start_plane: Any) -> AsyncIterator[Plane]:
    async with start_plane() as plane:
        for feature in (
            pb.Feature(id="gift_wrap", boolean=pb.BooleanFeature()),
            configured("theme", pb.ConfigurationSchema(text={"allowed": ["light", "dark"]}), {"text": "light"}),
            configured("columns", pb.ConfigurationSchema(integer={}), {"integer": 3}),
            configured("discount", pb.ConfigurationSchema(number={}), {"number": 0.0}),
            configured("colours", pb.ConfigurationSchema(text_list={}), {"text_list": {"items": []}}),
        ):
            await plane.plans.CreateFeature(pb.CreateFeatureRequest(feature=feature))
        yield plane


def configured(id: str, schema: pb.ConfigurationSchema, default: dict[str, Any]) -> pb.Feature:
    setting = pb.ConfigurationFeature(schema=schema, default_value=pb.ConfigurationValue(**default))
    return pb.Feature(id=id, configuration=setting)


@pytest.fixture
async def tenant(lone: Plane) -> tenant_pb2.Tenant:
    made = (await lone.create(f"flags-{uuid.uuid4().hex[:8]}", draft=True)).tenant
    await in_memory(lone, made.id, made.revision)
    return made


async def give(plane: Plane, tenant_id: str, feature_id: str, **value: Any) -> pb.Override:
    """A boolean feature, or a setting with its value."""
    setting = pb.ConfigurationValue(**value) if value else None
    given = pb.FeatureValue(boolean=True) if setting is None else pb.FeatureValue(configuration=setting)
    override = pb.Override(tenant_id=tenant_id, feature_id=feature_id, reason="a test", add=given)
    set_ = (await plane.plans.SetOverride(pb.SetOverrideRequest(override=override))).override
    await in_memory(plane, tenant_id, set_.revision)
    return set_


async def in_memory(plane: Plane, tenant_id: str, revision: int) -> None:
    """Returns when the control process knows what it has committed."""
    await plane.plans.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=tenant_id, min_revision=revision))


class Reader:
    """The stock SDK at work."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
        assert line, "the reader has ended"
        told: dict[str, Any] = json.loads(line)
        return told

    async def event(self, kind: str) -> dict[str, Any]:
        while True:
            for told in self.events:
                if told["event"] == kind:
                    self.events.remove(told)
                    return told
            self.events.append(await self._line())

    async def read(self, flag: str, default: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"flag": flag, "default": default}).encode() + b"\n")
        while "event" in (told := await self._line()):
            self.events.append(told)
        return told


@asynccontextmanager
async def reading(plane: Plane, selector: str, identity: str = "operator") -> AsyncIterator[Reader]:
    _, _, port = plane.config.address.rpartition(":")
    folder = pki.ca_path(plane.config.home).parent
    # -I: beside the program stands a module of tests that is called grpc, too.
    arguments = ["-I", str(READER), "localhost", port, selector, str(folder), identity]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
    try:
        yield Reader(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def test_the_stock_sdk_reads_a_tenants_features_and_hears_of_changes(
    lone: Plane, tenant: tenant_pb2.Tenant
) -> None:
    await give(lone, tenant.id, "theme", text="dark")
    await give(lone, tenant.id, "columns", integer=4)
    await give(lone, tenant.id, "discount", number=0.25)
    await give(lone, tenant.id, "colours", text_list={"items": ["red", "blue"]})
    async with reading(lone, tenant.code) as reader:
        await reader.event("PROVIDER_READY")
        on = await reader.read("bulk_import", False)
        assert (on["value"], on["variant"], on["reason"], on["error"]) == (True, "on", "STATIC", "")
        assert on["metadata"]["flagSetId"] == tenant.id and on["metadata"]["source"] == "PLAN/standard/1"
        assert (await reader.read("theme", ""))["value"] == "dark"
        assert (await reader.read("columns", 0))["value"] == 4
        assert (await reader.read("discount", 0.0))["value"] == 0.25
        assert (await reader.read("colours", {}))["value"] == {"items": ["red", "blue"]}
        assert (await reader.read("api_rate", {}))["value"] == {"per_second": 10000.0, "burst": 20000}
        # Not given, and a quota: no flags of this tenant.
        assert (await reader.read("gift_wrap", False))["error"] == "FLAG_NOT_FOUND"
        assert (await reader.read("products", 0))["error"] == "FLAG_NOT_FOUND"
        reader.events.clear()
        given = await give(lone, tenant.id, "gift_wrap")
        assert "gift_wrap" in (await reader.event("PROVIDER_CONFIGURATION_CHANGED"))["flags"]
        assert (await reader.read("gift_wrap", False))["value"] is True
        # What is taken away is off, whatever the program wrote as its default.
        switch = pb.KillSwitch(feature_id="gift_wrap", tenant_id=tenant.id, reason="a test")
        await lone.plans.SetKillSwitch(pb.SetKillSwitchRequest(kill_switch=switch))
        await reader.event("PROVIDER_CONFIGURATION_CHANGED")
        off = await reader.read("gift_wrap", True)
        assert (off["value"], off["variant"], off["error"]) == (False, "off", "")
        await lone.plans.RemoveOverride(pb.RemoveOverrideRequest(id=given.id, reason="a test"))
        await reader.event("PROVIDER_CONFIGURATION_CHANGED")
        assert (await reader.read("gift_wrap", False))["value"] is False


async def test_the_stock_sdk_reads_on_when_control_is_away_and_catches_up(start_plane: Any) -> None:
    async with start_plane() as plane:
        made = (await plane.create("away", draft=True)).tenant
        await in_memory(plane, made.id, made.revision)
        async with reading(plane, made.id, "cluster-eu-1") as reader:
            await reader.event("PROVIDER_READY")
            await plane.stop()
            assert (await reader.read("bulk_import", False))["value"] is True
            for channel in plane._channels.values():
                await channel.close()
            plane._channels.clear()
            await plane.start()
            remove = pb.Override(tenant_id=made.id, feature_id="bulk_import", reason="a test", remove=pb.Removal())
            reader.events.clear()
            await plane.plans.SetOverride(pb.SetOverrideRequest(override=remove))
            await reader.event("PROVIDER_CONFIGURATION_CHANGED")
            async with asyncio.timeout(20):
                while (await reader.read("bulk_import", True))["value"]:
                    await reader.event("PROVIDER_CONFIGURATION_CHANGED")


def stub(plane: Plane, identity: str = "operator") -> FlagSyncServiceStub:
    return FlagSyncServiceStub(plane.channel(identity))


async def test_flags_are_read_once_by_id_or_code(lone: Plane, tenant: tenant_pb2.Tenant) -> None:
    answers = [
        await stub(lone).FetchAllFlags(flagd_pb.FetchAllFlagsRequest(selector=tenant.id)),
        await stub(lone).FetchAllFlags(flagd_pb.FetchAllFlagsRequest(selector=tenant.code)),
        await stub(lone).FetchAllFlags(flagd_pb.FetchAllFlagsRequest(), metadata=(("flagd-selector", tenant.code),)),
    ]
    [known] = {answer.flag_configuration for answer in answers}
    flags = json.loads(known)
    assert flags["flags"]["bulk_import"] == {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on",
        "metadata": {"source": "PLAN/standard/1"},
    }
    assert set(flags["flags"]) == {"bulk_import", "api_rate"}
    assert flags["metadata"]["plan"] == "standard/1"
    static = await stub(lone).GetMetadata(flagd_pb.GetMetadataRequest())
    assert static.HasField("metadata") and not static.metadata.fields


async def test_each_change_is_sent_once_and_others_changes_not_at_all(lone: Plane, tenant: tenant_pb2.Tenant) -> None:
    other = (await lone.create(f"other-{uuid.uuid4().hex[:8]}", draft=True)).tenant
    call = stub(lone).SyncFlags(flagd_pb.SyncFlagsRequest(selector=tenant.id))
    first = await call.read()
    assert dict(first.sync_context) == {"tenantId": tenant.id, "tenantCode": tenant.code}
    await give(lone, other.id, "gift_wrap")
    quota = quota_pb2.Quota(limit=5, period=quota_pb2.QUOTA_PERIOD_STANDING)
    lower = pb.Override(tenant_id=tenant.id, feature_id="products", reason="x", lower=pb.FeatureValue(quota=quota))
    lowered = (await lone.plans.SetOverride(pb.SetOverrideRequest(override=lower))).override
    await in_memory(lone, tenant.id, lowered.revision)
    await give(lone, tenant.id, "gift_wrap")
    # A quota is no flag: the next that is sent is the flag.
    assert "gift_wrap" in json.loads((await call.read()).flag_configuration)["flags"]
    call.cancel()


async def test_a_selector_names_a_tenant(lone: Plane) -> None:
    for selector, refusal in (
        ("", ("INVALID_ARGUMENT", "SELECTOR_REQUIRED")),
        ("nobody", ("NOT_FOUND", "TENANT_NOT_FOUND")),
        (str(uuid.uuid4()), ("NOT_FOUND", "TENANT_NOT_FOUND")),
    ):
        async with refuses(*refusal):
            await stub(lone).FetchAllFlags(flagd_pb.FetchAllFlagsRequest(selector=selector))
        async with refuses(*refusal):
            await stub(lone).SyncFlags(flagd_pb.SyncFlagsRequest(selector=selector)).read()


async def test_outsiders_read_no_flags(lone: Plane, tenant: tenant_pb2.Tenant) -> None:
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await stub(lone, "envoy").FetchAllFlags(flagd_pb.FetchAllFlagsRequest(selector=tenant.id))


async def test_our_own_provider_reads_the_same(lone: Plane, tenant: tenant_pb2.Tenant) -> None:
    home = lone.config.home
    credentials = Credentials.certificate(
        ca=pki.ca_path(home), certificate=pki.cert_path(home, "cluster/eu-1"), key=pki.key_path(home, "cluster/eu-1")
    )
    await give(lone, tenant.id, "theme", text="dark")
    provider = CenterProvider(lambda: credentials.channel(lone.config.address), Watched("web-1", (tenant.id,)))
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(api.set_provider_and_wait, provider, "ours")
    api.add_handler(
        ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: loop.call_soon_threadsafe(changed.set)
    )
    client = api.get_client("ours")
    assert client.get_boolean_value("bulk_import", False) is True
    theme = client.get_string_details("theme", "")
    assert (theme.value, theme.variant, theme.reason) == ("dark", "given", Reason.TARGETING_MATCH)
    assert client.get_integer_value("products", 0) == 1_000_000
    assert client.get_object_value("api_rate", {}) == {"per_second": 10000.0, "burst": 20000}
    await give(lone, tenant.id, "gift_wrap")
    async with asyncio.timeout(10):
        await changed.wait()
    assert client.get_boolean_value("gift_wrap", False) is True
    watchers = (await lone.plans.ListFeatureWatchers(pb.ListFeatureWatchersRequest())).watchers
    assert "cluster/eu-1/web-1" in {each.id for each in watchers}
    await asyncio.to_thread(api.clear_providers)
