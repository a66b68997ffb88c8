"""GetCart of twenty lines and twenty promotions in a cluster as it runs, beside an echo of the same answer."""

from center.dataplane.v1 import cart_service_pb2 as pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from shared.runtime import pki
from tests.bench.echo import echo
from tests.bench.load import Load, Target
from tests.bench.measure import SPREAD, THROUGHPUT, compare, ratio, show, spread_ms, throughput
from tests.dataplane.cluster import of, product, variant
from tests.support import platform as platforms
from tests.support.platform import Platform

LINES, PROMOTIONS, RATE, BAR_MS = 20, 20, 100, 20
GET = "center.dataplane.v1.CartService/GetCart"


async def test_reading_a_cart(load: Load) -> None:
    with platforms.running(CENTER_EXAMPLE="off") as platform:
        shop = await platform.create("bench-carts", region_id="eu")
        request, answer = await _cart(platform, shop.id)
        identity = pki.load(platform.home, "operator")
        cluster = platform.processes()["eu-1"].pid
        assert cluster is not None
        port = int(platform.address("eu-1").rpartition(":")[2])
        sent, metadata = [request.SerializeToString()], of(shop.id)
        with echo(platform.home, {GET: answer}) as server:
            mine = Target("GetCart as it runs", [cluster.pid], port, f"/{GET}", sent, identity, "eu-1", metadata)
            raw = Target("raw echo", [server.pid], server.raw, f"/{GET}", sent, identity, metadata=metadata)
            await load.run(mine, seconds=1)
            paced = {each.name: await load.pace(each, seconds=6, calls_per_s=RATE) for each in (mine, raw)}
            samples = await compare(load, [raw, mine], rounds=4, seconds=0.5)
        await platform.close()
    show(
        f"GetCart of {LINES} lines and {PROMOTIONS} promotions, {RATE} a second",
        ("", *SPREAD),
        [[name, *spread_ms(sample.latencies_s)] for name, sample in paced.items()],
        f"the bar: p99 {BAR_MS} ms",
    )
    rates = [own.calls_per_s / bare.calls_per_s for bare, own in zip(*samples, strict=True)]
    show(
        f"GetCart of {LINES} lines and {PROMOTIONS} promotions, as many as go",
        THROUGHPUT,
        throughput([raw, mine], samples, reference=0),
        f"GetCart reaches {ratio(rates)} of the raw echo's calls/s; the answer has {answer.ByteSize():,} bytes",
    )


async def _cart(platform: Platform, tenant_id: str) -> tuple[pb.GetCartRequest, pb.GetCartResponse]:
    """A cart of as many products, with an e-mail, an address and as many promotions, and how it is asked for."""
    carts = CartServiceStub(platform.channel("eu-1"))
    metadata = of(tenant_id)
    promotions = PromotionServiceStub(platform.channel("eu-1"))
    hundredth = promotions_pb.PromotionEffect(type=promotions_pb.PROMOTION_EFFECT_TYPE_PERCENT, basis_points=100)
    for n in range(PROMOTIONS):
        new_one = promotions_pb.Promotion(display_name=f"One in a hundred, {n}", automatic=True, effect=hundredth)
        await promotions.CreatePromotion(promotions_pb.CreatePromotionRequest(promotion=new_one), metadata=metadata)
    made = await carts.CreateCart(pb.CreateCartRequest(currency_code="EUR"), metadata=metadata)
    for n in range(LINES):
        new = products_pb.CreateProductRequest(product=product(f"lamp-{n}", variants=[variant(f"lamp-{n}")]))
        sold = (await platform.products("eu-1").CreateProduct(new, metadata=metadata)).product
        line = pb.AddLineRequest(cart_id=made.cart.id, variant_id=sold.variants[0].id, quantity=n + 1)
        await carts.AddLine(line, metadata=metadata)
    await carts.SetEmail(pb.SetEmailRequest(cart_id=made.cart.id, email="ada@mail.example"), metadata=metadata)
    address = pb.Address(name="Ada", lines=["Square 12"], postal_code="1", city="London", country_code="GB")
    await carts.SetAddress(pb.SetAddressRequest(cart_id=made.cart.id, address=address), metadata=metadata)
    request = pb.GetCartRequest(id=made.cart.id)
    return request, await carts.GetCart(request, metadata=metadata)
