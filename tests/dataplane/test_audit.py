"""The audit of a cluster: every change has its entry, and whoever touches an entry later is found."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from center.shared.v1 import tenant_audit_service_pb2 as tenant_pb
from center.shared.v1.tenant_audit_service_pb2_grpc import TenantAuditServiceStub
from dataplane import tables
from shared.audit import domain, exports, store
from shared.audit.anchors import Anchors
from shared.audit.checking import Checker
from shared.audit.domain import Kind, Progress
from shared.audit.schema import ROLE
from shared.audit.sealer import Sealer
from shared.audit.signing import Signer
from shared.runtime import keys, pki
from shared.runtime.db import app_url, database_name
from shared.runtime.ids import uuid7
from shared.runtime.rpc import contract, rules
from tests.dataplane.cluster import Running, bearer, create, entry, move_rows, of, product, sealed
from tests.dataplane.conftest import Start
from tests.support.grpc import Refusal, refusal_of

EXAMPLES = 100


def owner(running: Running) -> psycopg.Connection[Any]:
    return psycopg.connect(running.database_url, autocommit=True)


async def refused(send: Callable[[], Any]) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await send()
    return refusal_of(error.value)


async def listed(running: Running, tenant_id: str = "", filter: str = "") -> list[audit_pb.AuditEntry]:
    request = audit_pb.ListEntriesRequest(tenant_id=tenant_id, filter=filter, page_size=1000)
    return list((await running.audit.ListEntries(request)).entries)


async def verified(running: Running, tenant_id: str = "", **more: Any) -> audit_pb.VerifyChainResponse:
    """All that is told of one chain."""
    found = audit_pb.VerifyChainResponse()
    async for answer in running.audit.VerifyChain(audit_pb.VerifyChainRequest(tenant_id=tenant_id, **more)):
        findings = [*found.findings, *answer.findings]
        found.CopyFrom(answer)
        del found.findings[:]
        found.findings.extend(findings)
    assert found.complete
    return found


def kinds(found: audit_pb.VerifyChainResponse) -> list[tuple[str, int]]:
    named = audit_pb.AuditFindingKind.Name
    return [(named(each.kind).removeprefix("AUDIT_FINDING_KIND_"), each.position) for each in found.findings]


# Every mutating method writes an entry


async def _create(eu: Running, tenant: str) -> None:
    await create(eu, tenant, product())


async def _update(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    changed = pb.Product(id=made.id, title="Copper lamp")
    await eu.products.UpdateProduct(pb.UpdateProductRequest(product=changed), metadata=of(tenant))


async def _archive(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    await eu.products.ArchiveProduct(pb.ArchiveProductRequest(id=made.id), metadata=of(tenant))


async def _import_products(eu: Running, tenant: str) -> None:
    async def rows() -> AsyncIterator[pb.ImportProductsRequest]:
        yield pb.ImportProductsRequest(products=[product(), product()])

    assert [answer async for answer in eu.products.ImportProducts(rows(), metadata=of(tenant))]


async def _remove_tenant(eu: Running, tenant: str) -> None:
    request = runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=10**9)
    assert (await eu.commands.RemoveTenant(request)).removed


async def _import_tenant(eu: Running, tenant: str) -> None:
    arriving = entry(cluster_id="us-1", moving_to_cluster_id="eu-1")

    async def requests() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=arriving)

    await eu.commands.ImportTenant(requests())


CHANGES: dict[str, Callable[[Running, str], Any]] = {
    "ProductService/CreateProduct": _create,
    "ProductService/UpdateProduct": _update,
    "ProductService/ArchiveProduct": _archive,
    "ProductService/ImportProducts": _import_products,
    "TenantRuntimeService/RemoveTenant": _remove_tenant,
    "TenantRuntimeService/ImportTenant": _import_tenant,
}
# Those of services that have their own tests bring the proof along there.
SERVICES = [contract.of(TenantRuntimeServiceStub), contract.of(ProductServiceStub)]


def test_every_mutating_method_is_tried_or_says_what_records_it() -> None:
    mutating = {
        f"{service.name}/{name}": of_method
        for service in SERVICES
        for name, of_method in rules.of_service(service).items()
        if of_method.mutates
    }
    assert {name for name, of_method in mutating.items() if of_method.is_recorded} == set(CHANGES)


@pytest.mark.parametrize("method", CHANGES)
async def test_a_change_has_its_entry(eu: Running, tenant: str, method: str) -> None:
    with owner(eu) as connection:
        count = "SELECT count(*) FROM audit_entries WHERE method LIKE %s"
        [before] = connection.execute(count, (f"%{method}",)).fetchall()
        await CHANGES[method](eu, tenant)
        [after] = connection.execute(count, (f"%{method}",)).fetchall()
    assert after > before


async def test_an_entry_says_who_what_before_and_after(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product(title="Brass lamp"))
    changed = pb.Product(id=made.id, title="Copper lamp")
    who = bearer(eu.home, tenant)
    shop = ProductServiceStub(eu.channel("envoy"))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    call = of(tenant, who, ("traceparent", parent))
    await shop.UpdateProduct(pb.UpdateProductRequest(product=changed), metadata=call)
    [newest, _] = await listed(eu, tenant, f'resource_id = "{made.id}"')
    assert (newest.caller, newest.resource, newest.tenant_id) == ("merchant/ada", "product", tenant)
    assert newest.method == "center.dataplane.v1.ProductService/UpdateProduct"
    assert newest.trace_id == parent.split("-")[1]
    assert [(c.before, c.after) for c in newest.changes if c.field == "title"] == [("Brass lamp", "Copper lamp")]
    shown = await eu.audit.GetEntry(audit_pb.GetEntryRequest(id=newest.id, tenant_id=tenant))
    assert shown.entry == newest
    assert (await refused(lambda: eu.audit.GetEntry(audit_pb.GetEntryRequest(id=newest.id)))).code.name == "NOT_FOUND"


async def test_a_tenants_people_read_its_entries_and_no_others(eu: Running, tenant: str) -> None:
    other = entry()
    await eu.apply(other)
    await create(eu, other.id, product())
    [made] = await create(eu, tenant, product())
    outside = tenant_pb.ListTenantEntriesRequest(filter='resource = "product"')
    stub = TenantAuditServiceStub(eu.channel("envoy"))
    answer = await stub.ListTenantEntries(outside, metadata=of(tenant, bearer(eu.home, tenant)))
    assert [each.resource_id for each in answer.entries] == [made.id]
    refusal = await refused(lambda: stub.ListTenantEntries(outside, metadata=of(other.id, bearer(eu.home, tenant))))
    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
    refusal = await refused(lambda: stub.ListTenantEntries(outside, metadata=of(tenant)))
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED


async def test_what_cannot_be_recorded_does_not_happen(eu: Running, tenant: str) -> None:
    with owner(eu) as connection:
        connection.execute("REVOKE INSERT ON audit_entries FROM center_app")
        try:
            refusal = await refused(lambda: create(eu, tenant, product("unrecorded")))
        finally:
            connection.execute("GRANT INSERT ON audit_entries TO center_app")
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
    left = await eu.products.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))
    assert not left.products and not await listed(eu, tenant)
    await create(eu, tenant, product("unrecorded"))


async def test_a_change_that_records_nothing_does_not_happen(
    eu: Running, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(*_: object) -> None: ...

    monkeypatch.setattr("dataplane.products.service._record", forgetful)
    refusal = await refused(lambda: create(eu, tenant, product()))
    assert (refusal.code.name, refusal.reason) == ("INTERNAL", "AUDIT_MISSING")
    left = await eu.products.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))
    assert not left.products


async def test_what_changes_nothing_is_not_recorded_and_not_refused(eu: Running, tenant: str) -> None:
    request = pb.CreateProductRequest(product=product(), request_id=uuid7())
    made = await eu.products.CreateProduct(request, metadata=of(tenant))
    assert await eu.products.CreateProduct(request, metadata=of(tenant)) == made
    same = pb.Product(id=made.product.id, title=made.product.title)
    await eu.products.UpdateProduct(pb.UpdateProductRequest(product=same), metadata=of(tenant))
    assert len(await listed(eu, tenant)) == 1


# Refused calls


async def denied(
    running: Running, reason: str, *facts_of_it: tuple[str, str], calls: int = 1
) -> list[audit_pb.AuditEntry]:
    """What the audit has of so many refused calls with these facts; waits for them. They may be several entries."""
    for _ in range(200):
        entries = await listed(running, "", f'resource = "denied" AND resource_id = "{reason}"')
        found = [each for each in entries if facts(each).items() >= set(facts_of_it)]
        if sum(int(facts(each)["calls"]) for each in found) >= calls:
            return found
        await asyncio.sleep(0.05)
    return []


async def test_a_refused_call_is_recorded(eu: Running, tenant: str) -> None:
    await eu.apply(entry(tenant, state="TENANT_STATE_SUSPENDED"))
    for _ in range(5):
        refusal = await refused(lambda: create(eu, tenant, product()))
        assert refusal.reason == "TENANT_SUSPENDED"
    found = await denied(eu, "TENANT_SUSPENDED", ("tenant_id", tenant), calls=5)
    assert sum(int(facts(each)["calls"]) for each in found) == 5
    assert {(each.caller, each.method) for each in found} == {
        ("operator", "center.dataplane.v1.ProductService/CreateProduct")
    }
    shop = ProductServiceStub(eu.channel("envoy"))
    refusal = await refused(
        lambda: shop.CreateProduct(
            pb.CreateProductRequest(product=product()), metadata=of(tenant, ("authorization", "Bearer ada@example.com"))
        )
    )
    assert refusal.code.name == "UNAUTHENTICATED"
    assert {facts(each)["code"] for each in await denied(eu, refusal.reason)} == {"UNAUTHENTICATED"}


def facts(found: audit_pb.AuditEntry) -> dict[str, str]:
    return {each.field: each.after for each in found.changes}


# Sealed, checked, exported, moved


async def test_what_was_written_verifies(eu: Running, tenant: str) -> None:
    for _ in range(5):
        await create(eu, tenant, product())
    await sealed(eu)
    found = await verified(eu, tenant)
    assert (found.links, found.end.position, found.unsealed, kinds(found)) == (5, 5, 0, [])
    part = await verified(eu, tenant, from_position=2, to_position=3)
    assert not part.findings and 2 <= part.links <= 4
    assert not (await verified(eu, tenant, known=found.end)).findings
    other = audit_pb.AuditAnchor(position=3, hash=bytes(32))
    assert kinds(await verified(eu, tenant, known=other)) == [("REWRITTEN", 3)]
    later = audit_pb.AuditAnchor(position=9, hash=bytes(32))
    assert kinds(await verified(eu, tenant, known=later)) == [("TRUNCATED", 6)]
    everyone = [answer async for answer in eu.audit.VerifyChain(audit_pb.VerifyChainRequest(all_chains=True))]
    assert tenant in {answer.tenant_id for answer in everyone if answer.complete and not answer.findings}


async def exported(running: Running, tenant_id: str) -> list[audit_pb.ExportResponse]:
    return [part async for part in running.audit.Export(audit_pb.ExportRequest(tenant_id=tenant_id))]


async def test_an_export_is_checked_far_from_any_server(eu: Running, tenant: str) -> None:
    for _ in range(3):
        await create(eu, tenant, product())
    await sealed(eu)
    ca_pem = pki.ca_path(eu.home).read_bytes()
    # As lines of JSON and back.
    parts = [
        json_format.Parse(json.dumps(json_format.MessageToDict(part)), audit_pb.ExportResponse())
        for part in await exported(eu, tenant)
    ]
    [(walk, finding)] = list(exports.check(parts, ca_pem))
    assert (walk.entries, walk.position, finding) == (3, 3, None)
    changed = [part for part in parts if part.WhichOneof("part") == "link"][1]
    changed.link.entry.caller = "somebody"
    found = [finding for _, finding in exports.check(parts, ca_pem) if finding is not None]
    assert [(each.kind, each.position) for each in found] == [(Kind.CHANGED, 2)]
    strange = pki.ca_path(eu.home).with_name("strange")
    pki.ensure(strange, ["operator"])
    found = [f for _, f in exports.check(parts, pki.ca_path(strange).read_bytes()) if f is not None]
    assert Kind.SEAL_BROKEN in {each.kind for each in found}


async def test_a_chain_goes_with_its_tenant_and_verifies_there(eu: Running, us: Running, tenant: str) -> None:
    await create(eu, tenant, product(), product())
    moving = entry(tenant, writes_frozen=True)
    await eu.apply(moving)
    await move_rows(eu, us, moving)
    placed = entry(tenant, cluster_id="us-1")
    await us.apply(placed)
    before = await verified(us, tenant)
    assert (before.links, kinds(before)) == (2, [])
    await create(us, tenant, product())
    await sealed(us)
    after = await verified(us, tenant, known=before.end)
    assert (after.links, kinds(after)) == (3, [])
    await eu.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=placed.revision))
    await sealed(eu)
    gone = await verified(eu, tenant)
    assert (gone.links, kinds(gone)) == (0, [])
    [said] = await listed(eu, "", f'resource = "tenant_rows" AND resource_id = "{tenant}"')
    assert facts(said)["rows"] == "removed"
    [said] = await listed(us, "", f'resource = "tenant_rows" AND resource_id = "{tenant}"')
    assert facts(said)["rows"] == "arrived"
    assert not kinds(await verified(eu)) and not kinds(await verified(us))


# Tampering


@dataclass(frozen=True)
class Chained:
    """A cluster's database that no process uses any more, with a chain of ten entries in five seals."""

    running: Running
    tenant: str
    checker: Checker
    sealer: Sealer

    async def found(self, connection: psycopg.Connection[Any] | None = None) -> list[domain.Finding]:
        findings: list[domain.Finding] = []
        last: Progress | None = None
        async for last in self.checker.check(self.tenant):
            findings += last.findings
        assert last is not None and last.is_complete
        return findings


ENTRIES, SEALS = 10, 5


@pytest.fixture(scope="module")
async def chained(start: Start) -> AsyncIterator[Chained]:
    new = entry()
    async with start("eu-1") as running:
        await running.apply(new)
        for _ in range(SEALS):
            await create(running, new.id, product(), product())
            await sealed(running)
    identity = pki.load(running.home, "cluster/eu-1")
    anchors = Anchors(running.home, database_name(running.database_url))
    key = keys.load(running.home, "audit")
    db = running.database(ROLE)
    yield Chained(
        running,
        new.id,
        Checker(db, tables.audit, anchors, ca_pem=identity.ca_pem, key=key),
        Sealer(
            app_url(running.database_url, running.home, ROLE),
            tables.audit,
            name="test",
            key=key,
            signer=Signer(identity),
            ca_pem=identity.ca_pem,
            anchors=anchors,
        ),
    )
    await db.close()


COLUMNS = {
    "tenant_id": "gen_random_uuid()",
    "id": "gen_random_uuid()",
    "create_time": "create_time + interval '1 microsecond'",
    "method": "method || 'x'",
    "caller": "'somebody'",
    "resource": "'order'",
    "resource_id": "resource_id || ' '",
    "reason": "'because'",
    "trace_id": "reverse(trace_id) || '0'",
    "request_id": "''",
    "changes": """changes || '[["a", "b", "c"]]'""",
    "proof": "NULL",
}
LINK = {
    "position": "position + 1000",
    "entry_id": "gen_random_uuid()",
    "digest": "sha256(digest)",
    "hash": "sha256(hash)",
}
SEAL = {
    "position": "position + 1000",
    "begin": "begin + 1",
    "hash": "sha256(hash)",
    "create_time": "create_time + interval '1 second'",
    "signer": "'somebody'",
    "signature": "sha256(signature)",
}

places = st.integers(1, ENTRIES)
seal_ends = st.sampled_from(range(2, ENTRIES + 1, 2))


def entry_at(position: int) -> str:
    return f"(SELECT entry_id FROM audit_links WHERE tenant_id = '{{t}}' AND position = {position})"


def swapped(table: str, columns: str, key: str, first: str, second: str) -> str:
    """Exchanges columns of two rows in one statement."""
    return (
        f"UPDATE {table} x SET ({columns}) = (SELECT {columns} FROM {table} y WHERE y.tenant_id = '{{t}}'"
        f" AND y.{key} = CASE WHEN x.{key} = {first} THEN {second} ELSE {first} END)"
        f" WHERE x.tenant_id = '{{t}}' AND x.{key} IN ({first}, {second})"
    )


pairs = st.lists(places, min_size=2, max_size=2, unique=True)
SAID = "create_time, method, caller, resource, resource_id, reason, trace_id, request_id, changes, proof"

tamperings = st.one_of(
    st.builds(
        lambda column, at: f"UPDATE audit_entries SET {column} = {COLUMNS[column]} WHERE id = {entry_at(at)}",
        st.sampled_from(sorted(COLUMNS)),
        places,
    ),
    st.builds(
        lambda column, at: (
            f"UPDATE audit_links SET {column} = {LINK[column]} WHERE tenant_id = '{{t}}' AND position = {at}"
        ),
        st.sampled_from(sorted(LINK)),
        places,
    ),
    st.builds(
        lambda column, at: (
            f"UPDATE audit_seals SET {column} = {SEAL[column]} WHERE tenant_id = '{{t}}' AND position = {at}"
        ),
        st.sampled_from(sorted(SEAL)),
        seal_ends,
    ),
    st.builds(lambda at: f"DELETE FROM audit_entries WHERE id = {entry_at(at)}", places),
    st.builds(lambda at: f"DELETE FROM audit_links WHERE tenant_id = '{{t}}' AND position = {at}", places),
    st.builds(lambda at: f"DELETE FROM audit_seals WHERE tenant_id = '{{t}}' AND position = {at}", seal_ends),
    st.just("UPDATE audit_signers SET certificate = sha256(certificate) WHERE tenant_id = '{t}'"),
    st.just("DELETE FROM audit_signers WHERE tenant_id = '{t}'"),
    # An entry with its link, one or more of them.
    st.builds(
        lambda at, until: (
            "WITH gone AS (DELETE FROM audit_links WHERE tenant_id = '{t}'"
            f" AND position BETWEEN {min(at, until)} AND {max(at, until)} RETURNING entry_id)"
            " DELETE FROM audit_entries e USING gone WHERE e.id = gone.entry_id"
        ),
        places,
        places,
    ),
    # All from a seal on: what is left is whole in itself.
    st.builds(
        lambda at: (
            "WITH gone AS (DELETE FROM audit_links WHERE tenant_id = '{t}'"
            f" AND position > {at} RETURNING entry_id), more AS (DELETE FROM audit_seals WHERE tenant_id = '{{t}}'"
            f" AND position > {at}) DELETE FROM audit_entries e USING gone WHERE e.id = gone.entry_id"
        ),
        st.sampled_from((0, 2, 4, 6, 8)),
    ),
    # What two entries say, the order of two links.
    st.builds(lambda two: swapped("audit_entries", SAID, "id", *(entry_at(at) for at in two)), pairs),
    st.builds(lambda two: f"exchange {two[0]} {two[1]}", pairs),
    st.builds(lambda two: swapped("audit_links", "digest, hash", "position", *map(str, two)), pairs),
    st.builds(lambda two: swapped("audit_links", "hash", "position", *map(str, two)), pairs),
    # One more, old or new to the sealer.
    st.builds(
        lambda at, xid: (
            "INSERT INTO audit_entries SELECT tenant_id, gen_random_uuid(), create_time, method, 'somebody', resource,"
            f" resource_id, reason, trace_id, request_id, changes, proof, {xid} FROM audit_entries"
            f" WHERE id = {entry_at(at)}"
        ),
        places,
        st.sampled_from(("xid", "pg_current_xact_id()")),
    ),
    # Links from somewhere on, anew, as everybody who reads the code can; the seals stay or go, too.
    st.builds(lambda at, what: f"rewrite {at} {what}", places, st.sampled_from(("keep", "drop", "rehash", "forge"))),
)


def tamper(connection: psycopg.Connection[Any], tenant: str, statement: str) -> None:
    if statement.startswith("exchange"):
        exchange(connection, tenant, *statement.split()[1:])
        return
    if not statement.startswith("rewrite"):
        assert connection.execute(statement.format(t=tenant).encode()).rowcount
        return
    _, at, what = statement.split()
    connection.execute(
        f"UPDATE audit_entries SET caller = 'somebody' WHERE id = {entry_at(int(at)).format(t=tenant)}".encode()
    )
    before = domain.beginning(tenant)
    chain = tables.audit
    rows = connection.execute(
        f"SELECT l.position, {store.columns(chain)} FROM audit_links l JOIN audit_entries e ON e.id = l.entry_id"
        " WHERE l.tenant_id = %s ORDER BY 1",
        (tenant,),
    ).fetchall()
    for position, *row in rows:
        digest = domain.digest(store.entry(chain, row))
        before = domain.link(before, position, digest)
        connection.execute(
            "UPDATE audit_links SET digest = %s, hash = %s WHERE tenant_id = %s AND position = %s",
            (digest, before, tenant, position),
        )
    later = f"WHERE tenant_id = '{tenant}' AND position >= {at}"
    match what:
        case "drop":
            connection.execute(f"DELETE FROM audit_seals {later}".encode())
        case "rehash" | "forge":
            connection.execute(
                f"UPDATE audit_seals s SET hash = (SELECT hash FROM audit_links l WHERE l.tenant_id = s.tenant_id"
                f" AND l.position = s.position) {later}".encode()
            )
    if what == "forge":
        # Signed, and well, by somebody who is no plane of this platform.
        forge(connection, tenant, later)


def exchange(connection: psycopg.Connection[Any], tenant: str, first: str, second: str) -> None:
    """Two entries trade places, each with its digest."""
    gone = connection.execute(
        "DELETE FROM audit_links WHERE tenant_id = %s AND position IN (%s, %s)"
        " RETURNING position, entry_id, digest, hash",
        (tenant, first, second),
    ).fetchall()
    (place, _, _, hash_), (other, _, _, other_hash) = gone
    for at, (_, entry_id, digest, _), there in ((place, gone[1], hash_), (other, gone[0], other_hash)):
        row = (tenant, at, entry_id, digest, there)
        connection.execute("INSERT INTO audit_links VALUES (%s, %s, %s, %s, %s)", row)


def forge(connection: psycopg.Connection[Any], tenant: str, later: str) -> None:
    signer = Signer(STRANGER)
    connection.execute("INSERT INTO audit_signers VALUES (%s, %s, %s)", (tenant, signer.name, signer.certificate))
    rows = connection.execute(f"SELECT begin, position, hash, create_time FROM audit_seals {later}".encode()).fetchall()
    for begin, position, hash_, time in rows:
        seal = signer.signed(tenant, domain.Seal(begin, position, hash_, time, "", b""))
        connection.execute(
            "UPDATE audit_seals SET signer = %s, signature = %s WHERE tenant_id = %s AND position = %s",
            (seal.signer, seal.signature, tenant, position),
        )


STRANGER: pki.Identity


@pytest.fixture(scope="module", autouse=True)
def stranger(home: Any) -> None:
    """A solution of this platform: its certificate is good, and not for this."""
    global STRANGER
    STRANGER = pki.load(home, "solution/search")


@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(statement=tamperings)
async def test_whatever_is_done_to_a_row_is_found(chained: Chained, statement: str) -> None:
    assert await chained.found() == []
    with owner(chained.running) as connection:
        backup(connection)
        try:
            tamper(connection, chained.tenant, statement)
            assert await chained.found(), statement
        finally:
            restore(connection)


TABLES = ("audit_entries", "audit_links", "audit_seals", "audit_signers", "audit_position")


def backup(connection: psycopg.Connection[Any]) -> None:
    for table in TABLES:
        connection.execute(f"CREATE TABLE IF NOT EXISTS partitions.kept_{table} AS TABLE {table}".encode())


def restore(connection: psycopg.Connection[Any]) -> None:
    for table in TABLES:
        with connection.transaction():
            connection.execute(f"TRUNCATE {table}".encode())
            connection.execute(f"INSERT INTO {table} SELECT * FROM partitions.kept_{table}".encode())


@pytest.mark.parametrize("at", range(1, ENTRIES + 1))
async def test_the_row_that_was_touched_is_named(chained: Chained, at: int) -> None:
    with owner(chained.running) as connection:
        backup(connection)
        [(entry_id,)] = connection.execute(f"SELECT {entry_at(at)}::text".format(t=chained.tenant).encode()).fetchall()
        touched = {
            Kind.CHANGED: f"UPDATE audit_entries SET caller = 'somebody' WHERE id = '{entry_id}'",
            Kind.REMOVED: f"DELETE FROM audit_entries WHERE id = '{entry_id}'",
            Kind.REORDERED: f"UPDATE audit_links SET hash = sha256(hash) WHERE entry_id = '{entry_id}'",
        }
        for kind, statement in touched.items():
            try:
                connection.execute(statement.encode())
                found = [each for each in await chained.found() if each.kind is not Kind.SEAL_BROKEN]
                anchored = [Kind.REWRITTEN] if kind is Kind.REORDERED and at == ENTRIES else []
                assert [(each.kind, each.entry_id) for each in found if each.kind not in anchored] == [(kind, entry_id)]
            finally:
                restore(connection)


@pytest.mark.parametrize("at", [0, 2, 6])
async def test_a_chain_that_was_cut_off_and_goes_on_is_found(chained: Chained, at: int) -> None:
    """The sealer seals what comes next, and vouches for nothing before it."""
    with owner(chained.running) as connection:
        backup(connection)
        try:
            [(whole,)] = connection.execute("SELECT count(*) FROM audit_entries").fetchall()
            connection.execute(
                f"DELETE FROM audit_links WHERE tenant_id = '{chained.tenant}' AND position > {at}".encode()
            )
            connection.execute(
                f"DELETE FROM audit_seals WHERE tenant_id = '{chained.tenant}' AND position > {at}".encode()
            )
            # All entries look new again: they get links anew, in the same order or not.
            connection.execute("UPDATE audit_position SET position = '1:1:'")
            connection.execute(
                "UPDATE audit_entries SET create_time = create_time + interval '1 hour' WHERE tenant_id = %s"
                " AND NOT EXISTS (SELECT FROM audit_links WHERE entry_id = id)",
                (chained.tenant,),
            )
            await chained.sealer.seal()
            [(linked,)] = connection.execute("SELECT count(*) FROM audit_links").fetchall()
            assert linked == whole
            assert Kind.REWRITTEN in {each.kind for each in await chained.found()}
        finally:
            restore(connection)


async def test_links_that_nobody_sealed_are_not_sealed_by_what_follows(chained: Chained) -> None:
    with owner(chained.running) as connection:
        backup(connection)
        try:
            connection.execute(
                f"DELETE FROM audit_seals WHERE tenant_id = '{chained.tenant}' AND position > 6".encode()
            )
            tamper(connection, chained.tenant, "rewrite 9 keep")
            [(last,)] = connection.execute(
                f"SELECT {entry_at(ENTRIES)}::text".format(t=chained.tenant).encode()
            ).fetchall()
            connection.execute(f"DELETE FROM audit_links WHERE entry_id = '{last}'".encode())
            connection.execute("UPDATE audit_position SET position = '1:1:'")
            await chained.sealer.seal()
            found = await chained.found()
            assert Kind.SEAL_BROKEN in {each.kind for each in found}
        finally:
            restore(connection)


async def test_an_entry_that_no_process_wrote_is_not_sealed(chained: Chained) -> None:
    with owner(chained.running) as connection:
        backup(connection)
        try:
            forged = uuid7()
            connection.execute(
                "INSERT INTO audit_entries (tenant_id, id, method, caller, resource, resource_id, reason, trace_id,"
                " request_id, changes) VALUES (%s, %s, 'm', 'c', 'r', 'i', '', '', '', '[]')",
                (chained.tenant, forged),
            )
            assert [(each.kind, each.entry_id) for each in await chained.found()] == [(Kind.SLIPPED_IN, forged)]
            await chained.sealer.seal()
            assert [(each.kind, each.entry_id) for each in await chained.found()] == [(Kind.SLIPPED_IN, forged)]
        finally:
            restore(connection)
