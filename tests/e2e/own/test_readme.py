"""The README's walk does what it says, line by line, on a platform that has just come up."""

import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import platform as platforms
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[3]

# What a line's output must hold, by a part of the line; every other line must only end well.
HOLDS = {
    "page_size=2": '"variants"',
    "center tenants create": "ACTIVE",
    "import-products": "products of corner-shop",
    "query=lantern": "Lantern",
    "/?q=lantern": "<h1",
    "events tail": "product.created",
    "edges explain corner": "CLUSTER",
    "search?q=lantern": '"sku"',
    "/register": "<form",
    "search?q=mug": "x-ratelimit-remaining",
    "validate-token": '"allowed":true',
    "edges explain search": "SOLUTION",
    "tenants move": "corner-shop.example",
    "-X POST": "TENANT_READ_ONLY",
    ":7100 list": "center.control.v1.TenantService",
    "/ResolveTenant": '"code": "corner-shop"',
    "--print-grpcurl": "center.control.v1.TenantService/ListTenants",
    "audit list": "stocktaking",
    "audit verify": "0 findings",
    "audit export": "0 findings",
    "tenants delete": "DELETING",
}


def walk() -> list[str]:
    found = re.search(r"^```sh walk\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert found, "README.md has no block that begins with ```sh walk"
    return found[1].splitlines()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """Nobody else has used up anything of it."""
    with platforms.running() as running:
        yield running
        await running.close()


def test_the_walk_works_line_by_line(platform: Platform) -> None:
    lines = walk()
    assert len(lines) >= 10
    for line in lines:
        # The README speaks of the default ports and home.
        here = re.sub(r"127\.0\.0\.1:(\d+)", lambda m: f"127.0.0.1:{int(m[1]) + platform.offset}", line)
        here = here.replace(".center/", f"{platform.home}/")
        done = subprocess.run(
            ["bash", "-c", here], cwd=ROOT, env=platform.environment, capture_output=True, text=True, timeout=120
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{line}\n{said}"
        for part, held in HOLDS.items():
            if part in line:
                assert held in said, f"{line}\n{said}"
    assert all(any(part in line for line in lines) for part in HOLDS), "a part of the walk is gone from the README"


def test_the_two_commands_are_named() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make up" in text
    assert "make test" in text
