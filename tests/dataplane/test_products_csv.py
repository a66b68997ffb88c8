"""Products as CSV: the same file comes back, from another shop, byte for byte."""

import csv
import io

import pytest

from center.dataplane.v1 import product_service_pb2 as pb
from shared import products_csv
from shared.products_csv import Unreadable
from tests.dataplane.cluster import Running, bearer, create, entry, of, product, variant
from tests.dataplane.test_product_options import COLOUR, SIZE, sized
from tests.dataplane.test_products import archive, counts, run_import
from tests.support.grpc import refuses


async def exported(eu: Running, tenant: str) -> bytes:
    call = eu.products.ExportProducts(pb.ExportProductsRequest(), metadata=of(tenant))
    return b"".join([each.data async for each in call])


def parsed(data: bytes) -> list[pb.Product]:
    return list(products_csv.read(io.StringIO(data.decode(), newline="")))


def odd() -> list[pb.Product]:
    """Whatever a file of CSV may stumble over."""
    odd_option = {"name": "=Kind", "values": ["a, b", 'c "d"', "'e", "-1", "line\nbreak", "cr\rlf\r\n"]}
    return [
        product("a-shirt", options=[SIZE, COLOUR], variants=[
            sized("s", Size="S", Colour="red"), sized("m", Size="M", Colour="blue, dark"),
        ]),
        product("formula", title="=1+1", description="+SUM(A1)", variants=[variant("-sku"), variant("@sku")]),
        product("quotes", title='He said "no", twice', description="line one\nline two\r\n\ttab", variants=[]),
        product("apostrophe", title="'quoted'", description="'=1", variants=[variant("'sku'")]),
        product("kinds", options=[odd_option], variants=[
            pb.Variant(sku=f"k{n}", price=variant("x").price, options=[{"name": "=Kind", "value": value}])
            for n, value in enumerate(odd_option["values"])
        ]),
        product("money", variants=[
            variant("free", 0, 0), variant("large", 92233720368547758, 70_000_000), variant("yen", 10**18, 0, "JPY"),
            variant("dinar", 1, 1_000_000, "KWD"), variant("ten", 10, 0),
        ]),
        product("draft", title="灯 💡", status=pb.PRODUCT_STATUS_DRAFT, variants=[variant("灯")]),
    ]  # fmt: skip


async def test_the_same_file_comes_back_from_another_shop(eu: Running, tenant: str) -> None:
    many = [product(f"p-{n:03}") for n in range(250)]
    *_, gone = await create(eu, tenant, *odd(), product("gone"))
    await archive(eu, tenant, gone.id)
    await run_import(eu, tenant, many)
    file = await exported(eu, tenant)
    other = entry()
    await eu.apply(other)
    rows = parsed(file)
    assert len(rows) == 257 and "gone" not in {row.handle for row in rows}
    assert counts((await run_import(eu, other.id, rows))[-1]) == (257, 257, 0, 0)
    assert await exported(eu, other.id) == file
    assert counts((await run_import(eu, other.id, rows))[-1]) == (257, 0, 0, 257)
    assert counts((await run_import(eu, tenant, rows))[-1]) == (257, 0, 0, 257)


def test_no_cell_is_a_formula() -> None:
    cells = [cell for row in csv.reader(io.StringIO(products_csv.write(odd()), newline="")) for cell in row]
    assert "'=1+1" in cells and "'-sku" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_what_people_write_themselves_is_read() -> None:
    rows = "".join(f"{line}\n" for line in (
        "currency,price,sku,variant_title,handle,title,description,status,option1_name,option1_values,option2_name,"
        "option2_values,option3_name,option3_values,option1_value,option2_value,option3_value",
        'EUR,12.50,s,Small,shirt,Shirt,,,Size,"S,M",,,,,S,,',
        "EUR,12,m,Medium,shirt,,,,,,,,,,M,,",
    ))  # fmt: skip
    [shirt] = products_csv.read(io.StringIO(rows, newline=""))
    assert [(each.sku, each.price.units, each.price.nanos, each.options[0].value) for each in shirt.variants] == [
        ("s", 12, 500_000_000, "S"),
        ("m", 12, 0, "M"),
    ]
    assert (shirt.title, list(shirt.options[0].values)) == ("Shirt", ["S", "M"])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("", "line 1: no column"),
        ("handle,title\r\n", "line 1: no column currency"),
        (products_csv.header() + "lamp,Lamp\r\n", "line 2: not as many cells"),
        (products_csv.header() + ",".join(["lamp"] * 3 + ["SOLD"] + [""] * 13) + "\r\n", "line 2: no status 'SOLD'"),
        (products_csv.header() + ",".join(["lamp"] + [""] * 9 + ["sku"] + [""] * 4 + ["1,5", "EUR"]), "line 2: not as"),
        (
            products_csv.header() + ",".join(["lamp"] + [""] * 9 + ["sku"] + [""] * 4 + ["-1", "EUR"]),
            "line 2: no price",
        ),
        (products_csv.header() + '"lamp', "unexpected end of data"),
    ],
)
def test_a_file_that_is_no_such_csv_is_refused_where_it_is_wrong(wrong: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        list(products_csv.read(io.StringIO(wrong, newline="")))


async def test_a_shopper_exports_nothing(eu: Running, tenant: str) -> None:
    await create(eu, tenant, product())
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        async for _ in eu.shop.ExportProducts(pb.ExportProductsRequest(), metadata=of(tenant)):
            pass
    own = of(tenant, bearer(eu.home, tenant))
    assert len([each async for each in eu.shop.ExportProducts(pb.ExportProductsRequest(), metadata=own)]) == 2
