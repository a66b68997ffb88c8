"""How long a committed change of the catalog takes to show at Envoy, with 10,000 tenants."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg

from center.control.v1 import tenant_service_pb2
from center.control.v1.domain_service_pb2 import AddDomainRequest
from center.control.v1.operations_service_pb2 import GetPlatformStatusRequest
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
    """One change: how long its RPC took, and when Envoy first gave the right answer, after either end of the RPC."""

    rpc_s: float
    after_answer_s: float
    after_request_s: float


async def test_changes_of_a_tenant(imported: Imported) -> None:
    platform = imported.platform
    probe = await Probe.connect(platform.envoy_port)
    await platform.applied()
    shown: dict[str, list[Shown]] = {}
    bare: list[float] = []
    empty: list[float] = []

    async def change(name: str, asked: bytes, right: Right, make: Callable[[], Awaitable[object]]) -> None:
        shown.setdefault(name, []).append(await _shown(probe, asked, right, make))

    for shop in _spread_over(imported.shops, TENANTS):
        tenant_id = await _tenant_id(platform, shop.code)
        read, write = question(shop.domain), question(shop.domain, "/v1/products", "POST")
        served = _answered(200, b"x-center-tenant: " + tenant_id.encode())
        # The tenant is in use: Envoy has its routes.
        await probe.until(read, served)
        bare += [seen.came - seen.sent for seen in [await probe.ask(read) for _ in range(3)]]

        def status(action: str, id: str = tenant_id) -> Awaitable[object]:
            return platform.tenants.ChangeTenantStatus(
                tenant_service_pb2.ChangeTenantStatusRequest(
                    id=id, action=f"TENANT_ACTION_{action}", reason="bench", request_id=uuid7()
                )
            )

        def mode(word: str, id: str = tenant_id) -> Awaitable[object]:
            return platform.tenants.SetTenantMode(
                tenant_service_pb2.SetTenantModeRequest(
                    id=id, mode=f"TENANT_MODE_{word}", reason="bench", request_id=uuid7()
                )
            )

        name = f"bench-{uuid7()}.example"
        added = AddDomainRequest(tenant_id=tenant_id, name=name, verified_reason="bench", request_id=uuid7())
        await change("ChangeTenantStatus SUSPEND", read, _by_the_edge("TENANT_SUSPENDED"), partial(status, "SUSPEND"))
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
    """The clock starts at the operation's thaw_time, which is taken just before the switch commits: a little early."""
    platform = imported.platform
    probe = await Probe.connect(platform.envoy_port)
    await platform.applied()
    came: dict[str, float] = {}
    bare: list[float] = []
    epoch = time.time() - time.perf_counter()
    for shop in _spread_over(imported.shops[1:], MOVES):
        tenant = (
            await platform.tenants.GetTenant(
                tenant_service_pb2.GetTenantRequest(id=await _tenant_id(platform, shop.code))
            )
        ).tenant
        target = next(cluster for cluster in CLUSTERS if cluster != tenant.placement.cluster_id)
        read = question(shop.domain)
        bare += [seen.came - seen.sent for seen in [await probe.ask(read) for _ in range(3)][1:]]
        request = tenant_service_pb2.MoveTenantRequest(
            id=tenant.id, cluster_id=target, reason="bench", request_id=uuid7()
        )
        asking = asyncio.ensure_future(probe.until(read, _answered(200, b"x-center-cluster: " + target.encode())))
        operation = (await platform.tenants.MoveTenant(request)).operation
        came[operation.name.removeprefix("operations/")] = (await asking).came
    probe.close()
    url = postgres.url(platform.home, "127.0.0.1", ports.POSTGRES + platform.offset, "center_control")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute("SELECT id::text, thaw_time FROM operations WHERE thaw_time IS NOT NULL")
        switched = {id: time.timestamp() async for id, time in rows}
    shown = [at + epoch - switched[id] for id, at in came.items()]
    show(
        f"MoveTenant: from the switch's commit to the first answer of the new cluster, {len(shown)} moves",
        ("", *SPREAD, "p50 of the GET's"),
        [
            ["the new cluster answers", *spread_ms(shown), f"{_p50(shown) / _p50(bare):.1f}"],
            ["reference: the GET itself", *spread_ms(bare), "1.0"],
        ],
        _against_the_bars(shown),
    )


async def _shown(probe: Probe, asked: bytes, right: Right, make: Callable[[], Awaitable[object]]) -> Shown:
    asking = asyncio.ensure_future(probe.until(asked, right))
    await asyncio.sleep(0)
    sent = time.perf_counter()
    await make()
    answered = time.perf_counter()
    seen = await asking
    # Envoy is often faster than the RPC's own answer.
    return Shown(answered - sent, max(0.0, seen.came - answered), seen.came - sent)


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
        rows.append([name, *spread_ms(after), f"{_p50(after) / _p50(bare):.1f}", *_both(several)])
    rows.append(["reference: a GET through Envoy", *spread_ms(bare), "1.0", "", ""])
    rows.append(["reference: an RPC that does nothing", *spread_ms(empty), f"{_p50(empty) / _p50(bare):.1f}", "", ""])
    show(
        f"From a change's answer to the first right answer at Envoy, {TENANTS} tenants of 10,000",
        ("", *SPREAD, "p50 of the GET's", "from request p50 / p99", "the RPC p50 / p99"),
        rows,
        _against_the_bars([each.after_answer_s for each in everything]),
    )


def _both(several: Sequence[Shown]) -> list[str]:
    spreads = [[each.after_request_s for each in several], [each.rpc_s for each in several]]
    return [f"{percentile(each, 50) * 1e3:.1f} / {percentile(each, 99) * 1e3:.1f} ms" for each in spreads]


def _against_the_bars(shown: Sequence[float]) -> str:
    p50, p99 = percentile(shown, 50) / P50_BAR_S, percentile(shown, 99) / P99_BAR_S
    return f"of the bars (p50 {P50_BAR_S * 1e3:.0f} ms, p99 {P99_BAR_S * 1e3:.0f} ms): {p50:.2f} and {p99:.2f}"


def _p50(values: Sequence[float]) -> float:
    return statistics.median(values) or 1e-9
