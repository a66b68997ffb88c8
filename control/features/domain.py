"""What a tenant has: one pure function of plan, add-ons, rollouts, overrides and kill switches.

They count in this order, so that the order in which anything was set does not matter: the plan gives; add-ons give
more; a rollout holds back what those two gave; overrides add, raise, lower and remove; a kill switch takes away.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from control.features.values import Kind, Period, Quota, Schema, Setting, Value, less, more, plain, text_of

# A rollout's share in hundredths of a per cent.
EVERYONE = 10_000


class State(StrEnum):
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


class Action(StrEnum):
    """Of an override, in the order in which they count."""

    ADD = "ADD"
    RAISE = "RAISE"
    LOWER = "LOWER"
    REMOVE = "REMOVE"


class SourceKind(StrEnum):
    PLAN = "PLAN"
    ADD_ON = "ADD_ON"
    ROLLOUT = "ROLLOUT"
    OVERRIDE = "OVERRIDE"
    KILL_SWITCH = "KILL_SWITCH"


class Effect(StrEnum):
    GRANTED = "GRANTED"
    RAISED = "RAISED"
    LOWERED = "LOWERED"
    REMOVED = "REMOVED"
    HELD_BACK = "HELD_BACK"
    KILLED = "KILLED"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Feature:
    """unit, period: of a metered one. schema, default: of a setting."""

    id: str
    kind: Kind
    display_name: str = ""
    description: str = ""
    unit: str = ""
    period: Period = Period.STANDING
    schema: Schema | None = None
    default: Setting | None = None
    state: State = State.ACTIVE
    create_time: datetime | None = None
    update_time: datetime | None = None
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Rollout:
    """cluster_id: empty for tenants whose cluster has no rollout of its own."""

    feature_id: str
    cluster_id: str
    basis_points: int
    reason: str = ""
    update_time: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """For one tenant, for a cluster's tenants, or with neither for all."""

    id: str
    feature_id: str
    tenant_id: str = ""
    cluster_id: str = ""
    reason: str = ""
    expire_time: datetime | None = None
    create_time: datetime | None = None
    caller: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Override:
    """value: None with REMOVE only."""

    id: str
    tenant_id: str
    feature_id: str
    action: Action
    value: Value | None
    reason: str = ""
    expire_time: datetime | None = None
    create_time: datetime | None = None
    caller: str = ""
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Extra:
    """What an add-on gives of one feature: at least `grant`, or `units` on top."""

    feature_id: str
    grant: Value | None = None
    units: int = 0


@dataclass(frozen=True, slots=True)
class Attached:
    """An add-on as one tenant has it."""

    add_on_id: str
    extras: tuple[Extra, ...]
    quantity: int = 1
    reason: str = ""
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """All that decides on one tenant's features. plan: the version's features; empty where none is published."""

    tenant_id: str
    cluster_id: str
    plan_id: str
    plan_version: int
    plan: Mapping[str, Value]
    features: Mapping[str, Feature]
    attached: Sequence[Attached] = ()
    overrides: Sequence[Override] = ()
    rollouts: Sequence[Rollout] = ()
    kill_switches: Sequence[KillSwitch] = ()


@dataclass(frozen=True, slots=True)
class Source:
    kind: SourceKind
    id: str
    effect: Effect
    reason: str = ""
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One source's part, and what the tenant has after it; None is nothing."""

    source: Source
    value: Value | None
    message: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What a tenant has of one feature. value: also where it is not enabled, what then holds."""

    feature_id: str
    enabled: bool
    value: Value
    sources: tuple[Source, ...]
    hash: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        content = [
            self.feature_id,
            self.enabled,
            plain(self.value),
            [[s.kind, s.id, s.effect, s.reason, _time(s.expire_time)] for s in self.sources],
        ]
        object.__setattr__(self, "hash", hashlib.sha256(_canonical(content)).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What a tenant has, by feature id."""

    plan_id: str
    plan_version: int
    entries: tuple[Effective, ...]
    hash: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        lines = [f"{self.plan_id}/{self.plan_version}", *(f"{each.feature_id} {each.hash}" for each in self.entries)]
        content = "".join(f"{line}\n" for line in lines)
        object.__setattr__(self, "hash", hashlib.sha256(content.encode()).hexdigest()[:32])


def effective(given: Given, now: datetime | None = None) -> FeatureSet:
    """What the tenant has: an entry for each feature that its plan, an add-on or an override of its names.

    now: leaves out what has expired by then; None takes everything as it is recorded.
    """
    named = set(given.plan)
    named.update(extra.feature_id for each in given.attached if _holds(each, now) for extra in each.extras)
    named.update(each.feature_id for each in given.overrides if _holds(each, now))
    entries = []
    for feature_id in sorted(named & given.features.keys()):
        taken = steps(given, feature_id, now)
        entries.append(entry(given.features[feature_id], taken))
    return FeatureSet(given.plan_id, given.plan_version, tuple(entries))


def entry(feature: Feature, taken: Sequence[Step]) -> Effective:
    value = taken[-1].value if taken else None
    enabled = value is not None and value is not False
    held = absent(feature) if value is None else value
    return Effective(feature.id, enabled, held, tuple(step.source for step in taken))


def steps(given: Given, feature_id: str, now: datetime | None = None) -> list[Step]:
    """What each source does to one feature, in the order in which they count."""
    taken: list[Step] = []
    value: Value | None = None

    def took(kind: SourceKind, id: str, effect: Effect, message: str, cause: Any = None) -> None:
        reason, expire_time = (cause.reason, cause.expire_time) if cause is not None else ("", None)
        taken.append(Step(Source(kind, id, effect, reason, expire_time), value, message))

    if feature_id in given.plan:
        value = given.plan[feature_id]
        took(SourceKind.PLAN, f"{given.plan_id}/{given.plan_version}", Effect.GRANTED, f"the plan gives {_say(value)}")
    attached = sorted((each for each in given.attached if _holds(each, now)), key=lambda each: each.add_on_id)
    extras = [(each, extra) for each in attached for extra in each.extras if extra.feature_id == feature_id]
    # What is on top comes last: then it is on top of the same whichever add-on is looked at first.
    for each, extra in sorted(extras, key=lambda pair: pair[1].grant is None):
        before = value
        if extra.grant is not None:
            value = extra.grant if before is None else more(before, extra.grant)
        else:
            value = _plus(before, extra.units * each.quantity, given.features[feature_id])
        gain = Effect.GRANTED if before is None else Effect.NONE if value == before else Effect.RAISED
        took(SourceKind.ADD_ON, each.add_on_id, gain, f"the add-on makes it {_say(value)}", each)
    rollout = _rollout(given, feature_id)
    if rollout is not None and value is not None:
        id = f"{feature_id}/{rollout.cluster_id}" if rollout.cluster_id else feature_id
        share, place = f"{rollout.basis_points / 100:g} %", bucket(feature_id, given.tenant_id)
        if place < rollout.basis_points:
            took(
                SourceKind.ROLLOUT, id, Effect.NONE, f"the rollout to {share} has reached the tenant ({place / 100} %)"
            )
        else:
            value = None
            took(SourceKind.ROLLOUT, id, Effect.HELD_BACK, f"the rollout to {share} ends before {place / 100} %")
    mine = [each for each in given.overrides if each.feature_id == feature_id and _holds(each, now)]
    for override in sorted(mine, key=lambda each: (tuple(Action).index(each.action), each.id)):
        before, wanted = value, override.value
        if override.action is Action.REMOVE:
            value, effect = None, Effect.REMOVED
        elif override.action is Action.ADD:
            value, effect = wanted, Effect.GRANTED
        elif before is None or wanted is None:
            effect = Effect.NONE
        elif override.action is Action.RAISE:
            value = more(before, wanted)
            effect = Effect.NONE if value == before else Effect.RAISED
        else:
            value = less(before, wanted)
            effect = Effect.NONE if value == before else Effect.LOWERED
        message = f"the override {_ACTIONS[override.action]}: {_say(value)}"
        took(SourceKind.OVERRIDE, override.id, effect, message, override)
    killing = [k for k in given.kill_switches if k.feature_id == feature_id and _holds(k, now) and _in_scope(k, given)]
    for switch in sorted(killing, key=lambda each: each.id):
        value = None
        scope = (
            "the tenant" if switch.tenant_id else f"cluster {switch.cluster_id}" if switch.cluster_id else "everyone"
        )
        took(SourceKind.KILL_SWITCH, switch.id, Effect.KILLED, f"a kill switch takes it away from {scope}", switch)
    return taken


_ACTIONS = {Action.ADD: "gives it", Action.RAISE: "raises it", Action.LOWER: "lowers it", Action.REMOVE: "removes it"}


def absent(feature: Feature) -> Value:
    """What holds for a tenant that does not have the feature."""
    if feature.kind is Kind.BOOLEAN:
        return False
    if feature.kind is Kind.METERED:
        return Quota(0, feature.period)
    assert feature.default is not None
    return feature.default


def bucket(feature_id: str, tenant_id: str) -> int:
    """Where a tenant stands in the rollouts of a feature, from 0 to 9999: always the same place."""
    digest = hashlib.sha256(f"{feature_id}/{tenant_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * EVERYONE >> 64


def _rollout(given: Given, feature_id: str) -> Rollout | None:
    mine = [each for each in given.rollouts if each.feature_id == feature_id]
    own = next((each for each in mine if each.cluster_id and each.cluster_id == given.cluster_id), None)
    return own or next((each for each in mine if not each.cluster_id), None)


def _in_scope(switch: KillSwitch, given: Given) -> bool:
    if switch.tenant_id:
        return switch.tenant_id == given.tenant_id
    return not switch.cluster_id or switch.cluster_id == given.cluster_id


def _holds(each: Attached | Override | KillSwitch, now: datetime | None) -> bool:
    return now is None or each.expire_time is None or each.expire_time > now


def _plus(value: Value | None, units: int, feature: Feature) -> Value:
    if value is None:
        return Quota(units, feature.period)
    if isinstance(value, Quota):
        limit = None if value.limit is None else value.limit + units
        return Quota(limit, value.period, value.soft, value.rollover_limit)
    return value


def differences(before: Iterable[Effective], after: Iterable[Effective]) -> tuple[list[Effective], list[str]]:
    """(new or changed entries, ids of those that are gone)."""
    old = {each.feature_id: each.hash for each in before}
    changed = []
    for each in after:
        if old.pop(each.feature_id, None) != each.hash:
            changed.append(each)
    return changed, sorted(old)


def _say(value: Value | None) -> str:
    return "nothing" if value is None else text_of(value)


def _time(time: datetime | None) -> str:
    return "" if time is None else time.isoformat()


def _canonical(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
