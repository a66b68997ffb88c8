"""A small real solution, which tells what reached it over HTTP/1.1; and a validator that says what it is told to."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from center_sdk.decision import Code, Decision, Facts

# Of what the log calls a run only the id matters here.
_RUN: Any = SimpleNamespace(id="run-1")
UPGRADE = "http://search.test/upgrade?tier={tier}&action={action}"


class Upstream:
    """Answers every request with its method, path, headers and body; scripts of other origins may see `x-mine`."""

    def __init__(self) -> None:
        self.calls = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *rest = head.decode().split("\r\n")
                method, path, _ = request.split(" ")
                fields = (line.partition(":") for line in rest if line)
                headers = {name.lower(): value.strip() for name, _, value in fields}
                if headers.get("transfer-encoding") == "chunked":
                    body = b""
                    while size := int(await reader.readline(), 16):
                        body += (await reader.readexactly(size + 2))[:-2]
                    await reader.readline()
                else:
                    body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.calls += 1
                told = {"method": method, "path": path, "headers": headers, "body_bytes": len(body)}
                text = json.dumps(told).encode()
                content = b"" if method == "HEAD" else text
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\naccess-control-expose-headers: x-mine\r\n"
                    b"content-length: %d\r\n\r\n%b" % (len(text), content)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


class Validator:
    """Its tokens are the names of codes, in lower case; `slow` takes longer than Envoy waits. Each question is kept."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []

    def now(self) -> float:
        return time.time()

    async def validate(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision:
        self.asked.append(
            {"token": token, "action": action, "cost": cost, "anonymous_id": anonymous_id, "solution_id": solution_id}
        )
        if token == "slow":
            await asyncio.sleep(5)
        code = Code[token.upper()] if token else Code.TOKEN_MISSING
        facts = Facts(solution_id, action, user_id="user-1" if token else "", tier="free", upgrade_url=UPGRADE)
        counts = code <= 3 or code is Code.QUOTA_EXHAUSTED
        remaining = 7 if code <= 3 else 0
        retry_s = 2.0 if code is Code.RATE_LIMITED else None
        limit, resets = (10, self.now() + 3600) if counts else (None, None)
        return Decision(code, facts, limit, remaining if counts else None, resets, _RUN, 1, retry_s)
