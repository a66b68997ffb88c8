"""Notifications into a local mail server beside bare sends of the same library, and how long after its commit one is
delivered."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import aiosmtplib
import pytest

from center.shared.v1 import notification_service_pb2 as pb
from shared.notifications.delivery import Outgoing, written
from shared.notifications.domain import Channel, Rendered, Sender, Template
from shared.notifications.rendering import Renderer
from shared.notifications.worker import AT_ONCE
from shared.runtime.clock import SystemClock
from shared.runtime.ids import uuid7
from tests.bench.measure import SPREAD, ms, percentile, show, spread_ms
from tests.dataplane.cluster import Running, of
from tests.dataplane.conftest import Start, start
from tests.dataplane.notices import EMAIL, Shop

__all__ = ["start"]

ROUNDS = 3
MAILS = 300
BAR = 100
A_SECOND, SECONDS = 100, 10
RENDERS = 2_000
BAR_MS = 5
LINES = [{"title": f"Brass lamp, number {n}", "quantity": n, "total": f"{n}.50 EUR"} for n in range(20)]
VARIABLES = {"name": "Ann", "order": {"number": 4711, "total": "210.00 EUR", "lines": LINES}}
SUBJECT = "Your order {{ order.number }}"
TEXT = (
    "Dear {{ name }},\n\n{% for line in order.lines %}{{ line.quantity }} x {{ line.title }}: {{ line.total }}\n"
    "{% endfor %}\nTotal: {{ order.total }}\n"
)
HTML = (
    "<p>Dear {{ name }},</p><table>{% for line in order.lines %}<tr><td>{{ line.quantity }}</td>"
    "<td>{{ line.title }}</td><td>{{ line.total }}</td></tr>{% endfor %}</table><p>{{ order.total }}</p>"
)


class Apart:
    """A mail server in a process of its own: in a thread, each would wait for the other's turn to run Python."""

    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self.port = port
        self.taken: list[tuple[str, str, float]] = []

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            to, message_id, when = line.decode().split()
            self.taken.append((to, message_id, float(when)))


@pytest.fixture(scope="module")
async def mailserver() -> AsyncIterator[Apart]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.support.smtp", stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None and process.stdin is not None
    made = Apart(process, int(await process.stdout.readline()))
    listening = asyncio.create_task(made.listen())
    yield made
    process.stdin.close()
    await process.wait()
    await listening


@pytest.fixture(scope="module")
async def cluster(start: Start, mailserver: Apart) -> AsyncIterator[Running]:
    async with start("eu-1", smtp_url=f"smtp://127.0.0.1:{mailserver.port}") as running:
        yield running


@pytest.fixture
async def shop(cluster: Running) -> Shop:
    made = await Shop.new(cluster)
    await made.template(subject=SUBJECT, text=TEXT, html=HTML)
    return made


async def _bare(server: Apart) -> float:
    """Mails a second over as many connections as a tenant has, of texts that are written already."""
    content = Rendered("Your order 4711", "x" * 800, "<p>" + "y" * 1800)
    messages = [
        Outgoing(uuid7(), "t", Channel.EMAIL, f"b{n}@mail.example", content, SystemClock().now(), Sender())
        for n in range(MAILS)
    ]
    numbers = iter(range(MAILS))

    async def connection() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port) as client:
            for n in numbers:
                mail = written(messages[n], "no-reply@center.localhost", has_own_server=False).as_bytes()
                await client.sendmail("no-reply@center.localhost", [messages[n].to], mail)

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(AT_ONCE)))
    return MAILS / (time.perf_counter() - began)


async def _ours(shop: Shop, server: Apart, round: int) -> float:
    """Notifications a second, from the first call to the last mail: asked for, stored, rendered, sent, noted."""
    before = len(server.taken)
    numbers = iter(range(MAILS))

    async def caller() -> None:
        for n in numbers:
            await shop.send(f"o{round}-{n}@mail.example", variables=VARIABLES)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(4)))
    while len(server.taken) < before + MAILS:
        await asyncio.sleep(0.005)
    return MAILS / (time.perf_counter() - began)


async def _drained(shop: Shop, server: Apart, round: int) -> tuple[float, float]:
    """(notifications a second of those that stand in the queue when they may go, CPU time of each)."""
    await _limit(shop, 1)
    before = len(server.taken)
    for n in range(MAILS):
        await shop.send(f"d{round}-{n}@mail.example", variables=VARIABLES)
    early = len(server.taken)
    await _limit(shop, 10_000)
    began, began_s = time.perf_counter(), time.process_time()
    while len(server.taken) < before + MAILS:
        await asyncio.sleep(0.005)
    sent = before + MAILS - early
    return sent / (time.perf_counter() - began), (time.process_time() - began_s) / sent


async def _limit(shop: Shop, a_second: int) -> None:
    provider = pb.NotificationProvider(channel=EMAIL, rate_per_second=a_second)
    await shop.call.PutProvider(pb.PutProviderRequest(provider=provider), metadata=of(shop.id))


async def test_how_fast_a_queue_empties(shop: Shop, mailserver: Apart) -> None:
    rows = []
    for n in range(ROUNDS):
        bare = await _bare(mailserver)
        ours, cpu_s = await _drained(shop, mailserver, n)
        rows.append([f"round {n + 1}", f"{bare:,.0f}", f"{ours:,.0f}", f"{ours / bare:.2f}", ms(cpu_s)])
    show(
        f"A queue of {MAILS} into aiosmtpd, {AT_ONCE} connections",
        ("", "bare aiosmtplib/s", "notifications/s", "of bare", "CPU each"),
        rows,
        f"The bar is {BAR} a second.",
    )


async def test_how_many_notifications_a_second_go_out(shop: Shop, mailserver: Apart) -> None:
    bare, ours, cpu_s = [], [], 0.0
    for n in range(ROUNDS):
        bare.append(await _bare(mailserver))
        began_s = time.process_time()
        ours.append(await _ours(shop, mailserver, n))
        cpu_s += time.process_time() - began_s
    show(
        f"{MAILS} mails into aiosmtpd, {AT_ONCE} connections",
        ("", "bare aiosmtplib/s", "notifications/s", "of bare"),
        [
            [f"round {n + 1}", f"{a:,.0f}", f"{b:,.0f}", f"{b / a:.2f}"]
            for n, (a, b) in enumerate(zip(bare, ours, strict=True))
        ],
        f"The bar is {BAR} a second; the fewest were {min(ours):,.0f}.",
        f"CPU time of caller and cluster: {ms(cpu_s / ROUNDS / MAILS)} a notification.",
        "Caller and cluster share one process here; the mail server, PostgreSQL and the renderers have their own.",
    )
    assert len({message_id for _, message_id, _ in mailserver.taken}) == len(mailserver.taken)


async def test_how_long_after_its_commit_a_notification_is_delivered(shop: Shop, mailserver: Apart) -> None:
    before = len(mailserver.taken)
    committed: dict[str, float] = {}
    began = time.perf_counter()

    async def send(n: int) -> None:
        to = f"l{n}@mail.example"
        await asyncio.sleep(max(0.0, began + n / A_SECOND - time.perf_counter()))
        await shop.send(to, variables=VARIABLES)
        committed[to] = time.perf_counter()

    await asyncio.gather(*(send(n) for n in range(A_SECOND * SECONDS)))
    took_s = time.perf_counter() - began
    while len(mailserver.taken) < before + A_SECOND * SECONDS:
        await asyncio.sleep(0.01)
    latencies = [max(0.0, when - committed[to]) for to, _, when in mailserver.taken[before:]]
    show(
        "From the answer to SendNotification to the mail in the server",
        ("", "asked for", "a second", *SPREAD),
        [["open loop", f"{A_SECOND}/s", f"{len(committed) / took_s:,.0f}", *spread_ms(latencies)]],
    )


async def test_how_long_a_template_takes(shop: Shop) -> None:
    renderer = Renderer()
    template = Template("order", Channel.EMAIL, "", SUBJECT, TEXT, HTML)
    await renderer.render("t", template, VARIABLES)
    times = []
    for _ in range(RENDERS):
        began = time.perf_counter()
        await renderer.render("t", template, VARIABLES)
        times.append(time.perf_counter() - began)
    cold = []
    for n in range(200):
        new = Template("order", Channel.EMAIL, "", SUBJECT, f"{n} {TEXT}", f"{n} {HTML}")
        began = time.perf_counter()
        await renderer.render("t", new, VARIABLES)
        cold.append(time.perf_counter() - began)
    await renderer.close()
    show(
        "A mail of 20 lines, subject, text and HTML, in the confined process and back",
        ("", "renders", *SPREAD),
        [["known template", RENDERS, *spread_ms(times)], ["new template", len(cold), *spread_ms(cold)]],
        f"The bar is p99 <= {BAR_MS} ms; it was {ms(percentile(times, 99))}.",
    )
