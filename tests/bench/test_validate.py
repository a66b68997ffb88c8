"""ValidateToken of control processes as they run, beside an echo of the same messages: one, two, and half the load."""

import asyncio
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from center.control.v1 import access_service_pb2 as access_pb
from shared.runtime import pki
from tests.bench.controls import Control, controls
from tests.bench.echo import echo
from tests.bench.load import Load, Sample, Target
from tests.bench.load import load as started
from tests.bench.measure import THROUGHPUT, compare, ms, percentile, ratio, show, throughput

VALIDATE = "center.control.v1.AccessService/ValidateToken"
BAR, BAR_TWO, BAR_P99_MS = 0.8, 1.6, 10
WARM_S = 4.0
# A few users who ask all the time, and many of whom each asks now and then: their leases and log are the more work.
FEW, MANY = 20, 1000


async def test_validating_tokens(home: Path, make_database: Callable[[str], str], tmp_path: Path, load: Load) -> None:
    async with controls(home, make_database("validate_bench"), tmp_path) as running:
        for users, limit, named in (
            (FEW, 10**9, f"{FEW} tokens in turn, limit 10^9"),
            (MANY, 10**9, f"{MANY:,} tokens in turn, limit 10^9"),
            (MANY, None, f"{MANY:,} tokens in turn, unlimited"),
        ):
            sent, answer = await _requests(running[0], users, limit)
            with echo(home, {VALIDATE: answer}) as server:
                await _one(load, home, running, server.pid, server.raw, server.chain, sent, named)


async def test_two_processes_validate(
    home: Path, make_database: Callable[[str], str], tmp_path: Path, load: Load
) -> None:
    async with controls(home, make_database("validate_two_bench"), tmp_path, count=2) as running:
        sent, _ = await _requests(running[0], FEW, 10**9)
        await _two(load, home, running, sent, f"{FEW} tokens in turn, limit 10^9")


async def _requests(
    control: Control, users: int, limit: int | None
) -> tuple[list[bytes], access_pb.ValidateTokenResponse]:
    """One of each of so many users, and what is answered to the first."""
    market = control.market
    solution_id = await market.solution(limit=limit)
    requests = [
        access_pb.ValidateTokenRequest(token=token, action="search", solution_id=solution_id)
        for token in await market.tokens(solution_id, users)
    ]
    answer = await market.access.ValidateToken(requests[0])
    assert answer.allowed, answer
    return [request.SerializeToString() for request in requests], answer


async def _one(
    load: Load, home: Path, running: list[Control], pid: int, raw: int, chain: int, sent: list[bytes], named: str
) -> None:
    identity = pki.load(home, "operator")

    def target(name: str, pid: int, port: int, metadata: bool) -> Target:
        made = Target(name, [pid], port, f"/{VALIDATE}", sent, identity)
        return made if metadata else replace(made, metadata=())

    for title, metadata in (("as our channels call", True), ("with no metadata and no deadline", False)):
        targets = [
            target("raw echo", pid, raw, metadata),
            target("echo in the chain as shipped", pid, chain, metadata),
            target("ValidateToken as it runs", running[0].process.pid, running[0].port, metadata),
        ]
        await load.run(targets[-1], seconds=WARM_S)
        samples = await compare(load, targets, rounds=9, seconds=0.5)
        pairs = list(zip(samples[0], samples[2], strict=True))
        rates = [mine.calls_per_s / other.calls_per_s for other, mine in pairs]
        shares = [other.server_cpu_us / mine.server_cpu_us for other, mine in pairs]
        half = statistics.median(sample.calls_per_s for sample in samples[2]) / 2
        # Tokens that the turns above have left alone for long have given their units back: that is another bench's.
        await load.pace(targets[-1], seconds=WARM_S, calls_per_s=half)
        paced: list[Sample] = []
        bare: list[Sample] = []
        for _ in range(3):
            paced.append(await load.pace(targets[-1], seconds=5.0, calls_per_s=half))
            # What the machine, and the load itself, make of as many calls.
            bare.append(await load.pace(targets[0], seconds=5.0, calls_per_s=half))
        show(
            f"ValidateToken of {named}, called {title}",
            THROUGHPUT,
            throughput(targets, samples, reference=0),
            f"ValidateToken reaches {ratio(rates)} of the raw echo's calls/s, and {ratio(shares)} of what its CPU time"
            f" would give; the bar is {BAR}",
            f"at half its load, {half:,.0f} calls/s: {_tails(paced)}; the bar is {BAR_P99_MS} ms",
            f"the raw echo at that pace: {_tails(bare)}",
        )


def _tails(samples: list[Sample]) -> str:
    """Of each window of some seconds, and of all calls in them."""
    p99s = ", ".join(ms(percentile(sample.latencies_s, 99)) for sample in samples)
    every = [latency for sample in samples for latency in sample.latencies_s]
    return f"p50 {ms(percentile(every, 50))}, p99 {ms(percentile(every, 99))} ({p99s}), max {ms(max(every))}"


async def _two(load: Load, home: Path, running: list[Control], sent: list[bytes], named: str) -> None:
    """One process alone, and both at once, each with a client of its own."""
    identity = pki.load(home, "operator")
    targets = [
        Target(f"process {number}", [each.process.pid], each.port, f"/{VALIDATE}", sent, identity)
        for number, each in enumerate(running)
    ]
    with started() as other:
        for target in targets:
            await load.run(target, seconds=WARM_S)
        alone: list[Sample] = []
        both: list[tuple[Sample, Sample]] = []
        for _ in range(7):
            alone.append(await load.run(targets[0], seconds=0.7))
            one, two = await asyncio.gather(load.run(targets[0], seconds=0.7), other.run(targets[1], seconds=0.7))
            both.append((one, two))
    rates = [
        (one.calls_per_s + two.calls_per_s) / single.calls_per_s for single, (one, two) in zip(alone, both, strict=True)
    ]
    # What both would do, had each a core: calls by the CPU time of each.
    by_cpu = [
        (1 / one.server_cpu_us + 1 / two.server_cpu_us) * single.server_cpu_us
        for single, (one, two) in zip(alone, both, strict=True)
    ]
    show(
        f"ValidateToken by two processes on one database, {named}",
        ("", "calls/s", "server CPU"),
        [
            ["one", f"{statistics.median(s.calls_per_s for s in alone):,.0f}", _cpu(alone)],
            [
                "two",
                f"{statistics.median(a.calls_per_s + b.calls_per_s for a, b in both):,.0f}",
                _cpu([a for a, _ in both]),
            ],
        ],
        f"two do {ratio(rates)} times one with their clients beside them, and {ratio(by_cpu)} times one by CPU time;"
        f" the bar is {BAR_TWO} where two cores are free",
    )


def _cpu(samples: list[Sample]) -> str:
    return f"{statistics.median(sample.server_cpu_us for sample in samples):.0f} us"
