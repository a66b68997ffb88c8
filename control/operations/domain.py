"""Long work in steps: what an operation is, and how it goes from one step to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from control.backoff import Backoff
from shared.runtime.errors import FailedPrecondition, PlatformError

backoff_s = Backoff(first_s=0.5, last_s=15.0).delay_s


class Kind(StrEnum):
    PROVISION = "PROVISION"
    MOVE = "MOVE"
    PURGE = "PURGE"
    ERASE = "ERASE"
    REWRAP = "REWRAP"


class State(StrEnum):
    RUNNING = "RUNNING"
    # Over for the caller, with its error: the tenant is as it was, or failed. What was begun on clusters is still
    # being taken back, for as long as that takes.
    COMPENSATING = "COMPENSATING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = (State.DONE, State.FAILED, State.CANCELLED)

# What is taken back after a failure; the same last step for every kind.
UNDO = "undo"

STEPS: Mapping[Kind, tuple[str, ...]] = {
    Kind.PROVISION: ("place", "apply", "activate"),
    Kind.MOVE: ("prepare", "freeze", "quiesce", "copy", "verify", "switch", "settle", "drain", "cleanup"),
    Kind.PURGE: ("remove", "erase"),
    Kind.ERASE: ("revoke", "shred", "confirm"),
    Kind.REWRAP: ("rewrap", "confirm"),
}

# From here on an operation goes forward only: the switch is the move's point of no return, and it is one transaction.
# A purge is asked for by time, not by a caller, and never goes back; an erasure must not, and new keys need not.
_IRREVERSIBLE: Mapping[Kind, tuple[str, ...]] = {
    Kind.PROVISION: (),
    Kind.MOVE: ("settle", "drain", "cleanup"),
    Kind.PURGE: ("remove", "erase"),
    Kind.ERASE: ("revoke", "shred", "confirm"),
    Kind.REWRAP: ("rewrap", "confirm"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a try or an operation failed; code is the name of a gRPC status."""

    code: str
    reason: str
    message: str

    @classmethod
    def of(cls, error: PlatformError) -> "Fault":
        return cls(error.code, error.reason, error.message)


CANCELLED = Fault("CANCELLED", "OPERATION_CANCELLED", "an operator cancelled the operation")


@dataclass(frozen=True, slots=True)
class Operation:
    """One piece of long work on one tenant, on one user, or on the platform's own.

    lane: what batches are made of beside kind and step; mostly the cluster that the step speaks to.
    fence: counts claims; only the latest claimant's word counts.
    next_attempt_time: when the step may be claimed; while a worker has it, when its lease ends.
    revision: of the operation's last change to the catalog; commands to clusters stand on it.
    """

    id: str
    kind: Kind
    step: str
    create_time: datetime
    update_time: datetime
    next_attempt_time: datetime
    tenant_id: str = ""
    user_id: str = ""
    state: State = State.RUNNING
    lane: str = ""
    attempts: int = 0
    last_error: Fault | None = None
    lease_owner: str = ""
    fence: int = 0
    cancel_requested: bool = False
    end_time: datetime | None = None
    caller: str = ""
    reason: str = ""
    trace_id: str = ""
    request_id: str = ""
    source_cluster_id: str = ""
    target_cluster_id: str = ""
    target_shard_id: str = ""
    revision: int = 0
    freeze_limit_s: int = 0
    freeze_time: datetime | None = None
    thaw_time: datetime | None = None
    rows_copied: int = 0
    # (store, what was done there), in the order in which it was done.
    touched: tuple[tuple[str, str], ...] = ()
    error: Fault | None = None

    @property
    def name(self) -> str:
        return f"operations/{self.id}"

    @property
    def is_decided(self) -> bool:
        """Whether its outcome is known, and the caller need not wait any longer."""
        return self.state is not State.RUNNING

    @property
    def is_reversible(self) -> bool:
        return self.state is State.RUNNING and self.step not in _IRREVERSIBLE[self.kind]

    @property
    def steps_done(self) -> int:
        steps = STEPS[self.kind]
        if self.state is State.DONE:
            return len(steps)
        return steps.index(self.step) if self.step in steps else 0


def advance(operation: Operation, step: str, lane: str, now: datetime) -> Operation:
    """On to the next step, for any worker to claim."""
    return replace(
        operation,
        step=step,
        lane=lane,
        attempts=0,
        last_error=None,
        lease_owner="",
        next_attempt_time=now,
        update_time=now,
    )


def wait(operation: Operation, until: datetime, now: datetime) -> Operation:
    """The step is not through yet, and nothing is wrong."""
    return replace(operation, lease_owner="", next_attempt_time=until, attempts=0, last_error=None, update_time=now)


def retry(operation: Operation, fault: Fault, delay_s: float, now: datetime) -> Operation:
    """The step failed and is tried again."""
    return replace(
        operation,
        lease_owner="",
        last_error=fault,
        next_attempt_time=now + timedelta(seconds=delay_s),
        update_time=now,
    )


def compensate(operation: Operation, fault: Fault, cluster_id: str, now: datetime) -> Operation:
    """The end is known; what the cluster has is taken back first."""
    return replace(
        advance(operation, UNDO, cluster_id, now), state=State.COMPENSATING, error=fault, target_cluster_id=cluster_id
    )


def end(operation: Operation, now: datetime) -> Operation:
    """The operation is over: with the fault it has, or well."""
    if operation.error is None:
        state = State.DONE
    else:
        state = State.CANCELLED if operation.error.code == "CANCELLED" else State.FAILED
    return replace(
        operation, state=state, end_time=now, update_time=now, lease_owner="", last_error=None, next_attempt_time=now
    )


def fail(operation: Operation, fault: Fault, now: datetime) -> Operation:
    return end(replace(operation, error=fault), now)


def request_cancel(operation: Operation, now: datetime) -> Operation:
    """Whoever claims it next takes it back; a step that runs meanwhile goes to its end."""
    if operation.lease_owner:
        return replace(operation, cancel_requested=True, update_time=now)
    return replace(operation, cancel_requested=True, update_time=now, next_attempt_time=now)


def hurry(operation: Operation, now: datetime) -> Operation:
    """Tried again now, unless a worker is at it."""
    return operation if operation.lease_owner else replace(operation, next_attempt_time=now, update_time=now)


def check_open(operation: Operation) -> None:
    if operation.is_decided:
        raise FailedPrecondition(
            "OPERATION_DONE", f"{operation.name} has ended: it is {operation.state}", operation=operation.name
        )


def facts(operation: Operation) -> dict[str, str]:
    """The operation as flat texts in the contract's names, for the audit to compare."""
    return {
        "kind": operation.kind,
        "tenant_id": operation.tenant_id,
        "user_id": operation.user_id,
        "step": operation.step,
        "cancel_requested": "true" if operation.cancel_requested else "",
        "source_cluster_id": operation.source_cluster_id,
        "target_cluster_id": operation.target_cluster_id,
        "error": operation.error.message if operation.error is not None else "",
    }
