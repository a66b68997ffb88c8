"""Solutions for tests of the control plane."""

from typing import Any

from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as pb
from tests.control.plane import Plane

DAILY = {"limit": 10, "period": quota_pb2.QUOTA_PERIOD_DAY}


def draft(solution_id: str, **changes: Any) -> pb.Solution:
    given: dict[str, Any] = {
        "id": solution_id,
        "display_name": "Search",
        "tiers": [
            {"id": "registered", "quotas": {"search": DAILY}},
            {"id": "pro", "quotas": {"search": {"unlimited": {}, "period": quota_pb2.QUOTA_PERIOD_MONTH}}},
        ],
        "redirect_urls": ["https://search.example/done"],
        **changes,
    }
    return pb.Solution(**given)


async def create(plane: Plane, solution_id: str, **changes: Any) -> pb.Solution:
    request = pb.CreateSolutionRequest(solution=draft(solution_id, **changes))
    return (await plane.solutions.CreateSolution(request)).solution


async def update(plane: Plane, solution_id: str, *paths: str, etag: str = "", **changes: Any) -> pb.Solution:
    request = pb.UpdateSolutionRequest(solution=pb.Solution(id=solution_id, etag=etag, **changes))
    request.update_mask.paths.extend(paths)
    return (await plane.solutions.UpdateSolution(request)).solution


async def gone(plane: Plane, solution_id: str, **how: Any) -> int:
    request = pb.DeleteSolutionRequest(id=solution_id, reason="over", **how)
    return (await plane.solutions.DeleteSolution(request)).revision


async def key_of(plane: Plane, solution_id: str, **how: Any) -> pb.CreateSolutionKeyResponse:
    return await plane.solutions.CreateSolutionKey(pb.CreateSolutionKeyRequest(solution_id=solution_id, **how))
