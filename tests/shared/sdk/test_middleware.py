"""Middlewares in front of real servers: what is refused never reaches the application."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from center.control.v1 import solution_service_pb2 as solutions_pb
from center_sdk import AsyncValidator, Validator
from center_sdk.asgi import AccessMiddleware, Rule
from center_sdk.interceptors import AccessInterceptor, AsyncAccessInterceptor, decision
from tests.edge.web import Shopper
from tests.shared.sdk.market import Market, quota
from tests.support.grpc import refuses


@asynccontextmanager
async def served(validator: AsyncValidator, **rest: Any) -> AsyncIterator[Shopper]:
    """A browser of an application that says what it sees of the decision."""

    async def search(request: Request) -> JSONResponse:
        seen = request.scope.get("center")
        return JSONResponse({"user": seen.user_id if seen is not None else None})

    app = Starlette(routes=[Route("/search", search), Route("/about", search)])
    guarded = AccessMiddleware(app, validator, [Rule("search", "/search", ("GET",))], **rest)
    server = uvicorn.Server(uvicorn.Config(guarded, port=0, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    shopper = Shopper(server.servers[0].sockets[0].getsockname()[1])
    try:
        yield shopper
    finally:
        await shopper.close()
        server.should_exit = True
        await serving


async def test_a_web_application_sees_what_is_allowed_only(market: Market) -> None:
    solution_id = await market.solution(limit=2)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator, served(validator) as browser:
        bearer = f"Bearer {token.token}"
        first = await browser.get("search.example", "/search", authorization=bearer)
        assert (first.status, first.json) == (200, {"user": token.user_id})
        assert first.headers["ratelimit-policy"] == '"search";q=2'
        assert first.headers["ratelimit"].startswith('"search";r=1;t=')
        assert first.headers["x-ratelimit-remaining"] == "1"
        by_cookie = await browser.get("search.example", "/search", cookie=f"a=b; center_token={token.token}")
        assert by_cookie.status == 200
        used_up = await browser.get("search.example", "/search", authorization=bearer)
        assert used_up.status == 429
        assert used_up.headers["content-type"] == "application/problem+json"
        assert 0 < int(used_up.headers["retry-after"]) <= 86400
        assert used_up.json["code"] == "QUOTA_EXHAUSTED"
        assert used_up.json["upgrade_url"] == "https://upgrade.example/free/search"
        unknown = await browser.get("search.example", "/search")
        assert (unknown.status, unknown.json["code"]) == (401, "TOKEN_MISSING")
        assert unknown.headers["www-authenticate"] == "Bearer"
        revision = await market.revoke(token.token_kid)
        await validator.reached(revision, within_s=5)
        revoked = await browser.get("search.example", "/search", authorization=bearer)
        assert (revoked.status, revoked.json["code"]) == (401, "TOKEN_REVOKED")


async def test_what_no_rule_names_is_not_validated(market: Market) -> None:
    solution_id = await market.solution()
    async with market.validator(solution_id) as validator, served(validator) as browser:
        assert (await browser.get("search.example", "/about")).status == 200


async def test_a_head_is_no_way_around(market: Market) -> None:
    solution_id = await market.solution()
    async with market.validator(solution_id) as validator, served(validator) as browser:
        assert (await browser.send("HEAD", "search.example", "/search")).status == 401


async def test_a_tier_without_the_action_is_forbidden(market: Market) -> None:
    tiers = [solutions_pb.Tier(id="free", quotas={"other": quota(1)})]
    solution_id = await market.solution(tiers=tiers)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator, served(validator) as browser:
        answer = await browser.get("search.example", "/search", authorization=f"Bearer {token.token}")
        assert (answer.status, answer.json["code"]) == (403, "ACTION_NOT_ALLOWED")


async def test_callers_without_a_token_are_told_apart(market: Market) -> None:
    tiers = [solutions_pb.Tier(id="guest", quotas={"search": quota(1)})]
    solution_id = await market.solution(tiers=tiers, anonymous_tier="guest")
    by_header: Callable[[Any], str] = lambda scope: dict(scope["headers"]).get(b"x-me", b"").decode()  # noqa: E731
    async with market.validator(solution_id) as validator, served(validator, anonymous_id=by_header) as browser:
        answers = [await browser.get("search.example", "/search", x_me=me) for me in ("a", "b", "a")]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[2].json["code"] == "ANONYMOUS_EXHAUSTED"


METHOD = "/shop.v1.Search/Find"
ACTIONS = {METHOD: "search", "/shop.v1.Search/Follow": "search"}


async def test_a_grpc_aio_server_runs_only_what_is_allowed(market: Market) -> None:
    solution_id = await market.solution(limit=2)
    token = await market.token(solution_id)
    metadata = (("authorization", f"Bearer {token.token}"),)

    async def find(request: bytes, context: Any) -> bytes:
        return decision.get().user_id.encode()

    async def follow(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield decision.get().user_id.encode()

    async with market.validator(solution_id) as validator:
        server = grpc.aio.server(interceptors=[AsyncAccessInterceptor(validator, ACTIONS)])
        _serve(server, find, follow)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            found, followed = channel.unary_unary(METHOD), channel.unary_stream("/shop.v1.Search/Follow")
            assert (await found(b"", metadata=metadata)).decode() == token.user_id
            assert [each.decode() async for each in followed(b"", metadata=metadata)] == [token.user_id]
            async with refuses("RESOURCE_EXHAUSTED", "QUOTA_EXHAUSTED") as refusal:
                await found(b"", metadata=metadata)
            assert refusal.retry_after_s is not None
            assert refusal.metadata["upgrade_url"] == "https://upgrade.example/free/search"
            async with refuses("RESOURCE_EXHAUSTED", "QUOTA_EXHAUSTED"):
                async for _ in followed(b"", metadata=metadata):
                    pass
            async with refuses("UNAUTHENTICATED", "TOKEN_MISSING"):
                await found(b"")
        await server.stop(None)


def _serve(server: Any, find: Any, follow: Any) -> None:
    handlers = {
        "Find": grpc.unary_unary_rpc_method_handler(find),
        "Follow": grpc.unary_stream_rpc_method_handler(follow),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.v1.Search", handlers),))


@contextmanager
def threaded(validator: Validator) -> Iterator[int]:
    def find(request: bytes, context: Any) -> bytes:
        return decision.get().user_id.encode()

    def follow(request: bytes, context: Any) -> Iterator[bytes]:
        yield decision.get().user_id.encode()

    server = grpc.server(ThreadPoolExecutor(4), interceptors=[AccessInterceptor(validator, ACTIONS)])
    _serve(server, find, follow)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


async def test_a_threaded_grpc_server_runs_only_what_is_allowed(market: Market) -> None:
    solution_id = await market.solution(limit=2)
    token = await market.token(solution_id)

    def calls() -> list[str]:
        credentials = market.credentials(solution_id)
        metadata = (("authorization", f"Bearer {token.token}"),)
        told = []
        with (
            Validator.connect(market.plane.config.address, solution_id, credentials) as validator,
            threaded(validator) as port,
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            found, followed = channel.unary_unary(METHOD), channel.unary_stream("/shop.v1.Search/Follow")
            told.append(found(b"", metadata=metadata).decode())
            told += [each.decode() for each in followed(b"", metadata=metadata)]
            for refused in (lambda: found(b"", metadata=metadata), lambda: list(followed(b"", metadata=metadata))):
                with pytest.raises(grpc.RpcError) as error:
                    refused()
                told.append(error.value.code().name)  # type: ignore[attr-defined]
        return told

    told = await asyncio.to_thread(calls)
    assert told == [token.user_id, token.user_id, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]
