"""Products as JSON through Envoy, beside a bare echo of the same bytes that the same Envoy transcodes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from edge.xds.topology import Cluster, Endpoint
from shared.runtime import pki
from tests.bench.echo import echo
from tests.bench.load import Load, Web
from tests.bench.measure import THROUGHPUT, compare, ratio, show, throughput
from tests.dataplane.cluster import entry, of, product, variant
from tests.edge import proxy
from tests.edge.conftest import running_edge, shop_of
from tests.support.cluster_process import ClusterProcess

PRODUCTS, PAGE, BAR = 1_000, 20, 0.5
SERVICE = "center.dataplane.v1.ProductService"
ABOUT = "A lamp of brass, turned by hand, with a shade of linen that a workshop round the corner sews. " * 5


async def test_products_as_json(home: Path, make_database: Callable[[str], str], load: Load, tmp_path: Path) -> None:
    pki.ensure(home, ["edge", "envoy", "operator", "control", "cluster/eu-1", "cluster/us-1"])
    shop, beside = shop_of(0, "eu-1"), shop_of(1, "us-1")
    process = ClusterProcess(home, make_database("cluster_json"))
    process.start()
    await process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[entry(shop.id)]))
    await _stocked(process, shop.id)
    shopper = ProductServiceStub(process.channel("envoy"))
    listed = await shopper.ListProducts(pb.ListProductsRequest(page_size=PAGE), metadata=of(shop.id))
    got = await shopper.GetProduct(pb.GetProductRequest(id=listed.products[0].id), metadata=of(shop.id))
    answers = {f"{SERVICE}/GetProduct": got, f"{SERVICE}/ListProducts": listed}
    with echo(home, answers, "cluster/us-1") as bare:
        async with running_edge(home) as edge, proxy.envoy(home, tmp_path / "envoy", edge.port) as envoy:
            at = {"eu-1": process.port, "us-1": bare.raw}
            clusters = (Cluster(name, 1, name[:2], (Endpoint("127.0.0.1", port),)) for name, port in at.items())
            edge.set(shop, beside, clusters=tuple(clusters))
            await envoy.listening()
            for name, path, answer in (
                ("GetProduct", f"/v1/products/{got.product.id}", got),
                (f"ListProducts, a page of {PAGE}", f"/v1/products?page_size={PAGE}", listed),
            ):
                pid, port = envoy.process.pid, envoy.port
                targets = [
                    Web("bare echo", [bare.pid, pid], port, beside.domains[0].name, path),
                    Web("as it runs", [process.pid, pid], port, shop.domains[0].name, path),
                ]
                for target in targets:
                    await load.run(target, seconds=0.5)
                for under_way in (8, 32):
                    samples = await compare(load, targets, rounds=4, seconds=0.5, streams=under_way // 4)
                    rates = [own.calls_per_s / raw.calls_per_s for raw, own in zip(*samples, strict=True)]
                    show(
                        f"{name} as JSON through Envoy, {under_way} under way",
                        THROUGHPUT,
                        throughput(targets, samples, reference=0),
                        f"{ratio(rates)} of the bare echo through the same Envoy; the bar: {BAR}",
                        f"{answer.ByteSize():,} bytes; server CPU is Envoy's and the upstream's, without PostgreSQL's",
                    )
    await process.close()


async def _stocked(process: ClusterProcess, tenant_id: str) -> None:
    stub = ProductServiceStub(process.channel("operator"))

    async def rows() -> AsyncIterator[pb.ImportProductsRequest]:
        for start in range(0, PRODUCTS, 500):
            handles = (f"lamp-{n}" for n in range(start, start + 500))
            some = (product(each, description=ABOUT, variants=[variant(f"{each}-1")]) for each in handles)
            yield pb.ImportProductsRequest(products=some)

    async for answer in stub.ImportProducts(rows(), metadata=of(tenant_id)):
        assert not answer.errors
