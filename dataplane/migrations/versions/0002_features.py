"""What each tenant's plan grants here, and how many products it has."""

from alembic import op

from shared.runtime import isolation

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE tenant_features (
            tenant_id uuid PRIMARY KEY,
            version bigint NOT NULL,
            hash text NOT NULL,
            products_limit bigint,
            features bytea NOT NULL,
            apply_time timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE TABLE product_counts (tenant_id uuid PRIMARY KEY, products bigint NOT NULL)")
    # A row that every new product of a tenant changes: room for its next versions on its own page.
    op.execute("ALTER TABLE product_counts SET (fillfactor = 50)")
    for table in ("tenant_features", "product_counts"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # Requests touch neither: the features are in the process's memory, and the count is the trigger's to keep.
        op.execute(f"REVOKE ALL ON {table} FROM center_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_features TO center_steward")
    op.execute("CREATE POLICY steward_rows ON tenant_features TO center_steward USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT ON tenant_features TO center_search")
    op.execute("CREATE POLICY limit_looks ON tenant_features FOR SELECT TO center_search USING (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON product_counts TO center_search")
    op.execute("CREATE POLICY counter_rows ON product_counts TO center_search USING (true) WITH CHECK (true)")
    _counting()
    _room()
    _count_what_is_there()


def _counting() -> None:
    """Triggers keep the count, so that it is right whatever SQL a change is, and a move brings it along.

    The row of a tenant's count is what writers of new products wait for: the last place goes to one of them. Archived
    products are not counted, for archiving is how a shop makes room.
    """
    op.execute(
        """
        CREATE FUNCTION products_added() RETURNS trigger
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        AS $$
        DECLARE
            counted record;
            most bigint;
        BEGIN
            FOR counted IN
                INSERT INTO public.product_counts AS c (tenant_id, products)
                SELECT tenant_id, count(*) FROM added WHERE status <> 'ARCHIVED' GROUP BY tenant_id
                ON CONFLICT (tenant_id) DO UPDATE SET products = c.products + excluded.products
                RETURNING c.tenant_id, c.products
            LOOP
                -- Read after the row is locked, so that a limit that was lowered before counts.
                SELECT products_limit INTO most FROM public.tenant_features f WHERE f.tenant_id = counted.tenant_id;
                IF TG_ARGV[0] = 'limited' AND counted.products > most THEN
                    RAISE EXCEPTION 'the plan has room for % products', most
                        USING ERRCODE = 'check_violation', CONSTRAINT = 'products_limit', DETAIL = most::text;
                END IF;
            END LOOP;
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION products_left() RETURNS trigger
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        AS $$
        BEGIN
            UPDATE public.product_counts c SET products = c.products - l.products
                FROM (SELECT tenant_id, count(*) AS products FROM gone WHERE status <> 'ARCHIVED' GROUP BY tenant_id) l
                WHERE c.tenant_id = l.tenant_id;
            DELETE FROM public.product_counts c USING gone WHERE c.tenant_id = gone.tenant_id AND c.products = 0;
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION product_archived() RETURNS trigger
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        AS $$
        BEGIN
            UPDATE public.product_counts SET products = products + CASE WHEN NEW.status = 'ARCHIVED' THEN -1 ELSE 1 END
                WHERE tenant_id = NEW.tenant_id;
            RETURN NULL;
        END
        $$
        """
    )
    for function in ("products_added()", "products_left()", "product_archived()"):
        isolation.search_function(function)
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM center_app")
    # A move brings what there is: the limit is for those who add.
    for name, who, limited in (
        ("limited", "current_user = 'center_app'", "limited"),
        ("counted", "current_user <> 'center_app'", "counted"),
    ):
        op.execute(
            f"CREATE TRIGGER products_{name} AFTER INSERT ON products REFERENCING NEW TABLE AS added "
            f"FOR EACH STATEMENT WHEN ({who}) EXECUTE FUNCTION products_added('{limited}')"
        )
    op.execute(
        "CREATE TRIGGER products_left AFTER DELETE ON products REFERENCING OLD TABLE AS gone "
        "FOR EACH STATEMENT EXECUTE FUNCTION products_left()"
    )
    # By row, because it hardly ever fires: a statement's trigger would cost every update.
    op.execute(
        "CREATE TRIGGER product_archived AFTER UPDATE ON products FOR EACH ROW "
        "WHEN ((OLD.status = 'ARCHIVED') <> (NEW.status = 'ARCHIVED')) EXECUTE FUNCTION product_archived()"
    )


def _room() -> None:
    """What an import looks at before it writes; what then counts is the trigger."""
    op.execute(
        """
        CREATE FUNCTION products_room() RETURNS TABLE (room bigint, most bigint)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT greatest(0, f.products_limit - coalesce(c.products, 0)), f.products_limit
            FROM public.tenant_features f LEFT JOIN public.product_counts c ON c.tenant_id = f.tenant_id
            WHERE f.products_limit IS NOT NULL
                AND f.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid;
        END
        """
    )
    isolation.search_function("products_room()")


def _count_what_is_there() -> None:
    """The trigger above has locked out other writers until this commits."""
    for table in ("products", "product_counts"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "INSERT INTO product_counts (tenant_id, products) "
        "SELECT tenant_id, count(*) FROM products WHERE status <> 'ARCHIVED' GROUP BY tenant_id"
    )
    for table in ("products", "product_counts"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
