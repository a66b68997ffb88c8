"""Options of products and what they show, on a real server and PostgreSQL."""

from collections.abc import Sequence

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from center.dataplane.v1 import product_service_pb2 as pb
from center.shared.v1 import media_service_pb2 as media_pb
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, create, entry, of, product, variant
from tests.dataplane.test_products import counts, get, run_import, update
from tests.support.grpc import refuses
from tests.support.media import image, keep

SIZE = {"name": "Size", "values": ["S", "M", "L"]}
COLOUR = {"name": "Colour", "values": ["red", "blue, dark"]}


def sized(sku: str, **options: str) -> pb.Variant:
    made = variant(sku)
    made.options.extend(pb.VariantOption(name=name, value=value) for name, value in options.items())
    return made


def shirt(*variants: pb.Variant, options: Sequence[object] = (SIZE, COLOUR), **changes: object) -> pb.Product:
    handle = str(changes.pop("handle", ""))
    return product(handle, title="Shirt", options=options, variants=variants, **changes)


async def test_options_are_read_back_in_the_order_in_which_one_chooses(eu: Running, tenant: str) -> None:
    [made] = await create(
        eu, tenant, shirt(sized("s", Colour="red", Size="S"), sized("m", Size="M", Colour="blue, dark"))
    )
    assert [(option.name, list(option.values)) for option in made.options] == [
        ("Size", ["S", "M", "L"]),
        ("Colour", ["red", "blue, dark"]),
    ]
    assert [[(option.name, option.value) for option in each.options] for each in made.variants] == [
        [("Size", "S"), ("Colour", "red")],
        [("Size", "M"), ("Colour", "blue, dark")],
    ]
    assert await get(eu.shop, tenant, made.id) == made
    listed = await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))
    assert list(listed.products) == [made]


NO_SIZE = {"name": "Size", "values": []}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (shirt(sized("a", Size="S")), "product.variants[0].options"),
        (shirt(sized("a", Size="XL", Colour="red")), "product.variants[0].options"),
        (shirt(sized("a", Size="S", Colour="red", Fit="slim")), "product.variants[0].options"),
        (shirt(sized("a", Size="S", Colour="red"), sized("b", Colour="red", Size="S")), "product.variants"),
        (shirt(sized("a", Size="S"), options=[]), "product.variants[0].options"),
        (shirt(options=[SIZE, SIZE]), "product.options"),
        (shirt(options=[{"name": "Size", "values": ["S", "S"]}]), "product.options[0].values"),
        (shirt(options=[{"name": f"O{n}", "values": ["a"]} for n in range(4)]), "product.options"),
        (shirt(options=[NO_SIZE]), "product.options[0].values"),
        (shirt(variant("a")), "product.variants[0].options"),
    ],
)
async def test_variants_that_do_not_fit_the_options_are_refused(
    eu: Running, tenant: str, wrong: pb.Product, field: str
) -> None:
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(eu, tenant, wrong)
    assert list(refusal.violations) == [field]


async def test_an_option_that_goes_goes_with_its_values(eu: Running, tenant: str) -> None:
    both = [sized("s", Size="S", Colour="red"), sized("m", Size="M", Colour="red")]
    [made] = await create(eu, tenant, shirt(*both))
    only_size = pb.Product(id=made.id, options=[SIZE], variants=[sized("s", Size="S"), sized("m", Size="M")])
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await update(eu, tenant, only_size, "options")
    changed = await update(eu, tenant, only_size, "options", "variants")
    assert [v.id for v in changed.variants] == [v.id for v in made.variants]
    assert await get(eu.shop, tenant, made.id) == changed
    exchanged = pb.Product(id=made.id, variants=[sized("s", Size="M"), sized("m", Size="S")])
    changed = await update(eu, tenant, exchanged, "variants")
    assert [v.options[0].value for v in changed.variants] == ["M", "S"]


async def test_a_product_shows_files_of_its_shop(eu: Running, tenant: str) -> None:
    first, second = [await keep(eu.media, tenant, image(), "image/png") for _ in range(2)]
    shown = [{"media_id": first.id, "alt_text": "The lamp"}, {"media_id": second.id, "alt_text": "Its box"}]
    [made] = await create(eu, tenant, product(media=shown))
    assert [(each.media_id, each.alt_text) for each in made.media] == [(first.id, "The lamp"), (second.id, "Its box")]
    assert await get(eu.shop, tenant, made.id) == made
    turned = await update(eu, tenant, pb.Product(id=made.id, media=shown[::-1]), "media")
    assert list(turned.media) == list(made.media)[::-1]
    fewer = await update(eu, tenant, pb.Product(id=made.id, media=shown[:1]), "media")
    assert await get(eu.shop, tenant, made.id) == fewer
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await update(eu, tenant, pb.Product(id=made.id, media=[shown[0], shown[0]]), "media")


async def test_a_file_that_is_not_there_yet_or_is_anothers_is_not_shown(eu: Running, tenant: str) -> None:
    other = entry()
    await eu.apply(other)
    theirs = await keep(eu.media, other.id, image(), "image/png")
    upload = media_pb.CreateUploadRequest(name="a.png", content_type="image/png", size_bytes=9)
    begun = (await eu.media.CreateUpload(upload, metadata=of(tenant))).upload
    [made] = await create(eu, tenant, product())
    for media_id in (theirs.id, begun.id, uuid7()):
        async with refuses("NOT_FOUND", "MEDIA_NOT_FOUND"):
            await create(eu, tenant, product(media=[{"media_id": media_id}]))
        async with refuses("NOT_FOUND", "MEDIA_NOT_FOUND"):
            await update(eu, tenant, pb.Product(id=made.id, media=[{"media_id": media_id}]), "media")
    assert await get(eu.shop, tenant, made.id) == made


async def test_a_file_that_a_product_shows_stays(eu: Running, tenant: str) -> None:
    picture = await keep(eu.media, tenant, image(), "image/png")
    [made] = await create(eu, tenant, product(media=[{"media_id": picture.id}]))
    delete = media_pb.DeleteMediaRequest(id=picture.id)
    async with refuses("FAILED_PRECONDITION", "MEDIA_IN_USE"):
        await eu.media.DeleteMedia(delete, metadata=of(tenant))
    without = pb.UpdateProductRequest(product=pb.Product(id=made.id), update_mask=FieldMask(paths=["media"]))
    await eu.products.UpdateProduct(without, metadata=of(tenant))
    await eu.media.DeleteMedia(delete, metadata=of(tenant))


async def test_rows_bring_options_and_keep_what_is_shown(eu: Running, tenant: str) -> None:
    picture = await keep(eu.media, tenant, image(), "image/png")
    await create(eu, tenant, product("lamp", media=[{"media_id": picture.id}]))
    rows = [
        product("lamp", title="New"),
        shirt(sized("s", Size="S", Colour="red"), handle="shirt"),
        shirt(sized("x", Size="S"), handle="bad"),
        product("worse", media=[{"media_id": uuid7()}]),
    ]
    [*_, answer] = answers = await run_import(eu, tenant, rows)
    assert counts(answer) == (4, 1, 1, 0)
    assert [(error.row, error.field, error.reason) for each in answers for error in each.errors] == [
        (3, "variants[0].options", "FIELD_INVALID"),
        (4, "media[0].media_id", "MEDIA_NOT_FOUND"),
    ]
    found = pb.GetProductByHandleRequest(handle="lamp")
    lamp = (await eu.shop.GetProductByHandle(found, metadata=of(tenant))).product
    assert (lamp.title, lamp.media[0].media_id) == ("New", picture.id)
    assert counts((await run_import(eu, tenant, rows[:2]))[-1]) == (2, 0, 0, 2)
