"""From the catalog's words to what a client holds: one owner to a name at every moment, the right one in the end."""

from collections.abc import Iterator

import pytest
from envoy.config.route.v3 import scoped_route_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1 import tenant_pb2
from edge import catalog
from edge.roster import Roster
from edge.xds import contract, translate
from edge.xds.publisher import Publisher, routes_of
from edge.xds.resources import ROUTES, SCOPE
from edge.xds.served import Served
from edge.xds.server import Discovery
from edge.xds.topology import SOLUTION, Topology
from tests.edge.client import Client, Response

TERMS = contract.load()
# Owners of names; the last one is a solution.
OWNERS = ["one", "two", f"{SOLUTION}search"]
NAMES = ["a.test", "b.test", "c.test", "d.test"]


class Shoppers(Client):
    """As Envoy does: refuses one key in two scopes, fetches routes when a host is visited, lets go of those unused."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self.keys: dict[str, tuple[str, str]] = {}

    def answer(self, response: Response) -> None:
        if response.type_url == SCOPE:
            for name in response.removed_resources:
                self.keys.pop(name, None)
            for resource in response.resources:
                scope = scoped_route_pb2.ScopedRouteConfiguration.FromString(resource.resource.value)
                self.keys[resource.name] = (scope.key.fragments[0].string_key, scope.route_configuration_name)
            keys = [key for key, _ in self.keys.values()]
            assert len(keys) == len(set(keys)), "scope key conflict found"
        super().answer(response)
        unused = self.wanted[ROUTES] - {routes for _, routes in self.keys.values()}
        if unused:
            self.unwant(ROUTES, *unused)

    def visit(self, key: str) -> str:
        """The owner whose routes a request to this host gets, or nobody's."""
        for found, routes in self.keys.values():
            if found == key:
                if routes not in self.wanted[ROUTES]:
                    self.want(ROUTES, routes)
                return routes
        return ""


class Catalog:
    """One owner to a name, and a number for each claim that is never used again."""

    def __init__(self) -> None:
        self.revision = 0
        self.held: dict[str, dict[str, int]] = {owner: {} for owner in OWNERS}
        self.states = dict.fromkeys(OWNERS, tenant_pb2.TENANT_STATE_ACTIVE)
        self.news: list[pb.CatalogEntry] = []
        self._numbers = 0

    def change(self, owner: str, names: set[str], state: "tenant_pb2.TenantState.ValueType") -> None:
        """Takes the names from whoever has them."""
        self.states[owner] = state
        for other, held in self.held.items():
            if other != owner and held.keys() & names:
                self.held[other] = {name: number for name, number in held.items() if name not in names}
                self._commit(other)
        kept = {name: number for name, number in self.held[owner].items() if name in names}
        for name in sorted(names - kept.keys()):
            self._numbers += 1
            kept[name] = self._numbers
        self.held[owner] = kept
        self._commit(owner)

    def purge(self, owner: str) -> None:
        self.held[owner] = {}
        self.revision += 1
        entry = pb.CatalogEntry(revision=self.revision, removed_tenant_id=owner)
        if owner.startswith(SOLUTION):
            entry.removed_solution_id = owner.removeprefix(SOLUTION)
        self.news.append(entry)

    def _commit(self, owner: str) -> None:
        self.revision += 1
        entry = pb.CatalogEntry(revision=self.revision)
        if owner.startswith(SOLUTION):
            entry.solution.id, entry.solution.revision = owner.removeprefix(SOLUTION), self.revision
            # A solution without names has no gateway.
            if self.held[owner]:
                entry.solution.gateway.hosts.extend(self.held[owner])
                entry.solution.gateway.upstream_host, entry.solution.gateway.upstream_port = "127.0.0.1", 7400
            self.news.append(entry)
            return
        entry.tenant.id, entry.tenant.state, entry.tenant.revision = owner, self.states[owner], self.revision
        entry.tenant.placement.cluster_id = "eu-1"
        for name, number in self.held[owner].items():
            entry.tenant.domains.add(name=name, number=number)
        self.news.append(entry)


STATES = st.sampled_from([tenant_pb2.TENANT_STATE_ACTIVE, tenant_pb2.TENANT_STATE_SUSPENDED])
DO = st.sampled_from(["change", "change", "change", "purge", "reconnect"])
STEPS = st.tuples(
    DO, st.sampled_from(OWNERS), st.sets(st.sampled_from(NAMES)), STATES, st.booleans(), st.booleans(), st.booleans()
)


@pytest.fixture(scope="module")
def roster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roster]:
    """Of nobody: the client here is no stream of the server's."""
    made = Roster(tmp_path_factory.mktemp("roster"))
    yield made
    made.close()


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
async def test_a_name_has_one_owner_at_every_moment_and_the_right_one_in_the_end(
    roster: Roster,
    steps: list[tuple[str, str, set[str], "tenant_pb2.TenantState.ValueType", bool, bool, bool]],
) -> None:
    topology, truth = Topology(), Catalog()
    find = routes_of(topology, TERMS)
    discovery = Discovery(Served(find, translate.refused_routes), roster)
    publisher = Publisher(topology, discovery, find)
    client = Shoppers(discovery.served)
    client.connect()
    unanswered = client.read()
    for do, owner, names, state, told, answered, visited in [*steps, ("end", "", set(), 0, True, True, True)]:
        if do == "change":
            truth.change(owner, names, state)
        elif do == "purge":
            truth.purge(owner)
        elif do == "reconnect":
            client.connect()
            unanswered = []
        if told:
            publisher.publish(catalog.apply(topology, truth.revision, truth.news))
            truth.news.clear()
        unanswered += client.read()
        if answered:
            for response in unanswered:
                client.answer(response)
            unanswered = client.read()
        if visited:
            for name in NAMES:
                client.visit(name)
    for response in unanswered:
        client.answer(response)
    client.settle()
    owners = {name: owner for owner, held in truth.held.items() for name in held}
    assert {name: client.visit(name) for name in NAMES} == {name: owners.get(name, "") for name in NAMES}
    client.settle()
    for owner in client.wanted[ROUTES]:
        current = find(owner)
        assert current is not None
        assert client.held[ROUTES][owner] == current.version
    assert client.stream.applied_revision == discovery.served.revision
    await publisher.close()
