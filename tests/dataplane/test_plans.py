"""What PostgreSQL does with the shipped queries below the row policies, on tables that are not small."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text, true

from dataplane.carts import domain
from dataplane.carts import store as cart_store
from dataplane.carts.service import _ORDER
from dataplane.customers import backoffice as customers_backoffice
from dataplane.customers import domain as customers
from dataplane.customers import store as customer_store
from dataplane.inventory import store as inventory_store
from dataplane.orders import bulk as order_imports
from dataplane.orders import store as order_store
from dataplane.products import store
from dataplane.products.domain import Status
from dataplane.products.service import _FIELDS, _ORDERED
from dataplane.storefront import store as storefront_store
from dataplane.tables import products
from dataplane.tenants import store as tenant_store
from shared.runtime import filters
from shared.runtime.context import Session
from shared.runtime.db import Database
from tests.dataplane.cluster import Running, entry
from tests.dataplane.conftest import Start

TENANTS = 300
OF_LARGE = 20_000
SOLD_BY_LARGE = 2_000


@dataclass
class Large:
    """A database in which one tenant has many rows, many tenants have some, and all use the same words."""

    running: Running
    db: Database
    tenant: str
    ids: Sequence[str] = ()
    carts: Sequence[str] = ()


@pytest.fixture(scope="module")
async def large(start: Start) -> AsyncIterator[Large]:
    async with start() as running:
        tenants = [entry() for _ in range(TENANTS)]
        await running.apply(*tenants)
        db = running.database("center_app")
        for n, tenant in enumerate(tenants):
            async with db.transaction(tenant.id) as tx:
                await tx.execute(
                    text(
                        "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time,"
                        f" update_time) SELECT '{tenant.id}', gen_random_uuid(), 'p-' || n, 'Lamp ' || n % 50, "
                        "'brass number' || n, CASE WHEN n % 10 = 0 THEN 'DRAFT' ELSE 'ACTIVE' END, 1, "
                        "now() - make_interval(secs => n), now() - make_interval(secs => n * 7 % 1000) "
                        f"FROM generate_series(1, {OF_LARGE if n == 0 else 100}) n"
                    )
                )
                await tx.execute(
                    text(
                        "INSERT INTO variants SELECT tenant_id, gen_random_uuid(), id, 0, 'sku-' || handle, '', 'EUR', "
                        "100 FROM products"
                    )
                )
                await _sell(tx, tenant.id, SOLD_BY_LARGE if n == 0 else 20)
        async with db.transaction(tenants[0].id) as tx:
            await _fill_customers(tx, tenants[0].id)
            carts = await _fill_carts(tx, tenants[0].id)
            await _fill_media(tx, tenants[0].id)
            await _list_prices(tx, tenants[0].id)
            await _arrange(tx, tenants[0].id)
        owner = running.database()
        async with owner.transaction() as tx:
            await tx.execute(text("ANALYZE"))
        await owner.close()
        async with db.transaction(tenants[0].id) as tx:
            ids = [row.id for row in await tx.execute(text("SELECT id::text FROM products LIMIT 50"))]
        yield Large(running, db, tenants[0].id, ids, carts)
        await db.close()


async def _fill_carts(tx: Any, tenant: str) -> list[str]:
    """Two thousand carts of ten lines and a code."""
    await tx.execute(
        text(
            "INSERT INTO carts (tenant_id, id, state, currency, email, address, line_count, version, create_time, "
            f"update_time) SELECT '{tenant}', gen_random_uuid(), 'OPEN', 'EUR', '', '', 10, 1, now(), "
            "now() - make_interval(mins => n) FROM generate_series(1, 2000) n"
        )
    )
    await tx.execute(
        text(
            "INSERT INTO cart_lines SELECT c.tenant_id, gen_random_uuid(), c.id, v.id, '[]', '', 2 "
            "FROM (SELECT *, row_number() OVER () AS n FROM carts) c "
            "JOIN (SELECT id, row_number() OVER () AS n FROM variants) v ON v.n % 2000 + 1 = c.n"
        )
    )
    await tx.execute(text("INSERT INTO cart_codes SELECT tenant_id, id, 'TEN', 'ten', 1 FROM carts"))
    return [row.id for row in await tx.execute(text("SELECT id::text FROM carts LIMIT 2"))]


async def _fill_customers(tx: Any, tenant: str) -> None:
    """Two thousand, with two addresses, two consents and a try to sign in."""
    await tx.execute(
        text(
            "INSERT INTO customers (tenant_id, id, state, external_id, email_hash, email, name, phone, locale, "
            "marketing_consent, password, epoch, is_imported, version, create_time, update_time) "
            f"SELECT '{tenant}', gen_random_uuid(), 'ACTIVE', n::text, 'hash-' || n, 'x', '', '', '', true, '', 1, "
            "true, 1, now() - make_interval(mins => n), now() FROM generate_series(1, 2000) n"
        )
    )
    for insert in (
        "customer_addresses SELECT tenant_id, gen_random_uuid(), id, 'x', n = 1, now() FROM customers, "
        "generate_series(1, 2) n",
        "customer_consents SELECT tenant_id, id, n, true, now() FROM customers, generate_series(1, 2) n",
        "customer_logins SELECT tenant_id, email_hash, 1, create_time FROM customers",
    ):
        await tx.execute(text(f"INSERT INTO {insert}"))


async def _sell(tx: Any, tenant: str, count: int) -> None:
    """Orders of ten customers, of two lines each; every other was imported, and every tenth given back."""
    await tx.execute(
        text(
            "INSERT INTO orders (tenant_id, id, number, state, payment_status, fulfillment_status, customer_id, "
            "external_reference, currency, subtotal_minor, discount_minor, shipping_minor, tax_minor, "
            "prices_include_tax, total_minor, paid_minor, refunded_minor, shipping_method, country, email, address, "
            "captures_late, version, create_time, place_time, update_time) "
            f"SELECT '{tenant}', gen_random_uuid(), n, 'FULFILLED', 'CAPTURED', 'FULFILLED', "
            f"CAST(md5('{tenant}' || n % 10) AS uuid), CASE n % 4 / 2 WHEN 1 THEN n::text END, 'EUR', 200, 0, 0, "
            "0, true, 200, 200, 0, '', 'DE', 'x', 'x', false, 1, now(), now() - make_interval(days => n % 30), now() "
            f"FROM generate_series(1, {count}) n"
        )
    )
    for insert in (
        "order_lines SELECT o.tenant_id, gen_random_uuid(), o.id, n, gen_random_uuid(), gen_random_uuid(), 'sku-' || n,"
        " 'Lamp', '', '[]', 1, 100, 100, 0, 0, 1, 0, 0, 0 FROM orders o, generate_series(1, 2) n",
        "refunds SELECT tenant_id, gen_random_uuid(), id, NULL, 100, 'SUCCEEDED', '', '', now() FROM orders "
        "WHERE number % 10 = 0",
        "refund_lines SELECT DISTINCT ON (r.id) r.tenant_id, r.id, l.id, 1, false, false FROM refunds r "
        "JOIN order_lines l ON l.order_id = r.order_id",
    ):
        await tx.execute(text(f"INSERT INTO {insert}"))


async def _fill_media(tx: Any, tenant: str) -> None:
    """A picture of each product."""
    await tx.execute(text(f"INSERT INTO media_blobs VALUES ('{tenant}', repeat('0', 64), 1, 1)"))
    await tx.execute(
        text(
            f"INSERT INTO media SELECT '{tenant}', gen_random_uuid(), 'a.png', 'image/png', 1, repeat('0', 64), now() "
            "FROM generate_series(1, 100)"
        )
    )
    await tx.execute(
        text("INSERT INTO product_media SELECT tenant_id, id, 0, (SELECT id FROM media LIMIT 1), '' FROM products")
    )


async def _list_prices(tx: Any, tenant: str) -> None:
    """Many more lists than count together, one of which has a price of each variant."""
    await tx.execute(
        text(
            f"INSERT INTO price_lists SELECT '{tenant}', gen_random_uuid(), 'list ' || n, "
            "CASE n % 3 WHEN 0 THEN 'GBP' ELSE 'EUR' END, now(), NULL, 'ACTIVE', 1, "
            "now() - make_interval(mins => n), now() FROM generate_series(1, 1500) n"
        )
    )
    await tx.execute(
        text(
            "INSERT INTO prices SELECT l.tenant_id, l.id, v.id, 1, 90 "
            "FROM (SELECT *, row_number() OVER () AS n FROM price_lists) l "
            "JOIN (SELECT id, row_number() OVER () AS n FROM variants) v ON v.n % 1500 + 1 = l.n"
        )
    )


async def _arrange(tx: Any, tenant: str) -> None:
    """A hundred categories, each with a part of the products, ten collections, and some of everything in stock."""
    here = f"INSERT INTO locations SELECT '{tenant}', gen_random_uuid(), 'here', '', 1, true, 1, now(), now()"
    await tx.execute(text(here))
    await tx.execute(
        text(
            "INSERT INTO stock_levels SELECT v.tenant_id, v.id, l.id, 1, 0, 0, false, NULL, 1, now() "
            "FROM variants v, locations l"
        )
    )
    named = "gen_random_uuid(), 'c-' || n, 'C'"
    some = f"INSERT INTO categories SELECT '{tenant}', {named}, NULL, n, 1, now(), now() FROM generate_series(1, 100) n"
    await tx.execute(text(some))
    await tx.execute(
        text(
            "INSERT INTO product_categories SELECT p.tenant_id, p.id, c.id FROM products p "
            "JOIN categories c ON c.position = 1 + abs(hashtext(p.handle)) % 100"
        )
    )
    some = f"INSERT INTO collections SELECT '{tenant}', {named}, '', 1, now(), now() FROM generate_series(1, 10) n"
    await tx.execute(text(some))
    await tx.execute(
        text(
            "INSERT INTO collection_products SELECT p.tenant_id, c.id, p.id, row_number() OVER () FROM collections c "
            "CROSS JOIN (SELECT tenant_id, id FROM products ORDER BY id LIMIT 50) p"
        )
    )


async def plans(large: Large, run: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each statement on rows that `run` sends, and the nodes of its plan."""
    sent: list[tuple[str, Any]] = []
    engine = large.db._engine.sync_engine

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        async with large.db.transaction(large.tenant) as tx:
            await run(tx)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    async with large.db.transaction(large.tenant) as tx:
        return [(statement, await explained(tx, statement, parameters)) for statement, parameters in sent]


async def explained(tx: Any, statement: str, parameters: Any) -> list[dict[str, Any]]:
    """The nodes of a statement's plan, each that goes by an index with the index's second column."""
    driver: Any = (await tx.get_raw_connection()).driver_connection
    second = dict(await (await driver.execute(_SECOND)).fetchall())
    [(plan,)] = await (await driver.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)).fetchall()
    whole = plan if isinstance(plan, list) else json.loads(plan)
    found = list(nodes(whole[0]["Plan"]))
    return [node | {"Second": second[node["Index Name"]]} if "Index Name" in node else node for node in found]


_SECOND = "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid, 2, true) FROM pg_index"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


CUSTOMER_TABLES = ("customers", "customer_addresses", "customer_consents", "customer_logins")
TABLES = (
    "products",
    "variants",
    "product_media",
    "stock_levels",
    "product_categories",
    "collection_products",
    "idempotency",
    "carts",
    "cart_lines",
    "cart_codes",
    "price_lists",
    "prices",
    *CUSTOMER_TABLES,
    "orders",
    "order_lines",
    "refunds",
    "refund_lines",
)


def scans(plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for node in plan if node.get("Relation Name") in TABLES]


def assert_narrow(plan: list[dict[str, Any]], *, at_most: int) -> None:
    """Every scan goes by the tenant and by the second column of an index, and looks at few rows."""
    for node in plan:
        if "Index Name" in node:
            condition = node.get("Index Cond", "")
            assert "tenant_id" in condition and re.search(rf"\b{node['Second']}\b", condition), node
    for node in scans(plan):
        assert node["Node Type"] != "Seq Scan", node
        assert node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) <= at_most, node


async def test_one_product_is_read_by_its_key(large: Large) -> None:
    for statement, key in ((store._BY_ID, {"id": large.ids[1]}), (store._BY_HANDLE, {"handle": "p-77"})):
        async with large.db.transaction(large.tenant) as tx:
            assert_narrow(await explained(tx, statement, {"tenant_id": large.tenant, **key}), at_most=1)
    for _, plan in await plans(large, partial(store.lock, tenant_id=large.tenant, product_id=large.ids[1])):
        assert_narrow(plan, at_most=1)


@pytest.mark.parametrize("order_by", ["create_time desc", "create_time", "update_time desc", "handle"])
@pytest.mark.parametrize("shopper", [False, True])
@pytest.mark.parametrize("page", [1, 2])
async def test_a_page_is_read_in_the_order_of_an_index(large: Large, order_by: str, shopper: bool, page: int) -> None:
    ordering = filters.order(order_by, _ORDERED, products.c.id)
    seen = products.c.status == Status.ACTIVE if shopper else true()
    cursor: list[Any] | None = None
    if page == 2:
        async with large.db.transaction(large.tenant) as tx:
            _, cursor = await store.page(tx, large.tenant, seen, ordering, None, 50)
    [(_, of_products)] = await plans(large, lambda tx: store.page(tx, large.tenant, seen, ordering, cursor, 50))
    # But for the variants of one product.
    of_variants = [node for node in of_products if node.get("Sort Key") == ['v."position"']]
    sorts = [node for node in of_products if node["Node Type"] in ("Sort", "Seq Scan")]
    assert sorts == of_variants
    [scan] = [node for node in scans(of_products) if node["Relation Name"] == "products"]
    assert "tenant_id" in scan["Index Cond"]
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= 51 * 1.5
    if page == 2:
        assert "ROW(" in scan["Index Cond"] or "handle >" in scan["Index Cond"]
    assert_narrow([node for node in of_products if node is not scan], at_most=60)


@pytest.mark.parametrize(
    "filter",
    ["handle = p-77", "status = DRAFT AND create_time < 2000-01-01T00:00:00Z", "update_time < 2000-01-01T00:00:00Z"],
)
async def test_a_filter_on_an_indexed_field_is_a_condition_of_the_index(large: Large, filter: str) -> None:
    ordering = filters.order("create_time desc", _ORDERED, products.c.id)
    condition = filters.where(filter, _FIELDS)
    for _, plan in await plans(large, lambda tx: store.page(tx, large.tenant, condition, ordering, None, 50)):
        assert_narrow(plan, at_most=51)


async def test_an_import_finds_its_rows_by_their_keys(large: Large) -> None:
    async def look(tx: Any) -> None:
        known = await store.by_handle(tx, large.tenant, [f"p-{n}" for n in range(1, 200)])
        await store.sku_owners(tx, large.tenant, [f"sku-p-{n}" for n in range(1, 200)])
        changed = [p for _, p in zip(range(20), known.values(), strict=False)]
        now = datetime.now(UTC)
        await store.save(tx, large.tenant, [replace(p, version=p.version + 1, update_time=now) for p in changed])
        raise StopAsyncIteration

    sent = await plans_of_failing(large, look)
    for statement, plan in sent:
        if not statement.lstrip().startswith("INSERT"):
            assert_narrow(plan, at_most=400)


async def test_a_cart_is_read_and_changed_by_its_key(large: Large) -> None:
    async def change(tx: Any) -> None:
        await cart_store.lock(tx, large.tenant, *large.carts)
        before, _ = await cart_store.get(tx, large.tenant, large.carts[0])
        line = before.lines[0]
        await cart_store.offer(tx, large.tenant, line.variant_id, before)
        now = datetime.now(UTC)
        after = domain.set_quantity(before, line.id, 3, now)
        after = domain.remove_line(after, before.lines[1].id, now)
        after = domain.remove_code(after, before.codes[0], now)
        await cart_store.save(tx, large.tenant, before, after)
        await cart_store.locked_since(tx, large.tenant, large.carts, now)
        raise StopAsyncIteration

    sent = await plans_of_failing(large, change)
    assert len(sent) == 7
    sent += await plans(large, partial(cart_store.delete, tenant_id=large.tenant, cart_ids=large.carts[1:]))
    for _, plan in sent:
        assert_narrow(plan, at_most=10)
    # The primary key has both columns, too, but with the lists of the tenant between them.
    priced = [plan for _, plan in sent if any(node.get("Relation Name") == "prices" for node in plan)]
    assert len(priced) == 2
    for plan in priced:
        assert [node for node in plan if node.get("Index Name") == "prices_tenant_id_variant_id_idx"]


async def test_a_page_of_carts_is_read_in_the_order_of_an_index(large: Large) -> None:
    page = partial(cart_store.page, tenant_id=large.tenant, condition=true(), ordering=_ORDER, cursor=None, size=50)
    [(_, plan)] = await plans(large, page)
    assert not [node for node in plan if node["Node Type"] in ("Sort", "Seq Scan")]
    assert "tenant_id" in scans(plan)[0]["Index Cond"]


async def test_carts_that_are_due_are_found_by_their_age(large: Large) -> None:
    owner = large.running.database()
    async with owner.transaction() as tx:
        body = (await tx.execute(text("SELECT pg_get_functiondef('due_carts'::regproc)"))).scalar_one()
        query = body.split("BEGIN ATOMIC")[1].split(";")[0]
        ages = {"left_before": "now() - interval '24 h'", "forgotten_before": "now() - interval '30 d'"}
        for name, value in {**ages, "at_most": "50"}.items():
            query = query.replace(f"due_carts.{name}", value).replace(name, value)
        await tx.execute(text("SET LOCAL ROLE center_search"))
        driver: Any = (await tx.get_raw_connection()).driver_connection
        [(plan,)] = await (await driver.execute(f"EXPLAIN (FORMAT JSON) {query}")).fetchall()
    await owner.close()
    found = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == "carts"]
    assert sorted(node["Index Name"] for node in found) == ["carts_abandoned", "carts_forgotten"]


async def plans_of_failing(large: Large, run: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    """As plans(), of writes: neither the run nor the looking at it changes a row."""
    sent: list[tuple[str, Any]] = []
    engine = large.db._engine.sync_engine

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    with pytest.raises(StopAsyncIteration):
        async with large.db.transaction(large.tenant) as tx:
            await run(tx)
    event.remove(engine, "before_cursor_execute", note)
    found = []
    for statement, parameters in sent:
        with pytest.raises(StopAsyncIteration):
            async with large.db.transaction(large.tenant) as tx:
                if not statement.lstrip().startswith("INSERT"):
                    found.append((statement, await explained(tx, statement, parameters)))
                raise StopAsyncIteration
    return found


async def test_search_reads_the_index_of_words_and_of_the_tenant(large: Large) -> None:
    """Inside the function, as its owner; the same words are everywhere."""
    owner = large.running.database()
    async with owner.transaction() as tx:
        await tx.execute(text(f"SELECT set_config('app.tenant_id', '{large.tenant}', true)"))
        body = (await tx.execute(text("SELECT pg_get_functiondef('search_products'::regproc)"))).scalar_one()
        query = body.split("BEGIN ATOMIC")[1].split(";")[0]
        for name, value in {
            "words": "'number77'",
            "below_rank": "NULL::int",
            "below_id": "NULL::uuid",
            "at_most": "51",
        }.items():
            query = query.replace(f"search_products.{name}", value).replace(name, value)
        await tx.execute(text("SET LOCAL ROLE center_search"))
        [(plan,)] = await (
            await (await tx.get_raw_connection()).driver_connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")  # type: ignore[union-attr]
        ).fetchall()
    await owner.close()
    found = list(nodes(plan[0]["Plan"]))
    [by_words] = [node for node in found if node["Node Type"] == "Bitmap Index Scan" and "doc" in node["Index Name"]]
    # 300 tenants have that word, this one once; a row's dead versions count until they are vacuumed.
    assert by_words["Actual Rows"] < 10, "the index alone tells the tenant"


async def test_a_command_finds_its_tenants_by_their_keys(large: Large) -> None:
    steward = large.running.database("center_steward")
    [(plan,)] = await steward.once(f"EXPLAIN (ANALYZE, FORMAT JSON) {tenant_store._SOME}", {"ids": [large.tenant]})
    assert [node for node in nodes(plan[0]["Plan"]) if "tenant_id" in str(node.get("Index Cond"))]
    await steward.close()


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ({"of_category": "category"}, 300),
        ({"of_collection": "collection"}, 50),
        ({"of_category": "category", "in_stock": "true", "lowest": "1"}, 300),
        ({"words": "'number77'", "with_options": """'[["Size", ["S"]]]'::jsonb"""}, 10),
    ],
)
async def test_a_search_by_more_than_words_looks_at_what_it_asks_for(
    large: Large, asked: dict[str, str], most: int
) -> None:
    """Inside the function, as its owner, with what is asked for in place of the parameters."""
    owner = large.running.database()
    async with owner.transaction() as tx:
        places = {}
        for kind, table in (("category", "categories"), ("collection", "collections")):
            row = await tx.execute(text(f"SELECT id FROM {table} WHERE tenant_id = '{large.tenant}' LIMIT 1"))
            places[kind] = f"'{row.scalar_one()}'::uuid"
        source = (await tx.execute(text("SELECT prosrc FROM pg_proc WHERE proname = 'matching_products'"))).scalar_one()
        values = {
            "words": "''", "of_category": "NULL::uuid", "of_collection": "NULL::uuid", "in_currency": "'EUR'",
            "lowest": "NULL::bigint", "highest": "NULL::bigint", "with_options": "'[]'::jsonb", "in_stock": "false",
            **{name: places.get(value, value) for name, value in asked.items()},
        }  # fmt: skip
        values["within"] = f"ARRAY[{values['of_category']}]"
        tenant_word = f"quote_literal('tenant:{large.tenant}')::tsquery"
        values["asked"] = f"(websearch_to_tsquery('english', {values['words']}) && {tenant_word})"
        values["by_variant"] = "true" if len(asked) > 1 else "false"
        values["mine"] = f"'{large.tenant}'::uuid"
        names = re.compile(rf"(?<![\w.])({'|'.join(values)})(?!\w)")
        query = names.sub(lambda found: values[found[1]], source.split("RETURN QUERY")[1].split(";")[0])
        await tx.execute(text("SET LOCAL ROLE center_search"))
        driver: Any = (await tx.get_raw_connection()).driver_connection
        [(plan,)] = await (await driver.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")).fetchall()
    await owner.close()
    found = scans(list(nodes(plan[0]["Plan"])))
    assert found
    for node in found:
        assert node["Node Type"] != "Seq Scan", node
        if node["Node Type"] != "Bitmap Heap Scan":
            assert "tenant_id" in node["Index Cond"] and " AND " in node["Index Cond"], node
        assert node["Actual Rows"] * node["Actual Loops"] <= most, node


async def test_a_customer_is_found_and_changed_by_a_key(large: Large) -> None:
    async def change(tx: Any) -> None:
        now = datetime.now(UTC)
        found = await customer_store.by_email(tx, large.tenant, "hash-7", lock=True)
        assert found is not None
        assert await customer_store.by_external_id(tx, large.tenant, "7", lock=True) == found
        session = Session(f"customer/{found.id}", 1, "x", now)
        assert await customer_store.is_open(tx, large.tenant, found.id, session)
        await customer_store.consents(tx, large.tenant, found.id)
        await cart_store.of_customer(tx, large.tenant, found.id)
        after = customers.delete_address(found, found.addresses[0].id, now)
        after = customers.update(after, customers.Said(marketing_consent=False), now)
        await customer_store.save(tx, large.tenant, found, after)
        await customer_store.take_try(tx, large.tenant, "hash-7", now)
        await customer_store.forgive(tx, large.tenant, "hash-7")
        raise StopAsyncIteration

    for statement, plan in await plans_of_failing(large, change):
        if not statement.lstrip().startswith("INSERT"):
            assert_narrow(plan, at_most=20)


async def test_a_page_of_customers_is_read_in_the_order_of_an_index(large: Large) -> None:
    ordering = customers_backoffice._ORDER
    page = partial(customer_store.page, tenant_id=large.tenant, ordering=ordering, cursor=None, size=50)
    [(_, plan)] = await plans(large, partial(page, condition=true()))
    assert not [node for node in plan if node["Node Type"] in ("Sort", "Seq Scan")]
    condition = filters.where("external_id = 7", customers_backoffice._FIELDS)
    [(_, plan)] = await plans(large, partial(page, condition=condition))
    assert_narrow(plan, at_most=1)


async def test_what_pages_look_up_at_once_is_read_by_keys(large: Large) -> None:
    async with large.db.transaction(large.tenant) as tx:
        customer = (await tx.execute(text("SELECT id::text FROM customers LIMIT 1"))).scalar_one()
        variants = [row.id for row in await tx.execute(text("SELECT id::text FROM variants LIMIT 24"))]
    about = {"cart_id": large.carts[0], "customer_id": customer, "categories": 12, "collections": 6}
    about |= {"epoch": 1, "session_id": "x"}
    looks: Any = (
        (storefront_store._AROUND, about, 10),
        (storefront_store._CATEGORY, {"handle": "c-7"}, 1),
        (storefront_store._CATEGORIES, {"skipped": 0, "most": 101}, 1000),
        (storefront_store._COLLECTION, {"handle": "c-7"}, 1),
        (inventory_store._OFFERED, {"ids": variants}, 24),
    )
    for statement, asked, most in looks:
        async with large.db.transaction(large.tenant) as tx:
            plan = await explained(tx, statement, {"tenant_id": large.tenant, **asked})
        # The navigation is the first few of all, in their order.
        ways = ("categories", "collections") if statement is storefront_store._AROUND else ()
        assert_narrow([node for node in plan if node.get("Relation Name") not in ways], at_most=most)


async def test_an_import_of_orders_finds_its_rows_by_their_keys(large: Large) -> None:
    async with large.db.transaction(large.tenant) as tx:
        rows = await tx.execute(
            text(
                "SELECT r.id::text AS id, o.customer_id::text FROM refunds r JOIN orders o "
                "ON o.id = r.order_id LIMIT 20"
            )
        )
        refunds = rows.all()
    references = [str(n) for n in range(2, 100, 4)]
    whose: dict[str, Any] = {"country": "DE", "currency": "EUR", "until": datetime.now(UTC), "skus": ["sku-1"]}

    async def look(tx: Any) -> None:
        assert len(await order_imports.known(tx, large.tenant, references)) == len(references)
        await order_imports.variants(tx, large.tenant, [f"sku-p-{n}" for n in range(1, 200)])
        assert len(await order_imports.refunded(tx, large.tenant, [row.id for row in refunds])) == len(refunds)
        paid, sold = await order_imports.candidates(tx, large.tenant, refunds[0].customer_id, **whose)
        assert len(paid) == len(sold) == SOLD_BY_LARGE / 20
        await order_store.find(tx, large.tenant, paid[0].order_id, lock=True)
        assert len(await order_store.of_customer(tx, large.tenant, refunds[0].customer_id)) == SOLD_BY_LARGE / 10
        raise StopAsyncIteration

    sent = await plans_of_failing(large, look)
    assert len(sent) == 9
    for _, plan in sent:
        assert_narrow(plan, at_most=SOLD_BY_LARGE // 5)
    [(_, plan)] = await plans(large, partial(order_imports.sums, tenant_id=large.tenant))
    # A report of all that was imported: it is told from other orders by the index, and all the shop's refunds are read.
    assert_narrow([node for node in plan if node.get("Relation Name") != "refunds"], at_most=SOLD_BY_LARGE)
    assert [node for node in scans(plan) if node["Relation Name"] == "refunds" and "tenant_id" in node["Index Cond"]]
