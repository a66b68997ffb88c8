"""One effect per request_id, whatever comes twice, at once, or dies in between."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import tenant_service_pb2 as pb
from center.control.v1 import tenant_service_pb2_grpc as stubs
from shared.runtime import ids
from shared.runtime.context import CallContext, enter
from shared.runtime.db import Database, app_url
from shared.runtime.errors import FailedPrecondition, InvalidArgument
from shared.runtime.idempotency import REPLAYED, mutation, purge
from tests.shared.conftest import ACME, BOLT
from tests.shared.plane.tables import note


class Notes(stubs.TenantServiceServicer):
    """CreateTenant writes a note; its code is the answer's number of notes so far."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.runs = 0

    @mutation
    async def CreateTenant(self, request: pb.CreateTenantRequest, tx: AsyncConnection) -> pb.CreateTenantResponse:
        self.runs += 1
        body = request.tenant.code
        await tx.execute(insert(note).values(tenant_id=ACME if body != "bolt" else BOLT, id=self.runs, body=body))
        if body == "refused":
            raise FailedPrecondition("REFUSED", "as asked")
        if body == "crash":
            raise ZeroDivisionError
        answer = pb.CreateTenantResponse()
        answer.tenant.code = f"{body}-{self.runs}"
        return answer

    @mutation
    async def DeleteTenant(self, request: pb.DeleteTenantRequest, tx: AsyncConnection) -> pb.DeleteTenantResponse:
        return pb.DeleteTenantResponse()


class Caller(grpc.aio.ServerInterceptor):
    """Stands for the chain: says who calls, from metadata."""

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(details)
        said = dict(details.invocation_metadata or ())

        async def serve(request: Any, context: Any) -> Any:
            enter(CallContext(said["caller"], tenant_id=said["tenant"], method=details.method.strip("/")))
            try:
                return await handler.unary_unary(request, context)
            except (FailedPrecondition, InvalidArgument) as error:
                await context.abort(grpc.StatusCode[error.code], error.reason)

        return grpc.unary_unary_rpc_method_handler(serve, handler.request_deserializer, handler.response_serializer)


@pytest.fixture
async def notes(app: Database) -> Notes:
    return Notes(app)


@pytest.fixture
async def stub(notes: Notes) -> AsyncIterator[Any]:
    server = grpc.aio.server(interceptors=[Caller()])
    stubs.add_TenantServiceServicer_to_server(notes, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield stubs.TenantServiceStub(channel)
    await server.stop(None)


def create(stub: Any, request_id: str, code: str = "acme", caller: str = "operator", tenant: str = ACME) -> Any:
    request = pb.CreateTenantRequest(request_id=request_id)
    request.tenant.code = code
    return stub.CreateTenant(request, metadata=(("caller", caller), ("tenant", tenant)))


async def bodies(db: Database, tenant: str = ACME) -> list[str]:
    async with db.transaction(tenant) as tx:
        return list((await tx.execute(text("SELECT body FROM note ORDER BY id"))).scalars())


async def test_a_replay_gets_the_first_answer_and_has_no_second_effect(stub: Any, notes: Notes) -> None:
    request_id = ids.uuid7()
    first, again = create(stub, request_id), create(stub, request_id.upper())
    assert await first == await again
    assert (await first).tenant.code == "acme-1"
    told = [REPLAYED in dict(await call.trailing_metadata() or ()) for call in (first, again)]
    assert sorted(told) == [False, True]
    assert await bodies(notes.db) == ["acme"]


async def test_the_same_id_with_another_payload_is_refused(stub: Any, notes: Notes) -> None:
    request_id = ids.uuid7()
    await create(stub, request_id)
    with pytest.raises(grpc.aio.AioRpcError, match="REQUEST_ID_REUSED"):
        await create(stub, request_id, "other")
    assert await bodies(notes.db) == ["acme"]


async def test_what_is_kept_of_a_request_cannot_be_tried_out(stub: Any, app: Database) -> None:
    """It may hold an e-mail or a password: whoever has the rows and guesses one must not see that it is right."""
    await create(stub, ids.uuid7())
    async with app.transaction(ACME) as tx:
        kept = (await tx.execute(text("SELECT fingerprint FROM idempotency"))).scalar_one()
    guessed = pb.CreateTenantRequest(tenant={"code": "acme"}).SerializeToString(deterministic=True)
    assert len(kept) == 32
    assert kept not in [hashlib.sha256(guess).digest() for guess in (guessed, b"request\0" + guessed)]


async def test_sixteen_callers_at_once_have_one_effect_and_one_answer(stub: Any, notes: Notes) -> None:
    for _ in range(10):
        request_id = ids.uuid7()
        answers = await asyncio.gather(*(create(stub, request_id) for _ in range(16)))
        assert len({answer.tenant.code for answer in answers}) == 1
    assert len(await bodies(notes.db)) == 10 == notes.runs


async def test_a_call_that_failed_leaves_nothing_and_may_come_again(stub: Any, notes: Notes) -> None:
    for code in ("refused", "crash"):
        request_id = ids.uuid7()
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await create(stub, request_id, code)
            assert "REQUEST_ID_REUSED" not in str(caught.value)
        await create(stub, request_id, "well")
    assert await bodies(notes.db) == ["well", "well"]
    assert notes.runs == 6


async def test_a_cancelled_first_call_lets_the_waiting_second_one_run(stub: Any, notes: Notes) -> None:
    request_id = ids.uuid7()
    async with notes.db.transaction(ACME) as tx:  # holds up every insert into note
        await tx.execute(text("SELECT pg_advisory_xact_lock(1)"))
        await tx.execute(text("INSERT INTO note (tenant_id, id, body) VALUES (:t, 1, 'held')"), {"t": ACME})
        first, second = create(stub, request_id), create(stub, request_id)
        await asyncio.sleep(0.2)  # both wait: one for the note, one for the claim
        first.cancel()
        second_done = asyncio.ensure_future(_finish(second))
        await tx.execute(text("DELETE FROM note WHERE id = 1"))
    await second_done
    assert await bodies(notes.db) == ["acme"]


async def _finish(call: Any) -> Any:
    return await call


async def test_callers_tenants_and_methods_have_ids_of_their_own(stub: Any, notes: Notes) -> None:
    request_id = ids.uuid7()
    await create(stub, request_id)
    await create(stub, request_id, caller="cluster/eu-1")
    await create(stub, request_id, "bolt", tenant=BOLT)
    deleted = stub.DeleteTenant(
        pb.DeleteTenantRequest(request_id=request_id), metadata=(("caller", "operator"), ("tenant", ACME))
    )
    assert await deleted == pb.DeleteTenantResponse()
    assert notes.runs == 3


async def test_without_an_id_every_call_runs(stub: Any, notes: Notes) -> None:
    await create(stub, "")
    await create(stub, "")
    assert await bodies(notes.db) == ["acme", "acme"]


async def test_an_id_that_is_no_uuid_is_refused(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="REQUEST_ID_INVALID"):
        await create(stub, "first-try")


async def test_a_purge_forgets_what_has_expired_and_nothing_else(
    stub: Any, notes: Notes, plane_url: str, home: Path
) -> None:
    request_ids = [ids.uuid7() for _ in range(5)]
    for request_id in request_ids:
        await create(stub, request_id)
    steward = Database.connect(app_url(plane_url, home, "center_steward"))
    async with steward.transaction() as tx:
        assert await purge(tx, datetime.now(UTC) + timedelta(hours=23)) == 0
        assert await purge(tx, datetime.now(UTC) + timedelta(hours=25), at_most=3) == 3
        assert await purge(tx, datetime.now(UTC) + timedelta(hours=25), at_most=3) == 2
    await steward.close()
    await create(stub, request_ids[0])
    assert notes.runs == 6
