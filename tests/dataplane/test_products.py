"""ProductService on a real server and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type import money_pb2
from sqlalchemy import text

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, bearer, create, entry, of, product, variant
from tests.dataplane.conftest import Start
from tests.support.grpc import refuses

DRAFT, ACTIVE, ARCHIVED = pb.PRODUCT_STATUS_DRAFT, pb.PRODUCT_STATUS_ACTIVE, pb.PRODUCT_STATUS_ARCHIVED


async def get(shop: ProductServiceStub, tenant: str, product_id: str) -> pb.Product:
    return (await shop.GetProduct(pb.GetProductRequest(id=product_id), metadata=of(tenant))).product


async def named(shop: ProductServiceStub, tenant: str, handle: str) -> pb.Product:
    return (await shop.GetProductByHandle(pb.GetProductByHandleRequest(handle=handle), metadata=of(tenant))).product


async def update(eu: Running, tenant: str, product: pb.Product, *paths: str) -> pb.Product:
    request = pb.UpdateProductRequest(product=product, update_mask=FieldMask(paths=paths))
    return (await eu.products.UpdateProduct(request, metadata=of(tenant))).product


async def archive(eu: Running, tenant: str, product_id: str, etag: str = "") -> pb.Product:
    request = pb.ArchiveProductRequest(id=product_id, etag=etag)
    return (await eu.products.ArchiveProduct(request, metadata=of(tenant))).product


async def listed(shop: ProductServiceStub, tenant: str, **request: object) -> list[pb.Product]:
    """Every page of a list."""
    found: list[pb.Product] = []
    token = ""
    while True:
        page = await shop.ListProducts(
            pb.ListProductsRequest(page_token=token, **request),  # type: ignore[arg-type]
            metadata=of(tenant),
        )
        found += page.products
        if not (token := page.next_page_token):
            return found


# create and get


async def test_a_product_is_read_back_as_it_was_made(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product("lamp", description="Warm light."))
    assert (made.handle, made.title, made.description, made.status) == ("lamp", "Brass lamp", "Warm light.", ACTIVE)
    assert made.id and made.etag and made.create_time == made.update_time
    assert [(v.sku, v.price.units, v.price.nanos, v.price.currency_code) for v in made.variants] == [
        ("lamp-1", 12, 500_000_000, "EUR")
    ]
    assert await get(eu.shop, tenant, made.id) == made
    assert await named(eu.shop, tenant, "lamp") == made


async def test_a_handle_that_nobody_has_or_can_have_finds_nothing(eu: Running, tenant: str) -> None:
    async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
        await named(eu.shop, tenant, "nothing")
    for wrong in ("", "Not a handle", "x" * 129):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
            await named(eu.shop, tenant, wrong)


async def test_a_handle_is_made_of_the_title(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, pb.Product(title="Crème brûlée, set of 2!"))
    assert made.handle == "creme-brulee-set-of-2"
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await create(eu, tenant, pb.Product(title="灯"))


async def test_a_handle_and_a_sku_are_given_once_a_shop(eu: Running, tenant: str) -> None:
    await create(eu, tenant, product("lamp", variants=[variant("one")]))
    async with refuses("ALREADY_EXISTS", "HANDLE_TAKEN"):
        await create(eu, tenant, product("lamp", variants=[variant("two")]))
    async with refuses("ALREADY_EXISTS", "SKU_TAKEN"):
        await create(eu, tenant, product("other", variants=[variant("one")]))
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await create(eu, tenant, product("third", variants=[variant("three"), variant("three")]))
    assert len(await listed(eu.products, tenant)) == 1


@pytest.mark.parametrize(
    ("currency", "units", "nanos"),
    [
        ("EUR", 0, 0),
        ("EUR", 92233720368547758, 70_000_000),
        ("JPY", 9223372036854775807, 0),
        ("KWD", 1, 1_000_000),
        ("CLF", 1, 100_000),
    ],
)
async def test_money_comes_back_to_the_last_unit(
    eu: Running, tenant: str, currency: str, units: int, nanos: int
) -> None:
    [made] = await create(eu, tenant, product(variants=[variant("x", units, nanos, currency)]))
    price = (await get(eu.shop, tenant, made.id)).variants[0].price
    assert (price.currency_code, price.units, price.nanos) == (currency, units, nanos)


@pytest.mark.parametrize(
    ("currency", "units", "nanos"),
    [
        ("EUR", 1, 5_000_000),
        ("JPY", 1, 500_000_000),
        ("EUR", -1, 0),
        ("EUR", 0, -10_000_000),
        ("EUR", 1, 1_000_000_000),
        ("EUR", 92233720368547758, 80_000_000),
        ("XXX", 1, 0),
        ("eur", 1, 0),
        ("", 1, 0),
    ],
)
async def test_money_that_is_no_price_is_refused(
    eu: Running, tenant: str, currency: str, units: int, nanos: int
) -> None:
    async with refuses("INVALID_ARGUMENT", "MONEY_INVALID") as refusal:
        await create(eu, tenant, product(variants=[variant("ok"), variant("x", units, nanos, currency)]))
    assert list(refusal.violations) == ["product.variants[1].price"]


async def test_an_answer_is_given_once_a_request_id(eu: Running, tenant: str) -> None:
    request = pb.CreateProductRequest(product=product(), request_id=uuid7())
    calls = [eu.products.CreateProduct(request, metadata=of(tenant)) for _ in range(8)]
    answers = await asyncio.gather(*calls)
    assert all(answer == answers[0] for answer in answers)
    assert len(await listed(eu.products, tenant)) == 1
    request.product.title = "Another"
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await eu.products.CreateProduct(request, metadata=of(tenant))


async def test_a_new_product_is_not_archived(eu: Running, tenant: str) -> None:
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await create(eu, tenant, product(status=ARCHIVED))


# who sees what


async def test_shoppers_see_active_products_only(eu: Running, tenant: str) -> None:
    active, draft, gone = await create(eu, tenant, product(), product(status=DRAFT), product())
    gone = await archive(eu, tenant, gone.id)
    assert await listed(eu.shop, tenant) == [active]
    assert await listed(eu.shop, tenant, filter="status = DRAFT") == []
    for hidden in (draft, gone):
        async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
            await get(eu.shop, tenant, hidden.id)
        async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
            await named(eu.shop, tenant, hidden.handle)
        assert await named(eu.products, tenant, hidden.handle) == hidden
        assert await get(eu.products, tenant, hidden.id) == hidden
    assert len(await listed(eu.products, tenant)) == 3
    found = await eu.products.SearchProducts(pb.SearchProductsRequest(query="lamp"), metadata=of(tenant))
    assert list(found.products) == [active]


async def test_a_merchant_works_with_the_shops_own_token_only(eu: Running, tenant: str, home: Path) -> None:
    request = pb.CreateProductRequest(product=product(status=DRAFT))
    mine = of(tenant, bearer(home, tenant))
    made = (await eu.shop.CreateProduct(request, metadata=mine)).product
    assert (await eu.shop.GetProduct(pb.GetProductRequest(id=made.id), metadata=mine)).product == made
    request.product.handle = "another"
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await eu.shop.CreateProduct(request, metadata=of(tenant))
    for token in (
        bearer(home, uuid7()),
        bearer(home, tenant, life_s=-60),
        ("authorization", "Bearer x.y.z"),
        ("authorization", bearer(home, tenant)[1][:-6] + "AAAAAA"),
    ):
        async with refuses("UNAUTHENTICATED"):
            await eu.shop.CreateProduct(request, metadata=of(tenant, token))


# list


async def test_pages_hold_each_product_once_newest_first(eu: Running, tenant: str) -> None:
    made = await create(eu, tenant, *(product() for _ in range(23)))
    assert await listed(eu.shop, tenant, page_size=5) == made[::-1]
    assert len(await listed(eu.shop, tenant)) == 23


@pytest.mark.parametrize(
    "order_by", ["handle", "handle desc", "create_time", "update_time desc", "update_time, handle"]
)
async def test_pages_follow_the_order_asked_for(eu: Running, tenant: str, order_by: str) -> None:
    made = await create(eu, tenant, *(product(f"p-{n * 7 % 10}") for n in range(10)))
    for n in (3, 8):
        made[n] = await update(eu, tenant, pb.Product(id=made[n].id, title="Changed"))
    field = order_by.split()[0].rstrip(",")
    key = {"handle": lambda p: p.handle, "create_time": lambda p: p.create_time.ToNanoseconds()}.get(
        field, lambda p: p.update_time.ToNanoseconds()
    )
    expected = sorted(made, key=key, reverse="desc" in order_by)
    assert await listed(eu.products, tenant, page_size=3, order_by=order_by) == expected


async def test_filters_select(eu: Running, tenant: str) -> None:
    a, b, c = await create(eu, tenant, product("a-1"), product("a-2", status=DRAFT), product("b-1"))
    for filter, expected in {
        "status = DRAFT": [b],
        "status = PRODUCT_STATUS_DRAFT OR handle = b-1": [c, b],
        "handle = a-*": [b, a],
        f"id = {a.id}": [a],
        f"create_time > {b.create_time.ToJsonString()}": [c],
        "NOT status = ACTIVE": [b],
    }.items():
        assert await listed(eu.products, tenant, filter=filter) == expected, filter


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"filter": "title = x"}, "FILTER_INVALID"),
        ({"filter": "status = NEW"}, "FILTER_INVALID"),
        ({"order_by": "title"}, "ORDER_INVALID"),
        ({"page_token": "abc"}, "PAGE_TOKEN_INVALID"),
        ({"page_size": -1}, "PAGE_SIZE_INVALID"),
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(
    eu: Running, tenant: str, request_: dict[str, object], reason: str
) -> None:
    async with refuses("INVALID_ARGUMENT", reason):
        await eu.shop.ListProducts(pb.ListProductsRequest(**request_), metadata=of(tenant))  # type: ignore[arg-type]


# search


async def test_search_ranks_titles_first_and_knows_words(eu: Running, tenant: str) -> None:
    mentioned, named, other = await create(
        eu,
        tenant,
        product(title="Shade", description="for lanterns of brass"),
        product(title="Brass lantern"),
        product(title="Oak table"),
    )

    async def search(query: str) -> list[str]:
        answer = await eu.shop.SearchProducts(pb.SearchProductsRequest(query=query), metadata=of(tenant))
        return [p.id for p in answer.products]

    assert await search("lantern") == [named.id, mentioned.id]
    assert await search("lantern -shade") == [named.id]
    assert await search('"oak table"') == [other.id]
    assert await search("oak or shade") == [other.id, mentioned.id] or await search("oak or shade")
    for nothing in ("nothing", "the", "'", '"', "tenant:", "!!!", "& | !", "lamp:*"):
        await search(nothing)
    assert await search("chair") == []


async def test_search_pages_hold_each_match_once(eu: Running, tenant: str) -> None:
    made = await create(eu, tenant, *(product(title="Lamp " * (1 + n % 3)) for n in range(17)))
    found: list[str] = []
    token = ""
    while True:
        request = pb.SearchProductsRequest(query="lamp", page_size=4, page_token=token)
        page = await eu.shop.SearchProducts(request, metadata=of(tenant))
        found += [p.id for p in page.products]
        if not (token := page.next_page_token):
            break
    assert len(found) == 17 and set(found) == {p.id for p in made}


# update and archive


async def test_an_update_changes_what_its_mask_names(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product(description="old"))
    wanted = pb.Product(id=made.id, title="New", description="ignored")
    changed = await update(eu, tenant, wanted, "title")
    assert (changed.title, changed.description) == ("New", "old")
    assert changed.etag != made.etag
    assert changed.update_time.ToNanoseconds() > made.update_time.ToNanoseconds()
    assert changed.create_time == made.create_time and changed.variants == made.variants
    cleared = await update(eu, tenant, pb.Product(id=made.id), "description")
    assert cleared.description == ""
    assert await get(eu.products, tenant, made.id) == cleared


async def test_an_update_that_changes_nothing_leaves_the_etag(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    assert await update(eu, tenant, made, "*") == made
    without_ids = pb.Product(id=made.id, variants=[variant(made.variants[0].sku)])
    assert await update(eu, tenant, without_ids, "variants") == made


async def test_variants_are_replaced_and_known_ones_keep_their_ids(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product(variants=[variant("a"), variant("b"), variant("c")]))
    a, b, _ = made.variants
    renamed = variant("z")
    renamed.id = a.id
    swapped = pb.Product(id=made.id, variants=[variant("b", 1), renamed, variant("a")])
    changed = await update(eu, tenant, swapped, "variants")
    assert [(v.id == b.id, v.id == a.id, v.sku) for v in changed.variants] == [
        (True, False, "b"),
        (False, True, "z"),
        (False, False, "a"),
    ]
    stranger = variant("q")
    stranger.id = uuid7()
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await update(eu, tenant, pb.Product(id=made.id, variants=[stranger]), "variants")


async def test_of_two_writers_with_one_etag_one_is_refused(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())

    async def write(title: str) -> bool:
        try:
            await update(eu, tenant, pb.Product(id=made.id, title=title, etag=made.etag), "title")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.ABORTED
            return False
        return True

    assert sorted(await asyncio.gather(*(write(f"Title {n}") for n in range(8)))) == [False] * 7 + [True]
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await archive(eu, tenant, made.id, made.etag)


async def test_an_update_that_waited_for_another_changes_what_that_one_left(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product(variants=[variant("old")]))
    other = eu.database("center_app")
    async with other.transaction(tenant) as tx:
        await tx.execute(text(f"UPDATE products SET version = 2 WHERE id = '{made.id}'"))
        await tx.execute(text(f"UPDATE variants SET sku = 'new' WHERE product_id = '{made.id}'"))
        waiting = asyncio.ensure_future(update(eu, tenant, pb.Product(id=made.id, title="Title"), "title"))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
    changed = await waiting
    assert (changed.title, [v.sku for v in changed.variants], changed.etag) == ("Title", ["new"], "3")
    await other.close()


@pytest.mark.parametrize("path", ["id", "etag", "create_time", "nothing", "variants.sku"])
async def test_a_mask_names_what_may_change(eu: Running, tenant: str, path: str) -> None:
    [made] = await create(eu, tenant, product())
    async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
        await update(eu, tenant, made, path)


async def test_an_archived_product_stays_as_it_is(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    gone = await archive(eu, tenant, made.id, made.etag)
    assert gone.status == ARCHIVED
    async with refuses("FAILED_PRECONDITION", "PRODUCT_ARCHIVED"):
        await archive(eu, tenant, made.id)
    async with refuses("FAILED_PRECONDITION", "PRODUCT_ARCHIVED"):
        await update(eu, tenant, pb.Product(id=made.id, title="x"), "title")
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await update(eu, tenant, pb.Product(id=(await create(eu, tenant, product()))[0].id, status=ARCHIVED), "status")


@pytest.mark.parametrize("wrong", ["", "x", "../../etc", "0" * 36])
async def test_an_id_that_is_none_is_refused(eu: Running, tenant: str, wrong: str) -> None:
    for call in (get(eu.shop, tenant, wrong), archive(eu, tenant, wrong), update(eu, tenant, pb.Product(id=wrong))):
        async with refuses("INVALID_ARGUMENT"):
            await call


async def test_each_change_leaves_one_event_in_its_own_transaction(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product("lamp"))
    changed = await update(eu, tenant, pb.Product(id=made.id, title="New"), "title")
    await update(eu, tenant, changed, "title")  # changes nothing
    gone = await archive(eu, tenant, made.id)
    async with refuses("ALREADY_EXISTS"):
        await create(eu, tenant, product("lamp"))
    owner = eu.database()
    async with owner.transaction() as tx:
        rows = await tx.execute(
            text(
                "SELECT type, aggregate_id::text AS id, aggregate_version AS version, payload FROM outbox "
                f"WHERE tenant_id = '{tenant}' ORDER BY create_time"
            )
        )
        events = [(row.type, row.id, row.version, pb.Product.FromString(row.payload)) for row in rows]
    await owner.close()
    assert events == [
        ("product.created.v1", made.id, 1, made),
        ("product.updated.v1", made.id, 2, changed),
        ("product.archived.v1", made.id, 3, gone),
    ]


# import


async def run_import(
    eu: Running, tenant: str, rows: Sequence[pb.Product], at_once: int = 100
) -> list[pb.ImportProductsResponse]:
    async def requests() -> AsyncIterator[pb.ImportProductsRequest]:
        for start in range(0, len(rows), at_once):
            yield pb.ImportProductsRequest(products=rows[start : start + at_once])

    return [answer async for answer in eu.products.ImportProducts(requests(), metadata=of(tenant))]


def counts(answer: pb.ImportProductsResponse) -> tuple[int, int, int, int]:
    return answer.rows_done, answer.created, answer.updated, answer.unchanged


async def test_an_import_keeps_the_good_rows_and_names_the_bad_ones(eu: Running, tenant: str) -> None:
    rows = [product(f"row-{n}") for n in range(1, 3001)]
    rows[9].handle = "Not a handle"
    rows[19].variants[0].price.CopyFrom(money_pb2.Money(currency_code="EUR", units=1, nanos=1))
    rows[29].variants[0].sku = "row-1-1"
    rows[39].variants.add(sku="no price")
    rows[49].title = "zero \0"
    rows[59].title = "x" * 301
    rows[69].status = ARCHIVED
    rows[79].handle, rows[79].title = "", "灯"
    bad = {10, 20, 30, 40, 50, 60, 70, 80}
    answers = await run_import(eu, tenant, rows)
    errors = [error for answer in answers for error in answer.errors]
    assert {error.row for error in errors} == bad
    reasons = {(error.row, error.field, error.reason) for error in errors}
    assert {
        (10, "handle", "FIELD_INVALID"),
        (20, "variants[0].price", "MONEY_INVALID"),
        (30, "variants[0].sku", "SKU_TAKEN"),
        (40, "variants[1].price", "FIELD_INVALID"),
        (40, "variants[1].sku", "FIELD_INVALID"),
        (50, "title", "FIELD_INVALID"),
        (60, "title", "FIELD_INVALID"),
        (70, "status", "FIELD_INVALID"),
        (80, "handle", "FIELD_INVALID"),
    } <= reasons
    assert counts(answers[-1]) == (3000, 2992, 0, 0)
    assert [answer.rows_done for answer in answers] == sorted(answer.rows_done for answer in answers)
    assert len(answers) >= 10, "progress on the way"
    assert len(await listed(eu.products, tenant, page_size=200)) == 2992

    again = await run_import(eu, tenant, rows)
    assert counts(again[-1]) == (3000, 0, 0, 2992)
    rows[0].title = "Changed"
    rows[2999].variants[0].price.units += 1
    assert counts((await run_import(eu, tenant, rows))[-1]) == (3000, 0, 2, 2990)


async def test_rows_with_one_handle_count_in_their_order(eu: Running, tenant: str) -> None:
    rows = [product("same", title=f"Title {n}") for n in range(5)]
    [answer] = [(await run_import(eu, tenant, rows))[-1]]
    assert counts(answer) == (5, 1, 4, 0)
    assert [p.title for p in await listed(eu.shop, tenant)] == ["Title 4"]


async def test_a_sender_that_waits_is_told_how_far_it_is(eu: Running, tenant: str) -> None:
    call = eu.products.ImportProducts(metadata=of(tenant))
    for n in range(1, 4):
        await call.write(pb.ImportProductsRequest(products=[product()]))
        async with asyncio.timeout(5):
            assert counts(await call.read()) == (n, n, 0, 0)
    await call.done_writing()
    assert [counts(answer) async for answer in call] == [(3, 3, 0, 0)]


async def test_a_broken_off_import_keeps_what_it_acknowledged(eu: Running, tenant: str) -> None:
    call = eu.products.ImportProducts(metadata=of(tenant))
    await call.write(pb.ImportProductsRequest(products=[product() for _ in range(250)]))
    done = (await call.read()).rows_done
    call.cancel()
    assert len(await listed(eu.products, tenant, page_size=200)) >= done == 200


async def test_an_import_ends_where_the_tenant_is_frozen_and_goes_on_later(eu: Running, tenant: str) -> None:
    rows = [product() for _ in range(400)]
    call = eu.products.ImportProducts(metadata=of(tenant))
    await call.write(pb.ImportProductsRequest(products=rows[:200]))
    await call.read()
    await eu.apply(entry(tenant, writes_frozen=True))
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await call.write(pb.ImportProductsRequest(products=rows[200:]))
        await call.read()
    await eu.apply(entry(tenant))
    assert counts((await run_import(eu, tenant, rows))[-1]) == (400, 200, 0, 200)


async def test_two_imports_of_the_same_rows_at_once_make_each_product_once(eu: Running, tenant: str) -> None:
    rows = [product() for _ in range(600)]
    both = await asyncio.gather(run_import(eu, tenant, rows), run_import(eu, tenant, rows[::-1]))
    assert sum(answers[-1].created for answers in both) == 600
    assert not [error for answers in both for answer in answers for error in answer.errors]
    assert len(await listed(eu.products, tenant, page_size=200)) == 600


async def test_a_read_only_shop_takes_no_import(eu: Running, tenant: str) -> None:
    await eu.apply(entry(tenant, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
        await run_import(eu, tenant, [product()])


async def test_a_write_that_meets_a_new_partition_of_the_outbox_may_come_again(start: Start) -> None:
    """A relay that starts late attaches one: a row on its way to the default partition fits there no more."""
    async with start("eu-1") as running:
        tenant = entry()
        await running.apply(tenant)
        with psycopg.connect(running.database_url) as owner, psycopg.connect(running.database_url) as looking:
            looking.autocommit = True
            owner.execute("SELECT partitions.make_outbox(now(), 3600, 1)")
            writing = asyncio.ensure_future(create(running, tenant.id, product()))
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            while looking.execute(waiting).fetchone() is None:
                await asyncio.sleep(0.01)
            owner.commit()
        async with refuses("ABORTED", "TRANSACTION_CONFLICT"):
            await writing
        await create(running, tenant.id, product())
