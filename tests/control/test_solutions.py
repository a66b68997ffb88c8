"""Solutions: data that validators and Envoy stand on, and the keys of their servers."""

import asyncio
import uuid

import grpc
import pytest

from center.control.v1 import domain_service_pb2 as domains_pb
from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as pb
from center.control.v1.solution_service_pb2_grpc import SolutionServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from center_sdk import tokens
from tests.control.plane import Plane, until
from tests.control.solutions import DAILY, create, gone, key_of, update
from tests.support.grpc import refuses


async def test_a_solution_is_what_was_said_of_it(plane: Plane) -> None:
    made = await create(
        plane,
        "faiss",
        default_tier="registered",
        anonymous_tier="registered",
        fail_mode=pb.FAIL_MODE_OPEN,
        max_age={"seconds": 5},
        time_zone="Europe/Berlin",
        upgrade_url="https://shop.example/upgrade?tier={tier}",
        email_hidden=True,
        gateway={
            "hosts": ["Faiss.center.localhost."],
            "upstream_host": "127.0.0.1",
            "upstream_port": 9000,
            "rules": [{"methods": ["GET"], "path_prefix": "/search", "action": "search", "cost": 2}],
        },
    )
    got = (await plane.solutions.GetSolution(pb.GetSolutionRequest(id="faiss"))).solution
    assert got == made
    assert got.tiers[0].quotas["search"].limit == 10 and got.tiers[1].quotas["search"].HasField("unlimited")
    assert list(got.gateway.hosts) == ["faiss.center.localhost"], "names have one spelling"
    assert (got.max_age.seconds, got.etag, got.revision > 0) == (5, "1", True)


async def test_what_is_left_out_is_the_careful_choice(plane: Plane) -> None:
    made = await create(plane, "careful", display_name="", redirect_urls=[])
    assert (made.fail_mode, made.max_age.seconds, made.anonymous_tier, made.token_in_redirect) == (
        pb.FAIL_MODE_CLOSED,
        30,
        "",
        False,
    )


WRONG = {
    "no tiers": ({"tiers": []}, "TIERS_MISSING", "solution.tiers"),
    "two of a tier": (
        {"tiers": [{"id": "a", "quotas": {"*": DAILY}}, {"id": "a", "quotas": {"*": DAILY}}]},
        "TIER_REPEATED",
        "solution.tiers[1].id",
    ),
    "unknown default": ({"default_tier": "gold"}, "TIER_UNKNOWN", "solution.default_tier"),
    "unknown anonymous": ({"anonymous_tier": "gold"}, "TIER_UNKNOWN", "solution.anonymous_tier"),
    "no such zone": ({"time_zone": "Europe/Atlantis"}, "TIME_ZONE_UNKNOWN", "solution.time_zone"),
    "left over of a standing quota": (
        {"tiers": [{"id": "a", "quotas": {"x": {"limit": 1, "period": 5, "rollover_limit": 1}}}]},
        "QUOTA_INVALID",
        "solution.tiers[0].quotas['x']",
    ),
    "upgrade by script": ({"upgrade_url": "javascript:alert(1)"}, "UPGRADE_URL_INVALID", "solution.upgrade_url"),
    **{
        f"redirect {url}": ({"redirect_urls": [url]}, "REDIRECT_URL_INVALID", "solution.redirect_urls[0]")
        for url in (
            "/done",
            "javascript:alert(1)",
            "https://",
            "http://search.example/done",
            "https://search.example/done#part",
            "https://user@search.example/",
            "https://search.example/a b",
            "https://search.example\\@evil.example/",
            "https://search.example:99999/",
            "https://[::1/",
        )
    },
    **{
        f"host {host}": (
            {"gateway": {"hosts": [host], "upstream_host": "127.0.0.1", "upstream_port": 1}},
            "HOST_INVALID",
            "solution.gateway.hosts[0]",
        )
        for host in (
            "search.example",
            "center.localhost",
            "a.b.center.localhost",
            "admin.center.localhost",
            "-a.center.localhost",
        )
    },
    "a host twice": (
        {"gateway": {"hosts": ["two.center.localhost"] * 2, "upstream_host": "a", "upstream_port": 1}},
        "HOST_INVALID",
        "solution.gateway.hosts",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_what_is_wrong_with_a_solution_is_named(plane: Plane, kind: str) -> None:
    changes, reason, where = WRONG[kind]
    async with refuses("INVALID_ARGUMENT", reason) as refusal:
        await create(plane, "wrong", **changes)
    assert list(refusal.violations) == [where]
    async with refuses("NOT_FOUND", "SOLUTION_NOT_FOUND"):
        await plane.solutions.GetSolution(pb.GetSolutionRequest(id="wrong"))


async def test_this_machine_may_be_sent_to_without_tls(plane: Plane) -> None:
    made = await create(plane, "local", redirect_urls=["http://search.center.localhost:8080/done"])
    assert len(made.redirect_urls) == 1


async def test_an_id_is_one_solutions_for_ever(plane: Plane) -> None:
    await create(plane, "once")
    async with refuses("ALREADY_EXISTS", "SOLUTION_EXISTS"):
        await create(plane, "once")
    await gone(plane, "once")
    async with refuses("ALREADY_EXISTS", "SOLUTION_EXISTS"):
        await create(plane, "once")
    async with refuses("NOT_FOUND", "SOLUTION_NOT_FOUND"):
        await plane.solutions.GetSolution(pb.GetSolutionRequest(id="once"))
    listed = await plane.solutions.ListSolutions(pb.ListSolutionsRequest(filter='id = "once"'))
    assert not listed.solutions


async def test_only_what_the_mask_names_changes(plane: Plane) -> None:
    made = await create(plane, "masked")
    after = await update(plane, "masked", "display_name", display_name="New", time_zone="Nowhere", etag=made.etag)
    assert (after.display_name, after.time_zone, after.tiers) == ("New", "", made.tiers)
    assert after.revision > made.revision and after.etag != made.etag
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await update(plane, "masked", "display_name", display_name="Newer", etag=made.etag)
    async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
        await update(plane, "masked", "revision")
    async with refuses("INVALID_ARGUMENT", "TIERS_MISSING"):
        await update(plane, "masked", "tiers")


async def test_new_terms_are_in_memory_when_their_revision_is_reached(plane: Plane) -> None:
    assert plane.running is not None
    await create(plane, "raised")
    tiers = [{"id": "registered", "quotas": {"search": {"limit": 99, "period": quota_pb2.QUOTA_PERIOD_DAY}}}]
    after = await update(plane, "raised", "tiers", tiers=tiers)
    await plane.running.catalog.reached(after.revision)
    known = plane.running.catalog.solution("raised")
    assert known is not None and known.tiers[0].quotas["search"].limit == 99


async def test_a_name_is_one_tenants_or_one_solutions(plane: Plane) -> None:
    tenant = await plane.active("held-name")
    host = {"hosts": ["held-name.center.localhost"], "upstream_host": "127.0.0.1", "upstream_port": 1}
    async with refuses("ALREADY_EXISTS", "HOST_TAKEN"):
        await create(plane, "wants-held", gateway=host)
    host["hosts"] = ["free-name.center.localhost"]
    await create(plane, "holder", gateway=host)
    async with refuses("ALREADY_EXISTS", "HOST_TAKEN"):
        await create(plane, "second", gateway=host)
    async with refuses("ALREADY_EXISTS", "DOMAIN_TAKEN"):
        await plane.create("free-name")
    async with refuses("ALREADY_EXISTS", "DOMAIN_TAKEN"):
        request = domains_pb.AddDomainRequest(tenant_id=tenant.id, name="free-name.center.localhost")
        await plane.domains.AddDomain(request)
    # Given up, it is anybody's.
    await update(plane, "holder", "gateway")
    await plane.create("free-name", draft=True)


async def test_of_a_tenant_and_a_solution_that_want_one_name_at_once_one_gets_it(plane: Plane) -> None:
    for number in range(12):
        name = f"race-{number}"
        gateway = {"hosts": [f"{name}.center.localhost"], "upstream_host": "127.0.0.1", "upstream_port": 1}
        outcomes = await asyncio.gather(
            create(plane, name, gateway=gateway), plane.create(name, draft=True), return_exceptions=True
        )
        failed = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
        assert [each.code() for each in failed] == [grpc.StatusCode.ALREADY_EXISTS], outcomes


async def test_every_change_is_in_the_audit(plane: Plane) -> None:
    await create(plane, "audited")
    await update(plane, "audited", "fail_mode", fail_mode=pb.FAIL_MODE_OPEN)
    listed = await plane.audit.ListEntries(audit_pb.ListEntriesRequest(filter='resource_id = "audited"'))
    changes = {(c.field, c.before, c.after) for c in listed.entries[0].changes}
    assert changes == {("fail_mode", "CLOSED", "OPEN")}
    assert ("tiers.registered.search", "", "10 DAY HARD") in {
        (c.field, c.before, c.after) for c in listed.entries[1].changes
    }


async def whoami(plane: Plane, solution_id: str, secret: str) -> pb.Solution:
    """What somebody behind Envoy gets with a key."""
    stub = SolutionServiceStub(plane.channel("envoy"))
    metadata = (("authorization", f"Bearer {secret}"),)
    return (await stub.GetSolution(pb.GetSolutionRequest(id=solution_id), metadata=metadata)).solution


async def test_a_key_speaks_for_its_solution_and_no_other(plane: Plane) -> None:
    await create(plane, "keyed")
    await create(plane, "other")
    made = await key_of(plane, "keyed", display_name="web")
    parsed = tokens.parse(made.secret)
    assert parsed is not None and (parsed.kind, parsed.environment, parsed.kid) == ("ccs", "dev", made.key.kid)
    assert (await whoami(plane, "keyed", made.secret)).id == "keyed"
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await whoami(plane, "other", made.secret)
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        stub = SolutionServiceStub(plane.channel("solution/search"))
        await stub.GetSolution(pb.GetSolutionRequest(id="keyed"))


async def test_a_key_that_is_not_whole_ours_or_live_is_refused_alike(plane: Plane) -> None:
    await create(plane, "locked")
    made = await key_of(plane, "locked")
    good = made.secret
    head, kid, rest = good[:8], made.key.kid, good[20:]
    forged = tokens.issue("dev", tokens.SOLUTION_KEY)
    wrong = {
        "truncated": good[:-1],
        "another environment's": tokens.issue("prod", tokens.SOLUTION_KEY),
        "a user's token": tokens.issue("dev"),
        "unknown": forged,
        "another's secret": _checksummed(f"{head}{kid}{forged[20:-6]}"),
        "altered": f"{head}{kid}{'0' if rest[0] != '0' else '1'}{rest[1:]}",
        "empty": "",
    }
    for what, secret in wrong.items():
        async with refuses("UNAUTHENTICATED", "SOLUTION_KEY_INVALID") as refusal:
            await whoami(plane, "locked", secret)
        assert refusal.message == "this is no solution's key, or it was revoked: make a new one", what
    request = pb.RevokeSolutionKeyRequest(kid=kid, reason="leaked")
    revoked = await plane.solutions.RevokeSolutionKey(request)
    assert revoked.key.HasField("revoke_time")
    assert plane.running is not None
    await plane.running.catalog.reached(revoked.revision)
    async with refuses("UNAUTHENTICATED", "SOLUTION_KEY_INVALID"):
        await whoami(plane, "locked", good)


def _checksummed(told: str) -> str:
    return told + tokens._crc(told)


async def test_a_key_holds_in_every_process_after_a_restart_and_until_the_solution_goes(plane: Plane) -> None:
    await create(plane, "spread")
    made = await key_of(plane, "spread")
    beside = plane.beside()
    await beside.start()
    try:
        assert (await whoami(beside, "spread", made.secret)).id == "spread"
        later = await key_of(plane, "spread")

        async def known() -> bool:
            try:
                return (await whoami(beside, "spread", later.secret)).id == "spread"
            except grpc.aio.AioRpcError:
                return False

        await until(known)
        revision = await gone(plane, "spread")
        assert beside.running is not None
        await beside.running.catalog.reached(revision)
        async with refuses("UNAUTHENTICATED", "SOLUTION_KEY_INVALID"):
            await whoami(beside, "spread", later.secret)
    finally:
        await beside.close()


async def test_a_keys_secret_is_shown_once_and_stored_nowhere(plane: Plane) -> None:
    await create(plane, "shown")
    request_id = str(uuid.uuid4())
    made = await key_of(plane, "shown", request_id=request_id)
    again = await key_of(plane, "shown", request_id=request_id)
    assert made.secret and not again.secret and again.key.kid == made.key.kid
    listed = await plane.solutions.ListSolutionKeys(pb.ListSolutionKeysRequest(solution_id="shown"))
    assert [key.kid for key in listed.keys] == [made.key.kid]
    assert plane.running is not None
    secret = made.secret[20:]
    async with plane.running.db.transaction() as tx:
        for table in ("solution_keys", "idempotency", "audit_entries", "outbox", "catalog_changes"):
            found = await tx.exec_driver_sql(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s OR t::text LIKE %s",
                (f"%{secret}%", f"%{secret.encode().hex()}%"),
            )
            assert found.scalar_one() == 0, table


async def test_a_solution_has_so_many_keys_and_no_more(plane: Plane) -> None:
    await create(plane, "many-keys")
    kids = [(await key_of(plane, "many-keys")).key.kid for _ in range(20)]
    async with refuses("FAILED_PRECONDITION", "TOO_MANY_KEYS"):
        await key_of(plane, "many-keys")
    await plane.solutions.RevokeSolutionKey(pb.RevokeSolutionKeyRequest(kid=kids[0], reason="old"))
    await key_of(plane, "many-keys")
    pages, token = [], ""
    while True:
        request = pb.ListSolutionKeysRequest(solution_id="many-keys", page_size=8, page_token=token)
        page = await plane.solutions.ListSolutionKeys(request)
        pages.append(len(page.keys))
        if not (token := page.next_page_token):
            break
    assert pages == [8, 8, 5]
    async with refuses("NOT_FOUND", "SOLUTION_KEY_NOT_FOUND"):
        await plane.solutions.RevokeSolutionKey(pb.RevokeSolutionKeyRequest(kid="none", reason="old"))
