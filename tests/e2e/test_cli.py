"""The operators' commands against a running platform."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.media import image
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


def said(platform: Platform, *arguments: str) -> Any:
    """The command's answer as JSON; it must end well."""
    done = platform.center(*arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


async def test_a_tenants_life_from_the_command_line(platform: Platform) -> None:
    made = said(platform, "tenants", "create", "cli-life", "--name", "Life", "--label", "tier=gold", "--wait")
    assert made["state"] == "TENANT_STATE_ACTIVE"
    assert made["labels"] == {"tier": "gold"}
    assert said(platform, "tenants", "show", "cli-life")["id"] == made["id"]
    assert said(platform, "tenants", "show", "cli-life.center.localhost")["id"] == made["id"]

    assert said(platform, "tenants", "update", "cli-life", "--name", "New")["display_name"] == "New"
    configured = said(platform, "tenants", "config", "cli-life", "--currency", "EUR", "--time-zone", "Europe/Berlin")
    assert configured["config"]["currency_code"] == "EUR"

    suspended = said(platform, "tenants", "suspend", "cli-life", "--reason", "a test")
    assert suspended["tenant"]["state"] == "TENANT_STATE_SUSPENDED"
    said(platform, "tenants", "resume", "cli-life", "--reason", "a test")
    mode = said(platform, "tenants", "mode", "cli-life", "maintenance", "--reason", "a test", "--for", "10m")
    assert mode["mode"] == "TENANT_MODE_MAINTENANCE"
    assert "mode_expire_time" in mode
    said(platform, "tenants", "mode", "cli-life", "normal", "--reason", "a test")

    other = "us-1" if made["placement"]["cluster_id"] == "eu-1" else "eu-1"
    moved = said(platform, "tenants", "move", "cli-life", "--to", other, "--reason", "a test", "--wait")
    assert moved["placement"]["cluster_id"] == other
    assert said(platform, "tenants", "resolve", "cli-life")["cluster_id"] == other

    entries = said(platform, "audit", "list", "--tenant", "cli-life")["entries"]
    assert {"a test"} < {entry.get("reason", "") for entry in entries}
    shown = said(platform, "audit", "show", entries[0]["id"])
    assert shown["caller"]
    arrived = said(platform, "audit", "list", "--cluster", other, "--filter", 'resource = "tenant_rows"')["entries"]
    assert made["id"] in {entry["resource_id"] for entry in arrived}
    for where in ([], ["--cluster", other]):
        assert not said(platform, "audit", "verify", *where)["findings"]

    said(platform, "tenants", "delete", "cli-life", "--reason", "a test")
    assert said(platform, "tenants", "undelete", "cli-life", "--reason", "a test")["state"] == "TENANT_STATE_ACTIVE"


async def test_domains_from_the_command_line(platform: Platform) -> None:
    said(platform, "tenants", "create", "cli-names", "--wait")
    claimed = said(platform, "domains", "add", "cli-names", "cli-names.example")
    assert claimed["state"] == "DOMAIN_STATE_PENDING"
    refused = platform.center("domains", "verify", "cli-names", "cli-names.example")
    assert refused.returncode == 1
    assert "DOMAIN_PROOF_MISSING" in refused.stderr
    proof = claimed["proof"]
    platform.zone_file.write_text(f'{proof["record"]}. 60 IN TXT "{proof["value"]}"\n')
    verified = said(platform, "domains", "verify", "cli-names", "cli-names.example")
    assert verified["state"] == "DOMAIN_STATE_VERIFIED"
    said(platform, "domains", "set-primary", "cli-names", "cli-names.example")
    names = {d["name"]: d for d in said(platform, "domains", "list", "--tenant", "cli-names")["domains"]}
    assert names["cli-names.example"]["primary"]
    said(platform, "domains", "remove", "cli-names", "cli-names.center.localhost", "--reason", "a test")


async def test_a_refusal_names_its_reason_and_the_wrong_field(platform: Platform) -> None:
    missing = platform.center("tenants", "show", "no-such-shop")
    assert missing.returncode == 1
    assert "NOT_FOUND/TENANT_NOT_FOUND" in missing.stderr
    bad = platform.center("tenants", "create", "Not A Code", "--json")
    assert bad.returncode == 1
    error = json.loads(bad.stderr)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert "tenant.code" in error["violations"]


async def test_the_printed_grpcurl_line_does_the_same(platform: Platform) -> None:
    line = platform.center("tenants", "list", "--limit", "2", "--order-by", "code", "--print-grpcurl").stdout
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    codes = [tenant["code"] for tenant in json.loads(done.stdout)["tenants"]]
    listed = said(platform, "tenants", "list", "--limit", "2", "--order-by", "code")["tenants"]
    assert codes == [tenant["code"] for tenant in listed]
    explain = platform.center("edges", "explain", "google.com", "--print-grpcurl").stdout
    assert subprocess.run(shlex.split(explain), capture_output=True, timeout=30, check=False).returncode == 0
    rename = platform.center("tenants", "update", "google-com", "--name", "google.com", "--print-grpcurl").stdout
    masked = subprocess.run(shlex.split(rename), capture_output=True, text=True, timeout=30, check=False)
    assert masked.returncode == 0, masked.stderr


async def test_the_read_commands_answer(platform: Platform) -> None:
    clusters = said(platform, "clusters", "list")["clusters"]
    assert [cluster["id"] for cluster in clusters] == ["eu-1", "us-1"]
    assert said(platform, "clusters", "show", "eu-1")["region_id"] == "eu"
    assert [region["id"] for region in said(platform, "clusters", "regions")["regions"]] == ["eu", "us"]
    explained = said(platform, "clusters", "explain-placement", "--region", "us")
    assert explained["cluster_id"] == "us-1"
    operations = said(platform, "operations", "list")["operations"]
    one = said(platform, "operations", "show", operations[0]["name"])
    assert one["metadata"]["kind"]
    assert said(platform, "operations", "wait-applied")["applied"]
    watchers = {w["id"].partition("/")[0] for w in said(platform, "operations", "watchers")["watchers"]}
    assert {"edge", "cluster"} <= watchers
    edges = said(platform, "edges", "list")["edges"]
    assert said(platform, "edges", "show", edges[0]["id"])["id"] == edges[0]["id"]
    for command in (
        ["tenants", "list"],
        ["domains", "list"],
        ["clusters", "list"],
        ["edges", "list"],
        ["audit", "list"],
    ):
        people = platform.center(*command)
        assert people.returncode == 0, people.stderr


async def test_imports_can_be_run_again(platform: Platform, tmp_path: Path) -> None:
    domains = tmp_path / "domains.txt"
    domains.write_text("import-one.example\nimport-two.example\nnot a domain\n")
    first = platform.center("import-tenants", str(domains))
    assert first.returncode == 1
    assert "2 tenants created, 0 were there" in first.stdout
    assert "not a domain: " in first.stdout
    again = platform.center("import-tenants", str(domains))
    assert "0 tenants created, 2 were there" in again.stdout

    # No cluster takes a tenant of its own here: it waits, and no import waits for it.
    stuck = said(platform, "tenants", "create", "import-stuck", "--dedicated")["operation"]["name"]
    domains.write_text("import-one.example\nimport-two.example\n")
    assert platform.center("import-tenants", str(domains)).returncode == 0
    assert platform.center("operations", "cancel", stuck).returncode == 0
    platform.center("operations", "wait", stuck)
    again = platform.center("import-tenants", str(domains))
    assert again.returncode == 0, again.stdout

    domains.write_text("import-three.example\n")
    assert platform.center("import-tenants", "--unverified", str(domains)).returncode == 0
    (code,) = [t["code"] for t in said(platform, "tenants", "list")["tenants"] if t["code"].startswith("import-three")]
    claims = {d["name"]: d["state"] for d in said(platform, "domains", "list", "--tenant", code)["domains"]}
    assert claims["import-three.example"] == "DOMAIN_STATE_PENDING"

    sheet = tmp_path / "lines.csv"
    sheet.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,10001,RED CUP,1,2010-12-01 08:00:00,1.25,,UK\n"
        "2,10001,RED CUP,1,2010-12-02 08:00:00,1.50,,UK\n"
        "3,POST,POSTAGE,1,2010-12-02 08:00:00,9.00,,UK\n"
    )
    code = said(platform, "tenants", "resolve", "import-one.example")["code"]
    report = tmp_path / "report.csv"
    first = platform.center("import-products", "--tenant", code, str(sheet), "--report", str(report))
    assert first.returncode == 0, first.stderr
    assert "1 created, 0 updated, 0 unchanged" in first.stdout
    assert "the stock code is a charge" in report.read_text()
    again = platform.center("import-products", "--tenant", code, str(sheet))
    assert "0 created, 0 updated, 1 unchanged" in again.stdout
    shopper = platform.shopper()
    page = (await shopper.get("import-one.example")).json
    await shopper.close()
    assert page["products"][0]["variants"][0]["price"] == {"currencyCode": "GBP", "units": "1", "nanos": 500000000}


async def test_promotions_from_the_command_line(platform: Platform) -> None:
    deals = said(platform, "tenants", "create", "cli-deals", "--wait")
    rest = ("--sku", "MUG", "--min-subtotal", "10EUR", "--budget", "100EUR", "--uses", "5", "--group", "mugs")
    mugs = said(platform, "promotions", "add", "cli-deals", "Mugs", "--percent", "12.5", *rest)
    assert (mugs["automatic"], mugs["currency_code"], mugs["effect"]["basis_points"]) == (True, "EUR", 1250)
    free = said(platform, "promotions", "add", "cli-deals", "Post", "--code", "Post", "--free-shipping")
    refused = platform.center("promotions", "add", "cli-deals", "Post", "--code", "POST", "--amount", "5EUR")
    assert refused.returncode == 1 and "CODE_TAKEN" in refused.stderr
    cart = ("MUG=3x4EUR", "LAMP=1x20EUR", "--shipping", "4.90EUR", "--code", "post")
    priced = said(platform, "promotions", "simulate", "cli-deals", *cart)
    assert {each["promotion_id"]: each["amount"]["units"] for each in priced["outcomes"]} == {
        mugs["id"]: "1",
        free["id"]: "4",
    }
    shown = platform.center("promotions", "simulate", "cli-deals", *cart).stdout
    assert "Mugs: 12.50% off items" in shown and "30.50 EUR" in shown
    assert "Mugs" in platform.center("promotions", "show", "cli-deals", mugs["id"]).stdout
    said(platform, "promotions", "archive", "cli-deals", free["id"])
    [left] = said(platform, "promotions", "list", "cli-deals", "--filter", "status = ACTIVE")["promotions"]
    assert left["id"] == mugs["id"]
    token = await platform.token(deals["id"])
    shopper = platform.shopper()
    answer = await shopper.get("cli-deals.center.localhost", "/v1/backoffice/promotions", authorization=token)
    assert [each["displayName"] for each in answer.json["promotions"]] == ["Post", "Mugs"]
    assert (await shopper.get("cli-deals.center.localhost", "/v1/backoffice/promotions")).status == 403
    await shopper.close()


async def test_a_file_from_the_command_line(platform: Platform, tmp_path: Path) -> None:
    said(platform, "tenants", "create", "cli-media", "--wait")
    picture = tmp_path / "lamp.png"
    picture.write_bytes(image(100, 50))
    made = said(platform, "media", "put", "cli-media", str(picture))
    assert (made["name"], made["content_type"]) == ("lamp.png", "image/png")
    thumb = said(platform, "media", "variant", "cli-media", made["id"], "thumb", "--width", "20")
    assert (thumb["width"], thumb["height"]) == (20, 10)
    back = tmp_path / "back.png"
    said(platform, "media", "get", "cli-media", made["id"], "--to", str(back))
    assert back.read_bytes() == picture.read_bytes()
    [listed] = said(platform, "media", "list", "cli-media")["files"]
    assert [variant["name"] for variant in listed["variants"]] == ["thumb"]
    address = urlsplit(said(platform, "media", "url", "cli-media", made["id"], "--variant", "thumb")["url"])
    assert (address.hostname, address.port) == ("cli-media.center.localhost", platform.envoy_port)
    shopper = platform.shopper()
    answer = await shopper.get(str(address.hostname), f"{address.path}?{address.query}")
    await shopper.close()
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    said(platform, "media", "delete", "cli-media", made["id"])
    assert said(platform, "media", "list", "cli-media")["files"] == []
