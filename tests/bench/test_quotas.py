"""Limits that hold: sixteen processes, a restart, kill -9; and a million tokens, in memory and cold."""

import asyncio
import contextlib
import gc
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import psycopg

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import validator_service_pb2 as pb
from center_sdk import tokens
from center_sdk.engine import Engine
from center_sdk.journal import Journal
from tests.bench.controls import controls
from tests.bench.measure import SPREAD, ms, percentile, show, spread_ms
from tests.control.plane import until
from tests.control.test_quotas import LIMIT, Market, reaches, shop, stays, task
from tests.support.ledger import SOLUTION, Ledger, solution
from tests.support.postgres import Postgres
from tests.support.validating import processes

PROCESSES = 16
KILLED = 5
MILLION = 1_000_000
BAR_BYTES = 400
COLD = 600
BAR_MS = 20


@asynccontextmanager
async def _shop(home: Path) -> AsyncIterator[tuple[Postgres, Market, str, str]]:
    with tempfile.TemporaryDirectory(prefix="center-bench-postgres-") as folder, contextlib.ExitStack() as stack:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "data")
        server.start()
        stack.callback(server.stop)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE quotas")
        async with shop(home, server.url("quotas")) as (market, solution_id, token):
            yield server, market, solution_id, token


async def test_sixteen_processes_allow_exactly_the_limit(home: Path, tmp_path: Path) -> None:
    rows = []
    async with _shop(home) as (server, market, solution_id, token):
        told = task(market, solution_id, token, tmp_path / "restart", PROCESSES, 0.04, lease_s=30)
        with processes(told) as running:
            await reaches(running, LIMIT // 3, 300)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await reaches(running, LIMIT, 300)
            allowed = await stays(running, 1)
            await asyncio.to_thread(running.stop)
        books = market.books(solution_id)
        rows.append(["PostgreSQL killed once", allowed, books["used"], books["logged"], books["lost"], ""])
        assert allowed == books["used"] == books["logged"] == LIMIT
    async with _shop(home) as (server, market, solution_id, token):
        told = task(
            market, solution_id, token, tmp_path / "kills", PROCESSES, 0.04, journals=str(tmp_path / "kills/home-{}")
        )
        with processes(told) as running:
            for number in range(KILLED):
                await reaches(running, (number + 1) * LIMIT // 8, 300)
                running.kill(number)

            async def all_taken() -> bool:
                return market.books(solution_id)["taken"] >= LIMIT

            await until(all_taken, 300)
            allowed = await stays(running, 1)
            await asyncio.to_thread(running.stop)

            async def all_lost() -> bool:
                return market.rows("SELECT count(*) FROM leases WHERE NOT expired") == [(0,)]

            await until(all_lost, 60)
        [blocks] = market.rows("SELECT count(*), coalesce(max(units - spent), 0) FROM leases")
        books = market.books(solution_id)
        note = f"{blocks[0]} leases, the largest {blocks[1]}"
        rows.append([f"{KILLED} killed for good", allowed, books["used"], books["logged"], books["lost"], note])
        assert books["logged"] == books["used"] <= allowed <= LIMIT
        assert books["used"] + books["lost"] == LIMIT
        assert blocks[0] <= KILLED
    show(
        f"A limit of {LIMIT:,}, {PROCESSES} processes",
        ("", "allowed", "used", "logged", "lost", "of"),
        rows,
        "a process that is killed takes at most one lease along, and usage says how much of it is not known",
    )


async def test_a_million_tokens(home: Path, make_database: Callable[[str], str], tmp_path: Path) -> None:
    held, rate = await asyncio.to_thread(_held)
    url = make_database("tokens_bench")
    async with controls(home, url, tmp_path) as [control]:
        market = control.market
        solution_id = await market.solution(limit=1000)
        issued = await market.tokens(solution_id, COLD)
        await asyncio.to_thread(_fill, url, solution_id)
        taken = []
        for token in issued:
            request = access_pb.ValidateTokenRequest(token=token, action="search", solution_id=solution_id)
            began = time.perf_counter()
            answer = await market.access.ValidateToken(request)
            taken.append(time.perf_counter() - began)
            assert answer.allowed, answer
    show(
        f"{MILLION:,} tokens",
        ("", *SPREAD),
        [[f"first validation of {COLD} of them", *spread_ms(taken)]],
        f"held by a validator: {held:.0f} bytes a token of resident memory; the bar is {BAR_BYTES}",
        f"taken over by it: {rate:,.0f} a second",
        f"cold p99 {ms(percentile(taken, 99))}; the bar is {BAR_MS} ms",
    )
    assert held <= BAR_BYTES


def _held() -> tuple[float, float]:
    """(bytes, tokens a second) of an engine that is told a million tokens."""
    source = random.Random(7)
    ledger = Ledger(time.time(), solution(10))
    engine = Engine(instance="bench", environment="dev", journal=Journal(None, 64))
    engine.apply(ledger.push(reset=True), ledger.now)
    me = psutil.Process()
    gc.collect()
    before, spent = me.memory_info().rss, 0.0
    told = pb.AdmitTokenResponse(code=access_pb.DECISION_CODE_ALLOWED, revision=1)
    told.token.state = access_pb.TOKEN_STATE_ACTIVE
    told.entitlement.solution_id, told.entitlement.tier = SOLUTION, "free"
    told.entitlement.status = access_pb.ENTITLEMENT_STATUS_ACTIVE
    for _ in range(MILLION):
        token = tokens.issue("dev", random=source.randbytes)
        told.token.kid = token.split("_")[2]
        told.entitlement.id = str(uuid.UUID(bytes=source.randbytes(16)))
        told.entitlement.user_id = str(uuid.UUID(bytes=source.randbytes(16)))
        told.entitlement.user_email = f"user-{source.randrange(10**9)}@mail.example.com"
        request = pb.AdmitTokenRequest(token=token, solution_id=SOLUTION)
        began = time.perf_counter()
        engine.admitted(request, told, ledger.now)
        spent += time.perf_counter() - began
    assert engine.held == MILLION
    gc.collect()
    return (me.memory_info().rss - before) / MILLION, MILLION / spent


def _fill(url: str, solution_id: str) -> None:
    """A million entitlements with a token each, beside the real ones."""
    with psycopg.connect(url) as connection:
        # The references are right; a million look-ups of them are not what is measured.
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO entitlements (id, user_id, solution_id, tier, status, create_time, update_time, version)"
            " SELECT gen_random_uuid(), gen_random_uuid(), %s, 'free', 'ACTIVE', now(), now(), 1"
            " FROM generate_series(1, %s)",
            (solution_id, MILLION),
        )
        connection.execute(
            "INSERT INTO tokens (kid, entitlement_id, user_id, solution_id, pepper, mac, create_time)"
            " SELECT 'f' || substr(md5(e.id::text), 1, 11), e.id, e.user_id, e.solution_id, 1,"
            " sha256(e.id::text::bytea), now()"
            " FROM entitlements e LEFT JOIN tokens t ON t.entitlement_id = e.id WHERE t.kid IS NULL"
            " ON CONFLICT DO NOTHING"
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE entitlements")
        connection.execute("VACUUM ANALYZE tokens")
