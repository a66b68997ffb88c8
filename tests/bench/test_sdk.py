"""Decisions in a solution's own process, on a lease, every one in the journal: how many, and how long one takes."""

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from center_sdk import Validator
from tests.bench.controls import controls
from tests.bench.measure import percentile, show

BAR_PER_S = 200_000
BAR_P99_US = 20
ROUNDS = 5
AT_ONCE = 40_000
WARM_S = 4.0


def _measured(validator: Validator, tokens: list[str]) -> tuple[list[float], list[float]]:
    """Decisions a second of CPU time, by rounds; and the time of single ones, in seconds."""
    rates, taken = [], []
    many = len(tokens)
    for _ in range(ROUNDS):
        validate = validator.validate
        began = time.thread_time()
        for number in range(AT_ONCE):
            validate(tokens[number % many], "search")
        rates.append(AT_ONCE / (time.thread_time() - began))
        clock = time.perf_counter
        for number in range(AT_ONCE):
            before = clock()
            validate(tokens[number % many], "search")
            taken.append(clock() - before)
    return rates, taken


async def test_decisions_on_a_lease(home: Path, make_database: Callable[[str], str], tmp_path: Path) -> None:
    async with controls(home, make_database("sdk_bench"), tmp_path) as [control]:
        market = control.market
        rows = []
        for name, limit, users in (
            ("one token, unlimited", None, 1),
            ("one token, limit 10^9", 10**9, 1),
            ("100 tokens in turn, limit 10^9", 10**9, 100),
        ):
            solution_id = await market.solution(limit=limit)
            tokens = await market.tokens(solution_id, users)

            def run(solution_id: str = solution_id, tokens: list[str] = tokens) -> tuple[list[float], list[float]]:
                credentials = market.credentials(solution_id)
                with Validator.connect(
                    market.plane.config.address, solution_id, credentials, journal=tmp_path / f"{solution_id}.journal"
                ) as validator:
                    # A lease grows with the rate of its token.
                    warm_until = time.monotonic() + WARM_S
                    while time.monotonic() < warm_until:
                        assert all(validator.validate(token, "search").allowed for token in tokens)
                    return _measured(validator, tokens)

            rates, taken = await asyncio.to_thread(run)
            rows.append(
                [
                    name,
                    f"{statistics.median(rates):,.0f}",
                    f"{min(rates):,.0f} - {max(rates):,.0f}",
                    *(f"{percentile(taken, percent) * 1e6:.1f} us" for percent in (50, 99, 99.9)),
                    f"{max(taken) * 1e3:.1f} ms",
                ]
            )
        show(
            "Validator.validate in a solution's own process, as shipped, with a journal on disk",
            ("", "a second of CPU", "rounds", "p50", "p99", "p99.9", "max"),
            rows,
            f"the bars are {BAR_PER_S:,} a second on one core and a p99 of {BAR_P99_US} us",
        )
