"""Options, price lists, categories and collections of the tenants' products."""

from alembic import op

from shared.runtime import isolation

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _options()
    _media()
    _categories()
    _collections()
    for table in ("product_media", "categories", "product_categories", "collections", "collection_products"):
        isolation.tenant_table(table)
    for table in ("variants", "stock_levels", "categories", "product_categories", "collection_products"):
        isolation.searchable(table)
    _search()


def _options() -> None:
    for table in ("products", "variants"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN options jsonb NOT NULL DEFAULT '[]'")


def _media() -> None:
    op.execute(
        """
        CREATE TABLE product_media (
            tenant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            position integer NOT NULL,
            media_id uuid NOT NULL,
            alt_text text NOT NULL,
            PRIMARY KEY (tenant_id, product_id, position),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products (tenant_id, id),
            FOREIGN KEY (tenant_id, media_id) REFERENCES media (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON product_media (tenant_id, media_id)")


def _categories() -> None:
    op.execute(
        """
        CREATE TABLE categories (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            handle text NOT NULL CONSTRAINT categories_handle_check
                CHECK (handle ~ '^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$'),
            title text NOT NULL,
            parent_id uuid,
            position bigint NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, handle),
            FOREIGN KEY (tenant_id, parent_id) REFERENCES categories (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON categories (tenant_id, position, id)")
    op.execute("CREATE INDEX ON categories (tenant_id, parent_id)")
    op.execute(
        """
        CREATE TABLE product_categories (
            tenant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            category_id uuid NOT NULL,
            PRIMARY KEY (tenant_id, product_id, category_id),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products (tenant_id, id),
            FOREIGN KEY (tenant_id, category_id) REFERENCES categories (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON product_categories (tenant_id, category_id, product_id)")


def _collections() -> None:
    op.execute(
        """
        CREATE TABLE collections (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            handle text NOT NULL CONSTRAINT collections_handle_check
                CHECK (handle ~ '^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$'),
            title text NOT NULL,
            description text NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, handle)
        )
        """
    )
    op.execute("CREATE INDEX ON collections (tenant_id, create_time, id)")
    op.execute(
        """
        CREATE TABLE collection_products (
            tenant_id uuid NOT NULL,
            collection_id uuid NOT NULL,
            product_id uuid NOT NULL,
            position bigint NOT NULL,
            PRIMARY KEY (tenant_id, collection_id, product_id),
            FOREIGN KEY (tenant_id, collection_id) REFERENCES collections (tenant_id, id),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON collection_products (tenant_id, product_id)")


_ASKED = (
    "words text, of_category uuid, of_collection uuid, in_currency text, lowest bigint, highest bigint, "
    "with_options jsonb, in_stock boolean"
)
_ASKED_TYPES = "text, uuid, uuid, text, bigint, bigint, jsonb, boolean"
_DEFINER = (
    "STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan"
)


def _search() -> None:
    """Beside search_products(), which finds words alone: what finds by more, and counts it.

    The plan is made with what is asked for: a condition that asks for nothing is folded away.
    """
    op.execute(
        f"""
        CREATE FUNCTION matching_products({_ASKED})
            RETURNS TABLE (product_id uuid, name text, made timestamptz, rank bigint, price bigint, place bigint)
            LANGUAGE plpgsql {_DEFINER}
        AS $$
        #variable_conflict use_column
        DECLARE
            mine uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
            asked tsquery := CASE WHEN words <> '' THEN
                websearch_to_tsquery('english', words) && quote_literal('tenant:' || mine::text)::tsquery END;
            by_variant boolean := with_options <> '[]' OR in_stock OR lowest IS NOT NULL OR highest IS NOT NULL;
            within uuid[];
        BEGIN
            IF of_category IS NOT NULL THEN
                WITH RECURSIVE below AS (
                    SELECT c.id FROM public.categories c WHERE c.tenant_id = mine AND c.id = of_category
                    UNION ALL
                    SELECT c.id FROM public.categories c JOIN below b ON c.tenant_id = mine AND c.parent_id = b.id
                )
                SELECT array_agg(b.id) INTO within FROM below b;
            END IF;
            RETURN QUERY
            SELECT f.id, lower(f.title), f.create_time,
                CASE WHEN words = '' THEN 0 ELSE (1000000 * ts_rank_cd(f.doc, asked))::bigint END, f.price, f.place
            FROM (
                SELECT m.id, m.title, m.create_time, m.doc, offer.price, held.position AS place
                FROM public.products m
                LEFT JOIN public.collection_products held ON of_collection IS NOT NULL
                    AND held.tenant_id = mine AND held.collection_id = of_collection AND held.product_id = m.id
                CROSS JOIN LATERAL (
                    SELECT min(v.price) AS price, count(*) AS fitting
                    FROM (
                        SELECT CASE WHEN w.currency = in_currency THEN w.amount_minor END AS price
                        FROM public.variants w
                        WHERE (by_variant OR in_currency <> '') AND w.tenant_id = mine AND w.product_id = m.id
                            AND (with_options = '[]' OR NOT EXISTS (
                                SELECT FROM jsonb_array_elements(with_options) o
                                WHERE NOT EXISTS (
                                    SELECT FROM jsonb_array_elements(w.options) h
                                    WHERE h ->> 0 = o ->> 0 AND (o -> 1) ? (h ->> 1)
                                )
                            ))
                            AND (NOT in_stock OR EXISTS (
                                SELECT FROM public.stock_levels s
                                WHERE s.tenant_id = mine AND s.variant_id = w.id
                                    AND (s.on_hand > s.reserved OR s.allows_backorder)
                            ))
                    ) v
                    WHERE (lowest IS NULL OR v.price >= lowest) AND (highest IS NULL OR v.price <= highest)
                ) offer
                WHERE m.tenant_id = mine AND m.status = 'ACTIVE'
                    AND (words = '' OR m.doc @@ asked)
                    AND (of_category IS NULL OR m.id IN (
                        SELECT pc.product_id FROM public.product_categories pc
                        WHERE pc.tenant_id = mine AND pc.category_id = ANY (within)
                    ))
                    AND (of_collection IS NULL OR held.product_id IS NOT NULL)
                    AND (NOT by_variant OR offer.fitting > 0)
                ORDER BY m.create_time DESC, m.id DESC
                -- What so many have tells nothing apart, and ranking and counting read each match.
                LIMIT 10000
            ) f;
        END
        $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION browse_products(
                {_ASKED}, sort text, after_number bigint, after_name text, after_id uuid, at_most integer)
            RETURNS TABLE (id uuid, number bigint, name text)
            LANGUAGE sql {_DEFINER}
        BEGIN ATOMIC
            SELECT o.product_id, o.number, o.name FROM (
                SELECT m.product_id,
                    CASE sort
                        WHEN 'RELEVANCE' THEN -m.rank
                        WHEN 'NEWEST' THEN -(1000000 * extract(epoch FROM m.made))::bigint
                        WHEN 'PRICE' THEN coalesce(m.price, 9223372036854775807)
                        WHEN 'PRICE_DESC' THEN -coalesce(m.price, -1)
                        WHEN 'COLLECTION' THEN m.place
                        ELSE 0
                    END AS number,
                    CASE sort WHEN 'TITLE' THEN m.name ELSE '' END AS name
                FROM public.matching_products(
                    words, of_category, of_collection, in_currency, lowest, highest, with_options, in_stock
                ) m
            ) o
            WHERE after_id IS NULL OR (o.number, o.name, o.product_id) > (after_number, after_name, after_id)
            ORDER BY o.number, o.name, o.product_id
            LIMIT at_most;
        END
        """
    )
    _counting()
    for function in (
        f"matching_products({_ASKED_TYPES})",
        f"browse_products({_ASKED_TYPES}, text, bigint, text, uuid, integer)",
        f"count_products({_ASKED_TYPES})",
    ):
        isolation.search_function(function)
    op.execute(f"REVOKE EXECUTE ON FUNCTION matching_products({_ASKED_TYPES}) FROM center_app")


def _counting() -> None:
    op.execute(
        f"""
        CREATE FUNCTION count_products({_ASKED})
            RETURNS TABLE (kind text, id uuid, name text, value text, number bigint, products bigint)
            LANGUAGE plpgsql {_DEFINER}
        AS $$
        #variable_conflict use_column
        DECLARE
            mine uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
        BEGIN
            RETURN QUERY
            WITH RECURSIVE found AS MATERIALIZED (
                SELECT m.product_id, m.price FROM public.matching_products(
                    words, of_category, of_collection, in_currency, lowest, highest, with_options, in_stock
                ) m
            ), placed AS (
                SELECT pc.product_id, pc.category_id FROM found f
                JOIN public.product_categories pc ON pc.tenant_id = mine AND pc.product_id = f.product_id
                UNION
                SELECT p.product_id, c.parent_id FROM placed p
                JOIN public.categories c ON c.tenant_id = mine AND c.id = p.category_id AND c.parent_id IS NOT NULL
            ), bands AS (
                SELECT f.price,
                    CASE WHEN f.price = 0 THEN 0 ELSE (10 ^ floor(log(f.price::numeric)))::bigint END AS ten
                FROM found f WHERE f.price IS NOT NULL
            )
            SELECT 'ALL', NULL::uuid, '', '', 0::bigint, count(*) FROM found
            UNION ALL
            SELECT 'CATEGORY', c.id, c.title, c.handle, c.position, count(*)
            FROM placed p JOIN public.categories c ON c.tenant_id = mine AND c.id = p.category_id
            GROUP BY c.id, c.title, c.handle, c.position
            UNION ALL
            SELECT 'OPTION', NULL, h ->> 0, h ->> 1, 0, count(DISTINCT f.product_id)
            FROM found f
            JOIN public.variants v ON v.tenant_id = mine AND v.product_id = f.product_id
            CROSS JOIN LATERAL jsonb_array_elements(v.options) h
            GROUP BY h ->> 0, h ->> 1
            UNION ALL
            SELECT 'BAND', NULL, '', '', b.start, count(*)
            FROM (SELECT ten * CASE WHEN price >= 5 * ten THEN 5 WHEN price >= 2 * ten THEN 2 ELSE 1 END AS start
                FROM bands) b
            GROUP BY b.start
            ORDER BY 1, 5, 3, 4, 2;
        END
        $$
        """
    )
