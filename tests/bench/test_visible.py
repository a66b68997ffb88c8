"""How long a committed change of the catalog takes to show at Envoy, with 10,000 tenants."""

import asyncio
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg

from center.control.v1 import tenant_service_pb2
from center.control.v1.domain_service_pb2 import AddDomainRequest
from center.control.v1.operations_service_pb2 import GetPlatformStatusRequest
from center.shared.v1.audit_service_pb2 import ListEntriesRequest
from shared.platform import ports, postgres
from shared.runtime.ids import uuid7
from shared.samples.domains import Shop
from tests.bench.measure import SPREAD, percentile, show, spread_ms
from tests.bench.tenants import Imported
from tests.bench.web import Probe, Seen, question
from tests.support.platform import CLUSTERS, Platform

TENANTS = 100
MOVES = 40
P50_BAR_S, P99_BAR_S = 0.015, 0.060

Right = Callable[[Seen], bool]


@dataclass(frozen=True, slots=True)
class Shown:
    """One change: how long its RPC took, and when Envoy first gave the right answer, after three beginnings."""

    rpc_s: float
    after_commit_s: float
    after_answer_s: float
    after_request_s: float


@asynccontextmanager
async def commits(platform: Platform) -> AsyncIterator[Callable[[int], Awaitable[float]]]:
    """When the change of a revision was committed: PostgreSQL notifies of it then, and this is when that arrives."""
    url = postgres.url(platform.home, "127.0.0.1", ports.POSTGRES + platform.offset, "center_control")
    came: dict[int, asyncio.Future[float]] = defaultdict(asyncio.get_running_loop().create_future)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("LISTEN center_catalog")

        async def listen() -> None:
            async for notice in connection.notifies():
                came[int(notice.payload)].set_result(time.perf_counter())

        listening = asyncio.ensure_future(listen())
        yield came.__getitem__
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def test_changes_of_a_tenant(imported: Imported) -> None:
    platform = imported.platform
    probe = await Probe.connect(platform.envoy_port)
    await platform.applied()
    shown: dict[str, list[Shown]] = {}
    bare: list[float] = []
    empty: list[float] = []

    async def change(name: str, asked: bytes, right: Right, make: Callable[[], Awaitable[Any]]) -> None:
        shown.setdefault(name, []).append(await _shown(probe, asked, right, make, committed))

    async with commits(platform) as committed:
        for shop in _spread_over(imported.shops, TENANTS):
            tenant_id = await _tenant_id(platform, shop.code)
            read, write = question(shop.domain), question(shop.domain, "/v1/backoffice/products", "POST")
            served = _answered(200, b"x-center-tenant: " + tenant_id.encode())
            # The tenant is in use: Envoy has its routes.
            await probe.until(read, served)
            bare += [seen.came - seen.sent for seen in [await probe.ask(read) for _ in range(3)]]

            def status(action: str, id: str = tenant_id) -> Awaitable[Any]:
                return platform.tenants.ChangeTenantStatus(
                    tenant_service_pb2.ChangeTenantStatusRequest(
                        id=id, action=f"TENANT_ACTION_{action}", reason="bench", request_id=uuid7()
                    )
                )

            def mode(word: str, id: str = tenant_id) -> Awaitable[Any]:
                return platform.tenants.SetTenantMode(
                    tenant_service_pb2.SetTenantModeRequest(
                        id=id, mode=f"TENANT_MODE_{word}", reason="bench", request_id=uuid7()
                    )
                )

            name = f"bench-{uuid7()}.example"
            added = AddDomainRequest(tenant_id=tenant_id, name=name, verified_reason="bench", request_id=uuid7())
            await change(
                "ChangeTenantStatus SUSPEND", read, _by_the_edge("TENANT_SUSPENDED"), partial(status, "SUSPEND")
            )
            await change("ChangeTenantStatus RESUME", read, served, partial(status, "RESUME"))
            await change("SetTenantMode READ_ONLY", write, _by_the_edge("TENANT_READ_ONLY"), partial(mode, "READ_ONLY"))
            await change(
                "SetTenantMode MAINTENANCE", read, _by_the_edge("TENANT_MAINTENANCE"), partial(mode, "MAINTENANCE")
            )
            await change("SetTenantMode NORMAL", read, served, partial(mode, "NORMAL"))
            await change("AddDomain", question(name), served, partial(platform.domains.AddDomain, added))
            began = time.perf_counter()
            await platform.operations.GetPlatformStatus(GetPlatformStatusRequest())
            empty.append(time.perf_counter() - began)
    probe.close()
    _show_changes(shown, bare, empty)


async def test_the_switch_of_a_move(imported: Imported) -> None:
    platform = imported.platform
    probe = await Probe.connect(platform.envoy_port)
    await platform.applied()
    shown: list[float] = []
    bare: list[float] = []
    async with commits(platform) as committed:
        for shop in _spread_over(imported.shops[1:], MOVES):
            id = await _tenant_id(platform, shop.code)
            tenant = (await platform.tenants.GetTenant(tenant_service_pb2.GetTenantRequest(id=id))).tenant
            target = next(cluster for cluster in CLUSTERS if cluster != tenant.placement.cluster_id)
            read = question(shop.domain)
            bare += [seen.came - seen.sent for seen in [await probe.ask(read) for _ in range(3)][1:]]
            request = tenant_service_pb2.MoveTenantRequest(id=id, cluster_id=target, reason="bench", request_id=uuid7())
            moved_there = _answered(200, b"x-center-cluster: " + target.encode())
            asking = asyncio.ensure_future(probe.until(read, moved_there))
            await platform.tenants.MoveTenant(request)
            came = (await asking).came
            shown.append(max(0.0, came - await committed(await _switched(platform, id))))
    probe.close()
    show(
        f"MoveTenant: from the switch's commit to the first answer of the new cluster, {len(shown)} moves",
        ("", *SPREAD, "p50 of the GET's"),
        [
            ["the new cluster answers", *spread_ms(shown), f"{_p50(shown) / _p50(bare):.1f}"],
            ["reference: the GET itself", *spread_ms(bare), "1.0"],
        ],
        _against_the_bars(shown),
    )


async def _switched(platform: Platform, tenant_id: str) -> int:
    """The revision of the switch that just was, which the audit tells."""
    request = ListEntriesRequest(filter=f'tenant_id = "{tenant_id}"', page_size=100)
    entries = (await platform.audit.ListEntries(request)).entries
    return max(int(entry.revision) for entry in entries if entry.method == "workflow/MOVE/switch")


async def _shown(
    probe: Probe,
    asked: bytes,
    right: Right,
    make: Callable[[], Awaitable[Any]],
    committed: Callable[[int], Awaitable[float]],
) -> Shown:
    asking = asyncio.ensure_future(probe.until(asked, right))
    await asyncio.sleep(0)
    sent = time.perf_counter()
    response = await make()
    answered = time.perf_counter()
    seen = await asking
    changed = response.domain if hasattr(response, "domain") else response.tenant
    commit = await committed(changed.revision)
    # Envoy may be faster than the RPC's own answer.
    return Shown(answered - sent, seen.came - commit, max(0.0, seen.came - answered), seen.came - sent)


def _answered(status: int, header: bytes) -> Right:
    return lambda seen: seen.status == status and header in seen.head


def _by_the_edge(reason: str) -> Right:
    """Refused by Envoy itself: an answer of the cluster carries the cluster's name."""
    wanted = f'"{reason}"'.encode()
    return lambda seen: wanted in seen.body and b"x-center-cluster" not in seen.head


def _spread_over(shops: Sequence[Shop], count: int) -> Sequence[Shop]:
    return list(itertools.islice(shops, 0, None, len(shops) // count))[:count]


async def _tenant_id(platform: Platform, code: str) -> str:
    return str((await platform.tenants.ResolveTenant(tenant_service_pb2.ResolveTenantRequest(code=code))).tenant_id)


def _show_changes(shown: dict[str, list[Shown]], bare: list[float], empty: list[float]) -> None:
    everything = [each for several in shown.values() for each in several]
    rows: list[list[object]] = []
    for name, several in [*shown.items(), ("all of them", everything)]:
        after = [each.after_answer_s for each in several]
        rows.append([name, *spread_ms(after), f"{_p50(after) / _p50(bare):.1f}", *_others(several)])
    rows.append(["reference: a GET through Envoy", *spread_ms(bare), "1.0", "", "", ""])
    rows.append(
        ["reference: an RPC that does nothing", *spread_ms(empty), f"{_p50(empty) / _p50(bare):.1f}", "", "", ""]
    )
    show(
        f"From a change's answer to the first right answer at Envoy, {TENANTS} tenants of 10,000",
        ("", *SPREAD, "p50 of the GET's", "from commit p50 / p99", "from request", "the RPC"),
        rows,
        _against_the_bars([each.after_answer_s for each in everything]),
    )


def _others(several: Sequence[Shown]) -> list[str]:
    spreads = (
        [each.after_commit_s for each in several],
        [each.after_request_s for each in several],
        [each.rpc_s for each in several],
    )
    return [f"{percentile(each, 50) * 1e3:.1f} / {percentile(each, 99) * 1e3:.1f} ms" for each in spreads]


def _against_the_bars(shown: Sequence[float]) -> str:
    p50, p99 = percentile(shown, 50) / P50_BAR_S, percentile(shown, 99) / P99_BAR_S
    return f"of the bars (p50 {P50_BAR_S * 1e3:.0f} ms, p99 {P99_BAR_S * 1e3:.0f} ms): {p50:.2f} and {p99:.2f}"


def _p50(values: Sequence[float]) -> float:
    return statistics.median(values) or 1e-9
