"""Plans, versions, add-ons and assignments in the contract's words."""

from collections.abc import Iterable, Mapping

from center.control.v1 import plan_service_pb2 as pb
from control.features import messages
from control.features.domain import Extra
from control.features.values import Value
from control.plans.domain import AddOn, Assignment, Attachment, Plan, PlanVersion, Problem, repeated
from control.tenants.messages import timestamp


def plan(of: Plan, revision: int | None = None) -> pb.Plan:
    """revision: what the change that is being written has got, for a plan that was read before it."""
    return pb.Plan(
        id=of.id,
        display_name=of.display_name,
        description=of.description,
        active_version=of.active_version,
        latest_version=of.latest_version,
        create_time=timestamp(of.create_time),
        update_time=timestamp(of.update_time),
        etag=of.etag,
        revision=of.revision if revision is None else revision,
    )


def version(of: PlanVersion, problems: Iterable[Problem] = (), revision: int | None = None) -> pb.PlanVersion:
    return pb.PlanVersion(
        plan_id=of.plan_id,
        version=of.version,
        state=f"PLAN_VERSION_STATE_{of.state}",
        features=plan_features(of.features),
        note=of.note,
        create_time=timestamp(of.create_time),
        update_time=timestamp(of.update_time),
        effective_time=timestamp(of.effective_time),
        archive_time=timestamp(of.archive_time),
        problems=[problem(each) for each in problems],
        etag=of.etag,
        revision=of.revision if revision is None else revision,
    )


def plan_features(of: Mapping[str, Value]) -> list[pb.PlanFeature]:
    return [pb.PlanFeature(feature_id=key, value=messages.value(value)) for key, value in sorted(of.items())]


def features_of(given: Iterable[pb.PlanFeature], path: str) -> dict[str, Value]:
    """InvalidArgument FEATURE_REPEATED."""
    found: dict[str, Value] = {}
    for each in given:
        if each.feature_id in found:
            raise repeated(path, each.feature_id)
        found[each.feature_id] = messages.value_of(each.value)
    return found


def problem(of: Problem) -> pb.PlanVersionProblem:
    return pb.PlanVersionProblem(feature_id=of.feature_id, reason=of.reason, message=of.message)


def add_on(of: AddOn, revision: int | None = None) -> pb.AddOn:
    return pb.AddOn(
        id=of.id,
        display_name=of.display_name,
        description=of.description,
        features=[_extra(each) for each in of.extras],
        state=f"ADD_ON_STATE_{of.state}",
        create_time=timestamp(of.create_time),
        update_time=timestamp(of.update_time),
        etag=of.etag,
        revision=of.revision if revision is None else revision,
    )


def _extra(of: Extra) -> pb.AddOnFeature:
    if of.grant is None:
        return pb.AddOnFeature(feature_id=of.feature_id, extra_units=of.units)
    return pb.AddOnFeature(feature_id=of.feature_id, grant=messages.value(of.grant))


def extras_of(given: Iterable[pb.AddOnFeature]) -> tuple[Extra, ...]:
    return tuple(
        Extra(each.feature_id, messages.value_of(each.grant))
        if each.HasField("grant")
        else Extra(each.feature_id, None, each.extra_units)
        for each in given
    )


def attachment(of: Attachment, revision: int | None = None) -> pb.Attachment:
    return pb.Attachment(
        tenant_id=of.tenant_id,
        add_on_id=of.add_on_id,
        quantity=of.quantity,
        expire_time=timestamp(of.expire_time),
        create_time=timestamp(of.create_time),
        revision=of.revision if revision is None else revision,
    )


def assignment(of: Assignment) -> pb.PlanAssignment:
    return pb.PlanAssignment(
        tenant_id=of.tenant_id,
        plan_id=of.plan_id,
        pinned_version=of.pinned_version,
        assign_time=timestamp(of.assign_time),
        reason=of.reason,
        create_time=timestamp(of.create_time),
    )
