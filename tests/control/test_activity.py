"""What clusters tell becomes the control plane's count of what happens in each shop, in a process as it ships."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nats.js.errors import NotFoundError

from center.dataplane.v1.product_service_pb2 import Product
from shared.runtime.ids import uuid7
from tests.control.plane import until
from tests.support.nats import Nats


@pytest.fixture
def broker(home: Path) -> Iterator[Nats]:
    server = Nats(home)
    server.start()
    yield server
    server.stop()


async def test_control_tells_of_its_own_and_counts_each_event_of_a_cluster_once(start_plane: Any, broker: Nats) -> None:
    async with start_plane(nats_url=broker.url) as plane:
        made = await plane.create("told", draft=True)

        async def published() -> Any:
            async with broker.broker("operator").connected() as connection:
                subject = f"ev.control.{made.tenant.id}.tenant.created.v1"
                # The relay makes the stream, a moment after the process has come up.
                with contextlib.suppress(NotFoundError):
                    return (await connection.js.stream_info("CONTROL", subjects_filter=subject)).state.subjects

        await until(published)
        first, second = uuid7(), uuid7()
        async with broker.broker("cluster/eu-1").connected() as connection:
            await connection.ensure("DATA")
            for number, id in enumerate((first, second, first, first)):
                async with connection.publishing(5) as publish:
                    # A name of its own for each time, as if JetStream had forgotten the last one.
                    headers = {"Nats-Msg-Id": f"{id} {number}", "ce-id": id, "ce-subject": "a", "ce-sequence": "1"}
                    headers["ce-time"] = "2026-01-31T23:59:59+00:00"
                    subject = f"ev.dataplane.{made.tenant.id}.product.created.v1"
                    await publish(subject, Product(id="a").SerializeToString(), headers)

        async def counted() -> Any:
            with psycopg.connect(plane.config.database_url) as owner:
                # What other tests have told the same NATS is counted, too.
                mine = "SELECT date::text, type, events FROM tenant_activity WHERE tenant_id::text = %s"
                rows = owner.execute(mine, [made.tenant.id]).fetchall()
            return rows == [("2026-01-31", "product.created", 2)]

        await until(counted)
