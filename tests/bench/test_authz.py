"""What validation costs a request to a solution: the same solution through Envoy with and without ext_authz."""

import asyncio
from typing import Any
from uuid import uuid4

from center.control.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    quota_pb2,
    solution_service_pb2,
    solution_service_pb2_grpc,
)
from shared.runtime import ids
from tests.bench.load import Load, Web
from tests.bench.measure import THROUGHPUT, compare, show, throughput
from tests.support import platform as platforms
from tests.support.platform import Platform

ROUNDS, SECONDS = 6, 1.0
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


class _Solution(asyncio.Protocol):
    """As little as a solution can be, so that what stands before it shows."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER * data.count(b"\r\n\r\n"))


async def test_a_validated_request_against_one_that_only_passes(load: Load) -> None:
    with platforms.running(CENTER_EXAMPLE="off") as platform:
        server = await asyncio.get_running_loop().create_server(_Solution, "127.0.0.1", 0)
        host, token = await registered(platform, server.sockets[0].getsockname()[1])
        pids = {name: child.pid.pid for name, child in platform.processes().items() if child.pid is not None}
        servers = [pids["envoy"], pids["edge"]]
        targets = [
            Web("passed on", servers, platform.envoy_port, host, "/free"),
            Web("validated", servers, platform.envoy_port, host, "/paid", f"Bearer {token}"),
        ]
        for name, connections, streams in (("one at a time", 1, 1), ("8 under way", 4, 2)):
            samples = await compare(
                load, targets, rounds=ROUNDS, seconds=SECONDS, connections=connections, streams=streams
            )
            show(
                f"a request to a solution through Envoy, {name}",
                THROUGHPUT,
                throughput(targets, samples, reference=0),
                "server CPU is Envoy's and the edge's together; each validated request is a decision in the log",
            )
        server.close()
        await platform.close()


async def registered(platform: Platform, port: int) -> tuple[str, str]:
    """(the host of a solution at this port, a token for it that has no end)."""
    name = f"bench-{uuid4().hex[:8]}"
    solution = solution_service_pb2.Solution(id=name, display_name="Bench")
    tier = solution.tiers.add(id="all")
    tier.quotas["paid"].limit = 100_000_000
    tier.quotas["paid"].period = quota_pb2.QUOTA_PERIOD_DAY
    solution.gateway.hosts.append(f"{name}.{platform.zone}")
    solution.gateway.upstream_host, solution.gateway.upstream_port = "127.0.0.1", port
    solution.gateway.rules.add(path_prefix="/paid", action="paid")
    control = platform.channel("control")
    solutions: Any = solution_service_pb2_grpc.SolutionServiceStub(control)
    await solutions.CreateSolution(
        solution_service_pb2.CreateSolutionRequest(solution=solution, request_id=ids.uuid7())
    )
    access: Any = access_service_pb2_grpc.AccessServiceStub(control)
    token = await access.GenerateSolutionToken(
        access_service_pb2.GenerateSolutionTokenRequest(
            user_email="bench@example.org", solution_id=name, request_id=ids.uuid7()
        )
    )
    await platform.applied()
    return solution.gateway.hosts[0], token.token
