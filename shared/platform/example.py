"""The example solution as `center up` has it: registered as data before its own process starts."""

import grpc

from center.control.v1 import solution_service_pb2 as pb
from center.control.v1 import solution_service_pb2_grpc as pb_grpc
from shared.platform.client import Client
from shared.platform.config import Config
from shared.runtime import ids
from shared.runtime.rpc.status import received
from shared.samples.search import registration

# What of it follows the platform's zone and ports; the rest is the operators' to change, and stays as they left it.
_PLACED = ("gateway", "redirect_urls", "upgrade_url")


async def register(config: Config) -> None:
    """Adds it to a platform that has it not, and moves it along with a platform whose ports or zone have changed."""
    wanted = registration.solution(config.zone, config.offset, config.connect_host)
    async with Client(config) as client:
        solutions = pb_grpc.SolutionServiceStub(client.control())
        try:
            await solutions.CreateSolution(pb.CreateSolutionRequest(solution=wanted, request_id=ids.uuid7()))
            return
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS or received(error).reason != "SOLUTION_EXISTS":
                raise
        known = (await solutions.GetSolution(pb.GetSolutionRequest(id=wanted.id))).solution
        moved = [field for field in _PLACED if getattr(known, field) != getattr(wanted, field)]
        if moved:
            update = pb.UpdateSolutionRequest(
                solution=wanted, reason="the platform has other ports", request_id=ids.uuid7()
            )
            update.update_mask.paths.extend(moved)
            update.solution.etag = known.etag
            await solutions.UpdateSolution(update)
