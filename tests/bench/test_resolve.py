"""ResolveTenant of the control process as it runs, with 10,000 tenants, against an echo of the same messages."""

from dataclasses import replace

from center.control.v1 import tenant_service_pb2
from shared.runtime import pki
from tests.bench.echo import RESOLVE, echo
from tests.bench.load import Load, Target
from tests.bench.measure import THROUGHPUT, compare, ratio, show, throughput
from tests.bench.tenants import Imported

BAR = 0.7
WARM_S = 4.0


async def test_resolving_tenants(imported: Imported, load: Load) -> None:
    platform = imported.platform
    identity = pki.load(platform.home, "operator")
    requests = [tenant_service_pb2.ResolveTenantRequest(domain=shop.domain) for shop in imported.shops]
    answer = await platform.tenants.ResolveTenant(requests[0])
    control = platform.processes()["control"].pid
    assert control is not None
    await platform.applied()
    with echo(platform.home, {RESOLVE: answer}) as server:

        def target(name: str, pid: int, port: int, metadata: bool) -> Target:
            sent = [request.SerializeToString() for request in requests]
            made = Target(name, [pid], port, f"/{RESOLVE}", sent, identity)
            return made if metadata else replace(made, metadata=())

        port = int(platform.address("control").rpartition(":")[2])
        for title, metadata in (
            ("called as our channels call", True),
            ("called with no metadata and no deadline", False),
        ):
            targets = [
                target("raw echo", server.pid, server.raw, metadata),
                target("echo in the chain as shipped", server.pid, server.chain, metadata),
                target("ResolveTenant as it runs", control.pid, port, metadata),
            ]
            # Every domain has been asked for before: the first answer about a tenant is made then, and kept.
            await load.run(targets[-1], seconds=WARM_S)
            samples = await compare(load, targets, rounds=11, seconds=0.5)
            pairs = list(zip(samples[0], samples[2], strict=True))
            rates = [mine.calls_per_s / raw.calls_per_s for raw, mine in pairs]
            # On a machine that does other things besides, time is what others leave, and this is what is needed.
            shares = [raw.server_cpu_us / mine.server_cpu_us for raw, mine in pairs]
            show(
                f"ResolveTenant by the 10,000 domains in turn, {title}",
                THROUGHPUT,
                throughput(targets, samples, reference=0),
                f"ResolveTenant reaches {ratio(rates)} of the raw echo's calls/s, and {ratio(shares)} of what its CPU"
                f" time would give; the bar is {BAR}",
            )
