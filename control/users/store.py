"""Users, registrations, codes and their counts in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, not_, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from control.rows import among
from control.tables import codes, registration_counts, registrations, users
from control.users.crypto import Wrapped
from control.users.domain import Code, Registration, State, User
from shared.runtime.errors import NotFound, stale


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a user's row holds in sealed form; `data_key` is None once the user is erased."""

    data_key: Wrapped | None
    email: bytes | None
    wanted_email: bytes | None
    email_hash: bytes | None


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        state=State(row.state),
        verify_time=row.verify_time,
        create_time=row.create_time,
        update_time=row.update_time,
        erase_time=row.erase_time,
        version=row.version,
    )


def _sealed(row: Row[Any]) -> Sealed:
    return Sealed(
        data_key=Wrapped(row.kek, bytes(row.data_key)) if row.data_key is not None else None,
        email=row.email,
        wanted_email=row.wanted_email,
        email_hash=row.email_hash,
    )


async def get(tx: AsyncConnection, user_id: str, *, lock: bool = False) -> tuple[User, Sealed]:
    stmt = select(users).where(users.c.id == user_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("USER_NOT_FOUND", f"there is no user {user_id}", id=user_id)
    return _user(row), _sealed(row)


async def get_many(tx: AsyncConnection, user_ids: Iterable[str]) -> dict[str, tuple[User, Sealed]]:
    rows = (await tx.execute(select(users).where(among(users.c.id, set(user_ids))))).all()
    return {row.id: (_user(row), _sealed(row)) for row in rows}


async def find(tx: AsyncConnection, email_hash: bytes, *, lock: bool = False) -> User | None:
    stmt = select(users).where(users.c.email_hash == email_hash)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return _user(row) if row is not None else None


async def list_page(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[tuple[User, Sealed]]:
    """Newest first."""
    order = (users.c.create_time.desc(), users.c.id.desc())
    rows = (await tx.execute(select(users).where(*where).order_by(*order).limit(limit))).all()
    return [(_user(row), _sealed(row)) for row in rows]


async def add(tx: AsyncConnection, user: User, email_hash: bytes, data_key: Wrapped, email: bytes) -> bool:
    """False: somebody else has added a user of this e-mail, and it has committed."""
    stmt = insert(users).values(
        **_values(user), email_hash=email_hash, email=email, data_key=data_key.data, kek=data_key.kek
    )
    stmt = stmt.on_conflict_do_nothing(index_elements=[users.c.email_hash])
    return (await tx.execute(stmt.returning(users.c.id))).one_or_none() is not None


async def save(tx: AsyncConnection, user: User, **sealed: bytes | None) -> None:
    """Writes over the version just before this one, or refuses. sealed: columns of Sealed that change, too."""
    before = (users.c.id == user.id) & (users.c.version == user.version - 1)
    if (await tx.execute(update(users).where(before).values(**_values(user), **sealed))).rowcount != 1:
        raise stale("user", user.id)


def _values(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "state": user.state,
        "verify_time": user.verify_time,
        "create_time": user.create_time,
        "update_time": user.update_time,
        "erase_time": user.erase_time,
        "version": user.version,
    }


async def wrapped_before(tx: AsyncConnection, kek: int, at_most: int) -> list[tuple[str, Wrapped]]:
    """(user id, data key) of users whose key an older key-encryption key wraps, locked."""
    stmt = (
        select(users.c.id, users.c.kek, users.c.data_key)
        .where(users.c.data_key.is_not(None), users.c.kek < kek)
        .order_by(users.c.kek, users.c.id)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return [(row.id, Wrapped(row.kek, bytes(row.data_key))) for row in (await tx.execute(stmt)).all()]


async def count_wrapped_before(tx: AsyncConnection, kek: int) -> int:
    stmt = select(func.count()).where(users.c.data_key.is_not(None), users.c.kek < kek)
    return int((await tx.execute(stmt)).scalar_one())


async def rewrap(tx: AsyncConnection, keys: Sequence[tuple[str, Wrapped]]) -> None:
    """Stores data keys in their new wrapping; nothing that a reader could see changes, so the version stays."""
    if keys:
        stmt = text("""
            UPDATE users u SET kek = n.kek, data_key = n.data_key
            FROM unnest(CAST(:ids AS uuid[]), CAST(:keks AS bigint[]), CAST(:keys AS bytea[])) AS n (id, kek, data_key)
            WHERE u.id = n.id
        """)
        await tx.execute(
            stmt,
            {
                "ids": [user_id for user_id, _ in keys],
                "keks": [key.kek for _, key in keys],
                "keys": [key.data for _, key in keys],
            },
        )


async def add_registration(tx: AsyncConnection, registration: Registration, target: bytes) -> None:
    await tx.execute(
        insert(registrations).values(
            id=registration.id,
            user_id=registration.user_id,
            solution_id=registration.solution_id,
            create_time=registration.create_time,
            target=target,
        )
    )


async def get_registration(
    tx: AsyncConnection, registration_id: str, *, lock: bool = False
) -> tuple[Registration, bytes | None] | None:
    """With where it leads, sealed."""
    stmt = select(registrations).where(registrations.c.id == registration_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return (_registration(row), row.target) if row is not None else None


def _registration(row: Row[Any]) -> Registration:
    return Registration(
        id=row.id,
        user_id=row.user_id,
        solution_id=row.solution_id,
        create_time=row.create_time,
        verify_time=row.verify_time,
    )


async def list_registrations(tx: AsyncConnection, user_id: str, limit: int) -> list[tuple[Registration, bytes | None]]:
    """Newest first, with where they lead, sealed."""
    stmt = select(registrations).where(registrations.c.user_id == user_id)
    rows = (await tx.execute(stmt.order_by(registrations.c.create_time.desc()).limit(limit))).all()
    return [(_registration(row), row.target) for row in rows]


async def save_registration(tx: AsyncConnection, registration: Registration) -> None:
    stmt = update(registrations).where(registrations.c.id == registration.id)
    await tx.execute(stmt.values(verify_time=registration.verify_time))


async def add_code(tx: AsyncConnection, code: Code) -> None:
    await tx.execute(
        insert(codes).values(
            id=code.id,
            user_id=code.user_id,
            solution_id=code.solution_id,
            registration_id=code.registration_id,
            create_time=code.create_time,
            expire_time=code.expire_time,
            use_time=code.use_time,
            token_kid=code.token_kid,
        )
    )


async def get_code(tx: AsyncConnection, code_id: str, *, lock: bool = False) -> Code | None:
    stmt = select(codes).where(codes.c.id == code_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return _code(row) if row is not None else None


async def code_of(tx: AsyncConnection, registration_id: str) -> Code | None:
    """The newest of a registration."""
    stmt = select(codes).where(codes.c.registration_id == registration_id).order_by(codes.c.create_time.desc())
    row = (await tx.execute(stmt.limit(1))).one_or_none()
    return _code(row) if row is not None else None


def _code(row: Row[Any]) -> Code:
    return Code(
        id=row.id,
        user_id=row.user_id,
        solution_id=row.solution_id,
        registration_id=row.registration_id,
        create_time=row.create_time,
        expire_time=row.expire_time,
        use_time=row.use_time,
        token_kid=row.token_kid,
    )


async def save_code(tx: AsyncConnection, code: Code) -> None:
    stmt = update(codes).where(codes.c.id == code.id)
    await tx.execute(stmt.values(use_time=code.use_time, token_kid=code.token_kid))


async def void_codes(tx: AsyncConnection, user_id: str, now: datetime, *, but: Collection[str]) -> int:
    """Ends unused codes of the user, but for those of these registrations."""
    open_ones = (codes.c.user_id == user_id) & codes.c.use_time.is_(None) & (codes.c.expire_time > now)
    others = or_(codes.c.registration_id.is_(None), not_(among(codes.c.registration_id, but)))
    return (await tx.execute(update(codes).where(open_ones, others).values(expire_time=now))).rowcount


async def tokens_of_registrations(tx: AsyncConnection, user_id: str) -> list[tuple[str, str]]:
    """(registration id, kid of a token that it led to) of the user's registrations."""
    stmt = select(codes.c.registration_id, codes.c.token_kid).where(
        codes.c.user_id == user_id, codes.c.token_kid != "", codes.c.registration_id.is_not(None)
    )
    return [(row.registration_id, row.token_kid) for row in (await tx.execute(stmt)).all()]


async def forget(tx: AsyncConnection, user_id: str) -> tuple[int, int]:
    """Deletes registrations and codes of a user; how many of each."""
    gone_codes = (await tx.execute(delete(codes).where(codes.c.user_id == user_id))).rowcount
    gone = (await tx.execute(delete(registrations).where(registrations.c.user_id == user_id))).rowcount
    return gone, gone_codes


# An expired window begins anew; a full one is left as it is, and gives no row.
_COUNT = text("""
    INSERT INTO registration_counts AS c (key, window_end, number) VALUES (:key, :end, 1)
    ON CONFLICT (key) DO UPDATE SET
        number = CASE WHEN c.window_end <= :now THEN 1 ELSE c.number + 1 END,
        window_end = CASE WHEN c.window_end <= :now THEN excluded.window_end ELSE c.window_end END
    WHERE c.window_end <= :now OR c.number < :at_most
    RETURNING c.number
""")


async def count(tx: AsyncConnection, key: bytes, now: datetime, window_end: datetime, at_most: int) -> datetime | None:
    """Counts one more in the key's window; None when it counts, else when the full window ends."""
    counted = await tx.execute(_COUNT, {"key": key, "now": now, "end": window_end, "at_most": at_most})
    if counted.one_or_none() is not None:
        return None
    stmt = select(registration_counts.c.window_end).where(registration_counts.c.key == key)
    return (await tx.execute(stmt)).scalar_one_or_none() or now


async def clean(tx: AsyncConnection, now: datetime, older_than: datetime, at_most: int = 10_000) -> int:
    """Forgets windows that are over, and codes and registrations that nobody needs any more; how many rows."""
    # What the registrations of an unproven e-mail led to is known until somebody proves it.
    proven = codes.c.user_id.in_(select(users.c.id).where(users.c.verify_time.is_not(None)))
    done_codes = (codes.c.create_time < older_than) & or_(codes.c.token_kid == "", proven)
    gone = 0
    for table, key, old in (
        (registration_counts, registration_counts.c.key, registration_counts.c.window_end <= now),
        (codes, codes.c.id, done_codes),
        (registrations, registrations.c.id, registrations.c.create_time < older_than),
    ):
        picked = select(key).where(old).limit(at_most)
        gone += (await tx.execute(delete(table).where(key.in_(picked)))).rowcount
    return gone
