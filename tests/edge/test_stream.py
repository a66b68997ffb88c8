"""The delta protocol, one stream at a time, with no network: what a client holds in the end, and how it gets there."""

from collections.abc import Iterable

import pytest
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SCOPE, Resource, resource
from edge.xds.served import Served
from edge.xds.stream import Stream
from tests.edge.client import Client, Request, Response


def made(type_url: str, name: str, content: str = "1", needs: tuple[str, ...] = ()) -> Resource:
    return resource(type_url, name, content.encode(), needs)


class Serving(Served):
    """Routes are kept for those who ask, and pushed to those who have asked, as the publisher does."""

    def __init__(self) -> None:
        self.routes: dict[str, Resource] = {}
        super().__init__(self.routes.get, lambda name: made(ROUTES, name, "fallback"))

    def apply(self, revision: int, puts: Iterable[Resource], removals: Iterable[tuple[str, str]] = ()) -> None:
        puts = list(puts)
        self.routes |= {put.name: put for put in puts if put.type_url == ROUTES}
        asked = self.logs[ROUTES].readers
        super().apply(revision, [put for put in puts if put.type_url != ROUTES or put.name in asked], removals)


@pytest.fixture
def served() -> Served:
    return Serving()


@pytest.fixture
def client(served: Served) -> Client:
    return Client(served)


def scopes(*names: str, content: str = "1") -> list[Resource]:
    return [made(SCOPE, name, content) for name in names]


# Wildcards, names, and what is not there.


def test_a_wildcard_gets_everything_and_then_only_what_changes(served: Served, client: Client) -> None:
    served.apply(1, scopes("a", "b", "c"))
    client.connect()
    assert sorted(client.names(client.settle(), SCOPE)) == ["a", "b", "c"]
    served.apply(2, scopes("b", content="2"))
    assert client.names(client.settle(), SCOPE) == ["b"]
    served.apply(3, [], [(SCOPE, "a")])
    (response,) = client.settle()
    assert list(response.removed_resources) == ["a"]
    assert not response.resources


def test_an_explicit_wildcard_is_one_too(served: Served) -> None:
    served.apply(1, [made(CLUSTER, "a")])
    stream = Stream(served, lambda: None)
    stream.receive(Request(type_url=CLUSTER, resource_names_subscribe=["*"]))
    (raw,) = stream.responses()
    assert [r.name for r in discovery.DeltaDiscoveryResponse.FromString(raw).resources] == ["a"]


def test_the_first_wildcard_is_answered_even_with_nothing(client: Client) -> None:
    client.connect()
    assert {response.type_url for response in client.settle()} == {CLUSTER, LISTENER, SCOPE}


def test_no_names_are_no_wildcard_for_types_that_are_asked_for_by_name(served: Served) -> None:
    served.apply(1, [made(ENDPOINTS, "a")])
    stream = Stream(served, lambda: None)
    stream.receive(Request(type_url=ENDPOINTS))
    assert list(stream.responses()) == []


def test_a_missing_name_is_said_to_be_missing_and_sent_once_it_is_there(served: Served, client: Client) -> None:
    client.want(ENDPOINTS, "a")
    (response,) = client.settle()
    assert list(response.removed_resources) == ["a"]
    served.apply(1, [made(ENDPOINTS, "a")])
    assert client.names(client.settle(), ENDPOINTS) == ["a"]


def test_only_names_that_were_asked_for_are_sent(served: Served, client: Client) -> None:
    served.apply(1, [made(ENDPOINTS, name) for name in "abc"])
    client.want(ENDPOINTS, "a")
    assert client.names(client.settle(), ENDPOINTS) == ["a"]
    served.apply(2, [made(ENDPOINTS, name, "2") for name in "abc"])
    assert client.names(client.settle(), ENDPOINTS) == ["a"]


def test_a_name_asked_for_again_is_sent_again(served: Served, client: Client) -> None:
    served.apply(1, [made(ENDPOINTS, "a")])
    client.want(ENDPOINTS, "a")
    client.settle()
    client.want(ENDPOINTS, "a")
    assert client.names(client.settle(), ENDPOINTS) == ["a"]


def test_after_unsubscribing_nothing_more_comes(served: Served, client: Client) -> None:
    served.apply(1, [made(ENDPOINTS, name) for name in "ab"])
    client.want(ENDPOINTS, "a", "b")
    client.settle()
    client.unwant(ENDPOINTS, "a")
    served.apply(2, [made(ENDPOINTS, name, "2") for name in "ab"])
    assert client.names(client.settle(), ENDPOINTS) == ["b"]


def test_unsubscribing_a_name_under_a_wildcard_tells_what_may_be_kept(served: Served, client: Client) -> None:
    served.apply(1, scopes("a"))
    client.connect()
    client.settle()
    client.stream.receive(Request(type_url=SCOPE, resource_names_unsubscribe=["a", "gone"]))
    (response,) = client.settle()
    assert [r.name for r in response.resources] == ["a"]
    assert list(response.removed_resources) == ["gone"]


def test_unsubscribing_the_wildcard_leaves_the_names(served: Served) -> None:
    served.apply(1, scopes("a", "b"))
    client = Client(served)
    client.stream.receive(Request(type_url=SCOPE, resource_names_subscribe=["*", "a"]))
    client.settle()
    client.stream.receive(Request(type_url=SCOPE, resource_names_unsubscribe=["*"]))
    served.apply(2, scopes("a", "b", content="2"))
    assert client.names(client.settle(), SCOPE) == ["a"]


def test_a_stale_nonce_acknowledges_nothing_but_its_subscription_counts(served: Served, client: Client) -> None:
    served.apply(1, [made(ENDPOINTS, name) for name in "ab"])
    client.want(ENDPOINTS, "a")
    (first,) = client.read()
    client.stream.receive(Request(type_url=ENDPOINTS, response_nonce="0", resource_names_subscribe=["b"]))
    assert client.read() == [], "one response of a type is in flight at a time"
    client.answer(first)
    assert client.names(client.settle(), ENDPOINTS) == ["b"]


def test_types_that_are_not_served_are_passed_over_in_silence(client: Client) -> None:
    client.stream.receive(Request(type_url="type.googleapis.com/envoy.config.route.v3.VirtualHost"))
    assert client.read() == []


# Coming back.


def test_coming_back_with_the_same_versions_brings_nothing(served: Served, client: Client) -> None:
    served.apply(
        1, [made(LISTENER, "l"), *scopes("a", "b"), made(CLUSTER, "eu"), made(ENDPOINTS, "eu"), made(ROUTES, "t")]
    )
    client.connect()
    client.want(ENDPOINTS, "eu")
    client.want(ROUTES, "t")
    client.settle()
    client.connect()
    (response,) = client.settle()
    assert (response.type_url, len(response.resources), len(response.removed_resources)) == (SCOPE, 0, 0)
    assert client.stream.applied_revision == 1


def test_coming_back_brings_what_changed_and_says_what_went(served: Served, client: Client) -> None:
    served.apply(1, [*scopes("a", "b", "c"), made(ROUTES, "t")])
    client.connect()
    client.want(ROUTES, "t")
    client.settle()
    client.stream.close()
    served.apply(2, [*scopes("b", content="2"), made(ROUTES, "t", "2")], [(SCOPE, "c")])
    client.connect()
    assert client.stream.applied_revision == 0, "it has not said yet that it has revision 2"
    responses = client.settle()
    assert client.names(responses, SCOPE) == ["b"]
    assert client.names(responses, ROUTES) == ["t"]
    assert [name for response in responses for name in response.removed_resources] == ["c"]
    assert client.stream.applied_revision == 2


def test_a_newcomer_does_not_hear_of_what_was_removed_before_it_came(served: Served, client: Client) -> None:
    served.apply(1, scopes(*(f"s{n}" for n in range(3000))))
    served.apply(2, [], [(SCOPE, "s0"), (SCOPE, "s2999")])
    client.connect()
    first = client.read()
    served.apply(3, [], [(SCOPE, "s1"), (SCOPE, "s2998")])
    for response in first:
        client.answer(response)
    responses = [*first, *client.settle()]
    assert {name for response in responses for name in response.removed_resources} <= {"s1", "s2998"}
    assert client.held[SCOPE].keys() == {f"s{n}" for n in range(2, 2998)}


def test_another_server_with_the_same_content_sends_nothing_either(client: Client, served: Served) -> None:
    shared = [made(LISTENER, "l"), made(CLUSTER, "eu")]
    served.apply(1, [*shared, *scopes("a", "b")])
    client.connect()
    client.settle()
    client.served = Served(lambda name: None, lambda name: made(ROUTES, name))
    client.served.apply(7, [*scopes("b", "a"), *shared])
    client.connect()
    assert client.names(client.settle(), SCOPE) == []


def test_another_server_says_what_is_gone_though_it_never_had_it(client: Client, served: Served) -> None:
    served.apply(1, scopes("a", "b"))
    client.connect()
    client.settle()
    client.served = Serving()
    client.served.apply(7, scopes("b"))
    client.connect()
    client.settle()
    assert client.held[SCOPE].keys() == {"b"}


def test_a_client_that_has_asked_for_nothing_has_applied_nothing(served: Served) -> None:
    served.apply(1, scopes("a"))
    assert Stream(served, lambda: None).applied_revision == 0


def test_a_client_that_comes_back_has_applied_nothing_before_it_has_said_all_it_has(served: Served) -> None:
    """Its routes come last, and only if it has any; an answer to what it was told says that no more will come."""
    served.apply(1, [made(CLUSTER, "eu"), *scopes("a"), made(ROUTES, "t")])
    served.apply(2, [made(ROUTES, "t", "2")])
    stream = Stream(served, lambda: None)
    stream.receive(Request(type_url=CLUSTER, initial_resource_versions={"eu": made(CLUSTER, "eu").version}))
    assert list(stream.responses()) == []
    assert stream.applied_revision == 0
    stream.receive(Request(type_url=SCOPE, initial_resource_versions={"a": scopes("a")[0].version}))
    (told,) = [Response.FromString(raw) for raw in stream.responses()]
    assert (told.type_url, len(told.resources)) == (SCOPE, 0)
    assert stream.applied_revision == 0, "it may have routes, and they may be old"
    old = {"t": made(ROUTES, "t").version}
    stream.receive(Request(type_url=ROUTES, resource_names_subscribe=["t"], initial_resource_versions=old))
    stream.receive(Request(type_url=SCOPE, response_nonce=told.nonce))
    assert stream.applied_revision == 0, "they are"
    (routes,) = [Response.FromString(raw) for raw in stream.responses()]
    stream.receive(Request(type_url=ROUTES, response_nonce=routes.nonce))
    assert stream.applied_revision == 2


# Work by change, merging, chunks.


def test_what_is_said_again_with_the_same_content_is_no_change(served: Served, client: Client) -> None:
    served.apply(1, scopes("a", "b"))
    client.connect()
    client.settle()
    served.apply(2, scopes("a", "b"))
    assert client.settle() == []
    assert client.stream.applied_revision == 2


def test_what_changes_ten_times_behind_a_slow_client_is_sent_once(served: Served, client: Client) -> None:
    served.apply(1, scopes("a"))
    client.connect()
    first = client.read()
    for revision in range(2, 12):
        served.apply(revision, scopes("a", content=str(revision)))
    for response in first:
        client.answer(response)
    assert client.names(client.settle(), SCOPE) == ["a"]
    assert client.stream.applied_revision == 11


def test_a_big_snapshot_comes_in_chunks_and_each_waits_for_the_one_before(served: Served, client: Client) -> None:
    served.apply(1, scopes(*(f"s{n}" for n in range(5000))))
    client.connect()
    assert len(client.names(client.read(), SCOPE)) == 2000
    assert client.names(client.read(), SCOPE) == []
    client.answer(client.received[-1])
    client.settle()
    assert len(client.held[SCOPE]) == 5000


def test_a_domain_that_changes_hands_is_never_in_two_scopes_at_once(served: Served, client: Client) -> None:
    served.apply(1, [*scopes("old"), *scopes(*(f"s{n}" for n in range(3000)))])
    client.connect()
    client.settle()
    served.apply(2, [*scopes(*(f"s{n}" for n in range(3000)), content="2"), *scopes("new")], [(SCOPE, "old")])
    for response in client.settle():
        gone = "old" in response.removed_resources
        assert gone or "old" not in client.held[SCOPE] or "new" not in client.held[SCOPE]
    first = next(r for r in client.received if "old" in r.removed_resources)
    later = client.received[client.received.index(first) :]
    assert "new" in client.names(later, SCOPE)


def test_a_removal_goes_before_what_takes_its_place(served: Served) -> None:
    served.apply(1, scopes("old", "same"))
    served.apply(2, scopes("new") + scopes("same", content="2"), [(SCOPE, "old"), (SCOPE, "same")])
    assert [name for _, name in served.logs[SCOPE].after(2)] == ["old", "same", "new", "same"]
    assert "same" in served.logs[SCOPE]


def test_the_log_stays_small_whatever_happens_to_a_few_names(served: Served, client: Client) -> None:
    client.connect()
    client.settle()
    for revision in range(1, 20_000):
        served.apply(revision, scopes(f"s{revision % 10}", content=str(revision)))
    assert sum(1 for _ in served.logs[SCOPE].after(0)) < 1200
    client.settle()
    assert client.held[SCOPE] == {f"s{n}": served.logs[SCOPE].get(f"s{n}").version for n in range(10)}  # type: ignore[union-attr]


def test_compaction_hides_no_revision_that_a_slow_client_lacks(served: Served, client: Client) -> None:
    served.apply(1, scopes("a"))
    client.connect()
    client.settle()
    served.apply(2, [])
    for revision in range(3, 5000):
        served.apply(revision, scopes("a", "b", content=str(revision)))
    assert client.stream.applied_revision == 2, "revision 3 is nowhere in the log, and still not applied"
    client.settle()
    assert client.stream.applied_revision == 4999


def test_a_removal_survives_compaction_until_the_slowest_has_heard(served: Served, client: Client) -> None:
    served.apply(1, scopes("victim"))
    client.connect()
    client.settle()
    served.apply(2, [], [(SCOPE, "victim")])
    for revision in range(3, 10_000):
        served.apply(revision, scopes(f"s{revision % 10}", content=str(revision)))
    client.settle()
    assert "victim" not in client.held[SCOPE]


# Make before break.


def test_routes_wait_for_their_cluster_and_its_endpoints(served: Served, client: Client) -> None:
    served.apply(1, [made(CLUSTER, "eu"), made(ENDPOINTS, "eu"), made(ROUTES, "t", "eu", ("eu",))])
    client.connect()
    client.want(ENDPOINTS, "eu")
    client.want(ROUTES, "t")
    client.settle()
    served.apply(2, [made(CLUSTER, "us"), made(ENDPOINTS, "us"), made(ROUTES, "t", "us", ("us",))])
    (clusters,) = client.read()
    assert clusters.type_url == CLUSTER
    client.want(ENDPOINTS, "us")
    (endpoints,) = client.read()
    assert endpoints.type_url == ENDPOINTS
    client.answer(endpoints)
    assert client.read() == [], "the cluster is not acknowledged, so it still warms"
    assert client.stream.applied_revision == 1
    client.answer(clusters)
    (routes,) = client.read()
    assert routes.type_url == ROUTES
    client.answer(routes)
    assert client.stream.applied_revision == 2


def test_routes_wait_for_a_cluster_that_went_and_came_back(served: Served, client: Client) -> None:
    served.apply(1, [made(CLUSTER, "eu"), made(ROUTES, "t")])
    client.connect()
    client.want(ROUTES, "t")
    client.settle()
    served.apply(2, [], [(CLUSTER, "eu")])
    (removal,) = client.read()
    served.apply(3, [made(CLUSTER, "eu"), made(ROUTES, "t", "eu", ("eu",))])
    assert client.read() == [], "what Envoy held of it is about to go"
    client.answer(removal)
    (clusters,) = client.read()
    assert client.names([clusters], CLUSTER) == ["eu"]
    client.answer(clusters)
    assert client.names(client.read(), ROUTES) == ["t"]


def test_a_cluster_that_is_sent_again_brings_its_endpoints_again(served: Served, client: Client) -> None:
    served.apply(1, [made(CLUSTER, "eu"), made(ENDPOINTS, "eu")])
    client.connect()
    client.want(ENDPOINTS, "eu")
    client.settle()
    served.apply(2, [made(CLUSTER, "eu", "2")])
    responses = client.settle()
    assert [response.type_url for response in responses] == [CLUSTER, ENDPOINTS]


def test_routes_to_a_refused_cluster_stay_as_they_are_and_hold_nobody_up(served: Served, client: Client) -> None:
    served.apply(1, [made(CLUSTER, "eu"), made(ENDPOINTS, "eu"), made(ROUTES, "t", "eu", ("eu",))])
    client.connect()
    client.want(ENDPOINTS, "eu")
    client.want(ROUTES, "t", "new")
    client.settle()
    bad = made(CLUSTER, "bad")
    client.refuses.add(("bad", bad.version))
    before = client.held[ROUTES]["t"]
    served.apply(2, [bad, made(ENDPOINTS, "bad"), made(ROUTES, "t", "bad", ("bad",))])
    client.settle()
    assert client.held[ROUTES]["t"] == before
    served.apply(3, [made(ROUTES, "new", "bad", ("bad",))])
    client.settle()
    assert "new" in client.held[ROUTES], "no routes at all would let the request hang"
    good = made(CLUSTER, "bad", "good")
    served.apply(4, [good])
    client.settle()
    client.want(ENDPOINTS, "bad")
    client.settle()
    assert client.held[ROUTES]["t"] != before
    assert client.stream.applied_revision == 4
    assert client.stream.subscriptions[ROUTES].pending == 0


# Refusals.


def test_one_bad_resource_among_a_thousand_is_found_and_the_others_flow(served: Served, client: Client) -> None:
    good = [made(ROUTES, f"t{n}") for n in range(1000)]
    served.apply(1, good)
    client.want(ROUTES, *(r.name for r in good))
    client.settle()
    bad = made(ROUTES, "t500", "bad")
    client.refuses.add(("t500", bad.version))
    served.apply(2, [made(ROUTES, f"t{n}", "2") if n != 500 else bad for n in range(1000)])
    responses = client.settle()
    assert len(responses) < 30
    assert client.held[ROUTES]["t500"] == good[500].version
    assert all(client.held[ROUTES][f"t{n}"] != good[n].version for n in range(1000) if n != 500)
    (refused,) = client.stream.refusals()
    assert (refused.name, refused.reason) == ("t500", "t500 is bad")
    assert client.stream.applied_revision == 2, "a refusal that is listed holds nothing back"


def test_what_is_sent_again_after_a_refusal_waits_for_its_cluster_too(served: Served, client: Client) -> None:
    served.apply(1, [made(CLUSTER, "eu"), made(ROUTES, "a"), made(ROUTES, "b")])
    client.connect()
    client.want(ROUTES, "a", "b")
    client.settle()
    bad = made(ROUTES, "a", "bad")
    client.refuses.add(("a", bad.version))
    served.apply(2, [bad, made(ROUTES, "b", "2")])
    (both,) = client.read()
    served.apply(3, [made(CLUSTER, "us"), made(ROUTES, "b", "us", ("us",))])
    (clusters,) = client.read()
    client.answer(both)
    while responses := client.read():
        assert "b" not in client.names(responses, ROUTES)
        for response in responses:
            client.answer(response)
    client.answer(clusters)
    client.settle()
    assert client.held[ROUTES]["b"] == made(ROUTES, "b", "us").version


def test_a_refused_resource_is_not_sent_again_until_it_changes(served: Served, client: Client) -> None:
    bad = made(SCOPE, "a", "bad")
    client.refuses.add(("a", bad.version))
    served.apply(1, [bad])
    client.connect()
    client.settle()
    served.apply(2, scopes("b"))
    assert client.names(client.settle(), SCOPE) == ["b"]
    served.apply(3, scopes("a", content="good"))
    client.settle()
    assert client.held[SCOPE].keys() == {"a", "b"}
    assert client.stream.refusals() == []


def test_a_newcomer_gets_the_last_good_version_of_what_another_refused(served: Served, client: Client) -> None:
    good = made(ROUTES, "t")
    served.apply(1, [good, made(ROUTES, "other")])
    client.want(ROUTES, "t")
    client.settle()
    bad = made(ROUTES, "t", "bad")
    client.refuses.add(("t", bad.version))
    served.apply(2, [bad])
    client.settle()
    newcomer = Client(served)
    newcomer.refuses = client.refuses
    newcomer.want(ROUTES, "other", "t")
    responses = newcomer.settle()
    assert newcomer.held[ROUTES]["t"] == good.version
    suspects = [r for r in responses if ("t", bad.version) in {(x.name, x.version) for x in r.resources}]
    assert all(len(r.resources) == 1 for r in suspects), "a suspect travels alone"


def test_a_client_with_no_good_version_gets_the_fallback(served: Served, client: Client) -> None:
    bad = made(ROUTES, "t", "bad")
    client.refuses.add(("t", bad.version))
    served.apply(1, [bad])
    client.want(ROUTES, "t")
    client.settle()
    assert client.held[ROUTES]["t"] == made(ROUTES, "t", "fallback").version
    assert [refused.name for refused in client.stream.refusals()] == ["t"]


# Progress.


def test_a_revision_is_applied_when_its_last_change_is_acknowledged(served: Served, client: Client) -> None:
    client.connect()
    client.settle()
    served.apply(1, scopes("a"))
    served.apply(2, [made(CLUSTER, "eu")])
    scope_first = sorted(client.read(), key=lambda response: response.type_url != SCOPE)
    assert client.stream.applied_revision == 0
    client.answer(scope_first[0])
    assert client.stream.applied_revision == 1
    client.answer(scope_first[1])
    assert client.stream.applied_revision == 2


def test_what_a_client_never_asked_for_is_applied_by_being_known(served: Served, client: Client) -> None:
    client.connect()
    client.settle()
    served.apply(5, [made(ENDPOINTS, "somebody else's")])
    assert client.stream.applied_revision == 5


def test_asking_for_a_name_takes_no_revision_back(served: Served, client: Client) -> None:
    client.connect()
    client.settle()
    served.apply(3, [made(ENDPOINTS, "a")])
    client.want(ENDPOINTS, "a")
    assert client.stream.applied_revision == 3


def test_a_closed_stream_leaves_nothing_behind(served: Served, client: Client) -> None:
    served.apply(1, [made(ENDPOINTS, "a")])
    client.connect()
    client.want(ENDPOINTS, "a")
    client.settle()
    client.stream.close()
    assert not served.logs[ENDPOINTS].readers
    assert not served.logs[SCOPE].wildcard_readers


NAMES = st.sampled_from("abcdef")
STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from((CLUSTER, ENDPOINTS, SCOPE, ROUTES)), NAMES, st.integers(0, 3)),
    st.tuples(st.just("remove"), st.sampled_from((SCOPE, ENDPOINTS)), NAMES, st.just(0)),
    st.tuples(st.just("want"), st.sampled_from((ENDPOINTS, ROUTES)), NAMES, st.just(0)),
    st.tuples(st.just("unwant"), st.sampled_from((ENDPOINTS, ROUTES)), NAMES, st.just(0)),
    st.tuples(st.just("answer"), st.just(SCOPE), NAMES, st.just(0)),
    st.tuples(st.just("reconnect"), st.just(SCOPE), NAMES, st.integers(0, 1)),
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEPS, max_size=40))
def test_whatever_happens_a_client_ends_with_what_is_served(steps: list[tuple[str, str, str, int]]) -> None:
    served = Serving()
    served.apply(0, [made(ROUTES, name, "0") for name in "abcdef"])
    client = Client(served)
    # Content 3 of anything is refused by this client.
    for type_url in (CLUSTER, ENDPOINTS, SCOPE, ROUTES):
        client.refuses |= {(name, made(type_url, name, "3").version) for name in "abcdef"}
    client.connect()
    unanswered = client.read()
    for revision, (step, type_url, name, number) in enumerate(steps, 1):
        if step == "put":
            needs = (name,) if type_url == ROUTES else ()
            served.apply(revision, [made(type_url, name, str(number), needs)])
        elif step == "remove":
            served.apply(revision, [], [(type_url, name)])
        elif step == "want":
            client.want(type_url, name)
        elif step == "unwant":
            client.unwant(type_url, name)
        elif step == "answer":
            for response in unanswered:
                client.answer(response)
            unanswered = []
        else:
            client.connect(anew=bool(number))
            unanswered = []
        unanswered += client.read()
    for response in unanswered:
        client.answer(response)
    client.settle()
    for type_url, wanted in ((CLUSTER, None), (SCOPE, None), (ENDPOINTS, client.wanted[ENDPOINTS])):
        log = served.logs[type_url]
        for name in log.names() if wanted is None else wanted:
            current = log.get(name)
            if current is not None and (name, current.version) not in client.refuses:
                assert client.held[type_url].get(name) == current.version
        assert all(name in log for name in client.held[type_url])
    for name in client.wanted[ROUTES]:
        assert name in client.held[ROUTES], "a tenant's routes are never absent: its requests would hang"
    assert client.stream.applied_revision == served.revision
