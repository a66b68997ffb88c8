"""Events of the simulated provider on their way to whoever asked for them, signed as Stripe signs."""

import asyncio
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import stripe

from shared.payments.simulator.books import Account, Object
from shared.payments.simulator.faults import Fault

# (url, body, signature header) -> the HTTP status; 0 when nobody was reached.
Deliver = Callable[[str, bytes, str], Awaitable[int]]

SKEW_S = 3600
LATE_S = 0.3
# Stripe goes on for three days; whoever restarts within this hears of it here.
TRIES, FIRST_WAIT_S = 12, 0.2


class Webhooks:
    """deliver: how a body gets to a URL. patience: how often it is tried."""

    def __init__(self, deliver: Deliver, tries: int = TRIES, late_s: float = LATE_S) -> None:
        self._deliver = deliver
        self._tries = tries
        self._late_s = late_s
        self._under_way: dict[str, set[asyncio.Task[None]]] = defaultdict(set)

    def send(self, account: Account, type: str, about: Object, faults: frozenset[Fault] = frozenset()) -> None:
        """Begins to tell every endpoint of the account."""
        self.tasks(account, type, about, faults)

    def tasks(
        self, account: Account, type: str, about: Object, faults: frozenset[Fault] = frozenset()
    ) -> list[asyncio.Task[None]]:
        event = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(time.time()),
            "type": type,
            "data": {"object": about},
        }
        body = json.dumps(event, indent=2).encode()
        copies = 2 if Fault.DUPLICATE_WEBHOOK in faults else 1
        under_way = self._under_way[account.key]
        tasks = [
            asyncio.create_task(self._told(endpoint["url"], body, endpoint["secret"], faults))
            for endpoint in account.endpoints.values()
            for _ in range(copies)
        ]
        for task in tasks:
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        return tasks

    async def idle(self, account: Account) -> None:
        """Until every event of the account has arrived or was given up."""
        while under_way := self._under_way[account.key]:
            await asyncio.wait(under_way)

    async def close(self) -> None:
        tasks = [task for under_way in self._under_way.values() for task in under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _told(self, url: str, body: bytes, secret: str, faults: frozenset[Fault]) -> None:
        if Fault.LATE_WEBHOOK in faults:
            await asyncio.sleep(self._late_s)
        wait_s = FIRST_WAIT_S
        for attempt in range(self._tries):
            is_skewed = Fault.CLOCK_SKEW in faults and attempt == 0
            signed_at = int(time.time()) - (SKEW_S if is_skewed else 0)
            header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, signed_at)
            status = await self._deliver(url, body, header)
            if 200 <= status < 300:
                return
            if not is_skewed:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 10.0)


class Post:
    """Delivers over HTTP. through: host:port that takes all of it, whatever host the URL names (Envoy, on one machine,
    where the names of shops lead nowhere)."""

    def __init__(self, through: str = "") -> None:
        self._through = through
        self._client = httpx.AsyncClient(timeout=10)

    async def close(self) -> None:
        await self._client.aclose()

    async def __call__(self, url: str, body: bytes, signature: str) -> int:
        headers = {"stripe-signature": signature, "content-type": "application/json"}
        if self._through:
            parts = urlsplit(url)
            headers["host"] = parts.netloc
            url = f"http://{self._through}{parts.path}"
        try:
            answer = await self._client.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            return 0
        return answer.status_code
