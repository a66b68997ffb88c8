"""Plans and features by the operators' commands."""

import json

import pytest

from tests.e2e.test_cli import said
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


async def test_a_plan_from_draft_to_tenants(platform: Platform) -> None:
    said(platform, "features", "create", "cli_seats", "--unit", "seats", "--period", "month")
    said(platform, "features", "create", "cli_beta")
    setting = said(
        platform, "features", "create", "cli_theme", "--type", "text", "--default", "light", "--allowed", "light",
        "--allowed", "dark",
    )  # fmt: skip
    assert setting["configuration"]["schema"]["text"]["allowed"] == ["light", "dark"]
    assert said(platform, "features", "update", "cli_beta", "--name", "Beta")["display_name"] == "Beta"

    draft = said(platform, "plans", "create", "cli-plan", "--feature", "cli_seats=5", "--feature", "cli_theme=dark")
    assert draft["version"]["state"] == "PLAN_VERSION_STATE_DRAFT"
    said(platform, "plans", "validate", "cli-plan", "1")
    said(platform, "plans", "publish", "cli-plan", "1", "--reason", "a test")
    said(platform, "tenants", "create", "cli-planned", "--plan", "cli-plan", "--draft")
    tenant = said(platform, "tenants", "show", "cli-planned")
    said(platform, "plans", "draft", "cli-plan", "--feature", "cli_seats=soft:7", "--feature", "cli_beta=on")
    said(platform, "plans", "edit", "cli-plan", "2", "--feature", "cli_seats=8", "--without", "cli_theme")
    diff = said(platform, "plans", "diff", "cli-plan", "2")
    assert [each["feature_id"] for each in diff["changes"]] == ["cli_beta", "cli_seats", "cli_theme"]
    assert [each["code"] for each in diff["tenants"]] == ["cli-planned"]
    assert "cli-planned: cli_beta" in platform.center("plans", "diff", "cli-plan", "2").stdout
    said(platform, "plans", "publish", "cli-plan", "2", "--reason", "a test", "--dry-run")
    said(platform, "plans", "publish", "cli-plan", "2", "--reason", "a test")
    shown = said(platform, "plans", "show", "cli-plan")
    assert shown["version"] == 2
    versions = said(platform, "plans", "versions", "cli-plan")["versions"]
    assert [each["state"] for each in versions] == ["PLAN_VERSION_STATE_ACTIVE", "PLAN_VERSION_STATE_ARCHIVED"]
    assert "cli-plan" in platform.center("plans", "list").stdout

    said(platform, "overrides", "set", "cli-planned", "cli_seats", "--raise", "100", "--for", "2h", "-r", "a test")
    [override] = said(platform, "overrides", "list", "--tenant", "cli-planned")["overrides"]
    assert override["raise"]["quota"]["limit"] == "100"
    said(platform, "add-ons", "create", "cli-more", "--extra", "cli_seats=10", "--grant", "bulk_import=on")
    said(platform, "add-ons", "attach", "cli-planned", "cli-more", "--quantity", "2", "-r", "a test")
    assert said(platform, "add-ons", "attached")["attachments"]
    said(platform, "features", "rollout", "cli_beta", "0", "-r", "a test")
    having = said(platform, "features", "of", "cli-planned")["features"]["features"]
    found = {each["feature_id"]: each for each in having}
    assert found["cli_seats"]["value"]["quota"]["limit"] == "100", "28 of plan and add-on, raised"
    assert not found["cli_beta"].get("enabled", False)
    explained = platform.center("features", "explain", "cli-planned", "cli_seats").stdout
    assert "plan cli-plan/2: the plan gives 8 a month" in explained
    assert "The tenant has it: 100/month" in explained

    spent = said(platform, "features", "use", "cli-planned", "cli_seats", "--units", "70")
    assert (spent["allowed"], spent["used_units"], spent["remaining_units"]) == (True, "70", "30")
    peeked = platform.center("features", "use", "cli-planned", "cli_seats", "--units", "31", "--peek").stdout
    assert "LIMIT_REACHED" in peeked
    assert said(platform, "features", "give-back", "cli-planned", "cli_seats", "--units", "5")["used_units"] == "65"
    [used] = said(platform, "features", "usage", "cli-planned")["usage"]
    assert (used["feature_id"], used["used_units"]) == ("cli_seats", "65")
    assert "cli_seats" in platform.center("features", "usage", "cli-planned").stdout

    kill = said(platform, "features", "kill", "cli_seats", "--tenant", "cli-planned", "--for", "1h", "-r", "a test")
    assert [each["id"] for each in said(platform, "features", "kills")["kill_switches"]] == [kill["id"]]
    said(platform, "features", "revive", kill["id"], "-r", "a test")
    said(platform, "overrides", "remove", override["id"], "-r", "a test")
    said(platform, "add-ons", "detach", "cli-planned", "cli-more", "-r", "a test")
    said(platform, "features", "release", "cli_beta", "-r", "a test")

    said(platform, "plans", "assign", "cli-planned", "standard", "--at", "2h", "-r", "a test")
    assert [each["tenant_id"] for each in said(platform, "plans", "waiting")["assignments"]] == [tenant["id"]]
    said(platform, "plans", "cancel", "cli-planned", "-r", "a test")
    assert said(platform, "plans", "assign", "cli-planned", "pro", "-r", "a test")["features"]["plan_id"] == "pro"
    assert said(platform, "features", "watchers")["watchers"], "clusters watch"
    said(platform, "add-ons", "archive", "cli-more", "-r", "a test")
    assert said(platform, "features", "archive", "cli_theme", "-r", "a test")["state"] == "FEATURE_STATE_ARCHIVED"


async def test_what_is_wrong_is_said_and_every_command_prints_its_call(platform: Platform) -> None:
    refused = platform.center("plans", "assign", "nobody-here", "pro", "-r", "a test")
    assert refused.returncode == 1
    assert "TENANT_NOT_FOUND" in refused.stderr
    wrong = platform.center("plans", "create", "cli-wrong", "--feature", "products=many")
    assert wrong.returncode == 2
    assert "neither a number" in wrong.stderr
    printed = platform.center("plans", "publish", "pro", "1", "-r", "a test", "--print-grpcurl").stdout
    assert "center.control.v1.PlanService/PublishPlanVersion" in printed
    body = json.loads(printed.split(" -d '")[1].split("'")[0])
    assert body == {"plan_id": "pro", "version": 1, "reason": "a test"}
