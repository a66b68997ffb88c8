"""Users through Envoy and in a browser: who is known comes back by mail, and no log of any process tells who it was."""

from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import expect

from center.control.v1 import user_service_pb2, user_service_pb2_grpc
from tests.control.people import link_in
from tests.e2e.test_cli import said
from tests.support.browser import browsing
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e


async def test_who_is_known_comes_back_by_mail_and_no_log_tells_who_it_was(platform: Platform) -> None:
    email = f"known-{uuid4().hex}@example.org"
    base = f"http://{platform.zone}:{platform.envoy_port}"
    home = f"http://search.{platform.zone}:{platform.envoy_port}/"
    async with browsing() as context:
        page = await context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)

        async def register(address: str) -> None:
            await page.goto(f"{home}register")
            await page.get_by_label("E-mail").fill(address)
            await page.get_by_role("button", name="Register").click()

        await register(email)
        await expect(page).to_have_url(home)
        await context.clear_cookies()
        await register(email)
        await expect(page.get_by_role("heading")).to_have_text("Look into your mailbox")
        await register("nobody@nowhere")
        await expect(page.get_by_role("alert")).to_have_text("this is no e-mail address")

        async def arrived() -> list[str]:
            found = links(platform.home / "mail", email)
            return found if len(found) == 2 else []

        link = (await until(arrived, what="the second mail"))[-1]
        await page.goto(f"{base}/verify#{link}")
        # Not before the button is pressed: programs that open links in mails press none.
        await expect(page).to_have_url(f"{base}/verify")
        await page.get_by_role("button", name="Verify").click()
        await expect(page).to_have_url(home)
        await expect(page.locator("#tier")).to_have_text("free")
        (cookie,) = [each for each in await context.cookies() if each["name"] == "center_token"]

        await page.goto(f"{base}/verify#{link}")
        await page.get_by_role("button", name="Verify").click()
        await expect(page.get_by_role("alert")).to_contain_text("used before")
        await page.goto(f"{base}/verify")
        await expect(page.get_by_role("heading")).to_have_text("This link is not complete")
        assert not faults
    logs = {path.name: path.read_text(errors="replace") for path in (platform.home / "logs").iterdir()}
    assert "EMAIL_INVALID" in logs["control.log"]
    for name, log in logs.items():
        for secret in (email, email.replace("@", "%40"), link, cookie["value"]):
            assert secret not in log, f"{secret} is in {name}"


async def test_a_users_life_from_the_command_line(platform: Platform) -> None:
    email, other = (f"cli-{uuid4().hex}@example.org" for _ in range(2))
    users = user_service_pb2_grpc.UserServiceStub(platform.channel("control"))
    await users.RegisterUser(user_service_pb2.RegisterUserRequest(email=email, solution_id="search"))

    async def mailed() -> list[dict[str, str]]:
        return list(said(platform, "mail", "list", "--to", email)["mails"])

    (listed,) = await until(mailed, what="the mail")
    shown = said(platform, "mail", "show", listed["id"])
    assert (shown["to"], shown["text"].count("/verify#")) == (email, 1)
    user = said(platform, "users", "show", email)
    assert (user["email"], user["state"]) == (email, "USER_STATE_ACTIVE")
    newest = said(platform, "users", "list", "--filter", f'id = "{user["id"]}"')["users"]
    assert [(each["id"], "email" in each) for each in newest] == [(user["id"], False)]
    assert said(platform, "users", "export", user["id"])["registrations"][0]["solution_id"] == "search"
    said(platform, "users", "change-email", user["id"], other, "--reason", "asked")
    sent = said(platform, "mail", "outbox", "--filter", f'user_id = "{user["id"]}"')["mails"]
    assert [each["template"] for each in sent] == ["MAIL_TEMPLATE_CHANGE", "MAIL_TEMPLATE_VERIFY"]
    assert int(said(platform, "users", "rotate-keys", "--reason", "monthly", "--wait")["rewrapped_users"]) >= 1
    erased = said(platform, "users", "erase", email, "--reason", "article 17", "--wait")
    assert {"users", "mailbox"} <= {each["store"] for each in erased["stores"]}
    assert said(platform, "mail", "list", "--to", email)["mails"] == []
    refused = platform.center("users", "show", email)
    assert refused.returncode == 1 and "USER_NOT_FOUND" in refused.stderr


def links(mailbox: Path, email: str) -> list[str]:
    """Of the mails to the address, in the order of their making."""
    messages = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(mailbox.glob("*.eml"))]
    return [link_in(message) for message in messages if message["To"] == email]
