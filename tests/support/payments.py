"""The simulated provider, served in the test's own process, and accounts at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn

from shared.payments.simulator.app import Simulator
from shared.payments.simulator.books import Account, Books
from shared.payments.simulator.faults import Fault
from shared.payments.simulator.webhooks import Webhooks
from shared.runtime.ids import uuid7

# Takes a webhook's body and signature, and says the HTTP status.
Receiver = Callable[[bytes, str], Awaitable[int]]


@dataclass
class Served:
    """receivers: of webhooks, by the host of their URL; what has none is lost."""

    simulator: Simulator
    api_base: str
    receivers: dict[str, Receiver] = field(default_factory=dict)

    def account(self, receiver: str = "") -> Account:
        """A new account, whose events go to a receiver."""
        account = self.simulator.books.account(f"sk_test_{uuid7()}")
        if receiver:
            account.add_endpoint(f"http://{receiver}/v1/payments/events/stripe")
        return account

    def fault(self, account: Account, call: str, *faults: Fault, times: int = 1) -> None:
        self.simulator.script.add(account.key, call, frozenset(faults), times)


def secret(account: Account) -> str:
    """What the account's first endpoint is signed with."""
    return str(next(iter(account.endpoints.values()))["secret"])


@asynccontextmanager
async def serving(*, timeout_s: float = 0.5, tries: int = 12, late_s: float = 0.1) -> AsyncIterator[Served]:
    """timeout_s: how long a call takes that is to time out."""
    receivers: dict[str, Receiver] = {}

    async def deliver(url: str, body: bytes, signature: str) -> int:
        receiver = receivers.get(url.split("/")[2])
        return await receiver(body, signature) if receiver is not None else 200

    simulator = Simulator(Books(), Webhooks(deliver, tries, late_s), timeout_s=timeout_s)
    server = uvicorn.Server(uvicorn.Config(simulator.application(), port=0, log_level="critical", ws="none"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(simulator, f"http://127.0.0.1:{port}", receivers)
    server.should_exit = True
    await running
    simulator.books.close()
