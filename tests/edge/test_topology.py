"""Who owns which name, in whatever order the catalog's entries come."""

from edge.xds.topology import Cluster, Domain, Endpoint, Solution, Tenant, Topology

A, B = Domain("a.test", 1), Domain("b.test", 2)


def tenant(name: str, revision: int, *domains: Domain) -> Tenant:
    return Tenant(name, name, revision, domains=domains, cluster_id="eu-1")


def solution(revision: int, *domains: Domain) -> Solution:
    return Solution("search", revision, domains=domains, upstream=Endpoint("127.0.0.1", 7401))


def test_a_tenant_claims_its_domains_and_lets_go_of_those_it_lost() -> None:
    topology = Topology()
    changes = topology.apply(1, [tenant("one", 1, A, B)])
    assert changes.claimed.keys() == {"a.test", "b.test"}
    changes = topology.apply(2, [tenant("one", 2, B)])
    assert [claim.domain for claim in changes.released] == [A]
    assert not changes.claimed, "what stays is no change"
    assert topology.owner("a.test") is None


def test_what_is_claimed_and_let_go_in_one_step_is_nobodys() -> None:
    topology = Topology()
    changes = topology.apply(2, [tenant("one", 1, A), tenant("one", 2)])
    assert not changes.claimed
    assert topology.owner("a.test") is None


def test_an_older_entry_changes_nothing() -> None:
    topology = Topology()
    topology.apply(5, [tenant("one", 5, A)], [Cluster("eu-1", 5, "eu")])
    changes = topology.apply(5, [tenant("one", 4, B)], [Cluster("eu-1", 4, "elsewhere")])
    assert not (changes.claimed or changes.released or changes.tenants or changes.clusters)
    assert topology.clusters["eu-1"].region_id == "eu"


def test_a_name_in_two_hands_belongs_to_the_later_one_in_whatever_order_they_come() -> None:
    for order in ((0, 1), (1, 0)):
        entries = [tenant("one", 1, A), tenant("two", 2, Domain("a.test", 7))]
        topology = Topology()
        for at in order:
            topology.apply(2, [entries[at]])
        owner = topology.owner("a.test")
        assert owner is not None
        assert owner.id == "two"


def test_a_name_that_changes_hands_leaves_its_old_scope() -> None:
    topology = Topology()
    topology.apply(1, [tenant("one", 1, A)])
    changes = topology.apply(2, [tenant("two", 2, Domain("a.test", 7))])
    assert [claim.domain.number for claim in changes.released] == [1]
    assert changes.claimed["a.test"].domain.number == 7
    changes = topology.apply(3, [tenant("one", 3)])
    assert not changes.released, "it was another's already"


def test_a_snapshot_takes_away_what_it_does_not_name() -> None:
    topology = Topology()
    topology.apply(1, [tenant("one", 1, A), tenant("two", 1, B)], [Cluster("eu-1", 1), Cluster("us-1", 1)])
    changes = topology.replace(2, [tenant("two", 1, B)], [Cluster("us-1", 1)])
    assert topology.tenants.keys() == {"two"}
    assert [claim.domain for claim in changes.released] == [A]
    assert changes.clusters == {"eu-1"}
    assert not changes.claimed


def test_after_a_catalog_was_set_back_what_it_says_counts() -> None:
    topology = Topology()
    topology.apply(9, [tenant("one", 9, A)], [Cluster("eu-1", 9, "eu")])
    topology.forget_revisions()
    changes = topology.replace(1, [tenant("one", 1, B)], [Cluster("eu-1", 1, "us")])
    assert (topology.revision, topology.clusters["eu-1"].region_id) == (1, "us")
    assert [claim.domain for claim in changes.released] == [A]


def test_a_solution_claims_its_hosts_as_a_tenant_its_domains() -> None:
    topology = Topology()
    changes = topology.apply(1, solutions=[solution(1, A, B)])
    assert (changes.solutions, changes.claimed.keys()) == ({"search"}, {"a.test", "b.test"})
    assert topology.owner("a.test") is topology.solutions["search"]
    changes = topology.apply(2, solutions=[solution(2, B)])
    assert [claim.domain for claim in changes.released] == [A]
    assert not topology.apply(2, solutions=[solution(1, A)]).solutions, "older"
    changes = topology.replace(3, [], [])
    assert [claim.domain for claim in changes.released] == [B]
    assert topology.solutions == {}


def test_a_name_goes_from_a_solution_to_a_tenant_and_back() -> None:
    topology = Topology()
    topology.apply(1, solutions=[solution(1, Domain("a.test", 9))])
    topology.apply(2, [tenant("one", 2, A)])
    assert topology.owner("a.test") is topology.tenants["one"]
    assert not topology.apply(3, removed_solutions=["search"]).released, "it was another's already"
    changes = topology.apply(4, removed_tenants=["one"], solutions=[solution(4, Domain("a.test", 9))])
    assert topology.owner("a.test") is topology.solutions["search"]
    assert [claim.domain for claim in changes.released] == [A]
