"""One effect per request_id (AIP-155): the claim is a row of the change's own transaction, the answer is stored in it.

Insert-first on a unique key: of callers that come at once, one inserts and the others wait for its commit and then
read its answer. Looking first and writing later let 200 keys through 2,556 times.

What is kept of a request is a keyed hash: it may hold an e-mail or a password, which nobody who has the rows finds by
trying them out.
"""

import functools
import hmac
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

import grpc
from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    column,
    delete,
    literal_column,
    select,
    text,
)
from sqlalchemy import table as lightweight
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime import journal
from shared.runtime.context import current
from shared.runtime.db import Database, selecting
from shared.runtime.errors import FailedPrecondition, InvalidArgument
from shared.runtime.ids import NO_TENANT as NO_TENANT

KEPT_HOURS = 24
REPLAYED = "idempotent-replayed"

_row = lightweight("idempotency", column("expire_time", DateTime(timezone=True)))


def columns() -> list[Column[Any]]:
    """For the plane's migration: op.create_table("idempotency", *idempotency.columns()), then an index on
    expire_time; where the plane's rows are the tenants', isolation.tenant_policies and the steward's to purge."""
    return [
        Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
        Column("scope", Text, primary_key=True),  # the method
        Column("caller", Text, primary_key=True),
        Column("request_id", Uuid(as_uuid=False), primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("answer", LargeBinary),  # google.protobuf.Any; null while the first call runs
        Column("expire_time", DateTime(timezone=True), nullable=False, index=True),
    ]


def table(metadata: MetaData) -> Table:
    """The table `idempotency` of a plane."""
    return Table("idempotency", metadata, *columns())


class _Servicer(Protocol):
    @property
    def db(self) -> Database: ...


S = TypeVar("S", bound=_Servicer)
Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
# What grpc.aio calls: the servicer's method with its context.
Unary = Callable[[S, Q, "grpc.aio.ServicerContext[Any, Any]"], Coroutine[Any, Any, A]]


def mutation(method: Callable[[S, Q, AsyncConnection], Awaitable[A]]) -> Unary[S, Q, A]:
    """Makes `async def CreateX(self, request, tx)` the RPC CreateX, inside one transaction of self.db.

    The transaction is the call's tenant's. A replay of request.request_id gets the stored answer and the trailing
    metadata `idempotent-replayed: true`; without a request_id the method just runs. A method that calls other
    processes must not hold a transaction meanwhile: it uses claim() and settle() itself.

    Where the servicer has `committed`, that is awaited between the commit and the answer.
    """
    return _mutation(method)


def counting(method: Callable[[S, Q, AsyncConnection], Awaitable[A]]) -> Unary[S, Q, A]:
    """mutation() of what no process keeps in memory: nothing has to follow before the answer."""
    return _mutation(method, is_kept=False)


def revealing(
    *fields: str,
) -> Callable[[Callable[[S, Q, AsyncConnection], Awaitable[A]]], Unary[S, Q, A]]:
    """mutation() for an answer that shows a secret once: what is stored, and so a replay, lacks these fields."""
    return lambda method: _mutation(method, fields)


def _mutation(
    method: Callable[[S, Q, AsyncConnection], Awaitable[A]], secret: Sequence[str] = (), *, is_kept: bool = True
) -> Unary[S, Q, A]:
    @functools.wraps(method)
    async def served(self: S, request: Q, context: "grpc.aio.ServicerContext[Any, Any]") -> A:
        async with self.db.transaction(current().tenant_id or None) as tx:
            if (stored := await claim(tx, request)) is None:
                answer = await method(self, request, tx)
                await settle(tx, request, _without(answer, secret))
        if stored is None:
            if is_kept and (committed := getattr(self, "committed", None)) is not None:
                await committed()
            return answer
        replayed(context)
        return cast("A", stored)

    return served


def replayed(context: "grpc.aio.ServicerContext[Any, Any]") -> None:
    """Tells the caller that this is the answer to the first call with the request's id."""
    context.set_trailing_metadata((*(context.trailing_metadata() or ()), (REPLAYED, "true")))


def _without(answer: A, fields: Sequence[str]) -> A:
    if not fields:
        return answer
    kept = type(answer)()
    kept.CopyFrom(answer)
    for name in fields:
        kept.ClearField(name)
    return kept


async def claim(tx: AsyncConnection, request: Message) -> Message | None:
    """Takes the request's id for this call, or gives the answer that it has already had.

    Waits while another call with the same id is open. FailedPrecondition REQUEST_ID_REUSED: that id came with
    another payload.
    """
    if (key := _key(request)) is None:
        return None
    fingerprint = _fingerprint(tx, request)
    if (await tx.execute(_CLAIM, {**key, "fingerprint": fingerprint})).rowcount == 1:
        return None
    # A statement of its own sees what the other transaction committed (READ COMMITTED).
    before = (await tx.execute(_CLAIMED, key)).one_or_none()
    if before is None or before.answer is None:
        # Purged between the two statements, or claimed by this very transaction.
        raise FailedPrecondition("REQUEST_ID_REUSED", "this request_id is in use; choose a new one")
    if before.fingerprint != fingerprint:
        raise FailedPrecondition(
            "REQUEST_ID_REUSED", "this request_id came with another payload before; choose a new one"
        )
    packed = any_pb2.Any.FromString(before.answer)
    kind = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    answer = message_factory.GetMessageClass(kind)()
    packed.Unpack(answer)
    journal.unchanged(tx)
    return answer


async def settle(tx: AsyncConnection, request: Message, answer: Message) -> None:
    """Stores the answer for replays, in the transaction that claimed the id."""
    if (key := _key(request)) is None:
        return
    packed = any_pb2.Any()
    packed.Pack(answer)
    await tx.execute(_SETTLE, {**key, "answer": packed.SerializeToString()})


async def purge(tx: AsyncConnection, now: datetime, at_most: int = 10_000) -> int:
    """Forgets expired answers, and says how many; call again while it says `at_most`."""
    place: ColumnElement[Any] = literal_column("ctid")
    old = select(place).select_from(_row).where(_row.c.expire_time < now).limit(at_most)
    return (await tx.execute(delete(_row).where(place.in_(old)))).rowcount


def _key(request: Message) -> dict[str, str] | None:
    """What names the claim; None without a request_id."""
    if not (request_id := getattr(request, "request_id", "")):
        return None
    try:
        canonical = str(uuid.UUID(request_id))
    except ValueError:
        fields = {"request_id": "not a UUID"}
        raise InvalidArgument("REQUEST_ID_INVALID", "request_id is a UUID", fields=fields) from None
    call = current()
    tenant_id = call.tenant_id or NO_TENANT
    return {"tenant_id": tenant_id, "scope": call.method, "caller": call.caller, "request_id": canonical}


_MATCHES = (
    "tenant_id = CAST(:tenant_id AS uuid) AND scope = :scope AND caller = :caller "
    "AND request_id = CAST(:request_id AS uuid)"
)
_CLAIM = text(
    f"""
    INSERT INTO idempotency (tenant_id, scope, caller, request_id, fingerprint, expire_time)
    VALUES (
        CAST(:tenant_id AS uuid), :scope, :caller, CAST(:request_id AS uuid), :fingerprint,
        now() + interval '{KEPT_HOURS} hours'
    )
    ON CONFLICT DO NOTHING
    """
)
_CLAIMED = selecting(f"SELECT fingerprint, answer FROM idempotency WHERE {_MATCHES}", "fingerprint", "answer")
_SETTLE = text(f"UPDATE idempotency SET answer = :answer WHERE {_MATCHES}")


def _fingerprint(tx: AsyncConnection, request: Message) -> bytes:
    payload = type(request)()
    payload.CopyFrom(request)
    payload.ClearField("request_id")
    # No audit entry begins like this: those have a length first.
    about = b"request\0" + payload.SerializeToString(deterministic=True)
    return hmac.digest(journal.account(tx).proving_key, about, "sha256")
