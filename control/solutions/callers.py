"""A solution speaks of itself only."""

from center.shared.v1 import rules_pb2
from shared.runtime.context import CallContext, current
from shared.runtime.errors import PermissionDenied

_PREFIX = "solution/"


def solution_of(call: CallContext) -> str | None:
    """The solution that calls; None when another kind of caller does."""
    return call.caller.removeprefix(_PREFIX) if call.role == rules_pb2.CALLER_SOLUTION else None


def check_yours(solution_id: str) -> None:
    """PermissionDenied SOLUTION_NOT_YOURS."""
    caller = solution_of(current())
    if caller is not None and caller != solution_id:
        raise PermissionDenied("SOLUTION_NOT_YOURS", f"solution {caller} speaks only of itself", solution_id=caller)
