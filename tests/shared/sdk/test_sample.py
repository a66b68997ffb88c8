"""The example solution: what it shows, the way back from registration, and the exports that it validates itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn

from center.control.v1 import solution_service_pb2 as solutions_pb
from center.control.v1 import user_service_pb2 as users_pb
from center.control.v1.user_service_pb2_grpc import UserServiceStub
from shared.runtime import pki
from shared.samples.search import registration
from shared.samples.search.app import application
from shared.samples.search.config import Config
from tests.edge.web import Answer, Shopper
from tests.shared.sdk.market import Market

HOST = "search.center.localhost:8080"
PAGE = "text/html,application/xhtml+xml"


@pytest.fixture(scope="module")
async def browser(market: Market) -> AsyncIterator[Shopper]:
    """Of the solution itself: what Envoy says to it, the test says."""
    new = solutions_pb.CreateSolutionRequest(solution=registration.solution())
    await market.solutions.CreateSolution(new)
    pki.ensure(market.home, [f"solution/{registration.ID}"])
    config = Config(market.home, control_address=market.plane.config.address)
    server = uvicorn.Server(uvicorn.Config(application(config), port=0, log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.01)
    shopper = Shopper(server.servers[0].sockets[0].getsockname()[1])
    yield shopper
    await shopper.close()
    server.should_exit = True
    await serving


async def registered(market: Market, begun: str = "") -> str:
    """A new user's address to be sent back to, with a code; begun: the state of the browser."""
    number = next(market._numbers)
    request = users_pb.RegisterUserRequest(
        email=f"user-{number}@search.example", solution_id=registration.ID, state=begun
    )
    answer = await UserServiceStub(market.plane.channel()).RegisterUser(request)
    assert answer.redirect_url
    return str(answer.redirect_url)


async def begun(browser: Shopper, host: str = HOST) -> tuple[str, str]:
    """(state, cookie) of a browser that has gone to the register page."""
    answer = await browser.get(host, "/register", accept=PAGE)
    assert answer.status == 303
    (told,) = parse_qs(urlsplit(answer.headers["location"]).query)["state"]
    return told, str(answer.headers["set-cookie"].partition(";")[0])


async def came_back(market: Market, browser: Shopper, host: str = HOST) -> Answer:
    """What a new user's browser gets at the end of its registration."""
    told, cookie = await begun(browser, host)
    url = urlsplit(await registered(market, told))
    return await browser.get(host, f"{url.path}?{url.query}", accept=PAGE, cookie=cookie)


async def signed_in(market: Market, browser: Shopper) -> str:
    """The cookie of a new user."""
    answer = await came_back(market, browser)
    assert answer.status == 303, answer.body
    return str(answer.headers["set-cookie"].partition(";")[0])


async def test_the_first_page_asks_what_to_search(browser: Shopper) -> None:
    answer = await browser.get(HOST, "/", accept=PAGE)
    assert answer.status == 200
    assert b'action="/search"' in answer.body
    assert b'href="/register"' in answer.body


async def test_results_come_with_what_envoy_says_is_left(browser: Shopper) -> None:
    told: dict[str, Any] = {"x_center_tier": "free", "x_center_user_id": "u", "x_center_quota_remaining": "7"}
    page = await browser.get(HOST, "/search?q=lantern", accept=PAGE, **told)
    assert page.status == 200
    assert b"Hanging Metal Star Lantern" in page.body
    assert re.search(rb'id="remaining">7<', page.body)
    found = await browser.get(HOST, "/search?q=lantern", **told)
    assert found.json["quota_remaining"] == 7
    assert "Lantern" in found.json["products"][0]["title"]


async def test_what_was_asked_for_is_shown_as_text(browser: Shopper) -> None:
    page = await browser.get(HOST, "/search?q=%3Cscript%3Ealert(1)%3C/script%3E", accept=PAGE)
    assert b"<script>" not in page.body


async def test_a_code_gives_the_browser_a_token_that_no_script_reads(market: Market, browser: Shopper) -> None:
    told, begun_in = await begun(browser)
    url = urlsplit(await registered(market, told))
    assert url.netloc == HOST
    assert set(parse_qs(url.query)) == {"code", "state"}
    answer = await browser.get(HOST, f"{url.path}?{url.query}", accept=PAGE, cookie=begun_in)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("center_token=cct_")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    home = await browser.get(HOST, "/", accept=PAGE, cookie=answer.headers["set-cookie"].partition(";")[0])
    assert re.search(rb'id="remaining">10<', home.body)
    assert 'center_state=""; ' in answer.headers["set-cookie"], "one way back, once"
    again = await browser.get(HOST, f"{url.path}?{url.query}", accept=PAGE, cookie=begun_in)
    assert again.status == 400
    assert b"Register again" in again.body


async def test_a_registration_begins_with_a_state_that_the_browser_keeps(browser: Shopper) -> None:
    answer = await browser.get(HOST, "/register", accept=PAGE)
    told, cookie = answer.headers["location"], answer.headers["set-cookie"]
    assert told.startswith("http://center.localhost:8080/register?solution_id=search&state=")
    assert cookie.startswith(f"center_state={told.rpartition('=')[2]};")
    assert {"HttpOnly", "SameSite=lax", "Max-Age=86400"} <= set(cookie.split("; "))
    other_page = await browser.get(HOST, "/register", accept=PAGE, cookie=cookie.partition(";")[0])
    assert other_page.headers["location"] == told


async def test_a_code_of_somebody_else_signs_nobody_in(market: Market, browser: Shopper) -> None:
    """Who sends a victim the end of their own registration would have them search in the wrong name."""
    (theirs, _), (mine, my_cookie) = await begun(browser), await begun(browser)
    stolen, bare = urlsplit(await registered(market, theirs)), urlsplit(await registered(market))
    code = parse_qs(stolen.query)["code"][0]
    for path, cookie in (
        (f"{stolen.path}?{stolen.query}", my_cookie),
        (f"{stolen.path}?{stolen.query}", ""),
        (f"{bare.path}?{bare.query}", my_cookie),
        (f"{bare.path}?{bare.query}&state=", "center_state="),
    ):
        answer = await browser.get(HOST, path, accept=PAGE, cookie=cookie)
        assert answer.status == 403
        assert b"This did not begin in this browser" in answer.body and b'href="/register"' in answer.body
        assert "set-cookie" not in answer.headers
    # None of that has used the code up.
    answer = await browser.get(HOST, f"/callback?code={code}&state={mine}", accept=PAGE, cookie=my_cookie)
    assert answer.status == 303


async def test_the_cookie_goes_over_tls_only_from_anywhere_else(market: Market, browser: Shopper) -> None:
    answer = await came_back(market, browser, "search.example")
    assert "; secure" in answer.headers["set-cookie"].partition("center_state")[0].lower()
    begun_there = await browser.get("search.example", "/register", accept=PAGE)
    assert "; secure" in begun_there.headers["set-cookie"].lower()


async def test_exports_are_validated_by_the_solution_itself(market: Market, browser: Shopper) -> None:
    cookie = await signed_in(market, browser)
    exported = await browser.get(HOST, "/export?q=lantern", cookie=cookie)
    assert exported.status == 200
    assert exported.headers["ratelimit"].startswith('"export";r=1')
    assert exported.body.startswith(b"sku,title,price_minor,currency")
    assert (await browser.get(HOST, "/export?q=lantern", cookie=cookie)).status == 200
    used_up = await browser.get(HOST, "/export?q=lantern", cookie=cookie)
    assert (used_up.status, used_up.json["code"]) == (429, "QUOTA_EXHAUSTED")
    page = await browser.get(HOST, "/export?q=lantern", accept=PAGE, cookie=cookie)
    assert page.status == 429
    assert b"/upgrade?tier=free" in page.body
    nobody = await browser.get(HOST, "/export?q=lantern", accept=PAGE)
    assert nobody.status == 403
