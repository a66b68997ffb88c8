"""The example of the SDK's README runs as it stands, but for the address and the token."""

import asyncio
import re
import sys
from pathlib import Path

from shared.runtime import pki
from tests.shared.sdk.market import Market, environment

README = Path(__file__).parents[3] / "shared" / "sdk" / "README.md"


async def test_the_example_of_the_readme(market: Market, tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    solution_id = await market.solution(limit=7)
    token = await market.token(solution_id)
    for source, name in (
        (pki.ca_path(market.home), "ca.pem"),
        (pki.cert_path(market.home, f"solution/{solution_id}"), "search.pem"),
        (pki.key_path(market.home, f"solution/{solution_id}"), "search.key"),
    ):
        (tmp_path / name).write_bytes(source.read_bytes())
    for written, here in (
        ("127.0.0.1:7100", market.plane.config.address),
        ('"search", credentials', f'"{solution_id}", credentials'),
        ("cct_dev_...", token.token),
    ):
        assert written in example
        example = example.replace(written, here)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example, cwd=tmp_path, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert printed.decode().split() == [token.user_id, "free", "6"]
    [usage] = await market.usage(solution_id)
    assert usage.used_units == 1
