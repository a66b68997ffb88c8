"""A shop's people and programs at its domain, as JSON through Envoy, and from the command line."""

import json
from urllib.parse import urlsplit

import pytest

from tests.e2e.test_cli import said
from tests.edge.web import Api
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e
bearer = "Bearer {}".format


async def test_an_owner_lets_others_in_and_out(platform: Platform) -> None:
    await platform.create("staff", region_id="eu")
    client = platform.shopper()
    api = Api(client, "staff.center.localhost")
    send, ok = api.send, api.ok

    invited = said(platform, "staff", "invite", "staff", "ada@mail.example", "owner")
    secret = invited["secret"]
    mail = await until(lambda: platform.center("mail", "show", "ada@mail.example").stdout, what="the invitation's mail")
    [link] = [urlsplit(word) for word in mail.split() if word.startswith("http")]
    page = await client.get(link.netloc, f"{link.path}?{link.query}")
    assert link.hostname == "staff.center.localhost" and link.query == f"token={secret}"
    assert page.status == 200 and f'name="token" value="{secret}"' in page.body.decode()
    accepted = await ok("POST", "/v1/backoffice/staff:acceptInvitation", secret=secret, password="a brass lamp burns")
    assert accepted["member"]["role"] == "STAFF_ROLE_OWNER"
    signed_in = await ok("POST", "/v1/backoffice/staff:signIn", email="ada@mail.example", password="a brass lamp burns")
    owner = bearer(signed_in["token"])
    status, refused = await send("POST", "/v1/backoffice/staff:signIn", email="ada@mail.example", password="a guess")
    assert status == 401 and "SIGN_IN_REFUSED" in json.dumps(refused)

    made = await ok("POST", "/v1/backoffice/api-keys", owner, displayName="sync", role="STAFF_ROLE_READ_ONLY")
    status, refused = await send("POST", "/v1/backoffice/products", bearer(made["key"]), product={"title": "Lamp"})
    assert status == 403 and "ROLE_NOT_ALLOWED" in json.dumps(refused) and "STAFF" in json.dumps(refused)
    await ok("GET", "/v1/backoffice/locations", bearer(made["key"]))
    rotated = await ok("POST", f"/v1/backoffice/api-keys/{made['apiKey']['id']}:rotate", owner, overlap="0s")
    status, _ = await send("GET", "/v1/backoffice/locations", bearer(made["key"]))
    assert status == 401
    await ok("GET", "/v1/backoffice/locations", bearer(rotated["key"]))
    assert said(platform, "api-keys", "revoke", "staff", made["apiKey"]["id"])["state"] == "API_KEY_STATE_REVOKED"
    status, _ = await send("GET", "/v1/backoffice/locations", bearer(rotated["key"]))
    assert status == 401
    key = said(platform, "api-keys", "create", "staff", "import", "staff", "--expires", "90d")["key"]
    await ok("POST", "/v1/backoffice/products", bearer(key), product={"title": "Lamp"})
    listed = said(platform, "api-keys", "list", "staff")
    assert [each["display_name"] for each in listed["api_keys"]] == ["import", "sync"]

    invited = await ok("POST", "/v1/backoffice/staff:invite", owner, email="bea@mail.example", role="STAFF_ROLE_STAFF")
    assert said(platform, "staff", "role", "staff", "bea@mail.example", "manager")["role"] == "STAFF_ROLE_MANAGER"
    members = (await ok("GET", "/v1/backoffice/staff", owner))["members"]
    assert [each["email"] for each in members] == ["bea@mail.example", "ada@mail.example"]
    said(platform, "staff", "remove", "staff", invited["member"]["id"])
    assert [each["email"] for each in said(platform, "staff", "list", "staff")["members"]] == ["ada@mail.example"]
    last = platform.center("staff", "remove", "staff", "ada@mail.example")
    assert last.returncode != 0 and "LAST_OWNER" in last.stdout + last.stderr
    await ok("POST", "/v1/backoffice/staff:signOut", owner, requestId="01a204c6-a7a3-7ace-bc65-4de80582359c")
    status, _ = await send("GET", "/v1/backoffice/staff", owner)
    assert status == 401
