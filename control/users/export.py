"""Everything that the platform knows of a user, in the contract's words."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import user_service_pb2 as pb
from control.access.logbook import used
from control.entitlements import messages as entitlement_messages
from control.entitlements import store as entitlement_store
from control.quotas import store as quota_store
from control.tables import audit_entries, decisions, mails, usage_days
from control.tenants.messages import timestamp
from control.users import crypto, mail, ops, store
from control.users.crypto import Vault
from control.users.messages import mail_to_proto, registration_to_proto, to_proto

MOST_ROWS = 10_000


async def exported(tx: AsyncConnection, vault: Vault, user_id: str, now: datetime) -> pb.ExportUserResponse:
    """tx: a snapshot, so that the parts agree."""
    user, sealed = await store.get(tx, user_id)
    entitlements = await entitlement_store.of_user(tx, user_id)
    tokens = await entitlement_store.tokens_of_user(tx, user_id)
    wanted = ""
    if sealed.data_key is not None and sealed.wanted_email is not None:
        wanted = crypto.unseal(vault.unwrap(user_id, sealed.data_key), user_id, "wanted_email", sealed.wanted_email)
    registrations = await store.list_registrations(tx, user_id, MOST_ROWS)
    sent = await mail.list_page(tx, [mails.c.user_id == user_id], MOST_ROWS)
    newest_day = (usage_days.c.date.desc(), usage_days.c.entitlement_id, usage_days.c.action)
    usage = await quota_store.list_usage(tx, [usage_days.c.user_id == user_id], newest_day, MOST_ROWS)
    decided = select(func.coalesce(func.sum(decisions.c["count"]), 0)).where(decisions.c.user_id == user_id)
    about = (audit_entries.c.resource == "user") & (audit_entries.c.resource_id == user_id)
    return pb.ExportUserResponse(
        user=to_proto(user, ops.email_of(vault, user_id, sealed)),
        wanted_email=wanted,
        entitlements=[entitlement_messages.to_proto(each) for each in entitlements],
        tokens=[entitlement_messages.token_to_proto(each, now) for each in tokens],
        usage=[used(row) for row in usage],
        decision_count=int((await tx.execute(decided)).scalar_one()),
        registrations=[
            registration_to_proto(each, ops.open_target(vault, each, sealed, target)) for each, target in registrations
        ],
        mails=[mail_to_proto(each) for each in sent],
        audit_entry_count=(await tx.execute(select(func.count()).where(about))).scalar_one(),
        export_time=timestamp(now),
    )
