"""A control plane with a solution, users' tokens, and validators of the solution: in this process and in others."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as solutions_pb
from center.control.v1.access_service_pb2_grpc import AccessServiceStub
from center.control.v1.solution_service_pb2_grpc import SolutionServiceStub
from center_sdk import AsyncValidator, Credentials
from shared.runtime import pki
from tests.control.plane import Plane

DAY = quota_pb2.QUOTA_PERIOD_DAY


def quota(limit: int | None, **rest: Any) -> quota_pb2.Quota:
    if limit is None:
        return quota_pb2.Quota(unlimited=quota_pb2.Unlimited(), period=DAY, **rest)
    return quota_pb2.Quota(limit=limit, period=DAY, **rest)


@dataclass
class Market:
    plane: Plane
    folder: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def solutions(self) -> SolutionServiceStub:
        return SolutionServiceStub(self.plane.channel())

    @property
    def access(self) -> AccessServiceStub:
        return AccessServiceStub(self.plane.channel())

    @property
    def home(self) -> Path:
        return self.plane.config.home

    async def solution(self, limit: int | None = 10, max_age_s: float | None = None, **changes: Any) -> str:
        """A new solution with `search`, and a certificate of its own; its id."""
        solution_id = f"search-{next(self._numbers)}"
        tiers = changes.pop("tiers", None) or [
            solutions_pb.Tier(id="free", quotas={"search": quota(limit)}),
            solutions_pb.Tier(id="pro", quotas={"search": quota(None), "export": quota(None)}),
        ]
        new = solutions_pb.Solution(
            id=solution_id,
            display_name=solution_id,
            tiers=tiers,
            redirect_urls=[f"https://{solution_id}.example/callback"],
            upgrade_url="https://upgrade.example/{tier}/{action}",
            **changes,
        )
        if max_age_s is not None:
            new.max_age.FromNanoseconds(round(max_age_s * 1e9))
        await self.solutions.CreateSolution(solutions_pb.CreateSolutionRequest(solution=new))
        pki.ensure(self.home, [f"solution/{solution_id}"])
        return solution_id

    async def token(self, solution_id: str, email: str = "", **rest: Any) -> access_pb.GenerateSolutionTokenResponse:
        """A new user's."""
        request = access_pb.GenerateSolutionTokenRequest(
            user_email=email or f"user-{next(self._numbers)}@{solution_id}.example", solution_id=solution_id, **rest
        )
        return await self.access.GenerateSolutionToken(request)

    async def tokens(self, solution_id: str, count: int) -> list[str]:
        """Of so many new users."""
        found: list[str] = []
        while len(found) < count:
            some = [self.token(solution_id) for _ in range(min(50, count - len(found)))]
            found += [issued.token for issued in await asyncio.gather(*some)]
        return found

    async def revoke(self, kid: str) -> int:
        """The revision of the revocation."""
        answer = await self.access.RevokeToken(access_pb.RevokeTokenRequest(kid=kid, reason="a test"))
        return int(answer.token.revision)

    async def usage(self, solution_id: str) -> list[access_pb.Usage]:
        answer = await self.access.ListUsage(access_pb.ListUsageRequest(filter=f'solution_id = "{solution_id}"'))
        return list(answer.usage)

    async def decisions(self, solution_id: str) -> list[access_pb.Decision]:
        answer = await self.access.ListDecisions(
            access_pb.ListDecisionsRequest(filter=f'solution_id = "{solution_id}"')
        )
        return list(answer.decisions)

    def credentials(self, solution_id: str) -> Credentials:
        name = f"solution/{solution_id}"
        return Credentials.certificate(
            ca=pki.ca_path(self.home), certificate=pki.cert_path(self.home, name), key=pki.key_path(self.home, name)
        )

    @asynccontextmanager
    async def validator(self, solution_id: str, **rest: Any) -> AsyncIterator[AsyncValidator]:
        address = rest.pop("address", self.plane.config.address)
        made = await AsyncValidator.connect(address, solution_id, self.credentials(solution_id), **rest)
        try:
            yield made
        finally:
            await made.close()

    @asynccontextmanager
    async def process(self, solution_id: str, journal: Path | None = None) -> AsyncIterator["Solution"]:
        """A solution in a process of its own, with the sync form of the SDK; it can be killed."""
        name = f"solution/{solution_id}"
        told = {
            "address": self.plane.config.address,
            "solution_id": solution_id,
            "ca": str(pki.ca_path(self.home)),
            "certificate": str(pki.cert_path(self.home, name)),
            "key": str(pki.key_path(self.home, name)),
            "journal": str(journal) if journal is not None else None,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.shared.sdk.solution", json.dumps(told),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment(),
        )  # fmt: skip
        running = Solution(process)
        try:
            assert await running.answer() == "ready"
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@dataclass
class Solution:
    process: asyncio.subprocess.Process

    async def ask(self, **question: Any) -> Any:
        self.send(**question)
        return await self.answer()

    def send(self, **question: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")

    async def answer(self) -> Any:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            line = await self.process.stdout.readline()
        assert line, "the solution has ended"
        return json.loads(line)

    async def validate(self, token: str, action: str = "search", times: int = 1, cost: int = 1) -> list[str]:
        """The codes of decisions in a row."""
        found: list[str] = await self.ask(do="validate", token=token, action=action, times=times, cost=cost)
        return found

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


def environment() -> dict[str, str]:
    root = Path(__file__).parents[3]
    paths = os.pathsep.join(str(root / part) for part in ("", "proto/gen", "shared/sdk"))
    return {**os.environ, "PYTHONPATH": paths}
