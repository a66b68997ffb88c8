"""What the chain around every method costs: the same echo in it and without it."""

from pathlib import Path

from center.control.v1 import tenant_service_pb2 as tenants
from shared.runtime import pki
from tests.bench.echo import RESOLVE, echo
from tests.bench.load import Load, Target
from tests.bench.measure import THROUGHPUT, compare, show, throughput

REQUEST = tenants.ResolveTenantRequest(domain="google.com")
ANSWER = tenants.ResolveTenantResponse(
    tenant_id="0190f0c4-0000-7000-8000-000000000000",
    code="google-com",
    state=3,
    mode=1,
    region_id="eu",
    cluster_id="eu-1",
    shard_id="eu-1-1",
    primary_domain="google.com",
    revision=12345,
)


async def test_the_chain_against_a_raw_echo(home: Path, load: Load) -> None:
    identity = pki.load(home, "operator")
    requests = [REQUEST.SerializeToString()]
    with echo(home, {RESOLVE: ANSWER}) as server:

        def target(name: str, port: int, **how: object) -> Target:
            return Target(name, [server.pid], port, f"/{RESOLVE}", requests, **how)  # type: ignore[arg-type]

        called_by_a_channel = [
            target("raw, mutual TLS", server.raw, identity=identity),
            target("chain as shipped", server.chain, identity=identity),
            target("raw, plaintext", server.plaintext),
        ]
        bare = [
            target("raw, mutual TLS", server.raw, identity=identity, metadata=()),
            target("chain as shipped", server.chain, identity=identity, metadata=()),
        ]
        for title, targets in (
            ("Echo, called as our channels call: deadline, trace, request id, caller", called_by_a_channel),
            ("Echo, called with no metadata and no deadline", bare),
        ):
            samples = await compare(load, targets, rounds=9, seconds=0.5)
            show(title, THROUGHPUT, throughput(targets, samples, reference=0), "32 calls under way on 4 connections")
