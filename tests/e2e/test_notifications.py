"""A shop's notifications on a whole platform: from the command line, and by an event."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_cli import said
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e


async def test_a_shops_mail_from_the_command_line(platform: Platform, tmp_path: Path) -> None:
    said(platform, "tenants", "create", "cli-mail", "--wait")
    text = tmp_path / "text"
    text.write_text("Dear {{ name }},\nwelcome.\n")
    put = said(platform, "notifications", "put", "cli-mail", "hello", "--subject", "Hi {{ name }}", "--text", str(text))
    assert (put["version"], put["active"]) == ("1", True)
    shown = said(platform, "notifications", "render", "cli-mail", "hello", "--variables", '{"name": "Ann"}')
    assert shown["text"] == "Dear Ann,\nwelcome.\n"
    to = "ann@mail.example"
    arguments = ("cli-mail", to, "hello", "--variables", '{"name": "Ann"}', "--dedup-key", "welcome")
    sent = said(platform, "notifications", "send", *arguments)["notification"]
    assert said(platform, "notifications", "send", *arguments)["duplicate"]

    def ended() -> Any:
        found = said(platform, "notifications", "show", "cli-mail", sent["id"])
        return found["state"] == "NOTIFICATION_STATE_SENT"

    await until(ended, 20, "the notification to be sent")
    [listed] = said(platform, "notifications", "list", "cli-mail", "--to", to)["notifications"]
    assert listed["id"] == sent["id"]
    mails = json.loads(platform.center("mail", "list", "--to", to, "--json").stdout)["mails"]
    assert [(mail["id"], mail["subject"]) for mail in mails] == [(sent["id"], "Hi Ann")]
    assert "welcome." in platform.center("mail", "show", to).stdout
    refused = platform.center("notifications", "send", "cli-mail", "nobody", "hello")
    assert refused.returncode == 1 and "RECIPIENT_INVALID" in refused.stderr
    said(platform, "notifications", "suppress", "cli-mail", to)
    said(platform, "notifications", "unsuppress", "cli-mail", to)


async def test_a_product_tells_the_shops_owner_of_itself(platform: Platform) -> None:
    shop = said(platform, "tenants", "create", "cli-told", "--wait")
    to = "owner@mail.example"
    trigger = ("--event", "product.created", "--template", "product-created", "--to", to)
    said(platform, "notifications", "trigger", "cli-told", "new", *trigger)
    # As the shop's own people do, through Envoy.
    token = await platform.token(shop["id"])
    headers = {"content_type": "application/json", "authorization": f"Bearer {token.removeprefix('Bearer ')}"}
    host = f"cli-told.{platform.zone}"
    body = b'{"product": {"title": "Brass lamp"}}'
    shopper = platform.shopper()
    assert (await shopper.send("POST", host, "/v1/backoffice/products", body, **headers)).status == 200

    def told() -> bool:
        return bool(json.loads(platform.center("mail", "list", "--to", to, "--json").stdout)["mails"])

    await until(told, 30, "the owner's mail")
    listed = await shopper.send("POST", host, "/v1/backoffice/notifications:search", b"{}", **headers)
    [found] = listed.json["notifications"]
    assert (found["template"], found["channel"]) == ("product-created", "NOTIFICATION_CHANNEL_EMAIL")
    stranger = await shopper.send(
        "POST", host, "/v1/backoffice/notifications:search", b"{}", content_type="application/json"
    )
    assert stranger.status in (401, 403)
    await shopper.close()
