"""From the catalog's words to what a client holds: one owner to a name at every moment, and in the end the right one."""

from envoy.config.route.v3 import scoped_route_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.xds import contract, translate
from edge.xds.publisher import Publisher, routes_of
from edge.xds.resources import ROUTES, SCOPE
from edge.xds.served import Served
from edge.xds.server import Discovery
from edge.xds.topology import Domain, State, Tenant, Topology
from tests.edge.client import Client, Response

TERMS = contract.load()
TENANTS = ["one", "two", "three"]
NAMES = ["a.test", "b.test", "c.test", "d.test"]


class Shoppers(Client):
    """Refuses as a whole what would put one key into two scopes, as Envoy does, and fetches the routes it is led to."""

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

    def visit(self, key: str) -> str:
        """The tenant whose routes a request to this host gets, or nobody's."""
        for found, routes in self.keys.values():
            if found == key:
                if routes not in self.wanted[ROUTES]:
                    self.want(ROUTES, routes)
                return routes
        return ""


STEPS = st.one_of(
    st.tuples(st.just("tenant"), st.sampled_from(TENANTS), st.sets(st.sampled_from(NAMES)), st.sampled_from(State)),
    st.tuples(st.just("purge"), st.sampled_from(TENANTS), st.just(set()), st.just(State.GONE)),
    st.tuples(st.just("answer"), st.sampled_from(TENANTS), st.just(set()), st.just(State.GONE)),
    st.tuples(st.just("visit"), st.sampled_from(TENANTS), st.sets(st.sampled_from(NAMES)), st.just(State.GONE)),
    st.tuples(st.just("reconnect"), st.sampled_from(TENANTS), st.just(set()), st.just(State.GONE)),
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEPS, max_size=30))
def test_a_name_has_one_owner_at_every_moment_and_the_right_one_in_the_end(
    steps: list[tuple[str, str, set[str], State]],
) -> None:
    topology = Topology()
    find = routes_of(topology, TERMS)
    discovery = Discovery(Served(find, translate.refused_routes))
    publisher = Publisher(topology, discovery, find)
    client = Shoppers(discovery.served)
    client.connect()
    unanswered = client.read()
    # As in the catalog: one owner to a name, and a number for each claim that is never used again.
    held: dict[str, dict[str, Domain]] = {tenant: {} for tenant in TENANTS}
    numbers = 0
    for revision, (step, tenant_id, names, state) in enumerate(steps, 1):
        if step == "tenant":
            for other in TENANTS:
                if other != tenant_id and held[other].keys() & names:
                    held[other] = {name: domain for name, domain in held[other].items() if name not in names}
                    left = tuple(held[other].values())
                    publisher.publish(topology.apply(revision, [Tenant(other, other, revision, domains=left)]))
            for name in sorted(names - held[tenant_id].keys()):
                numbers += 1
                held[tenant_id][name] = Domain(name, numbers)
            held[tenant_id] = {name: domain for name, domain in held[tenant_id].items() if name in names}
            domains = tuple(held[tenant_id].values())
            publisher.publish(
                topology.apply(revision, [Tenant(tenant_id, tenant_id, revision, state, domains=domains)])
            )
        elif step == "purge":
            held[tenant_id] = {}
            publisher.publish(topology.apply(revision, removed_tenants=[tenant_id]))
        elif step == "answer":
            for response in unanswered:
                client.answer(response)
            unanswered = []
        elif step == "visit":
            for name in names:
                client.visit(name)
        else:
            client.connect()
            unanswered = []
        unanswered += client.read()
    for response in unanswered:
        client.answer(response)
    client.settle()
    owners = {name: tenant_id for tenant_id, domains in held.items() for name in domains}
    assert {name: client.visit(name) for name in NAMES} == {name: owners.get(name, "") for name in NAMES}
    client.settle()
    for tenant_id in client.wanted[ROUTES]:
        current = find(tenant_id)
        assert current is not None
        assert client.held[ROUTES][tenant_id] == current.version
    assert client.stream.applied_revision == discovery.served.revision
