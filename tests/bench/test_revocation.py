"""How long a revoked token goes on: from the call that revokes it to the first refusal, at servers and in SDKs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from center.control.v1 import access_service_pb2 as access_pb
from tests.bench.controls import controls
from tests.bench.measure import SPREAD, ms, percentile, show, spread_ms

BAR_MS = 50
TOKENS = 100
SDKS = 5


async def test_a_revocation_is_refused_everywhere(
    home: Path, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    async with (
        controls(home, make_database("revocation_bench"), tmp_path, count=2) as running,
        AsyncExitStack() as stack,
    ):
        market = running[0].market
        solution_id = await market.solution(limit=None)
        issued = await asyncio.gather(*(market.token(solution_id) for _ in range(TOKENS)))
        validators = [
            await stack.enter_async_context(
                market.validator(
                    solution_id,
                    address=running[number % 2].market.plane.config.address,
                    instance=f"sdk-{number}",
                )
            )
            for number in range(SDKS)
        ]

        def asks(number: int) -> Callable[[str], Awaitable[bool]]:
            access = running[number].market.access

            async def allowed(token: str) -> bool:
                request = access_pb.ValidateTokenRequest(token=token, action="search", solution_id=solution_id, cost=0)
                return (await access.ValidateToken(request)).allowed

            return allowed

        def decides(number: int) -> Callable[[str], Awaitable[bool]]:
            validator = validators[number]

            async def allowed(token: str) -> bool:
                return (await validator.validate(token, "search", cost=0)).allowed

            return allowed

        def news_of(number: int) -> Callable[[], Awaitable[None]]:
            """Servers are asked again; an SDK has heard of something, since asking it all the time would be felt."""
            if number < 2:
                return lambda: asyncio.sleep(0.002)
            validator = validators[number - 2]
            return lambda: validator.reached(validator.revision + 1)

        places = {f"control process {number + 1}": asks(number) for number in range(2)}
        places |= {f"SDK {number + 1}": decides(number) for number in range(SDKS)}
        taken: dict[str, list[float]] = {name: [] for name in places}
        after: list[float] = []
        for token in issued:
            for allowed in places.values():
                assert await allowed(token.token)
            began = time.perf_counter()

            async def until_refused(number: int, name: str, token: str = token.token, began: float = began) -> float:
                while True:
                    news = asyncio.ensure_future(news_of(number)())
                    # It waits from before the question on, so that nothing is missed in between.
                    await asyncio.sleep(0)
                    if not await places[name](token):
                        news.cancel()
                        break
                    await news
                refused = time.perf_counter()
                taken[name].append(refused - began)
                return refused

            ends = [asyncio.create_task(until_refused(number, name)) for number, name in enumerate(places)]
            await market.revoke(token.token_kid)
            answered = time.perf_counter()
            after.append(max(0.0, max(await asyncio.gather(*ends)) - answered))
        everywhere = [max(of_one) for of_one in zip(*taken.values(), strict=True)]
        rows = [[name, *spread_ms(found)] for name, found in taken.items()]
        show(
            f"{TOKENS} revocations, each from the call of RevokeToken on to the first refusal",
            ("", *SPREAD),
            [
                *rows,
                ["everywhere", *spread_ms(everywhere)],
                ["everywhere, from RevokeToken's answer on", *spread_ms(after)],
            ],
            f"the last place refuses after {ms(percentile(everywhere, 99))} (p99); the bar is {BAR_MS} ms",
        )
