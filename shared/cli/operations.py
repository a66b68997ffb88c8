"""center operations: long-running work, and who has applied what."""

from collections.abc import AsyncIterator
from typing import Annotated

import typer
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.rpc import code_pb2
from rich.table import Table

from center.control.v1 import operations_service_pb2 as pb
from shared.cli.call import OPERATIONS, Call, Limit, card, duration, filtered_by, metadata, operator, word

app = typer.Typer(help="Long-running work, and who has applied which change.", no_args_is_help=True)

SERVICE = pb.DESCRIPTOR.services_by_name["OperationsService"]

OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="operations/ID, or the id alone.")]


def name(reference: str) -> str:
    return reference if reference.startswith("operations/") else f"operations/{reference}"


def outcome(operation: operations_pb2.Operation) -> str:
    if not operation.done:
        return "WAITING" if metadata(operation).HasField("next_attempt_time") else "RUNNING"
    return code_pb2.Code.Name(operation.error.code) if operation.HasField("error") else "DONE"


def facts(operation: operations_pb2.Operation) -> Table:
    state = metadata(operation)
    return card(
        [
            ("name", operation.name),
            ("kind", word(pb.OperationKind, state.kind)),
            ("state", outcome(operation)),
            ("error", operation.error.message),
            ("tenant", state.tenant_id),
            ("user", state.user_id),
            ("step", f"{state.step} ({state.steps_done} of {state.steps_total})"),
            ("tries", state.attempts if state.attempts > 1 else ""),
            ("last error", state.last_error.message),
            ("next try", state.next_attempt_time),
            ("cancel requested", "yes" if state.cancel_requested else ""),
            ("from", state.source_cluster_id),
            ("to", state.target_cluster_id),
            ("rows copied", state.rows_copied or ""),
            ("writes frozen", state.write_freeze if state.HasField("write_freeze") else ""),
            ("asked by", state.caller),
            ("reason", state.reason),
            ("created", state.create_time),
            ("updated", state.update_time),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call, filter: Annotated[str, filtered_by('state = "RUNNING" AND kind = "MOVE"')] = "", limit: Limit = 1000
) -> None:
    """List operations."""
    request = operations_pb2.ListOperationsRequest(name="operations", filter=filter)
    await call.table(
        call.pages(OPERATIONS, "ListOperations", request, "operations", limit),
        "operations",
        [
            ("OPERATION", lambda o: o.name.removeprefix("operations/")),
            ("KIND", lambda o: word(pb.OperationKind, metadata(o).kind)),
            ("STATE", outcome),
            ("STEP", lambda o: metadata(o).step),
            ("TRIES", lambda o: metadata(o).attempts),
            ("TENANT", lambda o: metadata(o).tenant_id),
            ("CREATED", lambda o: metadata(o).create_time),
        ],
    )


@operator(app)
async def show(call: Call, operation: OperationArgument) -> None:
    """Show one operation."""
    request = operations_pb2.GetOperationRequest(name=name(operation))
    answer = await call(OPERATIONS, "GetOperation", request)
    call.show(answer, lambda: facts(answer))


@operator(app)
async def wait(call: Call, operation: OperationArgument) -> None:
    """Wait for an operation, and show how far it is."""
    request = operations_pb2.GetOperationRequest(name=name(operation))
    answer = await call.follow(await call(OPERATIONS, "GetOperation", request))
    call.show(answer, lambda: facts(answer))


@operator(app)
async def cancel(call: Call, operation: OperationArgument) -> None:
    """Ask an operation to stop and undo what it did."""
    await call(OPERATIONS, "CancelOperation", operations_pb2.CancelOperationRequest(name=name(operation)))
    request = operations_pb2.GetOperationRequest(name=name(operation))
    answer = await call.look_up(OPERATIONS, "GetOperation", request)
    call.show(answer, lambda: facts(answer))


@operator(app)
async def retry(call: Call, operation: OperationArgument) -> None:
    """Let an operation that waits for its next try go on at once."""
    answer = await call(SERVICE, "RetryOperation", pb.RetryOperationRequest(name=name(operation)))
    call.show(answer.operation, lambda: facts(answer.operation))


@operator(app)
async def watchers(call: Call) -> None:
    """List who watches the catalog, with what each has applied."""

    async def rows() -> AsyncIterator[pb.Watcher]:
        for watcher in (await call(SERVICE, "ListWatchers", pb.ListWatchersRequest())).watchers:
            yield watcher

    await call.table(
        rows(),
        "watchers",
        [
            ("WATCHER", lambda w: w.id),
            ("APPLIED", lambda w: w.applied_revision),
            ("LIVE", lambda w: "yes" if w.live else "no"),
            ("SEEN", lambda w: w.seen_time),
            ("REFUSALS", lambda w: len(w.refusals) or ""),
        ],
    )


@operator(app, "wait-applied")
async def wait_applied(
    call: Call,
    revision: Annotated[int, typer.Argument(min=0, help="The newest unless given.")] = 0,
    timeout: Annotated[str, typer.Option(help="How long to wait.")] = "30s",
) -> None:
    """Wait until every watcher has a revision; exit code 1 when some have not."""
    limit = duration(timeout)
    request = pb.WaitAppliedRequest(revision=revision, timeout=limit)
    answer = await call(SERVICE, "WaitApplied", request, timeout_s=limit.ToTimedelta().total_seconds() + 5)
    behind = ", ".join(f"{watcher.id} at {watcher.applied_revision}" for watcher in answer.behind)
    said = f"revision {answer.revision} is applied" if answer.applied else f"behind {answer.revision}: {behind}"
    call.show(answer, lambda: said)
    if not answer.applied:
        raise typer.Exit(1)


@operator(app)
async def status(call: Call) -> None:
    """Tell that the control plane answers, and its revision."""
    answer = await call(SERVICE, "GetPlatformStatus", pb.GetPlatformStatusRequest())
    call.show(answer, lambda: card([("name", answer.name), ("revision", answer.revision), ("time", answer.time)]))
