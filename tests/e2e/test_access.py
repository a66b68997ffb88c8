"""Access as the specification asks for it over HTTP, through the real Envoy, and from the command line."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from center_sdk import tokens
from tests.e2e.test_cli import said
from tests.edge.web import Answer
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e

SOLUTION = "faiss"


@pytest.fixture(scope="module")
async def key(platform: Platform) -> str:
    """Of a solution that was made from the command line."""
    said(
        platform, "solutions", "create", SOLUTION, "--name", "FAISS", "--tier", "registered=search:10/day",
        "--tier", "enterprise=*:unlimited/month", "--redirect-url", "https://faiss.example/",
    )  # fmt: skip
    return str(said(platform, "solutions", "add-key", SOLUTION, "--name", "web")["secret"])


@pytest.fixture
async def ask(platform: Platform, key: str) -> AsyncIterator[Any]:
    """ask(path, told) -> the answer to a POST with the solution's key; key="" sends none."""
    shopper = platform.shopper()

    async def post(path: str, told: Any, key: str = key) -> Answer:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        headers = {"content_type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        return await shopper.send("POST", platform.zone, path, body, **headers)

    yield post
    await shopper.close()


async def issued(ask: Any, **more: Any) -> dict[str, Any]:
    told = {"user_email": f"{uuid4().hex}@mail.example", "solution_id": SOLUTION, **more}
    answer = await ask("/api/generate-solution-token", told)
    assert answer.status == 200, answer
    return dict(answer.json)


async def test_the_answers_have_the_names_and_kinds_of_the_specification(ask: Any) -> None:
    made = await issued(ask, access_tier="registered")
    assert made["token"].startswith("cct_dev_") and made.get("expires_at") is None
    assert made["redirect_url"].startswith("https://faiss.example/?code=")
    answer = await ask("/api/validate-token", {"token": made["token"], "action": "search", "solution_id": SOLUTION})
    assert answer.status == 200
    told = answer.json
    assert told["allowed"] is True and told["access_tier"] == "registered"
    assert told["quota_remaining"] == 9 and type(told["quota_remaining"]) is int
    assert told["user_email"].endswith("@mail.example") and told["quota_resets_at"].endswith("T00:00:00Z")
    assert answer.headers["ratelimit-policy"] == '"search";q=10'
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("10", "9")
    assert int(answer.headers["x-ratelimit-reset"]) > 0


async def test_a_refusal_is_200_unless_the_caller_asks_for_a_status(ask: Any) -> None:
    made = await issued(ask)
    asked = {"token": made["token"], "action": "search", "solution_id": SOLUTION, "cost": 11}
    plain = await ask("/api/validate-token", asked)
    assert (plain.status, plain.json.get("allowed", False)) == (200, False)
    assert plain.json["code"] == "DECISION_CODE_QUOTA_EXHAUSTED"
    statuses = {
        "QUOTA_EXHAUSTED": (429, asked),
        "ACTION_NOT_ALLOWED": (403, {**asked, "action": "import"}),
        "TOKEN_UNKNOWN": (401, {**asked, "token": tokens.issue("dev")}),
        "TOKEN_FOREIGN": (401, {**asked, "token": tokens.issue("prod")}),
        "TOKEN_MALFORMED": (401, {**asked, "token": made["token"][:-1]}),
        "TOKEN_MISSING": (401, {**asked, "token": ""}),
    }
    for reason, (status, told) in statuses.items():
        answer = await ask("/api/validate-token", {**told, "http_status": True})
        assert (answer.status, answer.reason) == (status, reason), answer
        assert ("retry-after" in answer.headers) == (status == 429), answer.headers
        if status == 429:
            assert answer.headers["ratelimit"].startswith('"search";r=10;t=')


async def test_who_has_no_key_or_another_solutions_asks_nothing(platform: Platform, ask: Any, key: str) -> None:
    made = await issued(ask)
    asked = {"token": made["token"], "action": "search", "solution_id": SOLUTION}
    assert (await ask("/api/validate-token", asked, "")).reason == "CALLER_NOT_ALLOWED"
    for wrong in (tokens.issue("dev", tokens.SOLUTION_KEY), made["token"], key[:-1], "x"):
        answer = await ask("/api/validate-token", asked, wrong)
        assert (answer.status, answer.reason) == (401, "SOLUTION_KEY_INVALID"), answer
    said(platform, "solutions", "create", "other-faiss", "--tier", "free=search:1/day")
    other = said(platform, "solutions", "add-key", "other-faiss")["secret"]
    for path in ("/api/validate-token", "/api/generate-solution-token"):
        answer = await ask(path, {**asked, "user_email": "a@mail.example"}, other)
        assert (answer.status, answer.reason) == (403, "SOLUTION_NOT_YOURS"), answer


@pytest.mark.parametrize(
    "told",
    [
        b"{",
        b"[]",
        b'{"cost": -1, "action": "search", "solution_id": "faiss"}',
        b'{"cost": 99999999999999999999, "action": "search", "solution_id": "faiss"}',
        b'{"cost": "many", "action": "search", "solution_id": "faiss"}',
        b'{"cost": 1e400, "action": "search", "solution_id": "faiss"}',
        b'{"token": 7, "action": "search", "solution_id": "faiss"}',
        b'{"token": "%b", "action": "search", "solution_id": "faiss"}' % (b"x" * 600),
        b'{"action": "a\\u0000b", "solution_id": "faiss"}',
        b'{"action": "search"}',
        b'{"solution_id": "faiss"}',
        b'{"user_email": "nobody", "solution_id": "faiss"}',
    ],
    ids=lambda told: told[:40].decode(),
)
async def test_a_wrong_request_is_the_clients_mistake(ask: Any, told: bytes) -> None:
    for path in ("/api/validate-token", "/api/generate-solution-token"):
        answer = await ask(path, told)
        assert 400 <= answer.status < 500, (path, answer)


async def test_anybody_reports_a_token_over_http(platform: Platform, ask: Any) -> None:
    made = await issued(ask)
    answer = await ask("/v1/tokens:reportLeaked", {"token": made["token"], "source": "a test"}, "")
    assert (answer.status, answer.json) == (200, {})
    assert said(platform, "tokens", "show", made["token_kid"])["state"] == "TOKEN_STATE_REVOKED"


async def test_a_tokens_life_from_the_command_line(platform: Platform, key: str) -> None:
    email = f"{uuid4().hex}@mail.example"
    made = said(platform, "tokens", "generate", email, SOLUTION, "--ttl", "7d")
    told = said(platform, "tokens", "validate", made["token"], SOLUTION, "search", "--cost", "4")
    assert (told["allowed"], told["quota_remaining"]) == (True, 6)
    assert said(platform, "tokens", "validate", made["token"], SOLUTION, "search", "--peek")["quota_remaining"] == 6
    renewed = said(platform, "tokens", "rotate", made["token_kid"], "--overlap", "1h", "--reason", "a test")
    assert renewed["token"]["kid"] != made["token_kid"]
    entitlement = said(platform, "entitlements", "show", made["entitlement_id"])
    assert (entitlement["tier"], entitlement["status"]) == ("registered", "ENTITLEMENT_STATUS_ACTIVE")
    changed = said(
        platform, "entitlements", "update", made["entitlement_id"], "--tier", "enterprise", "--reason", "a test"
    )
    assert changed["tier"] == "enterprise"
    revoked = said(platform, "tokens", "revoke", made["token_kid"], "--reason", "a test")
    assert revoked["state"] == "TOKEN_STATE_REVOKED"
    listed = said(platform, "tokens", "list", "--filter", f'entitlement_id = "{made["entitlement_id"]}"')["tokens"]
    assert [token["state"] for token in listed] == ["TOKEN_STATE_ACTIVE", "TOKEN_STATE_REVOKED"]

    async def explained() -> Any:
        done = platform.center("decisions", "explain", told["decision_id"], "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    assert (await until(explained, what="the log to have the decision"))["steps"][-1]["check"] == "quota"
    mine = f'entitlement_id = "{made["entitlement_id"]}"'
    assert said(platform, "decisions", "list", "--filter", mine)["decisions"]
    assert said(platform, "usage", "list", "--filter", mine)["usage"][0]["used_units"] == "4"


async def test_a_solutions_life_from_the_command_line(platform: Platform) -> None:
    told = {"tiers": [{"id": "free", "quotas": {"*": {"limit": 3, "period": "QUOTA_PERIOD_HOUR"}}}]}
    file = platform.home / "solution.json"
    file.write_text(json.dumps(told))
    made = said(platform, "solutions", "create", "filed", "--file", str(file), "--name", "Filed")
    assert (made["display_name"], made["tiers"][0]["quotas"]["*"]["limit"]) == ("Filed", "3")
    after = said(platform, "solutions", "update", "filed", "--max-age", "5s", "--fail-mode", "open")
    assert (after["max_age"], after["fail_mode"], after["tiers"]) == ("5s", "FAIL_MODE_OPEN", made["tiers"])
    kid = said(platform, "solutions", "add-key", "filed")["key"]["kid"]
    assert [each["kid"] for each in said(platform, "solutions", "keys", "filed")["keys"]] == [kid]
    said(platform, "solutions", "revoke-key", kid, "--reason", "a test")
    assert "filed" in {each["id"] for each in said(platform, "solutions", "list")["solutions"]}
    printed = platform.center("solutions", "delete", "filed", "--reason", "a test", "--print-grpcurl")
    assert "center.control.v1.SolutionService/DeleteSolution" in printed.stdout
    said(platform, "solutions", "delete", "filed", "--reason", "a test")
    gone = platform.center("solutions", "show", "filed")
    assert gone.returncode == 1 and "SOLUTION_NOT_FOUND" in gone.stderr
    for shown in (("solutions", "show", SOLUTION), ("tokens", "list"), ("entitlements", "list"), ("usage", "list")):
        done = platform.center(*shown)
        assert done.returncode == 0, done.stderr
