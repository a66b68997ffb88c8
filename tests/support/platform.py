"""The whole platform as a user starts it, for tests: its servers as any identity, its Envoy, its processes to kill."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_pb2_grpc, operations_proto_pb2

from center.control.v1 import (
    catalog_service_pb2_grpc,
    cluster_service_pb2_grpc,
    domain_service_pb2_grpc,
    operations_service_pb2,
    operations_service_pb2_grpc,
    tenant_pb2,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from center.dataplane.v1 import product_service_pb2_grpc, tenant_runtime_service_pb2_grpc
from center.edge.v1 import edge_service_pb2_grpc
from center.shared.v1 import audit_service_pb2_grpc
from shared.platform import ports, record
from shared.runtime import ids, pki
from shared.runtime.rpc.channel import connect
from tests.edge.web import Shopper
from tests.support import commands

CLUSTERS = tuple(cluster.id for cluster in ports.CLUSTERS)
GRPC_PORTS = {
    "control": ports.CONTROL,
    "edge": ports.EDGE,
    **{cluster.id: cluster.port for cluster in ports.CLUSTERS},
}
# Every port of the table lies between the first and the last of these, and below where the kernel takes ports for
# outgoing connections.
_OFFSETS = range(2_000, 22_000)
_OTHER_CA = "other"


class Platform:
    """A platform that runs. Channels are kept: one for each server, identity and event loop."""

    def __init__(self, home: Path, offset: int, zone_file: Path) -> None:
        self.home = home
        self.offset = offset
        self.zone_file = zone_file
        self.zone = "center.localhost"
        self.envoy_port = ports.ENVOY + offset
        self.admin_port = ports.ENVOY_ADMIN + offset
        self._channels: dict[tuple[str, str], grpc.aio.Channel] = {}

    @property
    def environment(self) -> dict[str, str]:
        """Of a command that is to find this platform."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("CENTER_")},
            "CENTER_HOME": str(self.home),
            "CENTER_PORT_OFFSET": str(self.offset),
            "CENTER_DNS_ZONE_FILE": str(self.zone_file),
        }

    # -- servers

    def address(self, server: str) -> str:
        return f"127.0.0.1:{GRPC_PORTS[server] + self.offset}"

    def channel(self, server: str, caller: str = "operator") -> grpc.aio.Channel:
        """A channel to `server` (control, edge, eu-1) as an identity, `other` (another CA's operator) or `none`."""
        key = server, caller
        if key not in self._channels:
            self._channels[key] = self._connect(server, caller)
        return self._channels[key]

    def _connect(self, server: str, caller: str) -> grpc.aio.Channel:
        if caller == "none":
            ca = pki.load(self.home, "operator").ca_pem
            options = (("grpc.ssl_target_name_override", server),)
            return grpc.aio.secure_channel(self.address(server), grpc.ssl_channel_credentials(ca), options)
        if caller == _OTHER_CA:
            other = self.home / "other-ca"
            pki.ensure(other, ["operator"])
            identity = pki.load(other, "operator")
            # It believes the server; the server must not believe it.
            identity = pki.Identity(
                "operator", pki.load(self.home, "control").ca_pem, identity.cert_pem, identity.key_pem
            )
        else:
            identity = pki.load(self.home, caller)
        return connect(self.address(server), identity, server=server)

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    @property
    def tenants(self) -> Any:
        return tenant_service_pb2_grpc.TenantServiceStub(self.channel("control"))

    @property
    def domains(self) -> Any:
        return domain_service_pb2_grpc.DomainServiceStub(self.channel("control"))

    @property
    def clusters(self) -> Any:
        return cluster_service_pb2_grpc.ClusterServiceStub(self.channel("control"))

    @property
    def operations(self) -> Any:
        return operations_service_pb2_grpc.OperationsServiceStub(self.channel("control"))

    @property
    def longrunning(self) -> Any:
        return operations_pb2_grpc.OperationsStub(self.channel("control"))

    @property
    def catalog(self) -> Any:
        return catalog_service_pb2_grpc.CatalogServiceStub(self.channel("control"))

    @property
    def audit(self) -> Any:
        return audit_service_pb2_grpc.AuditServiceStub(self.channel("control"))

    @property
    def edge(self) -> Any:
        return edge_service_pb2_grpc.EdgeServiceStub(self.channel("edge"))

    def products(self, cluster_id: str, caller: str = "operator") -> Any:
        return product_service_pb2_grpc.ProductServiceStub(self.channel(cluster_id, caller))

    def runtime(self, cluster_id: str, caller: str = "operator") -> Any:
        return tenant_runtime_service_pb2_grpc.TenantRuntimeServiceStub(self.channel(cluster_id, caller))

    # -- what most tests do

    def shopper(self) -> Shopper:
        """An HTTP client of Envoy: one connection, any Host header."""
        return Shopper(self.envoy_port)

    async def create(self, code: str, **draft: Any) -> Any:
        """A new tenant that is active at the edge, too."""
        draft.setdefault("display_name", code)
        answer = await self.tenants.CreateTenant(
            tenant_service_pb2.CreateTenantRequest(tenant={"code": code, **draft}, request_id=ids.uuid7())
        )
        await self.done(answer.operation.name)
        found = await self.tenants.GetTenant(tenant_service_pb2.GetTenantRequest(id=answer.tenant.id))
        assert found.tenant.state == tenant_pb2.TENANT_STATE_ACTIVE, found.tenant
        await self.applied()
        return found.tenant

    async def done(self, operation: str, within_s: float = 30.0) -> Any:
        """Waits for the end of an operation, and gives it."""

        async def ended() -> Any:
            request = operations_proto_pb2.GetOperationRequest(name=operation)
            found = await self.longrunning.GetOperation(request)
            return found if found.done else None

        return await until(ended, within_s, f"{operation} to end")

    async def applied(self, revision: int = 0, within_s: float = 20.0) -> None:
        """Waits until every watcher of the catalog has applied a revision, the newest unless one is named."""
        request = operations_service_pb2.WaitAppliedRequest(revision=revision)
        request.timeout.FromMilliseconds(int(within_s * 1000))
        answer = await self.operations.WaitApplied(request, timeout=within_s + 5)
        assert answer.applied, answer

    async def token(self, tenant_id: str) -> str:
        """A merchant's, for the `authorization` header."""
        request = tenant_service_pb2.IssueBackofficeTokenRequest(id=tenant_id, reason="a test's merchant")
        return f"Bearer {(await self.tenants.IssueBackofficeToken(request)).token}"

    # -- processes

    def _record(self) -> record.Record:
        found = record.load(self.home)
        assert found is not None, f"no platform runs in {self.home}"
        return found

    def processes(self) -> dict[str, record.Child]:
        return {child.name: child for child in self._record().children}

    def kill(self, name: str) -> int:
        """Ends a process as the kernel would, with no warning; gives the pid that it had."""
        child = self.processes()[name]
        process = child.pid.process() if child.pid else None
        assert process is not None, f"{name} does not run: {child}"
        process.send_signal(signal.SIGKILL)
        return int(process.pid)

    async def restarted(self, name: str, old_pid: int, within_s: float = 40.0) -> None:
        """Waits until the supervisor has the process back and healthy."""

        def back() -> bool:
            child = self.processes()[name]
            return child.state == "healthy" and child.pid is not None and child.pid.pid != old_pid

        await until(back, within_s, f"{name} to be healthy again")

    async def healthy(self, within_s: float = 60.0) -> None:
        """Waits until the supervisor calls every process healthy."""

        def all_are() -> bool:
            return all(child.state == "healthy" for child in self.processes().values())

        await until(all_are, within_s, "every process to be healthy")

    @contextmanager
    def no_restarts(self) -> Iterator[None]:
        """The supervisor stands still for the length of the block, so that who was killed stays dead."""
        supervisor = self._record().supervisor.process()
        assert supervisor is not None
        supervisor.suspend()
        try:
            yield
        finally:
            supervisor.resume()

    def log(self, name: str) -> str:
        return Path(self.processes()[name].log).read_text(errors="replace")

    def center(self, *arguments: str, within_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Runs the command `center` against this platform."""
        return commands.center(self.environment, arguments, within_s)


async def until(holds: Callable[[], Any], within_s: float = 20.0, what: str = "a state") -> Any:
    """Waits for a state, plain or awaited, and gives what says that it is there."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = holds()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {within_s:.0f} s for {what}") from None


@contextmanager
def running(**environment: str) -> Iterator[Platform]:
    """A platform of the test's own, with a home and ports that nobody else has; gone after the block."""
    home = Path(tempfile.mkdtemp(prefix="center-e2e-"))
    zone_file = home / "zone.txt"
    zone_file.write_text("")
    platform = Platform(home, free_offset(), zone_file)
    try:
        started = _center({**platform.environment, **environment}, ["up", "--detach"], 150)
        logs = home / "logs" / "platform.log"
        assert started.returncode == 0, (
            f"{started.stdout}{started.stderr}{logs.read_text()[-4000:] if logs.exists() else ''}"
        )
        yield platform
    finally:
        stopped = _center(platform.environment, ["down"], 120)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    shutil.rmtree(home, ignore_errors=True)


def free_offset() -> int:
    """An offset at which the machine has every port of the platform free."""
    others = (
        *(ports.POSTGRES, ports.NATS, ports.NATS_MONITOR, ports.EXAMPLE, ports.PAYMENTS, ports.ENVOY),
        ports.ENVOY_ADMIN,
    )
    wanted = [(port, "") for port in (*GRPC_PORTS.values(), *others)]
    wanted += [(port + 10, "") for port in GRPC_PORTS.values()] + [(port + 20, "") for port in GRPC_PORTS.values()]
    for offset in random.sample(_OFFSETS, 50):
        with contextlib.suppress(ports.PortTaken):
            ports.refuse_taken("127.0.0.1", [(port + offset, use) for port, use in wanted])
            return offset
    raise RuntimeError("no 18 free ports in 50 tries")


def _center(
    environment: Mapping[str, str], arguments: Sequence[str], within_s: float
) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "center", *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=within_s, check=False)


def reason_of(body: bytes) -> str:
    """google.rpc.ErrorInfo.reason of a refusal in JSON."""
    infos = [d for d in json.loads(body).get("details", []) if d.get("@type", "").endswith("google.rpc.ErrorInfo")]
    return str(infos[0]["reason"]) if infos else ""
