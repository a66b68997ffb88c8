"""Notifications on the wire, in events and in the audit; no address and no secret gets into the latter two."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from center.shared.v1 import notification_service_pb2 as pb
from shared.notifications import domain
from shared.notifications.domain import (
    Attempt,
    Channel,
    Notification,
    OptOut,
    Provider,
    Reason,
    Sender,
    State,
    Template,
    Trigger,
)
from shared.notifications.queue import Ended
from shared.runtime.errors import InvalidArgument
from shared.runtime.journal import Change, Event


def channel(number: int) -> Channel:
    return Channel(_word("NOTIFICATION_CHANNEL_", pb.NotificationChannel.Name(number)))


def channel_number(value: str) -> Any:
    return pb.NotificationChannel.Value(f"NOTIFICATION_CHANNEL_{value}") if value else 0


def reason(number: int) -> Reason:
    return Reason(_word("SUPPRESSION_REASON_", pb.SuppressionReason.Name(number)))


def variables(given: Struct) -> dict[str, Any]:
    """InvalidArgument VARIABLES_INVALID: no JSON, or too much of it."""
    try:
        made: dict[str, Any] = json_format.MessageToDict(given)
        size = len(json.dumps(made, allow_nan=False).encode())
    except (ValueError, json_format.Error):
        raise _invalid("VARIABLES_INVALID", "variables", "JSON knows no such number or text") from None
    if size > domain.VARIABLES_BYTES:
        raise _invalid("VARIABLES_INVALID", "variables", f"{size} bytes of JSON, and {domain.VARIABLES_BYTES} at most")
    return made


def notification(one: Notification, address: str) -> pb.Notification:
    made = pb.Notification(
        id=one.id,
        channel=channel_number(one.channel),
        template=one.template,
        locale=one.locale,
        category=one.category,
        dedup_key=one.dedup_key,
        state=_state(one.state),
        tries=one.tries,
        last_error=one.last_error,
        template_version=one.template_version,
        masked_recipient=domain.masked(address) if address else "",
        provider_id=one.provider_id,
    )
    _time(made.create_time, one.create_time)
    _time(made.update_time, one.update_time)
    if one.end_time is None:
        _time(made.next_attempt_time, one.next_attempt_time)
    else:
        _time(made.end_time, one.end_time)
    return made


def attempt(one: Attempt) -> pb.NotificationAttempt:
    outcome: Any = pb.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{one.outcome}")
    made = pb.NotificationAttempt(
        number=one.number, outcome=outcome, error=one.error, template_version=one.template_version
    )
    _time(made.begin_time, one.begin_time)
    _time(made.end_time, one.end_time)
    return made


def template(one: Template) -> pb.NotificationTemplate:
    made = pb.NotificationTemplate(
        name=one.name,
        channel=channel_number(one.channel),
        locale=one.locale,
        version=one.version,
        active=one.active,
        category=one.category,
        subject=one.subject,
        text=one.text,
        html=one.html,
    )
    if one.create_time is not None:
        _time(made.create_time, one.create_time)
    return made


def template_from(message: pb.NotificationTemplate) -> Template:
    return Template(
        name=message.name,
        channel=channel(message.channel),
        locale=message.locale,
        subject=message.subject,
        text=message.text,
        html=message.html,
        category=message.category or domain.TRANSACTIONAL,
    )


def opt_out(one: OptOut) -> pb.OptOut:
    return pb.OptOut(channel=channel_number(one.channel), category=one.category)


def opt_outs_from(messages: Sequence[pb.OptOut]) -> list[OptOut]:
    return [OptOut(channel(each.channel).value if each.channel else "", each.category) for each in messages]


def suppression(address: str, why: Reason, since: datetime) -> pb.Suppression:
    number: Any = pb.SuppressionReason.Value(f"SUPPRESSION_REASON_{why}")
    made = pb.Suppression(recipient=address, reason=number)
    _time(made.create_time, since)
    return made


def trigger(one: Trigger, *, is_shown: bool = True) -> pb.NotificationTrigger:
    """is_shown: with the address, if it has one; what is stored of an answer has none."""
    made = pb.NotificationTrigger(
        name=one.name,
        event_type=one.event_type,
        template=one.template,
        channel=channel_number(one.channel),
        recipient=one.recipient if is_shown else _shown(one.recipient),
        locale=one.locale,
    )
    _time(made.create_time, one.create_time)
    return made


def trigger_from(message: pb.NotificationTrigger, now: datetime) -> Trigger:
    return Trigger(
        name=message.name,
        event_type=message.event_type,
        template=message.template,
        channel=channel(message.channel),
        recipient=message.recipient,
        locale=message.locale,
        create_time=now,
    )


def provider(of: Channel, one: Provider) -> pb.NotificationProvider:
    return pb.NotificationProvider(
        channel=channel_number(of), url=one.url, has_secret=bool(one.secret), rate_per_second=one.rate
    )


# -- events and audit


def ended_event(ended: Ended, version: int) -> Event:
    one = ended.notification
    message = pb.NotificationEnded(
        id=one.id,
        channel=channel_number(one.channel),
        template=one.template,
        category=one.category,
        dedup_key=one.dedup_key,
        state=_state(ended.state),
        last_error=ended.error,
        tries=one.tries,
    )
    _time(message.create_time, one.create_time)
    _time(message.end_time, ended.end_time)
    type = "notification.sent.v1" if ended.state is State.SENT else "notification.failed.v1"
    return Event(type, one.id, version, message)


def notification_change(one: Notification) -> Change:
    facts = {"channel": one.channel.value, "template": one.template, "state": one.state.value}
    return Change("notification", one.id, {}, facts)


def template_change(before: Template | None, after: Template) -> Change:
    return Change("notification_template", _template_id(after), {} if before is None else _said(before), _said(after))


def activation_change(before: int, after: Template) -> Change:
    versions = {"active_version": str(before)} if before else {}
    return Change("notification_template", _template_id(after), versions, {"active_version": str(after.version)})


def suppression_change(hash: str, before: Reason | None, after: Reason | None) -> Change:
    """hash: of the address; the first half names it well enough."""
    return Change("notification_suppression", hash[:32], _reason(before), _reason(after))


def opt_outs_change(hash: str, before: Sequence[OptOut], after: Sequence[OptOut]) -> Change:
    return Change("notification_preferences", hash[:32], _refused(before), _refused(after))


def trigger_change(name: str, before: Trigger | None, after: Trigger | None) -> Change:
    return Change("notification_trigger", name, _about(before), _about(after))


def sender_change(before: tuple[Sender, str], after: tuple[Sender, str]) -> Change:
    return Change("notification_settings", "", _sends(*before), _sends(*after))


def provider_change(of: Channel, before: Provider | None, after: Provider) -> Change:
    return Change("notification_provider", of.value, {} if before is None else _named(before), _named(after))


def _template_id(one: Template) -> str:
    return "/".join(filter(None, (one.name, one.channel.value, one.locale)))


def _said(one: Template) -> dict[str, str]:
    facts = {"version": str(one.version), "category": one.category, "active": str(one.active).lower()}
    return facts | {"subject": one.subject, "text": one.text, "html": one.html}


def _reason(one: Reason | None) -> dict[str, str]:
    return {} if one is None else {"reason": one.value}


def _refused(some: Sequence[OptOut]) -> dict[str, str]:
    return {"opt_outs": " ".join(f"{each.channel or '*'}/{each.category or '*'}" for each in some)}


def _about(one: Trigger | None) -> dict[str, str]:
    if one is None:
        return {}
    return {
        "event_type": one.event_type,
        "template": one.template,
        "channel": one.channel.value,
        "recipient": _shown(one.recipient),
        "locale": one.locale,
    }


def _sends(who: Sender, locale: str) -> dict[str, str]:
    address = domain.masked(who.own) if who.own else ""
    return {"sender_name": who.name, "sender_address": address, "default_locale": locale}


def _named(one: Provider) -> dict[str, str]:
    return {"url": one.url, "rate_per_second": str(one.rate), "has_secret": str(bool(one.secret)).lower()}


def _shown(recipient: str) -> str:
    return recipient if recipient.startswith("event.") else domain.masked(recipient)


def _state(state: State) -> Any:
    return pb.NotificationState.Value(f"NOTIFICATION_STATE_{state}")


def _word(prefix: str, name: str) -> str:
    return name.removeprefix(prefix)


def _time(field: Timestamp, value: datetime) -> None:
    field.FromDatetime(value)


def _invalid(reason: str, field: str, why: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field}: {why}", fields={field: why})
