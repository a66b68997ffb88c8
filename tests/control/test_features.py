"""The one function that says what a tenant has, held by properties."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from control.features.domain import (
    EVERYONE,
    Action,
    Attached,
    Effect,
    Effective,
    Extra,
    Feature,
    Given,
    KillSwitch,
    Override,
    Rollout,
    SourceKind,
    bucket,
    differences,
    effective,
    steps,
)
from control.features.values import (
    Kind,
    Period,
    Quota,
    RateLimit,
    Schema,
    Setting,
    Type,
    Value,
    less,
    misfit,
    more,
    plain,
    value_of,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FEATURES = {
    "import": Feature("import", Kind.BOOLEAN),
    "products": Feature("products", Kind.METERED, unit="products"),
    "mails": Feature("mails", Kind.METERED, unit="mails", period=Period.MONTH),
    "rate": Feature(
        "rate",
        Kind.CONFIGURATION,
        schema=Schema(Type.RATE_LIMIT),
        default=Setting(Type.RATE_LIMIT, RateLimit(1.0, 1)),
    ),
    "theme": Feature("theme", Kind.CONFIGURATION, schema=Schema(Type.TEXT), default=Setting(Type.TEXT, "plain")),
    "depth": Feature("depth", Kind.CONFIGURATION, schema=Schema(Type.INTEGER), default=Setting(Type.INTEGER, 0)),
}
ORDERED = ("products", "mails", "rate", "depth")
TENANTS = [f"00000000-0000-7000-8000-{number:012}" for number in range(4)]
CLUSTERS = ("eu-1", "us-1")

units = st.integers(0, 10)


def quotas(period: Period) -> st.SearchStrategy[Quota]:
    return st.builds(Quota, st.none() | units, st.just(period), st.booleans(), units)


VALUES: dict[str, st.SearchStrategy[Value]] = {
    "import": st.booleans(),
    "products": quotas(Period.STANDING),
    "mails": quotas(Period.MONTH),
    "rate": st.builds(Setting, st.just(Type.RATE_LIMIT), st.builds(RateLimit, st.floats(1, 9), st.integers(1, 9))),
    "theme": st.builds(Setting, st.just(Type.TEXT), st.sampled_from(("dark", "light"))),
    "depth": st.builds(Setting, st.just(Type.INTEGER), st.integers(-5, 5)),
}
feature_ids = st.sampled_from(sorted(FEATURES))
expiry = st.none() | st.sampled_from((NOW - timedelta(hours=1), NOW + timedelta(hours=1)))


@st.composite
def extras(draw: st.DrawFn) -> Extra:
    feature_id = draw(feature_ids)
    if FEATURES[feature_id].kind is Kind.METERED and draw(st.booleans()):
        return Extra(feature_id, None, draw(st.integers(1, 9)))
    return Extra(feature_id, draw(VALUES[feature_id]))


@st.composite
def attached(draw: st.DrawFn, id: str) -> Attached:
    given = draw(st.lists(extras(), max_size=3, unique_by=lambda each: each.feature_id))
    return Attached(id, tuple(given), draw(st.integers(1, 3)), "because", draw(expiry))


@st.composite
def overrides(draw: st.DrawFn, feature_id: str, action: Action) -> Override:
    value = None if action is Action.REMOVE else draw(VALUES[feature_id])
    return Override(f"o-{feature_id}-{action}", TENANTS[0], feature_id, action, value, "because", draw(expiry))


def wanted_actions(feature_id: str) -> list[Action]:
    return [action for action in Action if feature_id in ORDERED or action in (Action.ADD, Action.REMOVE)]


pairs = [(feature_id, action) for feature_id in sorted(FEATURES) for action in wanted_actions(feature_id)]


@st.composite
def situations(draw: st.DrawFn) -> Given:
    plan = {each: draw(VALUES[each]) for each in draw(st.sets(feature_ids))}
    add_ons = [draw(attached(id)) for id in draw(st.sets(st.sampled_from(("a", "b", "c"))))]
    overriding = [draw(overrides(*pair)) for pair in draw(st.sets(st.sampled_from(pairs), max_size=5))]
    rolled = [
        Rollout(feature_id, cluster_id, draw(st.integers(0, EVERYONE)))
        for feature_id, cluster_id in draw(
            st.sets(st.tuples(feature_ids, st.sampled_from(("", *CLUSTERS))), max_size=4)
        )
    ]
    killing = [
        KillSwitch(f"k-{number}", feature_id, tenant_id, cluster_id, "because", draw(expiry))
        for number, (feature_id, tenant_id, cluster_id) in enumerate(
            sorted(
                draw(
                    st.sets(
                        st.one_of(
                            st.tuples(feature_ids, st.just(""), st.sampled_from(("", *CLUSTERS))),
                            st.tuples(feature_ids, st.sampled_from(TENANTS[:2]), st.just("")),
                        ),
                        max_size=2,
                    )
                )
            )
        )
    ]
    return Given(
        tenant_id=TENANTS[0],
        cluster_id=draw(st.sampled_from(CLUSTERS)),
        plan_id="gold",
        plan_version=3,
        plan=plan,
        features=FEATURES,
        attached=add_ons,
        overrides=overriding,
        rollouts=rolled,
        kill_switches=killing,
    )


def changed(situation: Given, **fields: object) -> Given:
    names = situation.__dataclass_fields__
    return Given(**{**{name: getattr(situation, name) for name in names}, **fields})  # type: ignore[arg-type]


def of(situation: Given, feature_id: str, now: datetime | None = NOW) -> Effective | None:
    return next((each for each in effective(situation, now).entries if each.feature_id == feature_id), None)


@given(situations())
def test_the_same_is_computed_twice(situation: Given) -> None:
    one, other = effective(situation, NOW), effective(situation, NOW)
    assert one == other
    assert one.hash == other.hash


@given(situations(), st.randoms())
def test_the_order_in_which_things_were_set_does_not_matter(situation: Given, random: object) -> None:
    shuffled = {}
    for name in ("attached", "overrides", "rollouts", "kill_switches"):
        many = list(getattr(situation, name))
        random.shuffle(many)  # type: ignore[attr-defined]
        shuffled[name] = many
    assert effective(changed(situation, **shuffled), NOW) == effective(situation, NOW)


@given(situations(), feature_ids, st.sampled_from(("", "tenant", "cluster")))
def test_a_kill_switch_wins(situation: Given, feature_id: str, scope: str) -> None:
    switch = KillSwitch(
        "zz",
        feature_id,
        situation.tenant_id if scope == "tenant" else "",
        situation.cluster_id if scope == "cluster" else "",
    )
    killed = changed(situation, kill_switches=[*situation.kill_switches, switch])
    found = of(killed, feature_id)
    if found is not None:
        assert not found.enabled
        assert found.sources[-1].kind is SourceKind.KILL_SWITCH
        assert found.sources[-1].effect is Effect.KILLED
    others = [each for each in effective(situation, NOW).entries if each.feature_id != feature_id]
    assert [each for each in effective(killed, NOW).entries if each.feature_id != feature_id] == others


@given(situations(), feature_ids)
def test_anothers_kill_switch_does_nothing(situation: Given, feature_id: str) -> None:
    elsewhere = next(each for each in CLUSTERS if each != situation.cluster_id)
    for switch in (KillSwitch("zz", feature_id, TENANTS[1]), KillSwitch("zz", feature_id, cluster_id=elsewhere)):
        with_it = changed(situation, kill_switches=[*situation.kill_switches, switch])
        assert effective(with_it, NOW) == effective(situation, NOW)


@given(situations(), feature_ids)
def test_a_removal_wins_over_whatever_gives(situation: Given, feature_id: str) -> None:
    removal = Override("zz", situation.tenant_id, feature_id, Action.REMOVE, None)
    kept = [each for each in situation.overrides if (each.feature_id, each.action) != (feature_id, Action.REMOVE)]
    found = of(changed(situation, overrides=[*kept, removal]), feature_id)
    assert found is not None
    assert not found.enabled


@given(situations(), st.data())
def test_raising_never_lowers_and_lowering_never_raises(situation: Given, data: st.DataObject) -> None:
    feature_id = data.draw(st.sampled_from(ORDERED))
    value = data.draw(VALUES[feature_id])
    kept = [each for each in situation.overrides if each.feature_id != feature_id or each.action is Action.ADD]
    plain_one = of(changed(situation, overrides=kept), feature_id)
    for action in (Action.RAISE, Action.LOWER):
        override = Override("zz", situation.tenant_id, feature_id, action, value)
        found = of(changed(situation, overrides=[*kept, override]), feature_id)
        assert found is not None
        if plain_one is None or not plain_one.enabled:
            assert not found.enabled
        elif action is Action.RAISE:
            assert more(plain_one.value, found.value) == found.value
        else:
            assert less(plain_one.value, found.value) == found.value


@given(situations(), feature_ids, st.integers(0, EVERYONE), st.integers(0, EVERYONE))
def test_a_rollout_that_grows_takes_nobody_out(situation: Given, feature_id: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    rest = [each for each in situation.rollouts if each.feature_id != feature_id]
    before = of(changed(situation, rollouts=[*rest, Rollout(feature_id, "", small)]), feature_id)
    after = of(changed(situation, rollouts=[*rest, Rollout(feature_id, "", large)]), feature_id)
    if before is not None and before.enabled:
        # An override may have given it before the rollout arrived: then where it comes from changes, and nothing else.
        assert after is not None
        assert (after.enabled, after.value) == (True, before.value)
    everyone = of(changed(situation, rollouts=[*rest, Rollout(feature_id, "", EVERYONE)]), feature_id)
    without = of(changed(situation, rollouts=rest), feature_id)
    if without is not None:
        assert everyone is not None
        assert (everyone.enabled, everyone.value) == (without.enabled, without.value)


@given(situations(), feature_ids)
def test_an_override_adds_before_the_rollout_arrives(situation: Given, feature_id: str) -> None:
    value = situation.plan.get(feature_id, FEATURES[feature_id].default or True)
    if FEATURES[feature_id].kind is Kind.METERED:
        value = Quota(5, FEATURES[feature_id].period)
    alone = changed(
        situation,
        attached=(),
        kill_switches=(),
        rollouts=[Rollout(feature_id, "", 0)],
        overrides=[Override("zz", situation.tenant_id, feature_id, Action.ADD, value)],
    )
    found = of(alone, feature_id)
    assert found is not None
    assert found.value == value


def test_a_rollout_reaches_about_its_share_and_features_differ() -> None:
    tenants = [f"tenant-{number}" for number in range(10_000)]
    reached = {each for each in tenants if bucket("import", each) < 2_000}
    assert 1_800 < len(reached) < 2_200
    others = {each for each in tenants if bucket("products", each) < 2_000}
    assert 250 < len(reached & others) < 550, "the same tenants would get everything first"


@given(situations(), feature_ids)
def test_a_clusters_rollout_counts_more_than_the_features(situation: Given, feature_id: str) -> None:
    both = changed(
        situation,
        overrides=(),
        kill_switches=(),
        rollouts=[Rollout(feature_id, "", EVERYONE), Rollout(feature_id, situation.cluster_id, 0)],
    )
    found = of(both, feature_id)
    assert found is None or not found.enabled


@given(situations())
def test_everything_that_decided_is_told(situation: Given) -> None:
    found = effective(situation, NOW)
    for each in found.entries:
        assert each.sources, "nothing is there without a cause"
        told = {(source.kind, source.id) for source in each.sources}
        if each.feature_id in situation.plan:
            assert (SourceKind.PLAN, "gold/3") in told
        for override in situation.overrides:
            holds = override.expire_time is None or override.expire_time > NOW
            assert ((SourceKind.OVERRIDE, override.id) in told) == (override.feature_id == each.feature_id and holds)
        for add_on in situation.attached:
            holds = add_on.expire_time is None or add_on.expire_time > NOW
            gives = any(extra.feature_id == each.feature_id for extra in add_on.extras)
            assert ((SourceKind.ADD_ON, add_on.add_on_id) in told) == (gives and holds)
        taken = steps(situation, each.feature_id, NOW)
        assert tuple(step.source for step in taken) == each.sources
        last = taken[-1].value
        assert each.enabled == (last is not None and last is not False)
        if last is not None:
            assert each.value == last


@given(situations(), situations())
def test_hashes_are_equal_exactly_when_sets_are(one: Given, other: Given) -> None:
    first, second = effective(one, NOW), effective(other, NOW)
    assert (first == second) == (first.hash == second.hash)
    for mine, theirs in zip(first.entries, second.entries, strict=False):
        assert (mine == theirs) == (mine.hash == theirs.hash)


@given(situations(), situations())
def test_the_differences_make_the_one_set_the_other(one: Given, other: Given) -> None:
    before, after = effective(one, NOW), effective(other, NOW)
    changes, removed = differences(before.entries, after.entries)
    built = {each.feature_id: each for each in before.entries if each.feature_id not in removed}
    built.update({each.feature_id: each for each in changes})
    assert tuple(built[key] for key in sorted(built)) == after.entries
    assert differences(after.entries, after.entries) == ([], [])


@given(situations())
def test_what_has_expired_is_as_if_it_had_never_been(situation: Given) -> None:
    def holding(many: object) -> list[object]:
        return [each for each in many if each.expire_time is None or each.expire_time > NOW]  # type: ignore[attr-defined]

    names = ("attached", "overrides", "kill_switches")
    without = changed(situation, **{name: holding(getattr(situation, name)) for name in names})
    assert effective(situation, NOW) == effective(without, None)


@given(st.sampled_from(sorted(VALUES)).flatmap(lambda each: VALUES[each]))
def test_a_value_is_stored_as_it_is(value: Value) -> None:
    assert value_of(plain(value)) == value


@given(st.data())
def test_more_and_less_do_not_care_about_order(data: st.DataObject) -> None:
    values = VALUES[data.draw(st.sampled_from(ORDERED))]
    one, other, third = data.draw(values), data.draw(values), data.draw(values)
    for joined in (more, less):
        assert joined(one, other) == joined(other, one)
        assert joined(joined(one, other), third) == joined(one, joined(other, third))
        assert joined(one, one) == one


def test_a_schema_says_what_does_not_fit() -> None:
    short = Schema(Type.TEXT, maximum=3, allowed=("abc", "de"))
    assert misfit(short, Setting(Type.TEXT, "abc")) == ""
    assert "characters" in misfit(short, Setting(Type.TEXT, "abcd"))
    assert "none of those" in misfit(short, Setting(Type.TEXT, "x"))
    assert "of type" in misfit(short, Setting(Type.INTEGER, 1))
    listed = Schema(Type.TEXT_LIST, maximum=2, max_items=2)
    assert misfit(listed, Setting(Type.TEXT_LIST, ("a", "b"))) == ""
    assert "more than 2" in misfit(listed, Setting(Type.TEXT_LIST, ("a", "b", "c")))
    assert "twice" in misfit(listed, Setting(Type.TEXT_LIST, ("a", "a")))
    rated = Schema(Type.RATE_LIMIT, max_per_second=10, max_burst=20)
    assert "a second" in misfit(rated, Setting(Type.RATE_LIMIT, RateLimit(11, 5)))
    assert "burst" in misfit(rated, Setting(Type.RATE_LIMIT, RateLimit(5, 21)))
