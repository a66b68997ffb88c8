"""The audit of the control plane: every method that changes something leaves an entry, and none tells an e-mail."""

import os
import re
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from center.control.v1 import cluster_service_pb2 as clusters_pb
from center.control.v1 import plan_service_pb2 as plans_pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as tenants_pb
from center.shared.v1 import audit_service_pb2 as audit_pb
from center.shared.v1.audit_service_pb2_grpc import AuditServiceStub
from control import app
from control.users.service import KEY_SETTLES_S
from shared.audit.denials import KINDS, OTHERS, Denials, Denied
from shared.runtime.context import CallContext
from shared.runtime.errors import PermissionDenied, Unavailable
from shared.runtime.rpc import contract, rules
from tests.control.people import People, an_email, code_in
from tests.control.plane import Plane, until
from tests.control.solutions import draft
from tests.support.contracts import services
from tests.support.grpc import refuses

SERVICES = [*services("center.control.v1"), contract.of(AuditServiceStub), app.LONG_RUNNING]
METHODS: dict[str, MethodDescriptor] = {
    f"{service.name}/{method.name}": method for service in SERVICES for method in service.methods
}
RECORDED = {name for name, method in METHODS.items() if rules.of(method).is_recorded}
# It never changes anything: operations are kept.
REFUSES = {"Operations/DeleteOperation"}
WHY = "asked by ada@example.com"


class Story:
    """Calls every method that changes something, each at least once."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.people = People(plane)
        self.called: set[str] = set()

    async def call(self, name: str, /, **fields: Any) -> Any:
        method = METHODS[name]
        given = {"reason": WHY} if "reason" in method.input_type.fields_by_name else {}
        request = message_factory.GetMessageClass(method.input_type)(**(given | fields))
        unary = self.plane.channel().unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        answer = await unary(request, timeout=30)
        self.called.add(name)
        return answer

    async def tenants(self) -> None:
        made = await self.call("TenantService/CreateTenant", tenant=_tenant())
        shop = made.tenant.id
        await self.plane.wait(made.operation.name)
        await self.call("TenantService/BatchCreateTenants", tenants=[_tenant(), _tenant()])
        shown = tenant_pb2.Tenant(id=shop, display_name="Ada's, ada@example.com")
        await self.call("TenantService/UpdateTenant", tenant=shown, update_mask={"paths": ["display_name"]})
        config = tenant_pb2.TenantConfig(support_email="ada@example.com")
        mask = {"paths": ["support_email"]}
        await self.call("TenantService/UpdateTenantConfig", id=shop, config=config, update_mask=mask)
        await self.call("TenantService/SetTenantMode", id=shop, mode=tenant_pb2.TENANT_MODE_READ_ONLY)
        await self.call("TenantService/SetTenantMode", id=shop, mode=tenant_pb2.TENANT_MODE_NORMAL)
        await self.call("TenantService/IssueBackofficeToken", id=shop)
        name = f"{uuid.uuid4().hex[:10]}.example"
        await self.call("DomainService/AddDomain", tenant_id=shop, name=name, verified_reason="seen")
        await self.call("DomainService/SetPrimaryDomain", tenant_id=shop, name=name)
        other = f"{uuid.uuid4().hex[:10]}.example"
        await self.call("DomainService/AddDomain", tenant_id=shop, name=other)
        await self.call("DomainService/RemoveDomain", tenant_id=shop, name=other)
        moved = await self.call("TenantService/MoveTenant", id=shop)
        await self.plane.wait(moved.operation.name)
        suspend = tenants_pb.TENANT_ACTION_SUSPEND
        await self.call("TenantService/ChangeTenantStatus", id=shop, action=suspend)
        await self.call("TenantService/DeleteTenant", id=shop)
        await self.call("TenantService/UndeleteTenant", id=shop)

    async def clusters(self) -> None:
        region, cluster = (f"r-{uuid.uuid4().hex[:8]}" for _ in range(2))
        await self.call("ClusterService/CreateRegion", region={"id": region, "display_name": "Elsewhere"})
        endpoint = {"host": "127.0.0.1", "port": 1}
        new = clusters_pb.Cluster(id=cluster, region_id=region, endpoints=[endpoint], capacity=5)
        await self.call("ClusterService/CreateCluster", cluster=new)
        await self.call("ClusterService/CreateShard", shard={"id": f"{cluster}-0", "cluster_id": cluster})
        changed = clusters_pb.Cluster(id=cluster, capacity=6)
        await self.call("ClusterService/UpdateCluster", cluster=changed, update_mask={"paths": ["capacity"]})
        # Nobody answers there: its operation stays open.
        made = await self.call("TenantService/CreateTenant", tenant=_tenant(region_id=region))
        await self.call("OperationsService/RetryOperation", name=made.operation.name)
        await self.call("Operations/CancelOperation", name=made.operation.name)
        drained = {"id": cluster, "state": clusters_pb.CLUSTER_STATE_DRAINING}
        await self.call("ClusterService/SetClusterState", **drained)
        unused = f"r-{uuid.uuid4().hex[:8]}"
        await self.call(
            "ClusterService/CreateCluster",
            cluster=clusters_pb.Cluster(id=unused, region_id=region, endpoints=[endpoint], capacity=5),
        )
        await self.call("ClusterService/DeleteCluster", id=unused)

    async def plans(self) -> None:
        feature = f"f_{uuid.uuid4().hex[:8]}"
        plan, add_on = (f"p-{uuid.uuid4().hex[:8]}" for _ in range(2))
        on = plans_pb.FeatureValue(boolean=True)
        await self.call("PlanService/CreateFeature", feature={"id": feature, "boolean": {}})
        named = {"id": feature, "display_name": "New", "boolean": {}}
        mask = {"paths": ["display_name"]}
        await self.call("PlanService/UpdateFeature", feature=named, update_mask=mask)
        await self.call("PlanService/SetRollout", rollout={"feature_id": feature, "basis_points": 5000, "reason": WHY})
        await self.call("PlanService/RemoveRollout", feature_id=feature)
        switch = {"feature_id": feature, "reason": WHY}
        killed = await self.call("PlanService/SetKillSwitch", kill_switch=switch)
        await self.call("PlanService/RemoveKillSwitch", id=killed.kill_switch.id)
        given = [plans_pb.PlanFeature(feature_id=feature, value=on)]
        await self.call("PlanService/CreatePlan", plan={"id": plan}, features=given)
        await self.call("PlanService/UpdatePlan", plan={"id": plan, "display_name": "New"}, update_mask=mask)
        await self.call("PlanService/PublishPlanVersion", plan_id=plan, version=1)
        await self.call("PlanService/CreatePlanVersion", plan_id=plan, copy_version=1)
        noted = {"plan_id": plan, "version": 2, "note": "better"}
        await self.call("PlanService/UpdatePlanVersion", version=noted, update_mask={"paths": ["note"]})
        await self.call("PlanService/ArchivePlanVersion", plan_id=plan, version=2)
        await self.call(
            "PlanService/CreateAddOn", add_on={"id": add_on, "features": [{"feature_id": feature, "grant": on}]}
        )
        await self.call("PlanService/UpdateAddOn", add_on={"id": add_on, "display_name": "New"}, update_mask=mask)
        shop = (await self.call("TenantService/CreateTenant", tenant=_tenant(), draft=True)).tenant.id
        await self.call("PlanService/AssignPlan", tenant_id=shop, plan_id=plan)
        later = datetime.now(UTC) + timedelta(days=1)
        await self.call("PlanService/AssignPlan", tenant_id=shop, plan_id=plan, assign_time=later)
        await self.call("PlanService/CancelPlanAssignment", tenant_id=shop)
        await self.call("PlanService/AttachAddOn", attachment={"tenant_id": shop, "add_on_id": add_on, "quantity": 1})
        await self.call("PlanService/DetachAddOn", tenant_id=shop, add_on_id=add_on)
        override = plans_pb.Override(tenant_id=shop, feature_id=feature, add=on, reason=WHY)
        made = await self.call("PlanService/SetOverride", override=override)
        await self.call("PlanService/RemoveOverride", id=made.override.id)
        await self.call("PlanService/ArchiveAddOn", id=add_on)
        unused = f"f_{uuid.uuid4().hex[:8]}"
        await self.call("PlanService/CreateFeature", feature={"id": unused, "boolean": {}})
        await self.call("PlanService/ArchiveFeature", id=unused)

    async def access(self) -> None:
        solution = f"s-{uuid.uuid4().hex[:12]}"
        await self.call("SolutionService/CreateSolution", solution=draft(solution))
        named = {"id": solution, "display_name": "Find"}
        await self.call("SolutionService/UpdateSolution", solution=named, update_mask={"paths": ["display_name"]})
        key = await self.call("SolutionService/CreateSolutionKey", solution_id=solution, display_name="first")
        await self.call("SolutionService/RevokeSolutionKey", kid=key.key.kid)
        email = an_email()
        registered = await self.call("UserService/RegisterUser", email=email, solution_id=solution)
        code = code_in(registered.redirect_url)
        held = await self.call("UserService/ExchangeCode", code=code, solution_id=solution)
        await self.call("AccessService/ReportLeakedToken", token=held.token, source="a page")
        user = await self.people.find(email)
        link = await self.people.link(user.id)
        proof = {"token": link, "registration_secrets": [registered.registration_secret]}
        await self.call("UserService/VerifyEmail", **proof)
        issued = await self.call("AccessService/GenerateSolutionToken", user_email=email, solution_id=solution)
        pro = {"id": issued.entitlement_id, "tier": "pro"}
        await self.call("AccessService/UpdateEntitlement", **pro)
        rotated = await self.call("AccessService/RotateToken", kid=issued.token_kid)
        await self.call("AccessService/RevokeToken", kid=rotated.token.kid)
        await self.call("UserService/ChangeUserEmail", id=user.id, email=an_email())
        self.secrets = [held.token, issued.token, rotated.secret, registered.registration_secret, key.secret, link]
        await self.call("UserService/EraseUser", id=user.id)
        rotation = await self.call("UserService/RotateUserKeys")
        await self.plane.wait(rotation.operation.name)
        for path in (self.plane.config.home / "secrets").glob("*.key"):
            os.utime(path, (time.time() - 2 * KEY_SETTLES_S,) * 2)
        await self.call("UserService/RetireUserKeys")
        await self.call("SolutionService/DeleteSolution", id=solution, force=True)


def _tenant(**changes: Any) -> tenants_pb.TenantDraft:
    code = f"audit-{uuid.uuid4().hex[:10]}"
    return tenants_pb.TenantDraft(code=code, display_name=code, **changes)


@pytest.fixture(scope="module")
async def story(start_plane: Any, start_cluster: Any) -> AsyncIterator[Story]:
    """On a platform of its own: keys are rotated, and rows are looked at as a whole."""
    async with start_plane() as plane, start_cluster(plane, "eu-1"), start_cluster(plane, "us-1"):
        told = Story(plane)
        for chapter in (told.tenants, told.clusters, told.plans, told.access):
            await chapter()
        yield told


async def test_every_method_that_changes_something_leaves_an_entry(story: Story) -> None:
    known = [name for name in RECORDED - REFUSES - story.called if name != "DomainService/VerifyDomain"]
    assert known == []
    request = audit_pb.ListEntriesRequest(page_size=1000)
    said = {entry.method.rpartition(".")[2] for entry in (await story.plane.audit.ListEntries(request)).entries}
    assert story.called - said == set(), "no entry"


def test_what_is_not_recorded_says_why(story: Story) -> None:
    mutating = {name for name, method in METHODS.items() if rules.of(method).mutates}
    unaudited = {name for name in mutating if len(rules.of(METHODS[name]).not_audited_because) > 20}
    assert mutating == RECORDED | unaudited


async def test_no_row_tells_an_e_mail_or_a_secret(story: Story) -> None:
    with psycopg.connect(story.plane.config.database_url) as owner:
        rows = [
            str(row)
            for table in ("audit_entries", "audit_links", "audit_seals")
            for row in owner.execute(f"SELECT t::text FROM {table} t").fetchall()
        ]
    assert len(rows) > 100
    assert not [row for row in rows if re.search(r"[\w.]+@[\w.]+", row)]
    assert not [row for row in rows for secret in story.secrets if secret in row]
    assert any("asked by [e-mail]" in row for row in rows)
    assert any("[e-mail]" in row and "display_name" in row for row in rows)


async def test_what_was_recorded_verifies(story: Story) -> None:
    with psycopg.connect(story.plane.config.database_url, autocommit=True) as owner:

        async def sealed() -> bool:
            unsealed = "SELECT count(*) FROM audit_entries WHERE id NOT IN (SELECT entry_id FROM audit_links)"
            return owner.execute(unsealed).fetchone() == (0,)

        await until(sealed)
        request = audit_pb.VerifyChainRequest(all_chains=True)
        answers = [answer async for answer in story.plane.audit.VerifyChain(request)]
        assert len({answer.tenant_id for answer in answers}) > 3
        assert not [finding for answer in answers for finding in answer.findings]
        [[entry_id]] = owner.execute("SELECT id::text FROM audit_entries WHERE tenant_id = '' LIMIT 1").fetchall()
        owner.execute("UPDATE audit_entries SET reason = 'none' WHERE id = %s", (entry_id,))
        answers = [answer async for answer in story.plane.audit.VerifyChain(audit_pb.VerifyChainRequest())]
    [finding] = [finding for answer in answers for finding in answer.findings]
    assert (finding.entry_id, finding.kind) == (entry_id, audit_pb.AUDIT_FINDING_KIND_CHANGED)


async def test_what_cannot_be_recorded_does_not_happen(story: Story) -> None:
    with psycopg.connect(story.plane.config.database_url, autocommit=True) as owner:
        owner.execute("REVOKE INSERT ON audit_entries FROM center_app")
        try:
            async with refuses("UNAVAILABLE", "AUDIT_UNAVAILABLE"):
                await story.call("ClusterService/CreateRegion", region={"id": "unrecorded", "display_name": "No"})
        finally:
            owner.execute("GRANT INSERT ON audit_entries TO center_app")
    listed = await story.plane.clusters.ListRegions(clusters_pb.ListRegionsRequest())
    assert "unrecorded" not in {region.id for region in listed.regions}


async def test_refused_calls_are_recorded_and_counted_together(story: Story) -> None:
    name = "TenantService/DeleteTenant"
    method = METHODS[name]
    request = tenants_pb.DeleteTenantRequest(id=str(uuid.uuid4()), reason="because")
    edge = story.plane.channel("edge").unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=tenants_pb.DeleteTenantResponse.FromString,
    )
    for _ in range(50):
        with pytest.raises(grpc.aio.AioRpcError):
            await edge(request)
    listing = audit_pb.ListEntriesRequest(filter='resource = "denied" AND caller = "edge"')

    async def told() -> list[audit_pb.AuditEntry]:
        found = list((await story.plane.audit.ListEntries(listing)).entries)
        return found if sum(int(_facts(each)["calls"]) for each in found) == 50 else []

    found = await until(told)
    assert len(found) <= 3
    assert {(each.resource_id, each.method.rpartition(".")[2]) for each in found} == {("CALLER_NOT_ALLOWED", name)}


def _facts(entry: audit_pb.AuditEntry) -> dict[str, str]:
    return {each.field: each.after for each in entry.changes}


REFUSAL = PermissionDenied("CALLER_NOT_ALLOWED", "no")


async def test_a_flood_of_refusals_fills_neither_memory_nor_the_disk() -> None:
    written: list[Denied] = []

    async def write(told: Any) -> None:
        written.extend(told)

    denials = Denials(write, look_s=1.0)
    for number in range(50_000):
        denials.note(CallContext(caller=f"caller/{number % (2 * KINDS)}", method="m"), REFUSAL)
    assert len(denials._counts) <= KINDS + 1
    now_s = time.monotonic()
    for second in range(3600):
        denials.note(CallContext(caller="caller/0", method="m"), REFUSAL)
        await denials.flush(now_s + 1.0 + second)
    await denials.flush(float("inf"))
    of_one = [each for each in written if each.kind.caller == "caller/0"]
    assert len(of_one) <= 15 and sum(each.calls for each in of_one) == 25 + 3600
    assert sum(each.calls for each in written) == 50_000 + 3600
    assert [each.kind.caller for each in written].count(OTHERS) == 1


async def test_refusals_that_cannot_be_written_are_kept_and_counted() -> None:
    written: list[Denied] = []
    fails = True

    async def write(told: Any) -> None:
        if fails:
            raise Unavailable("DATABASE_UNAVAILABLE", "away")
        written.extend(told)

    denials = Denials(write, look_s=0.01)
    for _ in range(3):
        denials.note(CallContext(caller="edge", method="m"), REFUSAL)
        await denials.flush(float("inf"))
    fails = False
    await denials.flush(float("inf"))
    assert [each.calls for each in written] == [3]
