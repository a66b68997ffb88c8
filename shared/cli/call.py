"""How every command calls the platform, shows the answer, and says what went wrong."""

import asyncio
import functools
import inspect
import json
import re
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import grpc
import typer
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from center.control.v1 import operations_service_pb2, tenant_service_pb2
from shared.platform import ports
from shared.platform.client import Client
from shared.platform.config import Config
from shared.runtime import pki
from shared.runtime.environment import EnvironmentProblem
from shared.runtime.errors import NotFound, PlatformError
from shared.runtime.rpc.status import received

# A coroutine function with a Call in front.
Command = Callable[..., Awaitable[None]]

# Piped into a file or a script there is no width to fit, and nothing must be cut.
out = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

PAGE = 1000
OPERATION_LOOK_S = 0.2
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

TENANTS = tenant_service_pb2.DESCRIPTOR.services_by_name["TenantService"]
OPERATIONS = operations_pb2.DESCRIPTOR.services_by_name["Operations"]

_ONE = {"entries": "entry", "usage": "usage"}

# The reason that every change wants, in the operator's words.
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the operation, and show how far it is.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="The most rows to show.")]
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's code, id or domain.")]


def filtered_by(example: str) -> Any:
    """The option of a list's filter; the refusal of a wrong field names the right ones."""
    return typer.Option("--filter", "-f", help=f"AIP-160, such as '{example}'.")


_AS_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="For scripts.")],
)
_GRPCURL = inspect.Parameter(
    "print_grpcurl",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--print-grpcurl", help="Print the grpcurl call instead of making it.")],
)


class Call:
    """One run of one command."""

    def __init__(self, client: Client, *, as_json: bool, print_grpcurl: bool) -> None:
        self.client = client
        self.as_json = as_json
        self.print_grpcurl = print_grpcurl

    async def __call__(
        self, service: ServiceDescriptor, method: str, request: Message, *, timeout_s: float = 30, cluster: str = ""
    ) -> Any:
        """What the command is about; with --print-grpcurl it is printed and the command ends.

        cluster: asks that cluster, and not the plane that the service is of.
        """
        if self.print_grpcurl:
            await self._print_grpcurl(service, method, request, cluster)
        return await self.look_up(service, method, request, timeout_s=timeout_s, cluster=cluster)

    async def look_up(
        self, service: ServiceDescriptor, method: str, request: Message, *, timeout_s: float = 30, cluster: str = ""
    ) -> Any:
        """A call that only helps, made in any case."""
        found: MethodDescriptor = service.methods_by_name[method]
        unary = (await self._channel(service, cluster)).unary_unary(
            f"/{service.full_name}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        return await unary(request, timeout=timeout_s)

    async def stream(
        self, service: ServiceDescriptor, method: str, request: Message, cluster: str = ""
    ) -> AsyncIterator[Any]:
        """The answers of a server that streams."""
        if self.print_grpcurl:
            await self._print_grpcurl(service, method, request, cluster)
        found: MethodDescriptor = service.methods_by_name[method]
        streaming = (await self._channel(service, cluster)).unary_stream(
            f"/{service.full_name}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        async for answer in streaming(request):
            yield answer

    async def in_shop(
        self, tenant: str, service: ServiceDescriptor, method: str, request: Message, *, timeout_s: float = 30
    ) -> Any:
        """What the command is about, of a service that the tenant's cluster serves."""
        if self.print_grpcurl:
            tenant_id, cluster_id = await self.client.placed(id=await self.tenant_id(tenant))
            address, metadata = await self.client.endpoint(cluster_id), (("x-tenant-id", tenant_id),)
            command = grpcurl(self.client.config, address, f"{service.full_name}/{method}", request, metadata)
            out.print(command, soft_wrap=True, markup=False)
            raise typer.Exit(0)
        return await self.look_up_in_shop(tenant, service, method, request, timeout_s=timeout_s)

    async def look_up_in_shop(
        self, tenant: str, service: ServiceDescriptor, method: str, request: Message, *, timeout_s: float = 30
    ) -> Any:
        """A call that only helps, made in any case."""
        tenant_id, cluster_id = await self.client.placed(id=await self.tenant_id(tenant))
        found: MethodDescriptor = service.methods_by_name[method]
        unary = (await self.client.cluster(cluster_id)).unary_unary(
            f"/{service.full_name}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        return await unary(request, timeout=timeout_s, metadata=(("x-tenant-id", tenant_id),))

    async def pages(
        self,
        service: ServiceDescriptor,
        method: str,
        request: Any,
        items: str,
        limit: int,
        *,
        cluster: str = "",
        tenant: str = "",
    ) -> AsyncIterator[Any]:
        """The items of all pages, up to `limit`. tenant: whose cluster is asked, as in in_shop()."""
        left = limit
        while True:
            request.page_size = min(PAGE, left)
            if tenant:
                answer = await self.in_shop(tenant, service, method, request)
            else:
                answer = await self(service, method, request, cluster=cluster)
            for item in getattr(answer, items)[:left]:
                yield item
            left -= len(getattr(answer, items))
            if not answer.next_page_token or left <= 0:
                return
            request.page_token = answer.next_page_token

    async def tenant_id(self, reference: str) -> str:
        """The id of the tenant that a person means: its id, code or one of its domains."""
        if UUID.fullmatch(reference):
            return reference
        if re.fullmatch(r"[a-z0-9-]+", reference):
            request = tenant_service_pb2.ListTenantsRequest(
                filter=f'code = "{reference}"', page_size=1, show_deleted=True
            )
            for tenant in (await self.look_up(TENANTS, "ListTenants", request)).tenants:
                return str(tenant.id)
            raise NotFound("TENANT_NOT_FOUND", f"no tenant has the code {reference}", code=reference)
        resolve = tenant_service_pb2.ResolveTenantRequest(domain=reference)
        return str((await self.look_up(TENANTS, "ResolveTenant", resolve)).tenant_id)

    async def follow(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """Shows the operation's steps until it is done; exits with 1 when it failed."""
        bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[step]}"),
            console=err, transient=True, disable=self.as_json,
        )  # fmt: skip
        with bar:
            task = bar.add_task(operation.name, total=None, step="")
            while not operation.done:
                request = operations_pb2.GetOperationRequest(name=operation.name)
                operation = await self.look_up(OPERATIONS, "GetOperation", request)
                state = metadata(operation)
                step = (
                    f"{state.step}, try {state.attempts}: {state.last_error.message}"
                    if state.attempts > 1
                    else state.step
                )
                bar.update(task, total=state.steps_total or None, completed=state.steps_done, step=step)
                if not operation.done:
                    await asyncio.sleep(OPERATION_LOOK_S)
        if operation.HasField("error"):
            name = code_pb2.Code.Name(operation.error.code)
            err.print(f"[red]{operation.name} failed: {name}[/] {operation.error.message}")
            raise typer.Exit(1)
        return operation

    def show(self, message: Message, people: Callable[[], object]) -> None:
        """The message as JSON for scripts, or what `people` makes of it."""
        if self.as_json:
            out.print_json(json.dumps(plain(message)))
        else:
            shown = people()
            if shown is not None:
                out.print(shown)

    async def table(
        self, items: AsyncIterator[Any], name: str, columns: Sequence[tuple[str, Callable[[Any], object]]]
    ) -> None:
        """Rows as a table, or as {name: [...]} for scripts."""
        found = [item async for item in items]
        if self.as_json:
            out.print_json(json.dumps({name: [plain(item) for item in found]}))
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading, _ in columns:
            table.add_column(heading, overflow="fold")
        for item in found:
            table.add_row(*(text(of(item)) for _, of in columns))
        out.print(table)
        out.print(f"{len(found)} {name if len(found) != 1 else _ONE.get(name, name[:-1])}", style="dim")

    async def _channel(self, service: ServiceDescriptor, cluster: str) -> grpc.aio.Channel:
        if cluster:
            return await self.client.cluster(cluster)
        return self.client.edge() if _of_edge(service) else self.client.control()

    async def _print_grpcurl(self, service: ServiceDescriptor, method: str, request: Message, cluster: str) -> NoReturn:
        config = self.client.config
        address = config.address(ports.EDGE) if _of_edge(service) else config.control_address
        if cluster:
            address = await self.client.endpoint(cluster)
        command = grpcurl(config, address, f"{service.full_name}/{method}", request)
        out.print(command, soft_wrap=True, markup=False)
        raise typer.Exit(0)


def _of_edge(service: ServiceDescriptor) -> bool:
    return service.full_name.startswith("center.edge.")


def grpcurl(config: Config, address: str, path: str, request: Message, metadata: Sequence[tuple[str, str]] = ()) -> str:
    """The shell command that makes the same call, with the operator's certificate."""
    parts = [str(Path(sys.executable).parent / "grpcurl")]
    parts += ["-cacert", str(pki.ca_path(config.home))]
    parts += ["-cert", str(pki.cert_path(config.home, "operator"))]
    parts += ["-key", str(pki.key_path(config.home, "operator"))]
    for name, value in metadata:
        parts += ["-H", f"{name}: {value}"]
    values = plain(request)
    for field, value in request.ListFields():
        if isinstance(value, FieldMask):
            # grpcurl does not know the short JSON form of a mask.
            values[field.name] = {"paths": list(value.paths)}
    parts += ["-d", json.dumps(values), address, path]
    return shlex.join(parts)


def operator(app: typer.Typer, name: str | None = None) -> Callable[[Command], Command]:
    """Makes a coroutine with a Call in front a command of `app`, with --json and --print-grpcurl."""

    def decorate(function: Command) -> Command:
        signature = inspect.signature(function, eval_str=True)
        parameters = [
            # Typer tells arguments from options by their annotations, so order of kinds is free.
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in list(signature.parameters.values())[1:]
        ] + [_AS_JSON, _GRPCURL]

        @functools.wraps(function)
        def command(*, as_json: bool, print_grpcurl: bool, **rest: Any) -> None:
            run(lambda call: function(call, **rest), as_json=as_json, print_grpcurl=print_grpcurl)

        command.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=parameters, return_annotation=None
        )
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name)(command)
        return function

    return decorate


def run(work: Callable[[Call], Awaitable[None]], *, as_json: bool = False, print_grpcurl: bool = False) -> None:
    """Runs `work` as an operator of the platform that the environment names; refusals end with exit code 1."""
    try:
        config = Config.from_env()
        asyncio.run(_with_client(config, work, as_json, print_grpcurl))
    except EnvironmentProblem as problem:
        err.print(str(problem), style="red")
        raise typer.Exit(2) from None
    except FileNotFoundError as missing:
        if "pki" not in str(missing.filename):
            raise
        err.print(f"there are no certificates in {config.home / 'pki'}: has `center up` run here?", style="red")
        raise typer.Exit(1) from None
    except grpc.aio.AioRpcError as error:
        _explain(received(error), as_json)
        raise typer.Exit(1) from None
    except PlatformError as refusal:
        _explain(refusal, as_json)
        raise typer.Exit(1) from None


async def _with_client(
    config: Config, work: Callable[[Call], Awaitable[None]], as_json: bool, print_grpcurl: bool
) -> None:
    async with Client(config) as client:
        await work(Call(client, as_json=as_json, print_grpcurl=print_grpcurl))


def _explain(refusal: PlatformError, as_json: bool) -> None:
    if as_json:
        parts = {
            "code": refusal.code,
            "reason": refusal.reason,
            "message": refusal.message,
            "metadata": refusal.metadata,
            "violations": refusal.violations,
        }
        err.print_json(json.dumps({"error": parts}))
        return
    if refusal.reason == "TRANSPORT" and refusal.code == "UNAVAILABLE":
        err.print(f"[red]the platform does not answer[/]: {refusal.message}; `center status` shows what runs")
        return
    err.print(f"[red]{refusal.code}/{refusal.reason}[/] {refusal.message}")
    for field, why in refusal.violations.items():
        err.print(f"  [yellow]{field}[/]: {why}")
    for key, value in refusal.metadata.items():
        err.print(f"  [dim]{key}[/]: {value}")
    if refusal.retry_after_s:
        err.print(f"  [dim]try again in {refusal.retry_after_s:g} s[/]")


def metadata(operation: operations_pb2.Operation) -> operations_service_pb2.OperationMetadata:
    found = operations_service_pb2.OperationMetadata()
    operation.metadata.Unpack(found)
    return found


def plain(message: Message) -> dict[str, Any]:
    """The message as JSON values, with the contract's own field names."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def text(value: object) -> str:
    """A value in a cell."""
    if isinstance(value, Timestamp):
        return value.ToDatetime().strftime("%Y-%m-%d %H:%M:%S") if value.seconds else ""
    if isinstance(value, Duration):
        return f"{value.ToTimedelta().total_seconds():g} s"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in sorted(value.items()))
    return ", ".join(map(str, value)) if isinstance(value, Sequence) else str(value)


def word(enum: Any, number: int) -> str:
    """READ_ONLY of TENANT_MODE_READ_ONLY; UNSPECIFIED is nothing."""
    name: str = enum.Name(number)
    # The prefix is the enum's own name in capitals, as buf's rules have it.
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"
    return "" if name.endswith("_UNSPECIFIED") else name.removeprefix(prefix)


def number(enum: Any, value: str) -> Any:
    """The number of a word that a person wrote, read-only for TENANT_MODE_READ_ONLY; typer's usage error if none."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper() + "_"
    try:
        return enum.Value(prefix + value.upper().replace("-", "_"))
    except ValueError:
        words = ", ".join(w.lower().replace("_", "-") for w in (word(enum, n) for n in enum.values()) if w)
        raise typer.BadParameter(f"{value!r} is none of {words}") from None


def card(rows: Sequence[tuple[str, object]]) -> Table:
    """One thing, a line a fact; empty facts are left out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        shown = text(value)
        if shown:
            table.add_row(name, shown)
    return table


def seconds(value: str) -> float:
    """90, 90s, 15m, 2h or 7d in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value.strip())
    if found is None:
        raise typer.BadParameter(f"{value!r} is no length of time; write 90s, 15m, 2h or 7d")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def duration(value: str) -> Duration:
    made = Duration()
    made.FromMilliseconds(round(seconds(value) * 1000))
    return made


def pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """key=value words as a dict."""
    if bad := [value for value in values if "=" not in value]:
        raise typer.BadParameter(f"{option} takes key=value, not {bad[0]!r}")
    return dict(value.split("=", 1) for value in values)
