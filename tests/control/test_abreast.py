"""Who changes something finds it in the next answer of the same process, as its answer waits for the process's memory.

Memory follows in milliseconds, too fast to be caught behind; so here the change log is taken from it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from center.control.v1 import access_service_pb2 as access_pb
from control.catalog.abreast import PATIENCE_S
from tests.control import solutions
from tests.control.people import People, an_email, code_in
from tests.control.plane import Plane
from tests.control.plans import Plans, units


@pytest.fixture
async def lone(start_plane: Any) -> AsyncIterator[Plane]:
    async with start_plane() as plane:
        yield plane


@contextmanager
def log_away(plane: Plane) -> Iterator[None]:
    """Changes are committed, and the process cannot read that they were."""
    with psycopg.connect(plane.config.database_url, autocommit=True) as owner:
        owner.execute("REVOKE SELECT ON catalog_changes FROM center_app")
        try:
            yield
        finally:
            owner.execute("GRANT SELECT ON catalog_changes TO center_app")


async def changes(plane: Plane) -> dict[str, Callable[[], Awaitable[Any]]]:
    """One of each service that answers from memory, and each that does not leave the waiting to @mutation."""
    people, plans = People(plane), Plans(plane)
    solution = await people.solution()
    user, other = [await people.token(an_email(), solution) for _ in range(2)]
    link = await people.link(other.user_id)
    await plans.metered("prompt")
    tenant_id = await plans.tenant("hasty", "standard")
    upgrade = access_pb.UpdateEntitlementRequest(id=user.entitlement_id, tier="pro", reason="a test")
    code = code_in((await people.register(an_email(), solution)).redirect_url)
    return {
        "AccessService": partial(plane.access().UpdateEntitlement, upgrade),
        "PlanService": partial(plans.override, tenant_id, "prompt", add=units(1)),
        "SolutionService": partial(solutions.create, plane, "abreast"),
        "UserService": partial(people.exchange, code, solution),
        "RegisterUser": partial(people.register, an_email(), solution),
        "VerifyEmail": partial(people.verify, link),
    }


async def test_no_service_answers_before_its_process_knows_what_it_has_changed(lone: Plane) -> None:
    """Without the log that is never; so each waits for as long as it has patience, and then answers all the same."""
    assert lone.running is not None
    made = await changes(lone)

    async def took_s(change: Callable[[], Awaitable[Any]]) -> float:
        began = time.monotonic()
        await change()
        return time.monotonic() - began

    known = lone.running.catalog.revision
    with log_away(lone):
        waited = await asyncio.gather(*map(took_s, made.values()))
        assert lone.running.catalog.revision == known
    hasty = {name: round(waited_s, 3) for name, waited_s in zip(made, waited, strict=True) if waited_s < PATIENCE_S}
    assert hasty == {}
    async with asyncio.timeout(20):
        await lone.seen(known + len(made))
