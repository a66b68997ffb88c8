"""Checkouts and settings in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies
enforce."""

from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import checkout_service_pb2 as pb
from dataplane.checkout.domain import Checkout, Settings
from dataplane.checkout.messages import settings_of, settings_to_proto
from shared.runtime.db import selecting
from shared.runtime.errors import stale

_GET = selecting(
    "SELECT cart_id::text, cart_version, shipping_method, shipping_minor, total_minor, create_time, expire_time, "
    "order_id::text FROM checkouts WHERE tenant_id = CAST(:tenant_id AS uuid) AND cart_id = CAST(:cart_id AS uuid)",
    "cart_id", "cart_version", "shipping_method", "shipping_minor", "total_minor", "create_time", "expire_time",
    "order_id",
)  # fmt: skip
_PUT = text(
    """
    INSERT INTO checkouts (
        tenant_id, cart_id, cart_version, shipping_method, shipping_minor, total_minor, create_time, expire_time
    )
    VALUES (
        CAST(:tenant_id AS uuid), CAST(:cart_id AS uuid), :cart_version, :shipping_method, :shipping_minor,
        :total_minor, :create_time, :expire_time
    )
    ON CONFLICT (tenant_id, cart_id) DO UPDATE SET cart_version = excluded.cart_version,
        shipping_method = excluded.shipping_method, shipping_minor = excluded.shipping_minor,
        total_minor = excluded.total_minor, create_time = excluded.create_time, expire_time = excluded.expire_time,
        order_id = NULL
    """
)
_SETTINGS = "SELECT settings, version, update_time FROM selling_settings WHERE tenant_id = CAST(:tenant_id AS uuid)"
_SET = text(
    """
    INSERT INTO selling_settings AS s (tenant_id, settings, version, update_time)
    VALUES (CAST(:tenant_id AS uuid), :settings, :version, :update_time)
    ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, version = excluded.version,
        update_time = excluded.update_time
    WHERE s.version = excluded.version - 1
    """
)


async def get(tx: AsyncConnection, tenant_id: str, cart_id: str) -> Checkout | None:
    """Who wants to change it has locked its cart."""
    row = (await tx.execute(_GET, {"tenant_id": tenant_id, "cart_id": cart_id})).one_or_none()
    return None if row is None else Checkout(*row)


async def put(tx: AsyncConnection, tenant_id: str, new: Checkout) -> None:
    """In place of the one that the cart had."""
    await tx.execute(
        _PUT,
        {
            "tenant_id": tenant_id,
            "cart_id": new.cart_id,
            "cart_version": new.cart_version,
            "shipping_method": new.shipping_method,
            "shipping_minor": new.shipping_minor,
            "total_minor": new.total_minor,
            "create_time": new.create_time,
            "expire_time": new.expire_time,
        },
    )


async def became(tx: AsyncConnection, tenant_id: str, cart_id: str, order_id: str) -> None:
    await tx.execute(
        text(
            "UPDATE checkouts SET order_id = CAST(:order_id AS uuid) "
            "WHERE tenant_id = CAST(:tenant_id AS uuid) AND cart_id = CAST(:cart_id AS uuid)"
        ),
        {"tenant_id": tenant_id, "cart_id": cart_id, "order_id": order_id},
    )


async def delete(tx: AsyncConnection, tenant_id: str, cart_id: str) -> None:
    await tx.execute(
        text("DELETE FROM checkouts WHERE tenant_id = CAST(:tenant_id AS uuid) AND cart_id = CAST(:cart_id AS uuid)"),
        {"tenant_id": tenant_id, "cart_id": cart_id},
    )


async def settings(tx: AsyncConnection, tenant_id: str, *, lock: bool = False) -> Settings:
    """How it sells until it says otherwise has version 0."""
    stmt = text(_SETTINGS + " FOR UPDATE" * lock)
    row = (await tx.execute(stmt, {"tenant_id": tenant_id})).one_or_none()
    if row is None:
        return Settings()
    kept = settings_of(pb.SellingSettings.FromString(row.settings))
    return replace(kept, version=row.version, update_time=row.update_time)


async def set_settings(tx: AsyncConnection, tenant_id: str, new: Settings) -> None:
    """Over the version just before. Aborted ETAG_MISMATCH when it is not there."""
    plain = settings_to_proto(replace(new, version=0, update_time=None))
    plain.ClearField("etag")
    values = {
        "tenant_id": tenant_id,
        "settings": plain.SerializeToString(),
        "version": new.version,
        "update_time": new.update_time,
    }
    if (await tx.execute(_SET, values)).rowcount != 1:
        raise stale("selling settings", tenant_id)
