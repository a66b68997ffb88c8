"""Medians, percentiles and ratios, printed as a table."""

import os
import statistics
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.load import Load, Sample, Target, Web


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *notes: str) -> None:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console(width=175)
    console.print()
    console.print(table)
    load = os.getloadavg()[0]
    console.print(*notes, f"{os.cpu_count()} cores, load {load:.1f}", sep="\n", style="dim", highlight=False)


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def spread_ms(seconds: Sequence[float]) -> list[str]:
    """p50, p90, p99, the longest."""
    return [ms(percentile(seconds, 50)), ms(percentile(seconds, 90)), ms(percentile(seconds, 99)), ms(max(seconds))]


SPREAD = ("p50", "p90", "p99", "max")


async def compare(
    load: Load, targets: Sequence[Target | Web], *, rounds: int, seconds: float, connections: int = 4, streams: int = 8
) -> list[list[Sample]]:
    """Samples of each target, taken in turns, so that what else the machine does falls on all of them."""
    samples: list[list[Sample]] = [[] for _ in targets]
    for turn in range(rounds):
        order = list(zip(targets, samples, strict=True))
        for target, taken in order if turn % 2 == 0 else reversed(order):
            taken.append(await load.run(target, seconds=seconds, connections=connections, streams=streams))
    return samples


THROUGHPUT = ("", "calls/s", "of reference", "server CPU", "of reference", *SPREAD, "load's CPU")


def throughput(targets: Sequence[Target | Web], samples: Sequence[Sequence[Sample]], reference: int) -> list[list[str]]:
    """Rows for THROUGHPUT. Ratios are medians of the rounds' own ratios, with the lowest and the highest."""
    rows = []
    for target, taken in zip(targets, samples, strict=True):
        against = samples[reference]
        latencies = [latency for sample in taken for latency in sample.latencies_s]
        faster = [mine.calls_per_s / other.calls_per_s for mine, other in zip(taken, against, strict=True)]
        cheaper = [
            mine.server_cpu_us / other.server_cpu_us if other.server_cpu_us else float("nan")
            for mine, other in zip(taken, against, strict=True)
        ]
        rows.append(
            [
                target.name,
                f"{statistics.median(s.calls_per_s for s in taken):,.0f}",
                ratio(faster),
                f"{statistics.median(s.server_cpu_us for s in taken):.0f} us",
                ratio(cheaper),
                *spread_ms(latencies),
                f"{statistics.median(s.client_cpu_s / s.took_s for s in taken):.0%}",
            ]
        )
    return rows


def ratio(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
