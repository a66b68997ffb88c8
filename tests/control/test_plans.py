"""Plans, versions, add-ons, overrides, rollouts and kill switches: what an operator says is what tenants have."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2, tenant_pb2
from center.control.v1 import tenant_service_pb2 as tenants_pb
from center.shared.v1 import audit_service_pb2 as audit_pb
from shared.runtime.clock import SystemClock
from shared.runtime.ids import uuid7
from tests.control.plane import until
from tests.control.plans import OFF, ON, Plans, after, text, units
from tests.support.grpc import refuses


class Moved(SystemClock):
    """The time and what was added to it."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture(scope="module")
def clock() -> Moved:
    return Moved()


@pytest.fixture(scope="module")
async def plans(start_plane: Any, clock: Moved) -> AsyncIterator[Plans]:
    async with start_plane(clock=clock) as plane:
        yield Plans(plane)


async def test_a_tenant_has_what_its_plan_gives(plans: Plans) -> None:
    made = (await plans.plane.create("first", draft=True)).tenant
    found = await plans.read(made.id)
    assert (found.plan_id, found.plan_version, found.version) == ("standard", 1, made.revision)
    features = {each.feature_id: each for each in found.features}
    assert sorted(features) == ["api_rate", "bulk_import", "custom_domains", "media_bytes", "products"]
    assert features["bulk_import"].enabled
    assert features["products"].value.quota.period == quota_pb2.QUOTA_PERIOD_STANDING
    [source] = features["products"].sources
    assert (source.kind, source.id) == (pb.FEATURE_SOURCE_KIND_PLAN, "standard/1")
    starter = await plans.has(await plans.tenant("small", "starter"))
    assert not starter["bulk_import"].enabled
    assert starter["products"].value.quota.limit == 1000
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await plans.read(uuid7())


async def test_a_tenant_is_on_a_plan_that_there_is(plans: Plans) -> None:
    async with refuses("NOT_FOUND", "PLAN_NOT_FOUND"):
        await plans.tenant("nowhere", "platinum")
    made = (await plans.plane.create("somewhere", draft=True)).tenant
    request = tenants_pb.UpdateTenantRequest(
        tenant=tenant_pb2.Tenant(id=made.id, plan_id="platinum"), update_mask=FieldMask(paths=["plan_id"])
    )
    async with refuses("NOT_FOUND", "PLAN_NOT_FOUND"):
        await plans.plane.tenants.UpdateTenant(request)
    request.tenant.plan_id = "pro"
    await plans.plane.tenants.UpdateTenant(request)
    assert (await plans.read(made.id)).plan_id == "pro"


async def test_a_draft_says_why_it_cannot_be_published(plans: Plans) -> None:
    await plans.feature("lasers")
    await plans.metered("beams", quota_pb2.QUOTA_PERIOD_DAY)
    await plans.setting("colour", "red", allowed=["red", "blue"])
    ended = await plans.feature("ended")
    await plans.stub.ArchiveFeature(pb.ArchiveFeatureRequest(id=ended.id, reason="a test"))
    bad = {
        "lasers": units(1),
        "beams": units(1, period=quota_pb2.QUOTA_PERIOD_HOUR),
        "colour": text("green"),
        "ended": ON,
        "nosuch": ON,
    }
    given = [pb.PlanFeature(feature_id=key, value=value) for key, value in bad.items()]
    made = await plans.stub.CreatePlan(pb.CreatePlanRequest(plan=pb.Plan(id="wrong"), features=given))
    found = {each.feature_id: each.reason for each in made.version.problems}
    assert found == {
        "lasers": "VALUE_INVALID",
        "beams": "VALUE_INVALID",
        "colour": "VALUE_INVALID",
        "ended": "FEATURE_ARCHIVED",
        "nosuch": "FEATURE_NOT_FOUND",
    }
    asked = await plans.stub.ValidatePlanVersion(pb.ValidatePlanVersionRequest(plan_id="wrong", version=1))
    assert list(asked.problems) == list(made.version.problems)
    async with refuses("FAILED_PRECONDITION", "PLAN_VERSION_INVALID") as refusal:
        await plans.publish("wrong", 1)
    assert "beams" in refusal.message
    good = [pb.PlanFeature(feature_id="lasers", value=ON), pb.PlanFeature(feature_id="colour", value=text("blue"))]
    version = pb.PlanVersion(plan_id="wrong", version=1, features=good, etag=made.version.etag)
    changed = await plans.stub.UpdatePlanVersion(pb.UpdatePlanVersionRequest(version=version))
    assert not changed.version.problems
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await plans.stub.UpdatePlanVersion(pb.UpdatePlanVersionRequest(version=version))
    empty = await plans.version("wrong")
    assert [each.reason for each in empty.problems] == ["VERSION_EMPTY"]
    async with refuses("FAILED_PRECONDITION", "PLAN_NOT_ACTIVE"):
        await plans.assign(await plans.tenant("waits", "standard"), "wrong")
    assert (await plans.publish("wrong", 1)).state == pb.PLAN_VERSION_STATE_ACTIVE


async def test_a_published_version_never_changes_and_the_next_takes_its_tenants(plans: Plans) -> None:
    await plans.metered("seats")
    await plans.plan("team", seats=units(5))
    tenant_id, keeper = await plans.tenant("crew", "team"), await plans.tenant("keeper", "team")
    await plans.assign(keeper, "team", pinned_version=1)
    version = pb.PlanVersion(plan_id="team", version=1, features=[pb.PlanFeature(feature_id="seats", value=units(6))])
    async with refuses("FAILED_PRECONDITION", "PLAN_VERSION_PUBLISHED"):
        await plans.stub.UpdatePlanVersion(pb.UpdatePlanVersionRequest(version=version))
    await plans.version("team", seats=units(7))
    checked = await plans.stub.PublishPlanVersion(
        pb.PublishPlanVersionRequest(plan_id="team", version=2, reason="a test", validate_only=True)
    )
    assert (checked.version.state, checked.tenant_count) == (pb.PLAN_VERSION_STATE_ACTIVE, 1)
    assert (await plans.has(tenant_id))["seats"].value.quota.limit == 5, "only validated"
    published = await plans.publish("team", 2)
    assert published.revision > 0
    found = await plans.read(tenant_id)
    assert (found.plan_version, found.version) == (2, published.revision)
    assert found.features[0].value.quota.limit == 7
    assert (await plans.read(keeper)).plan_version == 1
    async with refuses("FAILED_PRECONDITION", "PLAN_VERSION_PUBLISHED"):
        await plans.publish("team", 2)
    listed = await plans.stub.ListPlanVersions(pb.ListPlanVersionsRequest(plan_id="team"))
    states = {each.version: each.state for each in listed.versions}
    assert states == {1: pb.PLAN_VERSION_STATE_ARCHIVED, 2: pb.PLAN_VERSION_STATE_ACTIVE}
    active = await plans.stub.ListPlanVersions(pb.ListPlanVersionsRequest(plan_id="team", filter="state = ACTIVE"))
    assert [each.version for each in active.versions] == [2]
    async with refuses("FAILED_PRECONDITION", "PLAN_IN_USE"):
        await plans.stub.ArchivePlanVersion(pb.ArchivePlanVersionRequest(plan_id="team", version=2, reason="a test"))


async def test_a_version_becomes_active_at_its_time(plans: Plans, clock: Moved) -> None:
    await plans.feature("night")
    await plans.feature("day")
    await plans.plan("sun", day=ON)
    tenant_id = await plans.tenant("moon", "sun")
    await plans.version("sun", night=ON)
    await plans.version("sun", night=OFF)
    time = after(clock, 3600)
    scheduled = await plans.publish("sun", 2, effective_time=time)
    assert scheduled.state == pb.PLAN_VERSION_STATE_SCHEDULED
    async with refuses("FAILED_PRECONDITION", "PLAN_VERSION_SCHEDULED"):
        await plans.publish("sun", 3, effective_time=time)
    async with refuses("INVALID_ARGUMENT", "TIME_PAST"):
        await plans.publish("sun", 3, effective_time=after(clock, -1))
    assert list(await plans.has(tenant_id)) == ["day"]
    then = await plans.explain(tenant_id, "night", time=after(clock, 3601))
    assert then.feature.enabled
    assert not (await plans.explain(tenant_id, "night")).feature.enabled
    clock.ahead += timedelta(hours=2)

    async def came() -> bool:
        return list(await plans.has(tenant_id)) == ["night"]

    await until(came)
    version = (await plans.stub.GetPlanVersion(pb.GetPlanVersionRequest(plan_id="sun", version=2))).version
    assert version.state == pb.PLAN_VERSION_STATE_ACTIVE
    assert version.effective_time == time


async def test_a_diff_says_whom_a_version_would_touch(plans: Plans) -> None:
    await plans.metered("rooms")
    await plans.feature("pool")
    await plans.feature("sauna")
    await plans.plan("hotel", rooms=units(10), pool=ON)
    touched, shielded, pinned = [await plans.tenant(f"hotel-{name}", "hotel") for name in ("a", "b", "c")]
    await plans.assign(pinned, "hotel", pinned_version=1)
    for feature_id, action in (("rooms", {"add": units(99)}), ("pool", {"add": ON}), ("sauna", {"remove": {}})):
        await plans.override(shielded, feature_id, **action)
    await plans.version("hotel", rooms=units(20), sauna=ON)
    request = pb.DiffPlanVersionsRequest(plan_id="hotel", to_version=2, page_size=1)
    answer = await plans.stub.DiffPlanVersions(request)
    changes = {
        each.feature_id: (each.HasField("before"), each.HasField("after"), each.after.quota.limit)
        for each in answer.changes
    }
    assert changes == {"pool": (True, False, 0), "rooms": (True, True, 20), "sauna": (False, True, 0)}
    assert answer.tenant_count == 2
    request.page_token = answer.next_page_token
    rest = await plans.stub.DiffPlanVersions(request)
    found = {each.tenant_id: each for each in (*answer.tenants, *rest.tenants)}
    assert set(found) == {touched, shielded}
    assert list(found[touched].changed_feature_ids) == ["pool", "rooms", "sauna"]
    assert (found[shielded].code, list(found[shielded].changed_feature_ids)) == ("hotel-b", [])
    assert not rest.next_page_token


async def test_an_add_on_gives_more_and_ends(plans: Plans, clock: Moved) -> None:
    await plans.metered("disks")
    await plans.feature("backup")
    await plans.plan("store", disks=units(10))
    tenant_id = await plans.tenant("attached", "store")
    add_on = pb.AddOn(
        id="more-disks",
        features=[
            pb.AddOnFeature(feature_id="disks", extra_units=5),
            pb.AddOnFeature(feature_id="backup", grant=ON),
        ],
    )
    made = (await plans.stub.CreateAddOn(pb.CreateAddOnRequest(add_on=add_on))).add_on
    attachment = pb.Attachment(tenant_id=tenant_id, add_on_id="more-disks", quantity=3)
    await plans.stub.AttachAddOn(pb.AttachAddOnRequest(attachment=attachment, reason="a test"))
    found = await plans.has(tenant_id)
    assert found["disks"].value.quota.limit == 25
    assert found["backup"].enabled
    assert [each.id for each in found["disks"].sources] == ["store/1", "more-disks"]
    made.features[0].extra_units = 6
    request = pb.UpdateAddOnRequest(add_on=made, update_mask=FieldMask(paths=["features"]))
    await plans.stub.UpdateAddOn(request)
    assert (await plans.has(tenant_id))["disks"].value.quota.limit == 28
    await plans.stub.ArchiveAddOn(pb.ArchiveAddOnRequest(id="more-disks", reason="a test"))
    assert (await plans.has(tenant_id))["disks"].value.quota.limit == 28, "it goes on where it is attached"
    other = await plans.tenant("late", "store")
    late = pb.Attachment(tenant_id=other, add_on_id="more-disks")
    async with refuses("FAILED_PRECONDITION", "ADD_ON_ARCHIVED"):
        await plans.stub.AttachAddOn(pb.AttachAddOnRequest(attachment=late, reason="a test"))
    detach = pb.DetachAddOnRequest(tenant_id=tenant_id, add_on_id="more-disks", reason="a test")
    await plans.stub.DetachAddOn(detach)
    found = await plans.has(tenant_id)
    assert found["disks"].value.quota.limit == 10
    assert "backup" not in found
    async with refuses("NOT_FOUND", "ATTACHMENT_NOT_FOUND"):
        await plans.stub.DetachAddOn(detach)


async def test_overrides_add_remove_raise_lower_and_expire(plans: Plans, clock: Moved) -> None:
    await plans.metered("cars")
    await plans.feature("garage")
    await plans.feature("ramp")
    await plans.setting("paint", "grey")
    await plans.plan("drive", cars=units(10), garage=ON, paint=text("white"))
    tenant_id = await plans.tenant("driver", "drive")
    await plans.override(tenant_id, "ramp", add=ON)
    await plans.override(tenant_id, "garage", remove={})
    override = pb.Override(tenant_id=tenant_id, feature_id="cars", reason="a test", expire_time=after(clock, 600))
    getattr(override, "raise").CopyFrom(units(20))
    first = (await plans.stub.SetOverride(pb.SetOverrideRequest(override=override))).override
    found = await plans.has(tenant_id)
    assert (found["ramp"].enabled, found["garage"].enabled, found["cars"].value.quota.limit) == (True, False, 20)
    assert found["garage"].sources[-1].effect == pb.FEATURE_EFFECT_REMOVED
    assert found["cars"].sources[-1].reason == "a test"
    await plans.override(tenant_id, "cars", lower=units(15))
    assert (await plans.has(tenant_id))["cars"].value.quota.limit == 15, "the cap wins"
    override.etag = first.etag
    again = (await plans.stub.SetOverride(pb.SetOverrideRequest(override=override))).override
    assert again.id == first.id
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await plans.stub.SetOverride(pb.SetOverrideRequest(override=override))
    async with refuses("INVALID_ARGUMENT", "VALUE_WITHOUT_ORDER") as refusal:
        await plans.override(tenant_id, "paint", lower=text("black"))
    assert list(refusal.violations) == ["override.lower"]
    async with refuses("INVALID_ARGUMENT", "VALUE_INVALID"):
        await plans.override(tenant_id, "cars", add=ON)
    async with refuses("NOT_FOUND", "FEATURE_NOT_FOUND"):
        await plans.override(tenant_id, "nosuch", add=ON)
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await plans.override(uuid7(), "cars", add=units(1))
    async with refuses("INVALID_ARGUMENT", "TIME_PAST"):
        await plans.override(tenant_id, "cars", add=units(1), expire_time=after(clock, -1))
    listed = await plans.stub.ListOverrides(pb.ListOverridesRequest(filter=f'tenant_id = "{tenant_id}"'))
    assert sorted(each.WhichOneof("action") or "" for each in listed.overrides) == ["add", "lower", "raise", "remove"]
    [lowering] = [each for each in listed.overrides if each.WhichOneof("action") == "lower"]
    await plans.stub.RemoveOverride(pb.RemoveOverrideRequest(id=lowering.id, reason="a test", etag=lowering.etag))
    assert (await plans.has(tenant_id))["cars"].value.quota.limit == 20
    before = await plans.read(tenant_id)
    clock.ahead += timedelta(minutes=11)

    async def over() -> bool:
        return (await plans.has(tenant_id))["cars"].value.quota.limit == 10

    await until(over)
    assert (await plans.read(tenant_id)).version > before.version
    request = audit_pb.ListEntriesRequest(filter=f'tenant_id = "{tenant_id}" resource = override')
    entries = (await plans.plane.audit.ListEntries(request)).entries
    assert {each.reason for each in entries} == {"a test", "its time is over"}


async def test_a_kill_switch_takes_a_feature_away_and_gives_it_back(plans: Plans, clock: Moved) -> None:
    await plans.feature("jet")
    await plans.plan("fly", jet=ON)
    one, other = await plans.tenant("pilot", "fly"), await plans.tenant("copilot", "fly")
    await plans.override(one, "jet", add=ON)
    switch = await plans.kill("jet", expire_time=after(clock, 600))
    for tenant_id in (one, other):
        killed = (await plans.has(tenant_id))["jet"]
        assert not killed.enabled
        assert killed.sources[-1].id == switch.id
    again = await plans.kill("jet")
    assert again.id == switch.id, "the same scope is the same switch"
    await plans.stub.RemoveKillSwitch(pb.RemoveKillSwitchRequest(id=switch.id, reason="a test"))
    assert (await plans.has(one))["jet"].enabled
    own = await plans.kill("jet", tenant_id=one, expire_time=after(clock, 600))
    assert [(await plans.has(each))["jet"].enabled for each in (one, other)] == [False, True]
    listed = await plans.stub.ListKillSwitches(pb.ListKillSwitchesRequest(filter="feature_id = jet"))
    assert [each.id for each in listed.kill_switches] == [own.id]
    clock.ahead += timedelta(minutes=11)

    async def back() -> bool:
        return (await plans.has(one))["jet"].enabled

    await until(back)
    async with refuses("NOT_FOUND", "KILL_SWITCH_NOT_FOUND"):
        await plans.stub.RemoveKillSwitch(pb.RemoveKillSwitchRequest(id=own.id, reason="a test"))
    async with refuses("NOT_FOUND", "CLUSTER_NOT_FOUND"):
        await plans.kill("jet", cluster_id="nowhere")


async def test_a_rollout_grows(plans: Plans) -> None:
    await plans.feature("beta")
    await plans.plan("trial", beta=ON)
    tenant_ids = [await plans.tenant(f"trial-{number}", "trial") for number in range(12)]

    async def reached() -> set[str]:
        return {each for each in tenant_ids if (await plans.has(each))["beta"].enabled}

    share: set[str] = set()
    for basis_points in (0, 2500, 5000, 9000, 10000):
        await plans.roll_out("beta", basis_points)
        now = await reached()
        assert share <= now
        share = now
    assert len(share) == 12
    await plans.roll_out("beta", 0)
    assert not await reached()
    held = (await plans.explain(tenant_ids[0], "beta")).steps
    assert [each.source.effect for each in held] == [pb.FEATURE_EFFECT_GRANTED, pb.FEATURE_EFFECT_HELD_BACK]
    await plans.stub.RemoveRollout(pb.RemoveRolloutRequest(feature_id="beta", reason="a test"))
    assert len(await reached()) == 12


async def test_a_plan_is_assigned_now_or_at_a_time(plans: Plans, clock: Moved) -> None:
    tenant_id = await plans.tenant("climber", "starter")
    answer = await plans.assign(tenant_id, "pro")
    assert (answer.features.plan_id, answer.features.version) == ("pro", answer.revision)
    assert (await plans.read(tenant_id)) == answer.features
    assert (await plans.plane.get(tenant_id)).plan_id == "pro"
    waiting = await plans.assign(tenant_id, "enterprise", assign_time=after(clock, 600))
    assert not waiting.HasField("features")
    listed = await plans.stub.ListPlanAssignments(pb.ListPlanAssignmentsRequest(filter=f'tenant_id = "{tenant_id}"'))
    assert [each.plan_id for each in listed.assignments] == ["enterprise"]
    explained = await plans.explain(tenant_id, "products", time=after(clock, 700))
    assert explained.steps[0].source.id == "enterprise/1"
    cancel = pb.CancelPlanAssignmentRequest(tenant_id=tenant_id, reason="a test")
    await plans.stub.CancelPlanAssignment(cancel)
    async with refuses("NOT_FOUND", "ASSIGNMENT_NOT_FOUND"):
        await plans.stub.CancelPlanAssignment(cancel)
    await plans.assign(tenant_id, "enterprise", assign_time=after(clock, 600))
    clock.ahead += timedelta(minutes=11)

    async def came() -> bool:
        return (await plans.read(tenant_id)).plan_id == "enterprise"

    await until(came)
    assert (await plans.plane.get(tenant_id)).plan_id == "enterprise"
    async with refuses("NOT_FOUND", "PLAN_NOT_FOUND"):
        await plans.assign(tenant_id, "platinum")
    async with refuses("NOT_FOUND", "PLAN_VERSION_NOT_FOUND"):
        await plans.assign(tenant_id, "pro", pinned_version=9)
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await plans.assign(tenant_id, "pro", etag="1")


async def test_a_schema_changes_only_so_that_what_is_in_use_fits(plans: Plans) -> None:
    made = await plans.setting("font", "sans", allowed=["sans", "serif", "mono"])
    await plans.plan("print", font=text("mono"))
    made.configuration.schema.text.allowed[:] = ["sans", "serif"]
    request = pb.UpdateFeatureRequest(feature=made, update_mask=FieldMask(paths=["configuration"]))
    async with refuses("FAILED_PRECONDITION", "FEATURE_IN_USE") as refusal:
        await plans.stub.UpdateFeature(request)
    assert refusal.metadata["place"] == "plan print/1"
    request.feature.configuration.schema.text.allowed[:] = ["sans", "mono", "slab"]
    updated = (await plans.stub.UpdateFeature(request)).feature
    assert list(updated.configuration.schema.text.allowed) == ["sans", "mono", "slab"]
    request.feature.etag = updated.etag
    request.feature.configuration.default_value.text = "none"
    async with refuses("INVALID_ARGUMENT", "SCHEMA_INVALID"):
        await plans.stub.UpdateFeature(request)
    request = pb.UpdateFeatureRequest(
        feature=pb.Feature(id="font", metered=pb.MeteredFeature(unit="x", period=quota_pb2.QUOTA_PERIOD_DAY)),
        update_mask=FieldMask(paths=["metered.unit"]),
    )
    async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
        await plans.stub.UpdateFeature(request)
    async with refuses("ALREADY_EXISTS", "FEATURE_EXISTS"):
        await plans.feature("font")


async def test_the_same_request_has_one_effect(plans: Plans) -> None:
    await plans.feature("once")
    tenant_id = await plans.tenant("single", "standard")
    override = pb.Override(tenant_id=tenant_id, feature_id="once", add=ON, reason="a test")
    request = pb.SetOverrideRequest(override=override, request_id=uuid7())
    answers = await asyncio.gather(*(plans.stub.SetOverride(request) for _ in range(5)))
    assert len({each.override.revision for each in answers}) == 1


async def test_a_purged_tenant_takes_its_own_along(plans: Plans) -> None:
    await plans.feature("gone")
    tenant_id = await plans.tenant("leaver", "standard")
    await plans.override(tenant_id, "gone", add=ON)
    await plans.kill("gone", tenant_id=tenant_id)
    assert "gone" in await plans.has(tenant_id)
    request = tenants_pb.DeleteTenantRequest(id=tenant_id, reason="a test")
    request.grace.FromSeconds(0)
    await plans.plane.tenants.DeleteTenant(request)

    async def purged() -> bool:
        page = await plans.stub.ListOverrides(pb.ListOverridesRequest(filter=f'tenant_id = "{tenant_id}"'))
        return not page.overrides

    await until(purged)
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await plans.read(tenant_id)


async def test_every_process_computes_the_same(plans: Plans) -> None:
    tenant_id = await plans.tenant("doubled", "standard")
    await plans.override(tenant_id, "products", add=units(3))
    other = plans.plane.beside()
    await other.start()
    try:
        assert await Plans(other).read(tenant_id) == await plans.read(tenant_id)
        await plans.override(tenant_id, "products", add=units(4))
        assert await Plans(other).read(tenant_id) == await plans.read(tenant_id)
        await plans.plane.tenants.UpdateTenant(
            tenants_pb.UpdateTenantRequest(tenant=tenant_pb2.Tenant(id=tenant_id, display_name="Twice"))
        )
        assert await Plans(other).read(tenant_id) == await plans.read(tenant_id)
    finally:
        await other.close()


async def test_who_changes_something_finds_it_in_the_next_answer(plans: Plans) -> None:
    await plans.metered("prompt")
    tenant_id = await plans.tenant("hasty", "standard")
    for number in range(20):
        await plans.override(tenant_id, "prompt", add=units(number))
        answer = await plans.stub.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=tenant_id))
        found = {each.feature_id: each.value.quota.limit for each in answer.features.features}
        assert found["prompt"] == number


async def test_lists_come_in_pages(plans: Plans) -> None:
    seen: list[str] = []
    request = pb.ListFeaturesRequest(page_size=2)
    while True:
        page = await plans.stub.ListFeatures(request)
        seen += [each.id for each in page.features]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == sorted(set(seen))
    assert {"products", "bulk_import", "custom_domains", "api_rate"} <= set(seen)
    metered = await plans.stub.ListFeatures(pb.ListFeaturesRequest(filter="kind = METERED"))
    assert all(each.HasField("metered") for each in metered.features)
