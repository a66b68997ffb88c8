"""Tenants, from making to deleting, and the clusters they live on."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from center.control.v1 import cluster_service_pb2 as clusters_pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as pb
from center.shared.v1 import audit_service_pb2 as audit_pb
from shared.platform.postgres import PostgresFailed
from shared.runtime.backoffice import Verifier
from shared.runtime.clock import SystemClock
from shared.runtime.errors import Unauthenticated
from shared.runtime.ids import uuid7
from tests.control.plane import Plane, config, metadata, until
from tests.support.grpc import refuses
from tests.support.postgres import Postgres


async def test_a_new_tenant_is_provisioned_and_found_by_domain_id_and_code(plane: Plane) -> None:
    tenant = await plane.active("brass", domains=["brass-lamps.example"], domains_verified_reason="known")
    assert tenant.state == tenant_pb2.TENANT_STATE_ACTIVE
    assert tenant.placement.cluster_id in ("eu-1", "us-1")
    assert tenant.primary_domain == "brass-lamps.example"
    assert list(tenant.domains) == ["brass-lamps.example", "brass.center.localhost"]
    for key in ({"domain": "BRASS-lamps.example.:8080"}, {"id": tenant.id}, {"code": "brass"}):
        answer = await plane.tenants.ResolveTenant(pb.ResolveTenantRequest(**key, min_revision=tenant.revision))
        assert answer.tenant_id == tenant.id
        assert answer.cluster_id == tenant.placement.cluster_id
        assert answer.revision >= tenant.revision


async def change(plane: Plane, tenant_id: str, action: pb.TenantAction, **more: str) -> tenant_pb2.Tenant:
    request = pb.ChangeTenantStatusRequest(id=tenant_id, action=action, reason="a test", **more)
    return (await plane.tenants.ChangeTenantStatus(request)).tenant


async def test_the_life_of_a_tenant_is_guarded_and_audited(plane: Plane) -> None:
    made = await plane.active("lively")
    suspended = await change(plane, made.id, pb.TENANT_ACTION_SUSPEND)
    assert (suspended.state, suspended.state_reason) == (tenant_pb2.TENANT_STATE_SUSPENDED, "a test")
    async with refuses("FAILED_PRECONDITION", "TENANT_TRANSITION_ILLEGAL") as refusal:
        await change(plane, made.id, pb.TENANT_ACTION_SUSPEND)
    assert "RESUME" in refusal.metadata["allowed"].split(",")
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await change(plane, made.id, pb.TENANT_ACTION_RESUME, etag=made.etag)
    resumed = await change(plane, made.id, pb.TENANT_ACTION_RESUME, etag=suspended.etag)
    assert resumed.revision > suspended.revision
    entries = await plane.audit.ListEntries(audit_pb.ListEntriesRequest(filter=f'tenant_id = "{made.id}"'))
    [latest, before, *_] = entries.entries
    assert (latest.method, latest.caller, latest.reason, latest.revision) == (
        "center.control.v1.TenantService/ChangeTenantStatus",
        "operator",
        "a test",
        resumed.revision,
    )
    assert ("state", "SUSPENDED", "ACTIVE") in [(each.field, each.before, each.after) for each in latest.changes]
    assert before.revision == suspended.revision
    one = await plane.audit.GetEntry(audit_pb.GetEntryRequest(id=latest.id))
    assert one.entry == latest


async def test_a_mode_ends_by_itself(plane: Plane) -> None:
    made = await plane.active("moody")
    request = pb.SetTenantModeRequest(id=made.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY, reason="stocktaking")
    request.expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=0.6))
    held = (await plane.tenants.SetTenantMode(request)).tenant
    assert held.mode == tenant_pb2.TENANT_MODE_READ_ONLY and held.mode_reason == "stocktaking"

    async def ended() -> bool:
        return (await plane.get(made.id)).mode == tenant_pb2.TENANT_MODE_NORMAL

    await until(ended)
    back = await plane.get(made.id)
    assert not back.HasField("mode_expire_time") and back.revision > held.revision
    request.expire_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    async with refuses("INVALID_ARGUMENT", "TIME_PAST"):
        await plane.tenants.SetTenantMode(request)


async def test_updates_change_what_their_mask_names(plane: Plane) -> None:
    made = (await plane.create("masked", draft=True, labels={"tier": "gold"})).tenant
    wanted = tenant_pb2.Tenant(id=made.id, display_name="New", plan_id="plus")
    request = pb.UpdateTenantRequest(tenant=wanted, update_mask=FieldMask(paths=["display_name", "labels"]))
    updated = (await plane.tenants.UpdateTenant(request)).tenant
    assert (updated.display_name, dict(updated.labels), updated.plan_id) == ("New", {}, "standard")
    async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
        await plane.tenants.UpdateTenant(
            pb.UpdateTenantRequest(tenant=wanted, update_mask=FieldMask(paths=["placement.cluster_id"]))
        )
    config = tenant_pb2.TenantConfig(currency_code="EUR", theme=tenant_pb2.Theme(accent_color="#336699"))
    configured = (
        await plane.tenants.UpdateTenantConfig(pb.UpdateTenantConfigRequest(id=made.id, config=config))
    ).tenant
    assert configured.config.version == 2 and configured.config.theme.accent_color == "#336699"
    zone = tenant_pb2.TenantConfig(time_zone="Europe/Berlin")
    configured = (await plane.tenants.UpdateTenantConfig(pb.UpdateTenantConfigRequest(id=made.id, config=zone))).tenant
    assert (configured.config.version, configured.config.currency_code) == (3, "EUR")
    async with refuses("INVALID_ARGUMENT", "TIME_ZONE_UNKNOWN"):
        bad = tenant_pb2.TenantConfig(time_zone="Europe/Nowhere")
        await plane.tenants.UpdateTenantConfig(pb.UpdateTenantConfigRequest(id=made.id, config=bad))


async def test_a_deleted_tenant_comes_back_with_its_code_and_domains(plane: Plane) -> None:
    made = await plane.active("phoenix")
    deleted = (await plane.tenants.DeleteTenant(pb.DeleteTenantRequest(id=made.id, reason="mistake"))).tenant
    assert deleted.state == tenant_pb2.TENANT_STATE_DELETING
    assert (deleted.purge_time.ToDatetime() - deleted.delete_time.ToDatetime()).days == 30
    async with refuses("ALREADY_EXISTS", "TENANT_CODE_TAKEN"):
        await plane.create("phoenix")
    listed = pb.ListTenantsRequest(filter="code = phoenix")
    assert not (await plane.tenants.ListTenants(listed)).tenants
    listed.show_deleted = True
    assert [each.id for each in (await plane.tenants.ListTenants(listed)).tenants] == [made.id]
    back = (await plane.tenants.UndeleteTenant(pb.UndeleteTenantRequest(id=made.id, reason="sorry"))).tenant
    assert back.state == tenant_pb2.TENANT_STATE_ACTIVE and not back.HasField("purge_time")


async def test_a_replay_is_answered_as_before_and_makes_nothing_twice(plane: Plane) -> None:
    request = pb.CreateTenantRequest(tenant=pb.TenantDraft(code="once", display_name="Once"), request_id=uuid7())
    first, *others = await asyncio.gather(*(plane.tenants.CreateTenant(request) for _ in range(5)))
    assert all(other == first for other in others)
    request.tenant.display_name = "Twice"
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await plane.tenants.CreateTenant(request)


async def test_an_import_refuses_rows_one_by_one_and_can_be_run_again(plane: Plane) -> None:
    await plane.create("in-the-way", draft=True, domains=["taken.example"], domains_verified_reason="first")

    def draft(code: str, *domains: str) -> pb.TenantDraft:
        return pb.TenantDraft(code=code, display_name=code, domains=domains, domains_verified_reason="import")

    rows = [
        draft("import-a", "import-a.example"),
        draft("import-b", "taken.example"),
        draft("import-c", "not a name"),
        draft("import-a", "import-d.example"),
        draft("import-e", "import-a.example"),
        draft("in-the-way"),
        draft("import-f"),
    ]
    request = pb.BatchCreateTenantsRequest(tenants=rows)
    first = (await plane.tenants.BatchCreateTenants(request)).results
    assert [row.WhichOneof("result") for row in first] == ["created", *["refused"] * 5, "created"]
    assert [row.refused.reason for row in first[1:-1]] == [
        "DOMAIN_TAKEN",
        "DOMAIN_INVALID",
        "TENANT_CODE_TAKEN",
        "DOMAIN_TAKEN",
        "TENANT_CODE_TAKEN",
    ]
    again = (await plane.tenants.BatchCreateTenants(request)).results
    assert [row.WhichOneof("result") for row in again] == ["existing", *["refused"] * 5, "existing"]
    assert again[0].existing.id == first[0].created.id


async def test_lists_are_filtered_ordered_and_paged(plane: Plane) -> None:
    for number in range(7):
        await plane.create(f"paged-{number}", draft=True, labels={"set": "paged", "odd": str(number % 2)})
    request = pb.ListTenantsRequest(
        page_size=2, filter="labels.set = paged AND labels.odd = 0 AND state = DRAFT", order_by="code desc"
    )
    found = []
    while True:
        page = await plane.tenants.ListTenants(request)
        found += [each.code for each in page.tenants]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == ["paged-6", "paged-4", "paged-2", "paged-0"]
    for wrong, reason in (({"filter": "nothing = 1"}, "FILTER_INVALID"), ({"order_by": "labels"}, "ORDER_INVALID")):
        async with refuses("INVALID_ARGUMENT", reason):
            await plane.tenants.ListTenants(pb.ListTenantsRequest(**wrong))


async def test_a_backoffice_token_is_good_for_its_tenant_and_its_time(plane: Plane) -> None:
    made = (await plane.create("office", draft=True)).tenant
    request = pb.IssueBackofficeTokenRequest(id=made.id, reason="for ada")
    request.ttl.FromSeconds(60)
    issued = await plane.tenants.IssueBackofficeToken(request)
    verify = Verifier(plane.config.home, SystemClock())
    assert verify(issued.token, made.id) == "merchant/office"
    for token, tenant_id in ((issued.token, uuid7()), (issued.token[:-2] + "aa", made.id), ("", made.id)):
        with pytest.raises(Unauthenticated):
            verify(token, tenant_id)

    class Later:
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=100)

    with pytest.raises(Unauthenticated, match="TOKEN_EXPIRED"):
        Verifier(plane.config.home, Later())(issued.token, made.id)


async def test_a_replay_gets_the_same_token_which_is_stored_nowhere(plane: Plane) -> None:
    made = (await plane.create("replayed-office", draft=True)).tenant
    request = pb.IssueBackofficeTokenRequest(id=made.id, reason="for ada", request_id=uuid7())
    first = await plane.tenants.IssueBackofficeToken(request)
    assert await plane.tenants.IssueBackofficeToken(request) == first
    with psycopg.connect(plane.config.database_url) as connection:
        rows = connection.execute("SELECT answer FROM idempotency WHERE answer IS NOT NULL").fetchall()
    assert rows and not any(first.token.encode() in answer for (answer,) in rows)
    request.reason = "for bob"
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await plane.tenants.IssueBackofficeToken(request)


async def test_placement_is_explained_cluster_by_cluster(plane: Plane) -> None:
    explain = clusters_pb.ExplainPlacementRequest(needs=clusters_pb.PlacementNeeds(region_id="us"))
    answer = await plane.clusters.ExplainPlacement(explain)
    assert (answer.cluster_id, answer.shard_id) == ("us-1", "us-1-s1")
    reasons = {each.cluster_id: (each.eligible, list(each.reasons)) for each in answer.candidates}
    assert reasons["eu-1"] == (False, ["region: eu is not us"]) and reasons["us-1"][0]
    async with refuses("NOT_FOUND", "REGION_NOT_FOUND"):
        await plane.clusters.ExplainPlacement(
            clusters_pb.ExplainPlacementRequest(needs=clusters_pb.PlacementNeeds(region_id="mars"))
        )


async def test_clusters_are_kept_while_they_have_tenants(start_plane: Any) -> None:
    async with start_plane() as plane:
        stub = plane.clusters
        await stub.CreateRegion(clusters_pb.CreateRegionRequest(region=clusters_pb.Region(id="ap")))
        async with refuses("ALREADY_EXISTS", "REGION_EXISTS"):
            await stub.CreateRegion(clusters_pb.CreateRegionRequest(region=clusters_pb.Region(id="ap")))
        new = clusters_pb.Cluster(id="ap-1", region_id="ap", capacity=1)
        made = (await stub.CreateCluster(clusters_pb.CreateClusterRequest(cluster=new))).cluster
        assert made.state == clusters_pb.CLUSTER_STATE_OPEN
        async with refuses("ALREADY_EXISTS", "CLUSTER_EXISTS"):
            await stub.CreateCluster(clusters_pb.CreateClusterRequest(cluster=new))
        async with refuses("NOT_FOUND", "REGION_NOT_FOUND"):
            lost = clusters_pb.Cluster(id="xx-1", region_id="xx")
            await stub.CreateCluster(clusters_pb.CreateClusterRequest(cluster=lost))
        held = (await plane.create("resident", region_id="ap")).tenant

        async def is_placed() -> bool:
            return (await plane.get(held.id)).placement.cluster_id == "ap-1"

        await until(is_placed)
        waiting = await plane.create("second", region_id="ap")

        async def is_refused() -> bool:
            return metadata(await plane.operation(waiting.operation.name)).last_error.message.startswith("no cluster")

        await until(is_refused)
        async with refuses("FAILED_PRECONDITION", "CLUSTER_IN_USE"):
            await stub.DeleteCluster(clusters_pb.DeleteClusterRequest(id="ap-1", reason="x"))
        closed = clusters_pb.SetClusterStateRequest(id="us-1", state=clusters_pb.CLUSTER_STATE_CLOSED, reason="full")
        assert (await stub.SetClusterState(closed)).cluster.state == clusters_pb.CLUSTER_STATE_CLOSED
        open_ones = await stub.ListClusters(clusters_pb.ListClustersRequest(filter="state = OPEN"))
        assert [each.id for each in open_ones.clusters] == ["ap-1", "eu-1"]
        gone = await stub.DeleteCluster(clusters_pb.DeleteClusterRequest(id="us-1", reason="sold"))
        async with plane.watch() as watch:
            await watch.reach(gone.revision)
            assert set(watch.clusters) == {"eu-1", "ap-1"}


async def test_a_restart_with_other_ports_tells_where_the_clusters_are_now(start_plane: Any) -> None:
    async with start_plane() as plane:
        await plane.stop()
        seeds = tuple(replace(seed, endpoint=replace(seed.endpoint, port=17000)) for seed in plane.config.seeds)
        plane.config = replace(plane.config, seeds=seeds)
        await plane.start()
        listed = (await plane.clusters.ListClusters(clusters_pb.ListClustersRequest())).clusters
        assert [(each.id, each.endpoints[0].port) for each in listed] == [("eu-1", 17000), ("us-1", 17000)]


async def test_the_database_may_be_killed_and_started_again(home: Path) -> None:
    # Not pytest's folder, which the server's own user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="center-test-killed-"))

    # Forking beside gRPC's threads ends the child now and then before it is PostgreSQL (ev_epoll1's checks).
    async def initialised() -> Postgres | None:
        with suppress(PostgresFailed):
            return await asyncio.to_thread(Postgres, folder)
        return None

    server = await until(initialised)

    async def started() -> bool:
        with suppress(RuntimeError):  # or a killed server's children still hold its memory
            await asyncio.to_thread(server.start)
            return True
        return False

    await until(started)
    plane = Plane(config(home, server.url()))
    try:
        await plane.start()
        made = (await plane.create("survivor", draft=True)).tenant
        async with plane.watch() as watch:
            await watch.reach(made.revision)
            server.kill()
            answer = await plane.tenants.ResolveTenant(pb.ResolveTenantRequest(code="survivor"))
            assert answer.tenant_id == made.id, "memory answers"
            async with refuses("UNAVAILABLE"):
                await plane.create("too-early", draft=True)
            await until(started)

            async def writes() -> Any:
                try:
                    return (await plane.create("after", draft=True)).tenant
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.UNAVAILABLE, error
                    return None

            later = await until(writes)
            await watch.reach(later.revision)
            assert {made.id, later.id} <= set(watch.tenants)
    finally:
        await plane.close()
        server.stop()
        shutil.rmtree(folder)
