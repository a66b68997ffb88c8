"""Solutions go to those who route to them; what is only logged has its revision and is told inside the process."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1.solution_service_pb2 import Solution
from control.catalog.store import Change, record
from shared.runtime.migrate import missing_migration
from tests.control.plane import Plane


@pytest.fixture(scope="module")
async def lone(start_plane: Any) -> AsyncIterator[Plane]:
    async with start_plane() as plane:
        yield plane


class Heard:
    """What a listener was told, and where the catalog was then."""

    def __init__(self, plane: Plane) -> None:
        assert plane.running is not None
        self.catalog = plane.running.catalog
        self.changes: list[tuple[str, str, int]] = []
        self.resets: list[int] = []
        self.catalog.listen(self)

    def changed(self, kind: str, resource_id: str, revision: int, entry: pb.CatalogEntry) -> None:
        assert entry.revision == revision
        assert self.catalog.revision < revision, "told before anyone who waits for the revision goes on"
        self.changes.append((kind, resource_id, revision))

    def reset(self, revision: int) -> None:
        self.resets.append(revision)


async def write(plane: Plane, *entries: pb.CatalogEntry) -> list[int]:
    """Changes in one transaction; their revisions, which the catalog has reached."""
    assert plane.running is not None
    async with plane.running.db.transaction() as tx:
        changes = [Change("tenant", "thing", "changed", "", {}, {}, entry=entry) for entry in entries]
        revisions = await record(tx, changes)
    await plane.running.catalog.reached(revisions[-1])
    return revisions


def solution(solution_id: str, name: str = "") -> pb.CatalogEntry:
    return pb.CatalogEntry(solution=Solution(id=solution_id, display_name=name))


async def test_a_solution_reaches_edges_and_no_cluster(lone: Plane) -> None:
    async with lone.watch() as edge, lone.watch(cluster_id="eu-1", identity="cluster/eu-1") as cluster:
        await edge.reach(1)
        await cluster.reach(1)
        [revision] = await write(lone, solution("shown", "Shown"))
        await edge.reach(revision)
        await cluster.reach(revision)
        assert edge.responses[-1].entries[0].solution == Solution(id="shown", display_name="Shown", revision=revision)
        assert not cluster.responses[-1].entries
    async with lone.watch("edge-2") as late, lone.watch(cluster_id="us-1", identity="cluster/us-1") as cluster:
        await late.reach(revision)
        await cluster.reach(revision)
        assert [each.solution.id for each in late.responses[0].entries if each.HasField("solution")] == ["shown"]
        assert not any(each.HasField("solution") for each in cluster.responses[0].entries)


async def test_a_removed_solution_is_gone_here_and_at_edges(lone: Plane) -> None:
    assert lone.running is not None
    [made] = await write(lone, solution("short"))
    assert lone.running.catalog.solution("short") is not None
    async with lone.watch(from_revision=made) as watch:
        [gone] = await write(lone, pb.CatalogEntry(removed_solution_id="short"))
        await watch.reach(gone)
        assert watch.responses[-1].entries[0].removed_solution_id == "short"
    assert lone.running.catalog.solution("short") is None
    async with lone.watch(from_revision=made) as watch:
        await watch.reach(gone)
        assert [each.removed_solution_id for each in watch.responses[0].entries] == ["short"]


async def test_what_is_only_logged_is_told_in_order_and_to_nobody_outside(lone: Plane) -> None:
    heard = Heard(lone)
    access = pb.CatalogEntry(access=pb.CatalogAccess(solution_id="s", entitlement_id="e" * 36, token_kid="k"))
    features = pb.CatalogEntry(features=pb.CatalogFeatures(plan_id="p"))
    async with lone.watch() as watch:
        await watch.reach(1)
        told = len(watch.responses)
        revisions = await write(lone, access, solution("with"), features)
        await watch.reach(revisions[-1])
        assert [each.WhichOneof("entry") for r in watch.responses[told:] for each in r.entries] == ["solution"]
    assert heard.changes == list(zip(("access", "solution", "features"), ("k", "with", "p"), revisions, strict=True))
    # A watcher that comes back stands at those revisions, and gets nothing of them.
    async with lone.watch(from_revision=revisions[0] - 1) as watch:
        await watch.reach(revisions[-1])
        assert [response.phase for response in watch.responses] == [pb.WATCH_PHASE_CHANGES]
        assert [each.solution.id for each in watch.responses[0].entries] == ["with"]


async def test_a_process_that_starts_has_the_solutions_and_only_them(lone: Plane) -> None:
    revisions = await write(
        lone, solution("kept"), pb.CatalogEntry(access=pb.CatalogAccess(solution_id="kept", token_kid="k2"))
    )
    beside = lone.beside()
    await beside.start()
    try:
        assert beside.running is not None
        catalog = beside.running.catalog
        assert catalog.revision >= revisions[-1]
        kept = catalog.solution("kept")
        assert kept is not None and kept.revision == revisions[0]
    finally:
        await beside.close()


async def test_listeners_are_told_of_a_gap(lone: Plane) -> None:
    heard = Heard(lone)
    heard.catalog.load(heard.catalog.revision, [], [])
    assert heard.resets == [heard.catalog.revision]


async def test_the_tables_and_the_migrations_agree(lone: Plane) -> None:
    assert await missing_migration(lone.config.database_url, "control") == []
