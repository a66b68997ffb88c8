"""The life of plans, versions and add-ons, and what may be said of a feature."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from control.features.domain import Action, Extra, Feature, KillSwitch, Override, State
from control.features.values import Kind, Quota, Schema, Setting, Value, comparable, contradiction, misfit, text_of
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound, check_etag


class VersionState(StrEnum):
    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


PUBLISHED = (VersionState.ACTIVE, VersionState.ARCHIVED)


@dataclass(frozen=True, slots=True)
class Plan:
    """active_version: 0 while none is published."""

    id: str
    display_name: str
    description: str
    create_time: datetime
    update_time: datetime
    active_version: int = 0
    latest_version: int = 0
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """edit: counts the changes of the row."""

    plan_id: str
    version: int
    features: Mapping[str, Value]
    create_time: datetime
    update_time: datetime
    state: VersionState = VersionState.DRAFT
    note: str = ""
    effective_time: datetime | None = None
    archive_time: datetime | None = None
    edit: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.edit)


@dataclass(frozen=True, slots=True)
class AddOn:
    id: str
    display_name: str
    description: str
    extras: tuple[Extra, ...]
    create_time: datetime
    update_time: datetime
    state: State = State.ACTIVE
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Attachment:
    tenant_id: str
    add_on_id: str
    quantity: int
    create_time: datetime
    reason: str = ""
    expire_time: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """A plan that a tenant gets at a time. pinned_version: 0 follows the plan's active version."""

    tenant_id: str
    plan_id: str
    pinned_version: int
    assign_time: datetime
    reason: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a draft from being published. feature_id: empty when it concerns the whole version."""

    feature_id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """What one tenant has of its own, and the revision of the last change of it."""

    tenant_id: str
    pinned_plan_id: str = ""
    pinned_version: int = 0
    revision: int = 0
    attachments: tuple[Attachment, ...] = field(default=())
    overrides: tuple[Override, ...] = field(default=())
    kill_switches: tuple[KillSwitch, ...] = field(default=())


def check_feature(feature: Feature) -> None:
    """Rules of a definition that the contract cannot state."""
    if feature.kind is Kind.METERED and not feature.unit:
        raise _schema_invalid("feature.metered.unit", "what is counted has a name")
    if feature.schema is None or feature.default is None:
        return
    if why := contradiction(feature.schema):
        raise _schema_invalid("feature.configuration.schema", why)
    if why := misfit(feature.schema, feature.default):
        raise _schema_invalid("feature.configuration.default_value", why)


def _schema_invalid(path: str, why: str) -> InvalidArgument:
    return InvalidArgument("SCHEMA_INVALID", why, fields={path: why})


def check_schema_change(feature: Feature, schema: Schema, in_use: Iterable[tuple[str, Value]]) -> None:
    """in_use: (where, value) of every value that somebody has or may get."""
    if feature.schema is not None and schema.type is not feature.schema.type:
        raise _schema_invalid("feature.configuration.schema", f"the type stays {feature.schema.type}")
    for place, value in in_use:
        if isinstance(value, Setting) and (why := misfit(schema, value)):
            raise FailedPrecondition("FEATURE_IN_USE", f"the value in {place} would not fit: {why}", place=place)


def flaw(feature: Feature, value: Value) -> str:
    """Why a value cannot be the feature's; empty when it can."""
    if feature.kind is Kind.BOOLEAN:
        return "" if isinstance(value, bool) else "the feature is boolean"
    if feature.kind is Kind.METERED:
        if not isinstance(value, Quota):
            return "the feature is metered: give a quota"
        if value.period is not feature.period:
            return f"the feature is counted by {feature.period.lower()}, not by {value.period.lower()}"
        return ""
    if not isinstance(value, Setting) or feature.schema is None:
        return "the feature is a setting"
    return misfit(feature.schema, value)


def check_value(features: Mapping[str, Feature], feature_id: str, value: Value, path: str) -> None:
    """NotFound FEATURE_NOT_FOUND, FailedPrecondition FEATURE_ARCHIVED, InvalidArgument VALUE_INVALID."""
    feature = check_usable(features, feature_id)
    if why := flaw(feature, value):
        raise value_invalid(path, f"{feature_id}: {why}")


def check_usable(features: Mapping[str, Feature], feature_id: str) -> Feature:
    feature = features.get(feature_id)
    if feature is None:
        raise feature_not_found(feature_id)
    if feature.state is State.ARCHIVED:
        raise FailedPrecondition("FEATURE_ARCHIVED", f"feature {feature_id} is archived", id=feature_id)
    return feature


def feature_not_found(feature_id: str) -> NotFound:
    return NotFound("FEATURE_NOT_FOUND", f"there is no feature {feature_id}", id=feature_id)


def value_invalid(path: str, why: str) -> InvalidArgument:
    return InvalidArgument("VALUE_INVALID", why, fields={path: why})


def repeated(path: str, feature_id: str) -> InvalidArgument:
    why = f"feature {feature_id} stands twice"
    return InvalidArgument("FEATURE_REPEATED", why, fields={path: why})


def check_extras(features: Mapping[str, Feature], extras: Sequence[Extra], kept: Iterable[str], path: str) -> None:
    """kept: features that the add-on has had before, which may be archived since."""
    seen: set[str] = set()
    for extra in extras:
        if extra.feature_id in seen:
            raise repeated(path, extra.feature_id)
        seen.add(extra.feature_id)
        feature = features.get(extra.feature_id)
        if feature is None or extra.feature_id not in kept:
            feature = check_usable(features, extra.feature_id)
        if extra.grant is not None:
            why = flaw(feature, extra.grant)
        else:
            why = "" if feature.kind is Kind.METERED else "extra units are of metered features"
        if why:
            raise value_invalid(path, f"{extra.feature_id}: {why}")


def check_override(features: Mapping[str, Feature], override: Override) -> None:
    feature = check_usable(features, override.feature_id)
    if override.value is None:
        return
    path = f"override.{override.action.lower()}"
    if why := flaw(feature, override.value):
        raise value_invalid(path, f"{override.feature_id}: {why}")
    if override.action in (Action.RAISE, Action.LOWER) and not comparable(override.value):
        why = "has no more and less: use add"
        raise InvalidArgument("VALUE_WITHOUT_ORDER", f"{override.feature_id} {why}", fields={path: why})


def check_future(time: datetime | None, now: datetime, path: str) -> None:
    if time is not None and time <= now:
        raise InvalidArgument("TIME_PAST", f"{path} is past", fields={path: "is past"})


def problems(version: PlanVersion, features: Mapping[str, Feature]) -> list[Problem]:
    """Everything that keeps a draft from being published."""
    found = [] if version.features else [Problem("", "VERSION_EMPTY", "the version gives no feature")]
    for feature_id, value in sorted(version.features.items()):
        feature = features.get(feature_id)
        if feature is None:
            found.append(Problem(feature_id, "FEATURE_NOT_FOUND", f"there is no feature {feature_id}"))
        elif feature.state is State.ARCHIVED:
            found.append(Problem(feature_id, "FEATURE_ARCHIVED", f"feature {feature_id} is archived"))
        elif why := flaw(feature, value):
            found.append(Problem(feature_id, "VALUE_INVALID", f"{feature_id}: {why}"))
    return found


def edit(version: PlanVersion, etag: str, now: datetime, *, features: Mapping[str, Value], note: str) -> PlanVersion:
    check_etag("version", _name(version), version.etag, etag)
    check_draft(version)
    return replace(version, features=features, note=note, update_time=now, edit=version.edit + 1)


def check_draft(version: PlanVersion) -> None:
    if version.state is not VersionState.DRAFT:
        raise FailedPrecondition(
            "PLAN_VERSION_PUBLISHED",
            f"{_name(version)} is {version.state.lower()}: make a new version",
            state=version.state,
        )


def check_publishable(version: PlanVersion, etag: str, features: Mapping[str, Feature]) -> None:
    check_etag("version", _name(version), version.etag, etag)
    check_draft(version)
    if found := problems(version, features):
        why = "; ".join(each.message for each in found)
        raise FailedPrecondition("PLAN_VERSION_INVALID", f"{_name(version)} cannot be published: {why}"[:2000])


def schedule(version: PlanVersion, time: datetime, now: datetime) -> PlanVersion:
    return replace(version, state=VersionState.SCHEDULED, effective_time=time, update_time=now, edit=version.edit + 1)


def activate(version: PlanVersion, now: datetime) -> PlanVersion:
    effective_time = version.effective_time if version.state is VersionState.SCHEDULED else now
    return replace(
        version, state=VersionState.ACTIVE, effective_time=effective_time, update_time=now, edit=version.edit + 1
    )


def archive(version: PlanVersion, now: datetime) -> PlanVersion:
    # Of one that was never in effect nothing says that it was.
    effective_time = version.effective_time if version.state is VersionState.ACTIVE else None
    return replace(
        version,
        state=VersionState.ARCHIVED,
        effective_time=effective_time,
        archive_time=now,
        update_time=now,
        edit=version.edit + 1,
    )


def check_archivable(version: PlanVersion, etag: str, tenant_count: int) -> None:
    check_etag("version", _name(version), version.etag, etag)
    if version.state is VersionState.ARCHIVED:
        raise FailedPrecondition("PLAN_VERSION_ARCHIVED", f"{_name(version)} is archived already")
    if version.state is VersionState.ACTIVE and tenant_count:
        raise FailedPrecondition(
            "PLAN_IN_USE", f"{tenant_count} tenants are on plan {version.plan_id}", tenant_count=str(tenant_count)
        )


def _name(version: PlanVersion) -> str:
    return f"{version.plan_id}/{version.version}"


@dataclass(frozen=True, slots=True)
class Difference:
    """None: the feature is not there."""

    feature_id: str
    before: Value | None
    after: Value | None


def diff(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[Difference]:
    return [
        Difference(feature_id, before.get(feature_id), after.get(feature_id))
        for feature_id in sorted(before.keys() | after.keys())
        if before.get(feature_id) != after.get(feature_id)
    ]


def facts_of_feature(feature: Feature) -> dict[str, str]:
    """The feature as flat texts in the contract's names, for the audit to compare."""
    return {
        "kind": feature.kind,
        "display_name": feature.display_name,
        "description": feature.description,
        "metered.unit": feature.unit,
        "metered.period": feature.period if feature.kind is Kind.METERED else "",
        "configuration.schema": str(feature.schema or ""),
        "configuration.default_value": text_of(feature.default),
        "state": feature.state,
    }


def facts_of_version(version: PlanVersion) -> dict[str, str]:
    return {
        "state": version.state,
        "note": version.note,
        "effective_time": version.effective_time.isoformat() if version.effective_time else "",
        **{f"features.{key}": text_of(value) for key, value in sorted(version.features.items())},
    }


def facts_of_extras(extras: Iterable[Extra]) -> dict[str, str]:
    return {
        f"features.{extra.feature_id}": f"+{extra.units}" if extra.grant is None else text_of(extra.grant)
        for extra in extras
    }
