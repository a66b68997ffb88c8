"""Renders templates in confined processes, one at a time for each tenant, and ends those that do not come back."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from shared.notifications.domain import Rendered, Template
from shared.runtime.errors import Unavailable

PROCESSES = 2
# Far above the CPU time that the process itself allows a template: for what does not heed a signal.
PATIENCE_S = 3.0
START_S = 15.0

_PROGRAM = Path(__file__).with_name("renderer.py")
_PARTS = ("subject", "text", "html")


class TemplateFailed(Exception):
    """kind: syntax, failed (what it asks for is not there) or limit. part: subject, text or html."""

    def __init__(self, kind: str, part: str, error: str) -> None:
        super().__init__(f"{part}: {error}")
        self.kind = kind
        self.part = part
        self.error = error


class Renderer:
    """Some processes, started when first needed."""

    def __init__(self, processes: int = PROCESSES, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._free: asyncio.Queue[Process | None] = asyncio.Queue()
        for _ in range(processes):
            self._free.put_nowait(None)
        self._processes: set[Process] = set()
        # A tenant whose templates take long waits for itself.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        for process in list(self._processes):
            await self._end(process)

    async def render(self, tenant_id: str, template: Template, variables: Mapping[str, Any]) -> Rendered:
        """TemplateFailed; Unavailable RENDERER_BUSY."""
        parts = await self._asked(tenant_id, template, {"check": False, "variables": variables})
        return Rendered(*(parts.get(name, "") for name in _PARTS))

    async def check(self, tenant_id: str, template: Template) -> None:
        """TemplateFailed, when it cannot be parsed."""
        await self._asked(tenant_id, template, {"check": True})

    async def _asked(self, tenant_id: str, template: Template, request: dict[str, Any]) -> dict[str, str]:
        request["parts"] = {name: text for name in _PARTS if (text := getattr(template, name))}
        told = json.dumps(request).encode()
        async with self._turns.setdefault(tenant_id, asyncio.Lock()), self._process() as process:
            try:
                async with asyncio.timeout(self._patience_s):
                    answer = await _exchanged(process, told)
            except TimeoutError:
                await self._end(process)
                raise TemplateFailed("limit", "template", "takes too long") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                await self._end(process)
                raise TemplateFailed("limit", "template", "ended the process that rendered it") from None
            except BaseException:
                # Half an exchange: the next one would read this one's answer.
                await asyncio.shield(asyncio.ensure_future(self._end(process)))
                raise
        if "parts" in answer:
            parts: dict[str, str] = answer["parts"]
            return parts
        raise TemplateFailed(answer["kind"], answer["part"], answer["error"])

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[Process]:
        process = await self._free.get()
        try:
            if process is None or process not in self._processes or process.returncode is not None:
                process = await self._started()
            yield process
        finally:
            self._free.put_nowait(process)

    async def _started(self) -> Process:
        # Nothing of this process's environment: it holds secrets.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(_PROGRAM), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"LANG": "C.UTF-8"}
        )
        self._processes.add(process)
        try:
            async with asyncio.timeout(START_S):
                await _exchanged(process, json.dumps({"check": True, "parts": {}}).encode())
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            await self._end(process)
            message = "templates cannot be rendered now; try again"
            raise Unavailable("RENDERER_BUSY", message, retry_after_s=1.0) from None
        return process

    async def _end(self, process: Process) -> None:
        self._processes.discard(process)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _exchanged(process: Process, told: bytes) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(len(told).to_bytes(4, "big") + told)
    await process.stdin.drain()
    size = int.from_bytes(await process.stdout.readexactly(4), "big")
    answer: dict[str, Any] = json.loads(await process.stdout.readexactly(size))
    return answer
