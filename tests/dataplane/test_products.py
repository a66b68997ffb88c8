"""ProductService on a real server and PostgreSQL."""

from center.dataplane.v1 import product_service_pb2 as pb
from tests.dataplane.cluster import Running, create, of, product


async def test_a_product_is_read_back_as_it_was_made(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product("lamp", description="Warm light."))
    assert (made.handle, made.title, made.description, made.status) == ("lamp", "Brass lamp", "Warm light.", 2)
    assert made.id and made.etag == "1" and made.create_time == made.update_time
    assert [(v.sku, v.price.units, v.price.nanos, v.price.currency_code) for v in made.variants] == [
        ("lamp-1", 12, 500_000_000, "EUR")
    ]
    read = await eu.shop.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(tenant))
    assert read.product == made


async def test_an_import_takes_rows(eu: Running, tenant: str) -> None:
    async def rows():
        yield pb.ImportProductsRequest(products=[product(f"p-{i}") for i in range(450)])

    answers = [a async for a in eu.products.ImportProducts(rows(), metadata=of(tenant))]
    assert answers[-1].created == 450
