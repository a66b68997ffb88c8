"""A shopper's HTTP/1.1 client: one connection, kept, with any Host header."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def exposed(self) -> set[str]:
        """The headers that a script of another origin sees, if it sees the answer."""
        return {name.strip() for name in self.headers.get("access-control-expose-headers", "").split(",")}

    @property
    def reason(self) -> str:
        """google.rpc.ErrorInfo.reason of a typed error."""
        infos = [d for d in self.json["details"] if d["@type"].endswith("google.rpc.ErrorInfo")]
        return str(infos[0]["reason"])

    @property
    def seen(self) -> Any:
        """What the cluster behind ListProducts saw of the request."""
        return json.loads(self.json["products"][0]["description"])


class Shopper:
    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, host: str, path: str = "/v1/products", **headers: str) -> Answer:
        return await self.send("GET", host, path, **headers)

    async def send(self, method: str, host: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Header names with _ for -."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            status_line, *rest = head.decode().split("\r\n")
            got: dict[str, str] = {}
            for name, _, value in (line.partition(":") for line in rest if line):
                got[name.lower()] = ", ".join(filter(None, (got.get(name.lower()), value.strip())))
            if method == "HEAD":
                content = b""
            elif got.get("transfer-encoding") == "chunked":
                content = b""
                while size := int(await reader.readline(), 16):
                    content += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            else:
                content = await reader.readexactly(int(got.get("content-length", "0")))
        if got.get("connection") == "close":
            await self.close()
        return Answer(int(status_line.split()[1]), got, content)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Api:
    """The JSON API at one host, for those who only want to know what it says."""

    def __init__(self, shopper: Shopper, host: str) -> None:
        self._shopper = shopper
        self._host = host

    async def send(self, method: str, path: str, authorization: str = "", **body: Any) -> tuple[int, Any]:
        """(status, what it says)."""
        headers = {"authorization": authorization} if authorization else {}
        content = json.dumps(body).encode() if body else b""
        if content:
            headers["content_type"] = "application/json"
        answer = await self._shopper.send(method, self._host, path, content, **headers)
        return answer.status, answer.json

    async def ok(self, method: str, path: str, authorization: str = "", **body: Any) -> Any:
        status, answer = await self.send(method, path, authorization, **body)
        assert status == 200, answer
        return answer
