"""Tables of the control plane's database.

The catalog is the platform's own, read and written by operators and planes, never inside one tenant: its tables carry
no row policies, and tenants never meet this database.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.audit import schema as audit_schema
from shared.runtime import idempotency as requests
from shared.runtime.events import schema as events

metadata = MetaData()


def _id(name: str, **more: Any) -> Column[str]:
    return Column(name, Uuid(as_uuid=False), **more)


def _text(name: str, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _words(name: str, words: str) -> CheckConstraint:
    return CheckConstraint(f"{name} IN ({', '.join(repr(word) for word in words.split())})", name=f"{name}_known")


tenants = Table(
    "tenants",
    metadata,
    _id("id", primary_key=True),
    Column("code", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    _text("state_reason"),
    Column("mode", Text, nullable=False),
    _text("mode_reason"),
    _time("mode_expire_time", nullable=True),
    Column("plan_id", Text, nullable=False),
    _text("wanted_region_id"),
    _text("region_id"),
    _text("cluster_id"),
    _text("shard_id"),
    Column("isolation", Text, nullable=False),
    Column("residency", ARRAY(Text), nullable=False),
    _text("moving_to_cluster_id"),
    Column("writes_frozen", Boolean, nullable=False, server_default=text("false")),
    _text("primary_domain"),
    Column("config", JSONB, nullable=False),
    _time("create_time"),
    _time("update_time"),
    _time("delete_time", nullable=True),
    _time("purge_time", nullable=True),
    Column("undelete_state", Text),
    _id("operation_id"),
    Column("version", BigInteger, nullable=False),
    # Not in any index, so that stamping it rewrites no index entry.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("state", "DRAFT PROVISIONING ACTIVE SUSPENDED TERMINATED FAILED DELETING"),
    _words("mode", "NORMAL READ_ONLY MAINTENANCE"),
    _words("isolation", "SHARED DEDICATED"),
    Index("tenants_code_key", "code", unique=True),
    Index("tenants_create_time", "create_time", "id"),
    Index("tenants_update_time", "update_time", "id"),
    Index("tenants_cluster_id", "cluster_id"),
    Index("tenants_mode_expire_time", "mode_expire_time", postgresql_where=text("mode_expire_time IS NOT NULL")),
    Index("tenants_purge_time", "purge_time", postgresql_where=text("purge_time IS NOT NULL")),
)

domains = Table(
    "domains",
    metadata,
    _id("tenant_id", primary_key=True),
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    _text("token"),
    _text("verified_reason"),
    _time("create_time"),
    _time("verify_time", nullable=True),
    Column("version", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="domains_tenant_id_fkey"),
    _words("kind", "PLATFORM CUSTOM"),
    _words("state", "PENDING VERIFIED"),
    # What makes a served name one tenant's. Pending claims stand beside it, as many as there are.
    Index("domains_verified_name_key", "name", unique=True, postgresql_where=text("state = 'VERIFIED'")),
    Index("domains_name", "name", "tenant_id"),
)

regions = Table(
    "regions",
    metadata,
    Column("id", Text, primary_key=True),
    _text("display_name"),
    _time("create_time"),
)

clusters = Table(
    "clusters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("region_id", Text, ForeignKey("regions.id", name="clusters_region_id_fkey"), nullable=False),
    _text("display_name"),
    Column("endpoints", JSONB, nullable=False),
    Column("tiers", ARRAY(Text), nullable=False),
    Column("capacity", BigInteger, nullable=False),
    Column("dedicated", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    # Kept by the transactions that place, move and purge: counting a million rows for each placement would not do.
    Column("tenant_count", BigInteger, nullable=False, server_default=text("0")),
    _time("create_time"),
    _time("update_time"),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("state", "OPEN CLOSED DRAINING"),
)

shards = Table(
    "shards",
    metadata,
    Column("cluster_id", Text, ForeignKey("clusters.id", name="shards_cluster_id_fkey"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("tenant_count", BigInteger, nullable=False, server_default=text("0")),
    _time("create_time"),
)

# One row: the newest revision. Whoever updates it holds it until the commit, which makes commit order revision order.
catalog_revision = Table(
    "catalog_revision",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("one", name="one_row"),
)

# What changed, in order. Append-only for the service; compaction is the steward's.
catalog_changes = Table(
    "catalog_changes",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    # The last revision of the same transaction: a reader never stops inside one.
    Column("block_end", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    # Every cluster that the change concerns: where the tenant was, is, and is moving to.
    Column("cluster_ids", ARRAY(Text), nullable=False),
    # CatalogEntry.
    Column("entry", LargeBinary, nullable=False),
    _words("kind", "tenant cluster solution access features"),
)

# Each thing as it is after its last change: what a process reads when it starts.
catalog_entries = Table(
    "catalog_entries",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),
)

operations = Table(
    "operations",
    metadata,
    _id("id", primary_key=True),
    Column("kind", Text, nullable=False),
    # One of the two, or neither for work on the platform's own.
    _id("tenant_id"),
    _id("user_id"),
    Column("state", Text, nullable=False),
    Column("step", Text, nullable=False),
    # What batches are made of beside kind and step, mostly a cluster: one that fails holds up nobody else's.
    _text("lane"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Why the last try failed: {code, reason, message}.
    Column("last_error", JSONB(none_as_null=True)),
    # When anybody may claim the step; while a worker has it, when its lease ends.
    _time("next_attempt_time"),
    # Empty while no worker has the step.
    _text("lease_owner"),
    # Counts claims: what an earlier claimant still does changes nothing.
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    _time("create_time"),
    _time("update_time"),
    _time("end_time", nullable=True),
    _text("caller"),
    _text("reason"),
    _text("trace_id"),
    _text("request_id"),
    _text("source_cluster_id"),
    _text("target_cluster_id"),
    _text("target_shard_id"),
    # What the operation's last change to the catalog got; commands to clusters stand on it.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("freeze_limit_s", BigInteger, nullable=False, server_default=text("0")),
    _time("freeze_time", nullable=True),
    _time("thaw_time", nullable=True),
    Column("rows_copied", BigInteger, nullable=False, server_default=text("0")),
    # Why it ended without success.
    Column("error", JSONB(none_as_null=True)),
    # What it did, for its response: [[store, what], ...].
    Column("touched", JSONB(none_as_null=True)),
    _words("kind", "PROVISION MOVE PURGE ERASE REWRAP"),
    _words("state", "RUNNING COMPENSATING DONE FAILED CANCELLED"),
    Index("operations_one_a_tenant", "tenant_id", unique=True, postgresql_where=text("state = 'RUNNING'")),
    Index("operations_one_a_user", "user_id", unique=True, postgresql_where=text("state = 'RUNNING'")),
    Index("operations_one_rewrap", "kind", unique=True, postgresql_where=text("kind = 'REWRAP' AND state = 'RUNNING'")),
    Index("operations_due", "next_attempt_time", postgresql_where=text("end_time IS NULL")),
    Index("operations_create_time", "create_time", "id"),
    Index("operations_tenant_id", "tenant_id", "create_time"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    _id("id", primary_key=True),
    _time("create_time"),
    _text("method"),
    _text("caller"),
    _text("resource"),
    _text("resource_id"),
    # Empty when the change concerns no tenant.
    _text("tenant_id"),
    _text("reason"),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _text("trace_id"),
    _text("request_id"),
    # [[field, before, after], ...]
    Column("changes", JSONB, nullable=False),
    Column("proof", LargeBinary),
    Column("xid", events.Xid, nullable=False, server_default=func.pg_current_xact_id()),
    Index("audit_entries_tenant_id", "tenant_id", "id"),
    Index("audit_entries_resource", "resource", "resource_id", "id"),
    Index("audit_entries_xid", "xid"),
)
audit = audit_schema.ledger(metadata, audit_entries, nobody="")

# Units of one entitlement, action and period. Whoever takes or returns some updates this one row.
counters = Table(
    "counters",
    metadata,
    # For features, the tenant; for callers without a token, a name made of what tells them apart.
    _id("entitlement_id", primary_key=True),
    # `*` for all actions that share one quota.
    Column("action", Text, primary_key=True),
    Column("window_start", DateTime(timezone=True), primary_key=True),
    _time("window_end", nullable=True),
    # All that has left: spent, held by leases and reservations, and lost.
    Column("taken", BigInteger, nullable=False),
    # What of it may still come back.
    Column("outstanding", BigInteger, nullable=False),
    # What the period before left over.
    Column("carried", BigInteger, nullable=False, server_default=text("0")),
    # Leases that are open.
    Column("holders", BigInteger, nullable=False),
    # What the last statement took: RETURNING tells new values only.
    Column("granted", BigInteger, nullable=False),
    CheckConstraint("outstanding BETWEEN 0 AND taken", name="counters_outstanding"),
    Index("counters_window_end", "window_end", postgresql_where=text("window_end IS NOT NULL")),
)

leases = Table(
    "leases",
    metadata,
    _id("id", primary_key=True),
    _id("entitlement_id", nullable=False),
    Column("action", Text, nullable=False),
    _time("window_start"),
    Column("solution_id", Text, nullable=False),
    Column("validator", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    # Its holder went silent: what it had left counts as spent, and as lost on that day, unless it still comes back.
    Column("expired", Boolean, nullable=False, server_default=text("false")),
    Column("lost_date", Date),
    _time("create_time"),
    _time("expire_time"),
    _time("recall_time", nullable=True),
    CheckConstraint("spent BETWEEN 0 AND units", name="leases_spent"),
    Index("leases_counter", "entitlement_id", "action", "window_start"),
    Index("leases_expire_time", "expired", "expire_time"),
)

reservations = Table(
    "reservations",
    metadata,
    _id("id", primary_key=True),
    _id("entitlement_id", nullable=False),
    Column("action", Text, nullable=False),
    Column("quota_action", Text, nullable=False),
    # Null where there is no limit, and so no counter.
    _time("window_start", nullable=True),
    Column("solution_id", Text, nullable=False),
    _id("user_id"),
    _text("token_kid"),
    _text("tier"),
    _text("validator"),
    Column("units", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False, server_default=text("0")),
    Column("short", BigInteger, nullable=False, server_default=text("0")),
    Column("state", Text, nullable=False),
    _time("create_time"),
    _time("expire_time"),
    _time("end_time", nullable=True),
    _words("state", "OPEN COMMITTED RELEASED"),
    Index("reservations_expire_time", "expire_time", postgresql_where=text("state = 'OPEN'")),
    Index("reservations_end_time", "end_time", postgresql_where=text("end_time IS NOT NULL")),
)

# Sums of the decisions below, written with them.
usage_days = Table(
    "usage_days",
    metadata,
    Column("solution_id", Text, primary_key=True),
    _id("entitlement_id", primary_key=True),
    Column("action", Text, primary_key=True),
    # Of the solution's calendar.
    Column("date", Date, primary_key=True),
    _id("user_id"),
    Column("used_units", BigInteger, nullable=False, server_default=text("0")),
    Column("lost_units", BigInteger, nullable=False, server_default=text("0")),
    Column("allowed_count", BigInteger, nullable=False, server_default=text("0")),
    Column("denied_count", BigInteger, nullable=False, server_default=text("0")),
    _time("last_request_time", nullable=True),
    Column("quota_limit", BigInteger),
    Index("usage_days_date", "date", "entitlement_id", "action", "solution_id"),
    Index("usage_days_solution_id", "solution_id", "date", "entitlement_id", "action"),
    Index("usage_days_user_id", "user_id", "date"),
)

# The log, a row a run of equal decisions. Append-only; partitioned by day: what is old is dropped, never deleted.
decisions = Table(
    "decisions",
    metadata,
    _time("first_time"),
    _id("id", nullable=False),
    _time("create_time"),
    _time("last_time"),
    _text("token_kid"),
    _id("user_id"),
    Column("solution_id", Text, nullable=False),
    _id("entitlement_id"),
    _text("tier"),
    Column("action", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("validator", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    _id("lease_id"),
    Index("decisions_key", "first_time", "id", unique=True),
    Index("decisions_id", "id"),
    Index("decisions_create_time", "create_time", "id"),
    Index("decisions_token_kid", "token_kid", "create_time", "id"),
    Index("decisions_user_id", "user_id", "create_time", "id"),
    Index("decisions_solution_id", "solution_id", "create_time", "id"),
    Index("decisions_entitlement_id", "entitlement_id", "create_time", "id"),
    postgresql_partition_by="RANGE (first_time)",
)

# Events for the other planes, written with the change. Partitioned by time: what is old is dropped, never deleted.
outbox = Table(
    "outbox",
    metadata,
    _time("create_time"),
    _id("id", nullable=False),
    # ev.<plane>.<tenant>.<aggregate>.<type>.v<N>
    Column("subject", Text, nullable=False),
    _text("trace_id"),
    Column("payload", LargeBinary, nullable=False),
    _text("aggregate"),
    # The revision.
    Column("sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("xid", events.Xid, nullable=False, server_default=func.pg_current_xact_id()),
    Index("outbox_key", "create_time", "id", unique=True),
    Index("outbox_xid", "xid"),
    postgresql_partition_by="RANGE (create_time)",
)
outbox_position = events.position_table(metadata)
inbox = events.inbox_table(metadata)

# What clusters told of each tenant's doings, by day and type of event.
tenant_activity = Table(
    "tenant_activity",
    metadata,
    _id("tenant_id", primary_key=True),
    Column("date", Date, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
    _time("last_event_time"),
    Index("tenant_activity_date", "date", "tenant_id", "type"),
)


def _watchers(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        # The stream that speaks for the watcher; a newer one takes over, and the older one's word no longer counts.
        _id("stream_id", nullable=False),
        Column("applied_revision", BigInteger, nullable=False),
        Column("open", Boolean, nullable=False),
        _time("seen_time"),
        # [[resource_id, reason], ...]
        Column("refusals", JSONB, nullable=False),
    )


watchers = _watchers("watchers")

solutions = Table(
    "solutions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    # A list of tiers as in the contract, in JSON.
    Column("tiers", JSONB, nullable=False),
    _text("default_tier"),
    _text("anonymous_tier"),
    Column("redirect_urls", ARRAY(Text), nullable=False),
    Column("fail_mode", Text, nullable=False),
    Column("max_age_ms", BigInteger, nullable=False),
    Column("token_in_redirect", Boolean, nullable=False),
    Column("verified_email_required", Boolean, nullable=False),
    Column("email_hidden", Boolean, nullable=False),
    _text("time_zone"),
    _text("upgrade_url"),
    # The gateway as in the contract, in JSON; null where the solution is not behind Envoy.
    Column("gateway", JSONB(none_as_null=True)),
    _time("create_time"),
    _time("update_time"),
    # Set for good: what was logged under an id is never another solution's.
    _time("delete_time", nullable=True),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("fail_mode", "CLOSED OPEN"),
)

# The names of solutions behind Envoy. Whoever adds one or a tenant's domain looks at the other table, too.
solution_hosts = Table(
    "solution_hosts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("solution_id", Text, ForeignKey("solutions.id", name="solution_hosts_solution_id_fkey"), nullable=False),
    Index("solution_hosts_solution_id", "solution_id"),
)

solution_keys = Table(
    "solution_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("solution_id", Text, ForeignKey("solutions.id", name="solution_keys_solution_id_fkey"), nullable=False),
    _text("display_name"),
    # Which pepper made the HMAC of the whole key.
    Column("pepper", Integer, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    _time("create_time"),
    _time("revoke_time", nullable=True),
    _time("last_use_time", nullable=True),
    Index("solution_keys_solution_id", "solution_id", "create_time", "kid"),
)

entitlements = Table(
    "entitlements",
    metadata,
    _id("id", primary_key=True),
    _id("user_id", nullable=False),
    Column("solution_id", Text, ForeignKey("solutions.id", name="entitlements_solution_id_fkey"), nullable=False),
    Column("tier", Text, nullable=False),
    Column("status", Text, nullable=False),
    _text("status_reason"),
    _time("create_time"),
    _time("update_time"),
    Column("version", BigInteger, nullable=False),
    # Not in any index, so that stamping it rewrites no index entry.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("status", "ACTIVE SUSPENDED CANCELLED"),
    # The grant: one for each user and solution.
    Index("entitlements_grant_key", "user_id", "solution_id", unique=True),
    Index("entitlements_create_time", "create_time", "id"),
    Index("entitlements_solution_id", "solution_id", "create_time", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("kid", Text, primary_key=True),
    _id("entitlement_id", nullable=False),
    # The entitlement's, here for lists.
    _id("user_id", nullable=False),
    Column("solution_id", Text, nullable=False),
    # Which pepper made the HMAC of the whole token.
    Column("pepper", Integer, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    _time("create_time"),
    _time("expire_time", nullable=True),
    _time("revoke_time", nullable=True),
    _text("revoke_reason"),
    _time("last_use_time", nullable=True),
    # The token that took its place.
    _text("next_kid"),
    # Not in any index, so that stamping it rewrites no index entry.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["entitlement_id"], ["entitlements.id"], name="tokens_entitlement_id_fkey"),
    Index("tokens_entitlement_id", "entitlement_id"),
    Index("tokens_create_time", "create_time", "kid"),
    Index("tokens_user_id", "user_id"),
    Index("tokens_solution_id", "solution_id", "create_time", "kid"),
)

users = Table(
    "users",
    metadata,
    _id("id", primary_key=True),
    Column("state", Text, nullable=False),
    # Sealed under the user's data key, as is the address that a change waits for.
    Column("email", LargeBinary),
    Column("wanted_email", LargeBinary),
    # Keyed: it finds the user by the e-mail, and gives nothing away.
    Column("email_hash", LargeBinary),
    # Wrapped by the key-encryption key of that number. Gone, all that was sealed with it is gone.
    Column("data_key", LargeBinary),
    Column("kek", BigInteger, nullable=False),
    _time("verify_time", nullable=True),
    _time("create_time"),
    _time("update_time"),
    _time("erase_time", nullable=True),
    Column("version", BigInteger, nullable=False),
    _words("state", "ACTIVE ERASING ERASED"),
    Index("users_email_hash_key", "email_hash", unique=True),
    Index("users_create_time", "create_time", "id"),
    Index("users_kek", "kek", "id", postgresql_where=text("data_key IS NOT NULL")),
)

# Each time somebody asked for a user's token of a solution, without any proof yet.
registrations = Table(
    "registrations",
    metadata,
    _id("id", primary_key=True),
    _id("user_id", nullable=False),
    Column("solution_id", Text, nullable=False),
    # Where the browser goes afterwards, sealed: the caller's own state may be in it.
    Column("target", LargeBinary),
    _time("create_time"),
    # When the link in the mail was used.
    _time("verify_time", nullable=True),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="registrations_user_id_fkey"),
    Index("registrations_user_id", "user_id", "create_time"),
    Index("registrations_create_time", "create_time"),
)

# One-time codes. Of the code itself nothing is stored: it is computed from the id with a secret key.
codes = Table(
    "codes",
    metadata,
    _id("id", primary_key=True),
    _id("user_id", nullable=False),
    Column("solution_id", Text, nullable=False),
    _id("registration_id"),
    _time("create_time"),
    _time("expire_time"),
    _time("use_time", nullable=True),
    # The token that was given for it.
    _text("token_kid"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="codes_user_id_fkey"),
    Index("codes_user_id", "user_id"),
    Index("codes_registration_id", "registration_id"),
)

# Mail to be sent, and what became of it: no addresses, links or texts in clear.
mails = Table(
    "mails",
    metadata,
    _id("id", primary_key=True),
    _id("user_id", nullable=False),
    Column("template", Text, nullable=False),
    _id("registration_id"),
    # Sealed under the user's data key; gone once the mail is sent.
    Column("address", LargeBinary),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Whether a worker has it, until next_attempt_time at most.
    Column("sending", Boolean, nullable=False, server_default=text("false")),
    _time("next_attempt_time"),
    # Why the last try failed: a status of the server's, never its text, which repeats the address.
    _text("last_error"),
    _time("create_time"),
    _time("end_time", nullable=True),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="mails_user_id_fkey"),
    _words("template", "VERIFY SIGN_IN CHANGE CHANGED"),
    _words("state", "PENDING SENT FAILED DROPPED"),
    Index("mails_due", "next_attempt_time", postgresql_where=text("state = 'PENDING'")),
    Index("mails_user_id", "user_id"),
    Index("mails_create_time", "create_time"),
)

# How often somebody registered in a window, by a keyed hash of the e-mail or of the client's address.
registration_counts = Table(
    "registration_counts",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    _time("window_end"),
    Column("number", BigInteger, nullable=False),
    Index("registration_counts_window_end", "window_end"),
)

features = Table(
    "features",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    _text("display_name"),
    _text("description"),
    _text("unit"),
    _text("period"),
    # Of a setting; null for others.
    Column("schema", JSONB(none_as_null=True)),
    Column("default_value", JSONB(none_as_null=True)),
    Column("state", Text, nullable=False),
    _time("create_time"),
    _time("update_time"),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("kind", "BOOLEAN METERED CONFIGURATION"),
    _words("state", "ACTIVE ARCHIVED"),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("feature_id", Text, ForeignKey("features.id", name="rollouts_feature_id_fkey"), primary_key=True),
    # Empty for tenants whose cluster has no rollout of its own.
    Column("cluster_id", Text, primary_key=True),
    Column("basis_points", Integer, nullable=False),
    _text("reason"),
    _time("update_time"),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
)

kill_switches = Table(
    "kill_switches",
    metadata,
    _id("id", primary_key=True),
    Column("feature_id", Text, ForeignKey("features.id", name="kill_switches_feature_id_fkey"), nullable=False),
    # Null for all tenants, and for those of a cluster.
    _id("tenant_id"),
    _text("cluster_id"),
    _text("reason"),
    _time("expire_time", nullable=True),
    _time("create_time"),
    _text("caller"),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="kill_switches_tenant_id_fkey", ondelete="CASCADE"),
    Index(
        "kill_switches_scope_key",
        "feature_id",
        "cluster_id",
        "tenant_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    Index("kill_switches_tenant_id", "tenant_id"),
    Index("kill_switches_expire_time", "expire_time", postgresql_where=text("expire_time IS NOT NULL")),
)

plans = Table(
    "plans",
    metadata,
    Column("id", Text, primary_key=True),
    _text("display_name"),
    _text("description"),
    # 0 while none is published.
    Column("active_version", Integer, nullable=False),
    Column("latest_version", Integer, nullable=False),
    _time("create_time"),
    _time("update_time"),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
)

plan_versions = Table(
    "plan_versions",
    metadata,
    Column("plan_id", Text, ForeignKey("plans.id", name="plan_versions_plan_id_fkey"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    # {feature id: value}
    Column("features", JSONB, nullable=False),
    _text("note"),
    _time("create_time"),
    _time("update_time"),
    _time("effective_time", nullable=True),
    _time("archive_time", nullable=True),
    # Counts the changes of the row.
    Column("edit", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("state", "DRAFT SCHEDULED ACTIVE ARCHIVED"),
    Index("plan_versions_one_active", "plan_id", unique=True, postgresql_where=text("state = 'ACTIVE'")),
    Index("plan_versions_due", "effective_time", postgresql_where=text("state = 'SCHEDULED'")),
)

add_ons = Table(
    "add_ons",
    metadata,
    Column("id", Text, primary_key=True),
    _text("display_name"),
    _text("description"),
    # [{feature_id, grant or units}, ...]
    Column("extras", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    _time("create_time"),
    _time("update_time"),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _words("state", "ACTIVE ARCHIVED"),
)

# Tenants whose features are not just their plan's: the revision of the last change to what is theirs alone.
tenant_features = Table(
    "tenant_features",
    metadata,
    _id("tenant_id", primary_key=True),
    # The version of which plan the tenant keeps; it counts while the tenant is on that plan.
    _text("pinned_plan_id"),
    Column("pinned_version", Integer, nullable=False, server_default=text("0")),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="tenant_features_tenant_id_fkey", ondelete="CASCADE"),
)

attachments = Table(
    "attachments",
    metadata,
    _id("tenant_id", primary_key=True),
    Column("add_on_id", Text, ForeignKey("add_ons.id", name="attachments_add_on_id_fkey"), primary_key=True),
    Column("quantity", Integer, nullable=False),
    _text("reason"),
    _time("expire_time", nullable=True),
    _time("create_time"),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="attachments_tenant_id_fkey", ondelete="CASCADE"),
    Index("attachments_expire_time", "expire_time", postgresql_where=text("expire_time IS NOT NULL")),
)

overrides = Table(
    "overrides",
    metadata,
    _id("id", primary_key=True),
    _id("tenant_id", nullable=False),
    Column("feature_id", Text, ForeignKey("features.id", name="overrides_feature_id_fkey"), nullable=False),
    Column("action", Text, nullable=False),
    # Null for REMOVE.
    Column("value", JSONB(none_as_null=True)),
    _text("reason"),
    _time("expire_time", nullable=True),
    _time("create_time"),
    _text("caller"),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="overrides_tenant_id_fkey", ondelete="CASCADE"),
    _words("action", "ADD RAISE LOWER REMOVE"),
    Index("overrides_action_key", "tenant_id", "feature_id", "action", unique=True),
    Index("overrides_create_time", "create_time", "id"),
    Index("overrides_expire_time", "expire_time", postgresql_where=text("expire_time IS NOT NULL")),
)

# Plans that tenants get at a time.
plan_assignments = Table(
    "plan_assignments",
    metadata,
    _id("tenant_id", primary_key=True),
    Column("plan_id", Text, ForeignKey("plans.id", name="plan_assignments_plan_id_fkey"), nullable=False),
    Column("pinned_version", Integer, nullable=False),
    _time("assign_time"),
    _text("reason"),
    _time("create_time"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="plan_assignments_tenant_id_fkey", ondelete="CASCADE"),
    Index("plan_assignments_assign_time", "assign_time", "tenant_id"),
)

# What tenants have used of metered features, a row a window.
feature_usage = Table(
    "feature_usage",
    metadata,
    _id("tenant_id", primary_key=True),
    # The first moment of the window on the wall clock of the tenant's zone, which names it whatever the zone becomes.
    Column("period_start", DateTime, primary_key=True),
    Column("feature_id", Text, primary_key=True),
    _time("window_start"),
    # Null for what stands.
    _time("window_end", nullable=True),
    Column("used", BigInteger, nullable=False),
    # What the window before left over.
    Column("carried", BigInteger, nullable=False),
    _time("update_time"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="feature_usage_tenant_id_fkey", ondelete="CASCADE"),
    CheckConstraint("used >= 0 AND carried >= 0", name="feature_usage_counted"),
    Index("feature_usage_window_end", "window_end", postgresql_where=text("window_end IS NOT NULL")),
)

feature_watchers = _watchers("feature_watchers")

idempotency = requests.table(metadata)
