"""What happens on the platform is heard: events, the consumer that counts them, and the commands that show both."""

import json
from typing import Any

import pytest

from shared.runtime.ids import uuid7
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e


def said(platform: Platform, *arguments: str) -> Any:
    done = platform.center("events", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def lines(platform: Platform, *arguments: str) -> list[dict[str, Any]]:
    done = platform.center("events", "tail", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_what_happens_to_a_tenant_is_heard_by_it_alone(platform: Platform) -> None:
    code = f"heard-{uuid7()[-12:]}"
    tenant = await platform.create(code)
    await platform.create(f"other-{uuid7()[-12:]}")

    def heard() -> Any:
        mine = lines(platform, "--tenant", code)
        return mine if {"created", "provisioned", "activated"} & {kind(each) for each in mine} else None

    def kind(event: dict[str, Any]) -> str:
        return str(event["subject"]).split(".")[4]

    mine = await until(heard, 20, "the events of a new tenant")
    assert {each["subject"].split(".")[2] for each in mine} == {tenant.id}
    assert {each["subject"].split(".")[3] for each in mine} <= {"tenant", "domain", "plan"}
    revisions = [each["sequence"] for each in mine]
    assert revisions == sorted(revisions)
    assert len(lines(platform, "--limit", "1000")) > len(mine)


async def test_consumers_are_abreast_and_nothing_is_dead(platform: Platform) -> None:
    def abreast() -> bool:
        rows = said(platform, "lag")["lag"]
        activity = [row for row in rows if row["consumer"] == "activity"]
        return len(activity) == 1 and activity[0]["behind"] == 0 and activity[0]["position"] > 0

    await until(abreast, 20, "the consumer to be abreast")
    assert {row["stream"] for row in said(platform, "lag")["lag"]} == {"CONTROL", "DATA", "DEAD"}
    assert said(platform, "dead") == {"dead": []}


async def test_types_are_those_of_the_contracts(platform: Platform) -> None:
    found = {(row["plane"], row["type"], row["version"]) for row in said(platform, "types")["types"]}
    assert ("dataplane", "product.created", "v1") in found
    assert ("control", "tenant.*", "v1") in found


def test_a_letter_that_is_not_there_is_said_in_words(platform: Platform) -> None:
    done = platform.center("events", "replay", "4711")
    assert done.returncode == 1
    assert "DEAD_LETTER_NOT_FOUND" in done.stderr
    assert platform.center("events", "replay").returncode == 2
