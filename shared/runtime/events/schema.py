"""What a database needs so that events flow out of it and into it; for migrations and for the models' tables."""

from collections.abc import Callable

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, MetaData, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from shared.runtime import isolation
from shared.runtime.events.relay import ROLE

Execute = Callable[[str], object]


class Xid(UserDefinedType[int]):
    """The transaction that wrote the row: xid8, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


# So that the comparison of a database with its model knows it.
ischema_names["xid8"] = Xid


def position_table(metadata: MetaData) -> Table:
    """How far the relay is: a snapshot of PostgreSQL, as text; what it shows is published. Has one row."""
    return Table(
        "outbox_position",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", Text, nullable=False),
        Column("save_time", DateTime(timezone=True), nullable=False),
        CheckConstraint("id = 1", name="one_row"),
    )


def inbox_table(metadata: MetaData) -> Table:
    """Which events had their effect, by consumer. Ids begin with their time, so it is partitioned by that."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", Uuid(as_uuid=False), primary_key=True),
        postgresql_partition_by="RANGE (event_id)",
    )


def gaps_table(metadata: MetaData) -> Table:
    """Tenants whose events of a time a consumer has to read again: some came while nothing could be written for the
    tenant here, or before it was here. A gap stays with its cluster."""
    return Table(
        "event_gaps",
        metadata,
        Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
        Column("consumer", Text, primary_key=True),
        Column("since", DateTime(timezone=True), nullable=False),
        # Counts the events that were passed over; whoever reads again knows by it that no more came meanwhile.
        Column("skipped", BigInteger, nullable=False),
    )


def relayed(execute: Execute = op.execute) -> None:
    """Makes the table `outbox`, partitioned by create_time, one that a relay reads.

    The relay's role reads it and nothing else. Partitions stand in a schema that the service's roles can't enter: rows
    reach them through the outbox and its policies only.
    """
    execute("CREATE SCHEMA IF NOT EXISTS partitions")
    # Rows from before get the migration's own transaction: they are published, too.
    execute("ALTER TABLE outbox ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()")
    execute("CREATE INDEX outbox_xid ON outbox (xid)")
    execute(
        """
        CREATE TABLE outbox_position (
            id smallint PRIMARY KEY CONSTRAINT one_row CHECK (id = 1),
            position text NOT NULL,
            save_time timestamptz NOT NULL
        )
        """
    )
    execute("INSERT INTO outbox_position VALUES (1, '1:1:', now())")
    execute("REVOKE ALL ON outbox_position FROM center_app")
    execute(f"GRANT SELECT, UPDATE ON outbox_position TO {ROLE}")
    execute(f"GRANT SELECT ON outbox TO {ROLE}")
    execute(f"GRANT USAGE ON SCHEMA partitions TO {ROLE}")
    execute(_MAKE)
    execute(_CLEAR)
    for function in ("make_outbox(timestamptz, integer, integer)", "clear_outbox(timestamptz, text[])"):
        execute(f"REVOKE ALL ON FUNCTION partitions.{function} FROM PUBLIC")
        execute(f"GRANT EXECUTE ON FUNCTION partitions.{function} TO {ROLE}")


def with_inbox(execute: Execute = op.execute) -> None:
    """Makes the table `inbox`, and what keeps its partitions."""
    execute(
        """
        CREATE TABLE inbox (
            consumer text NOT NULL,
            event_id uuid NOT NULL,
            PRIMARY KEY (consumer, event_id)
        ) PARTITION BY RANGE (event_id)
        """
    )
    execute("CREATE TABLE partitions.inbox_default PARTITION OF inbox DEFAULT")
    execute("REVOKE ALL ON inbox FROM center_app")
    execute("GRANT SELECT, INSERT ON inbox TO center_app")
    execute(_KEEP_INBOX)
    execute("REVOKE ALL ON FUNCTION partitions.keep_inbox(date, integer, integer) FROM PUBLIC")
    execute("GRANT USAGE ON SCHEMA partitions TO center_steward")
    execute("GRANT EXECUTE ON FUNCTION partitions.keep_inbox(date, integer, integer) TO center_steward")


def with_gaps(execute: Execute = op.execute) -> None:
    """Makes the table `event_gaps` beside a table of tenants that are `writable` or not."""
    execute(
        """
        CREATE TABLE event_gaps (
            tenant_id uuid NOT NULL,
            consumer text NOT NULL,
            since timestamptz NOT NULL,
            skipped bigint NOT NULL,
            PRIMARY KEY (tenant_id, consumer)
        )
        """
    )
    # Written just when nothing else of the tenant may be.
    isolation.tenant_policies("event_gaps", execute)
    isolation.one_tenant_at_a_time_for_the_steward("event_gaps", execute)
    isolation.searchable("event_gaps", execute)
    execute("GRANT UPDATE ON event_gaps TO center_steward")
    execute(_ADMITTED)
    execute(_OPEN_GAPS)
    isolation.search_function("open_event_gaps(text)", execute)
    execute("REVOKE EXECUTE ON FUNCTION open_event_gaps(text) FROM center_app")
    execute("GRANT EXECUTE ON FUNCTION open_event_gaps(text) TO center_steward")


# A partition that is made apart and attached leaves writers alone; one that is created in place locks them all out.
_MAKE = """
CREATE FUNCTION partitions.make_outbox(at timestamptz, seconds integer, ahead integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
DECLARE
    first bigint := floor(extract(epoch FROM at) / seconds)::bigint * seconds;
    start timestamptz;
    name text;
BEGIN
    FOR n IN 0..LEAST(ahead, 48) LOOP
        start := to_timestamp(first + n * seconds);
        name := 'outbox_' || first + n * seconds;
        CONTINUE WHEN to_regclass('partitions.' || name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE partitions.%I (LIKE public.outbox INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                name);
            EXECUTE format('ALTER TABLE public.outbox ATTACH PARTITION partitions.%I FOR VALUES FROM (%L) TO (%L)',
                name, start, start + make_interval(secs => seconds));
        EXCEPTION WHEN check_violation OR lock_not_available THEN
            -- What came before its partition lies in the default one, and refuses it; the next has more luck.
            NULL;
        END;
    END LOOP;
END $$
"""

# One partition a call, so that no lock is held for longer than that takes. Whoever has the lock of a partition knows
# that nobody is writing to it: what is committed is all there is. It is emptied at once, which concerns nobody else;
# its table goes when the whole outbox is free for a moment, which an old transaction may prevent for long. What comes
# even later finds the default partition.
_CLEAR = """
CREATE FUNCTION partitions.clear_outbox(at timestamptz, done text[]) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
DECLARE
    published pg_snapshot := (SELECT position::pg_snapshot FROM public.outbox_position);
    leaf record;
    has_rows boolean;
    has_more boolean;
BEGIN
    SELECT c.oid::regclass::text AS name, c.relname LIKE '%default' AS stays INTO leaf
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.outbox'::regclass
        AND c.oid::regclass::text <> ALL (done)
        AND (c.relname LIKE '%default'
            OR at >= (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''(.*)''\\)'))[1]::timestamptz)
    ORDER BY c.relname LIMIT 1;
    IF leaf.name IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', leaf.name) INTO has_rows;
        IF leaf.stays AND NOT has_rows THEN
            RETURN leaf.name;
        END IF;
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', leaf.name);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE NOT pg_visible_in_snapshot(xid, $1))', leaf.name)
            INTO has_more USING published;
        IF has_more THEN
            RETURN leaf.name;
        END IF;
        EXECUTE format('TRUNCATE %s', leaf.name);
        IF NOT leaf.stays THEN
            BEGIN
                EXECUTE format('DROP TABLE %s', leaf.name);
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                NULL;
            END;
        END IF;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        NULL;
    END;
    RETURN leaf.name;
END $$
"""

_KEEP_INBOX = """
CREATE FUNCTION partitions.keep_inbox(today date, ahead integer, kept integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '1s' AS $$
DECLARE
    day date;
    name text;
    bounds text[];
BEGIN
    FOR day IN SELECT today + n FROM generate_series(0, LEAST(ahead, 30)) AS n LOOP
        name := 'inbox_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('partitions.' || name) IS NOT NULL;
        -- A UUIDv7 begins with its milliseconds.
        SELECT array_agg(rpad(lpad(to_hex((extract(epoch FROM bound::timestamp) * 1000)::bigint), 12, '0'), 32, '0')
            ORDER BY bound) INTO bounds FROM unnest(ARRAY[day, day + 1]) bound;
        BEGIN
            EXECUTE format('CREATE TABLE partitions.%I (LIKE public.inbox)', name);
            EXECUTE format('ALTER TABLE public.inbox ATTACH PARTITION partitions.%I FOR VALUES FROM (%L) TO (%L)',
                name, bounds[1]::uuid, bounds[2]::uuid);
        EXCEPTION WHEN check_violation OR lock_not_available THEN
            NULL;
        END;
    END LOOP;
    FOR name IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'partitions' AND c.relkind = 'r' AND c.relname ~ '^inbox_[0-9]{8}$'
            AND c.relname < 'inbox_' || to_char(today - GREATEST(kept, 14), 'YYYYMMDD') LOOP
        EXECUTE format('DROP TABLE partitions.%I', name);
    END LOOP;
END $$
"""

# Acts in the transaction's tenant, below its policies, as whoever calls it.
#
# A tenant that is closed to writes, or is being changed this very moment, is noted down to be read again; so are the
# events behind, or they would come before it. What waits for a row's lock here waits for a moment only: a batch that
# held many tenants' rows and waited for one more could wait in a circle.
_ADMITTED = """
CREATE FUNCTION event_admitted(reader text, happened timestamptz, once_more boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    tenant uuid := current_setting('app.tenant_id')::uuid;
    is_open boolean;
BEGIN
    BEGIN
        is_open := public.tenant_writable();
    EXCEPTION WHEN lock_not_available THEN
        is_open := false;
    END;
    IF once_more THEN
        RETURN is_open;
    END IF;
    IF is_open AND NOT EXISTS (SELECT FROM public.event_gaps g WHERE g.tenant_id = tenant AND g.consumer = reader) THEN
        RETURN true;
    END IF;
    INSERT INTO public.event_gaps AS g VALUES (tenant, reader, happened, 1) ON CONFLICT (tenant_id, consumer)
        DO UPDATE SET since = LEAST(g.since, excluded.since), skipped = g.skipped + 1;
    RETURN false;
END $$
"""

_OPEN_GAPS = """
CREATE FUNCTION open_event_gaps(reader text) RETURNS TABLE (tenant_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    SELECT g.tenant_id FROM public.event_gaps g JOIN public.tenants t ON t.tenant_id = g.tenant_id AND t.writable
    WHERE g.consumer = reader;
END
"""
