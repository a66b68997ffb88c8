"""Refused calls in the audit of the control plane."""

from collections.abc import Sequence

from control.catalog.store import Change, record
from shared.audit.denials import DENIED, Denied
from shared.runtime import context as calls
from shared.runtime.db import Database


async def write(db: Database, told: Sequence[Denied]) -> None:
    for denied in told:
        with calls.use(denied.call):
            async with db.transaction() as tx:
                await record(tx, [_change(denied)])


def _change(denied: Denied) -> Change:
    return Change(
        resource=DENIED,
        resource_id=denied.kind.reason,
        event=DENIED,
        reason="",
        before={},
        after=denied.facts,
        tenant_id=denied.kind.tenant_id,
    )
