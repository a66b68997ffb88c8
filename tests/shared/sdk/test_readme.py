"""The example of the SDK's README runs as it stands, but for the address and the token."""

import asyncio
import re
import sys
from pathlib import Path

from center.control.v1 import plan_service_pb2 as plan_pb
from shared.runtime import pki
from tests.shared.sdk.market import Market, environment

README = Path(__file__).parents[3] / "shared" / "sdk" / "README.md"


def _examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


async def test_the_example_of_the_readme(market: Market, tmp_path: Path) -> None:
    example, _ = _examples()
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


async def test_the_example_of_features(market: Market, tmp_path: Path) -> None:
    plane = market.plane
    tenant = (await plane.create("readme", draft=True)).tenant
    read = plan_pb.GetTenantFeaturesRequest(tenant_id=tenant.id, min_revision=tenant.revision)
    await plane.plans.GetTenantFeatures(read)
    for source, name in (
        (pki.ca_path(market.home), "ca.pem"),
        (pki.cert_path(market.home, "operator"), "operator.pem"),
        (pki.key_path(market.home, "operator"), "operator.key"),
    ):
        (tmp_path / name).write_bytes(source.read_bytes())
    _, example = _examples()
    example = re.sub(r'tenant_id = ".*"', f'tenant_id = "{tenant.id}"', example)
    example = example.replace("127.0.0.1:7100", plane.config.address)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example, cwd=tmp_path, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert (printed.decode().split(), process.returncode) == (["True"], 0)
