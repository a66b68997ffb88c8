"""A shop's real invoices, replayed from the command line: once, however often it is killed, and to the penny."""

import asyncio
import csv
import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from center.dataplane.v1 import order_import_service_pb2 as pb
from center.dataplane.v1.order_import_service_pb2_grpc import OrderImportServiceStub
from shared.samples import load
from tests.dataplane.cluster import of
from tests.e2e.test_cli import said
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

# Enough for returns of what was bought in the file.
LINES = 3_000


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """The first days of the sample month."""
    file = tmp_path / "days.csv"
    with gzip.open(load.data("online-retail-2010-12.csv.gz"), "rt") as whole:
        file.write_text("".join(line for line, _ in zip(whole, range(LINES + 1), strict=False)))
    return file


async def test_an_import_that_is_killed_goes_on(platform: Platform, days: Path, tmp_path: Path) -> None:
    shop = await platform.create("past")
    command = [sys.executable, "-m", "shared.cli.main", "import-orders", "--tenant", "past", str(days)]
    first = subprocess.Popen(command, env=platform.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stub = OrderImportServiceStub(platform.channel(shop.placement.cluster_id))
    async with asyncio.timeout(60):
        while not (await stub.SumImportedOrders(pb.SumImportedOrdersRequest(), metadata=of(shop.id))).sums:
            assert first.poll() is None, "it ended before it could be killed"
    first.send_signal(signal.SIGKILL)
    first.wait()

    report = tmp_path / "report.csv"
    arguments = ("import-orders", "--tenant", "past", str(days), "--report", str(report))
    again = await asyncio.to_thread(platform.center, *arguments, within_s=120)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "equal the file's" in again.stdout and " were there" in again.stdout, again.stdout
    figures = said(platform, "tenants", "stats", "past")["orders"]
    third = await asyncio.to_thread(platform.center, *arguments, within_s=120)
    assert third.returncode == 0 and " 0 created, " in third.stdout, third.stdout
    assert said(platform, "tenants", "stats", "past")["orders"] == figures
    with report.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["reason"].partition(":")[0] for row in rows} >= {"the platform", "a note of stock"}
