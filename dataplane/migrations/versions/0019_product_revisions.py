"""What tells an answer about a tenant's products that is still right from one that is not."""

from alembic import op

from shared.runtime import isolation

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No number: one that came back, with a tenant or with a backup, would make old answers right again.
    op.execute("CREATE TABLE product_revisions (tenant_id uuid PRIMARY KEY, revision uuid NOT NULL)")
    # A row that every change of a tenant's products changes: room for its next versions on its own page.
    op.execute("ALTER TABLE product_revisions SET (fillfactor = 50)")
    op.execute("ALTER TABLE product_revisions ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE product_revisions FORCE ROW LEVEL SECURITY")
    op.execute("REVOKE ALL ON product_revisions FROM center_app")
    isolation.steward_policy("product_revisions", "SELECT")
    op.execute("GRANT SELECT, INSERT, UPDATE ON product_revisions TO center_search")
    op.execute("CREATE POLICY reviser_rows ON product_revisions TO center_search USING (true) WITH CHECK (true)")
    _revising()


def _revising() -> None:
    """Triggers, so that whatever SQL a change is, nobody forgets.

    They wait for the commit, once a transaction: the row is the last that a transaction locks, and so no two of them
    wait for it and for each other.
    """
    op.execute(
        """
        CREATE FUNCTION products_revised() RETURNS trigger
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        AS $$
        DECLARE
            whose uuid := coalesce(NEW.tenant_id, OLD.tenant_id);
        BEGIN
            IF NOT EXISTS (
                SELECT FROM public.product_revisions WHERE tenant_id = whose AND xmin = pg_current_xact_id()::xid
            ) THEN
                INSERT INTO public.product_revisions (tenant_id, revision) VALUES (whose, gen_random_uuid())
                ON CONFLICT (tenant_id) DO UPDATE SET revision = excluded.revision;
            END IF;
            RETURN NULL;
        END
        $$
        """
    )
    isolation.search_function("products_revised()")
    op.execute("REVOKE EXECUTE ON FUNCTION products_revised() FROM center_app")
    for table in ("products", "variants", "product_media"):
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_revised AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION products_revised()"
        )
