"""The rules of tenants and of placement, without any process."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.clusters import domain as placement
from control.clusters.domain import Cluster, Needs, Shard
from control.config import seeds
from control.tenants import domain
from control.tenants.domain import Action, Mode, State, Tenant
from shared.runtime.environment import EnvironmentProblem
from shared.runtime.errors import Aborted, FailedPrecondition, InvalidArgument

NOW = datetime(2026, 11, 22, tzinfo=UTC)

# Row by row what the contract says an action does to each state; `.` is refused, `=` leaves the state.
MATRIX = """
              ACTIVATE SUSPEND RESUME TERMINATE UPDATE SET_MODE CHANGE_DOMAINS MOVE DELETE UNDELETE PROVISION GIVE_UP PURGE
DRAFT         P        .       .      T         =      .        =              .    D      .        .         .       .
PROVISIONING  .        .       .      .         =      .        =              .    .      .        A         F       .
ACTIVE        .        S       .      T         =      =        =              =    D      .        .         .       .
SUSPENDED     .        .       A      T         =      =        =              =    D      .        .         .       .
TERMINATED    .        .       .      .         =      .        .              .    D      .        .         .       .
FAILED        P        .       .      T         =      .        =              .    D      .        .         .       .
DELETING      .        .       .      .         .      .        .              .    .      =        .         .       =
"""  # noqa: E501 -- a table reads as a table
STATES = {state[0]: state for state in State} | {"D": State.DELETING, "S": State.SUSPENDED, "P": State.PROVISIONING}


def cells() -> list[tuple[State, Action, State | None]]:
    header, *rows = [line.split() for line in MATRIX.strip().splitlines()]
    found: list[tuple[State, Action, State | None]] = []
    for name, *results in rows:
        for action, result in zip(header, results, strict=True):
            state = State(name)
            after = {".": None, "=": state}.get(result, STATES.get(result))
            found.append((state, Action(action), after))
    return found


def tenant(state: State = State.ACTIVE, **changes: object) -> Tenant:
    return replace(Tenant("t", "code", "Name", NOW, NOW, state=state, undelete_state=State.ACTIVE), **changes)  # type: ignore[arg-type]


def test_the_matrix_is_whole() -> None:
    assert {(state, action) for state, action, _ in cells()} == {(s, a) for s in State for a in Action}


@pytest.mark.parametrize(("state", "action", "after"), cells())
def test_every_action_in_every_state_does_what_the_contract_says(
    state: State, action: Action, after: State | None
) -> None:
    if after is not None:
        assert domain.check(tenant(state), action) is after
        return
    with pytest.raises(FailedPrecondition) as refused:
        domain.check(tenant(state), action)
    assert refused.value.reason == "TENANT_TRANSITION_ILLEGAL"
    possible = {a for s, a, result in cells() if s is state and result is not None} - set(domain.WORKFLOW_ACTIONS)
    assert set(refused.value.metadata["allowed"].split(",")) == {str(each) for each in possible}


@pytest.mark.parametrize(
    "action", [a for a in Action if a not in domain.WORKFLOW_ACTIONS and a not in (Action.UPDATE, Action.SET_MODE)]
)
def test_while_an_operation_works_on_a_tenant_nothing_else_begins(action: Action) -> None:
    state = next(s for s, a, after in cells() if a is action and after is not None)
    busy = tenant(state, operation_id="o")
    if action is Action.CHANGE_DOMAINS:
        domain.check(busy, action)
        return
    with pytest.raises(FailedPrecondition) as refused:
        domain.check(busy, action)
    assert refused.value.reason == "TENANT_BUSY"
    assert refused.value.metadata["operation"] == "operations/o"


def test_an_old_etag_is_refused_before_anything_else() -> None:
    with pytest.raises(Aborted, match="ETAG_MISMATCH"):
        domain.check(tenant(State.DELETING, version=3), Action.SUSPEND, "2")


def test_an_undeleted_tenant_is_what_it_was() -> None:
    for state in (State.DRAFT, State.ACTIVE, State.SUSPENDED, State.TERMINATED, State.FAILED):
        deleted = domain.delete(tenant(state), "by mistake", "", timedelta(days=1), NOW)
        assert deleted.state is State.DELETING and deleted.purge_time == NOW + timedelta(days=1)
        back = domain.undelete(deleted, "sorry", "", NOW)
        assert (back.state, back.delete_time, back.purge_time) == (state, None, None)


def test_a_mode_ends_in_the_future_and_normal_never() -> None:
    with pytest.raises(InvalidArgument, match="TIME_PAST"):
        domain.set_mode(tenant(), Mode.READ_ONLY, "x", NOW, "", NOW)
    with pytest.raises(InvalidArgument, match="MODE_HAS_NO_END"):
        domain.set_mode(tenant(), Mode.NORMAL, "x", NOW + timedelta(hours=1), "", NOW)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (domain.Config(time_zone="Mars/Olympus"), "TIME_ZONE_UNKNOWN"),
        (domain.Config(time_zone="europe/berlin"), "TIME_ZONE_UNKNOWN"),
        (domain.Config(currency_code="XXX"), "CURRENCY_UNKNOWN"),
    ],
)
def test_a_config_names_real_places_and_money(config: domain.Config, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        domain.configure(tenant(), config, "", NOW)
    good = domain.configure(tenant(), domain.Config(time_zone="Europe/Berlin", currency_code="EUR"), "", NOW)
    assert good.config.version == 2


REGIONS = ("eu", "us", "ap")
PLANS = ("standard", "plus")


@st.composite
def fleets(draw: st.DrawFn) -> list[Cluster]:
    clusters = []
    for number in range(draw(st.integers(0, 6))):
        capacity = draw(st.integers(0, 50))
        clusters.append(
            Cluster(
                f"c{number}",
                draw(st.sampled_from(REGIONS)),
                "",
                NOW,
                NOW,
                tiers=tuple(draw(st.sets(st.sampled_from(PLANS)))),
                capacity=capacity,
                dedicated=draw(st.booleans()),
                state=draw(st.sampled_from(list(placement.State))),
                tenant_count=draw(st.integers(0, capacity + 1)),
            )
        )
    return clusters


needs = st.builds(
    Needs,
    region_id=st.sampled_from(("", *REGIONS)),
    plan_id=st.sampled_from(PLANS),
    dedicated=st.booleans(),
    residency=st.sets(st.sampled_from(REGIONS)).map(lambda each: tuple(sorted(each))),
)


def fits(wanted: Needs, cluster: Cluster) -> bool:
    return (
        cluster.state is placement.State.OPEN
        and wanted.region_id in ("", cluster.region_id)
        and (not wanted.residency or cluster.region_id in wanted.residency)
        and (not cluster.tiers or wanted.plan_id in cluster.tiers)
        and cluster.dedicated == wanted.dedicated
        and (not wanted.dedicated or cluster.tenant_count == 0)
        and cluster.tenant_count < cluster.capacity
    )


@given(needs, fleets())
def test_placement_never_breaks_a_constraint_and_finds_a_place_where_there_is_one(
    wanted: Needs, fleet: list[Cluster]
) -> None:
    ranked = placement.rank(wanted, fleet, [])
    assert sorted(each.cluster_id for each in ranked) == [cluster.id for cluster in fleet]
    by_id = {cluster.id: cluster for cluster in fleet}
    for candidate in ranked:
        assert candidate.eligible == fits(wanted, by_id[candidate.cluster_id])
        assert candidate.reasons, "every cluster has its reason"
        assert 0 < candidate.score <= 1 if candidate.eligible else candidate.score == 0
    chosen = placement.best(wanted, fleet, [])
    assert (chosen is not None) == any(fits(wanted, cluster) for cluster in fleet)


@given(needs, fleets())
def test_placement_depends_on_nothing_but_its_arguments(wanted: Needs, fleet: list[Cluster]) -> None:
    assert placement.rank(wanted, fleet, []) == placement.rank(wanted, list(reversed(fleet)), [])


@given(st.integers(2, 5), st.integers(1, 60))
def test_many_at_once_spread_evenly_and_fill_no_cluster_twice(count: int, tenants: int) -> None:
    fleet = [Cluster(f"c{n}", "eu", "", NOW, NOW, capacity=10) for n in range(count)]
    shards = [Shard(f"c{n}-s{s}", f"c{n}", NOW) for n in range(count) for s in range(2)]
    placed, after, shards_after = placement.spread([Needs()] * tenants, fleet, shards)
    assert sum(each is not None for each in placed) == min(tenants, count * 10)
    held = [cluster.tenant_count for cluster in after]
    assert max(held) - min(held) <= 1 and max(held) <= 10
    for number in range(count):
        mine = [shard.tenant_count for shard in shards_after if shard.cluster_id == f"c{number}"]
        assert sum(mine) == held[number] and max(mine) - min(mine) <= 1


def test_the_first_clusters_are_read_from_a_line() -> None:
    found = seeds("eu-1=eu@127.0.0.1:7301, us-1=us@host.example:7302")
    assert [(each.cluster_id, each.region_id, each.endpoint.port) for each in found] == [
        ("eu-1", "eu", 7301),
        ("us-1", "us", 7302),
    ]
    with pytest.raises(EnvironmentProblem, match="CENTER_CLUSTERS"):
        seeds("eu-1@127.0.0.1")
