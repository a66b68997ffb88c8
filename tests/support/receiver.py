"""A real HTTP server that webhooks are sent to, and what it got."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import standardwebhooks
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.webhooks.guard import networks

LOOPBACK = networks("127.0.0.0/8")


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def verify(self, secret: str) -> None:
        """By the reference library."""
        standardwebhooks.Webhook(secret).verify(self.body, self.headers)


Answer = Callable[[Received], Response]


@dataclass
class Receiver:
    """answers: by path, what is said there; 204 else. waits: by path, until when nothing is said."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    waits: dict[str, asyncio.Event] = field(default_factory=dict)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.got if each.path == path]

    async def take(self, request: Request) -> Response:
        received = Received(request.url.path, dict(request.headers), await request.body())
        self.got.append(received)
        if (wait := self.waits.get(received.path)) is not None:
            await wait.wait()
        answer = self.answers.get(received.path)
        return answer(received) if answer else Response(status_code=204)


def status(code: int, **headers: str) -> Answer:
    return lambda _: Response("no", code, {name.replace("_", "-"): value for name, value in headers.items()})


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.01)
    receiver.port = server.servers[0].sockets[0].getsockname()[1]
    yield receiver
    for wait in receiver.waits.values():
        wait.set()
    server.should_exit = True
    server.force_exit = True
    await serving
