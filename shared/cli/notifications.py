"""center notifications: what a shop tells its people, in which words, and what has become of it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format, struct_pb2
from rich.console import Group

from center.shared.v1 import notification_service_pb2 as pb
from shared.cli.call import PAGE, Call, Limit, TenantArgument, card, filtered_by, number, operator, word

app = typer.Typer(help="Mail, SMS and push of a shop, and what has become of them.", no_args_is_help=True)

NOTIFICATIONS = pb.DESCRIPTOR.services_by_name["NotificationService"]

IdArgument = Annotated[str, typer.Argument(metavar="NOTIFICATION", help="A notification's id.")]
NameArgument = Annotated[str, typer.Argument(metavar="TEMPLATE", help="A template's name.")]
ToArgument = Annotated[str, typer.Argument(metavar="RECIPIENT", help="An e-mail, a phone number or a push token.")]
Channel = Annotated[str, typer.Option("--channel", help="email, sms or push.")]
Locale = Annotated[str, typer.Option("--locale", help="Such as de or de-AT.")]
Variables = Annotated[str, typer.Option("--variables", help='JSON, such as {"name": "Ann"}.')]


@operator(app, "list")
async def list_(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by("state = FAILED AND channel = EMAIL")] = "",
    to: Annotated[str, typer.Option(help="To one recipient only.")] = "",
    limit: Limit = 100,
) -> None:
    """List a shop's notifications, newest first."""
    request = pb.ListNotificationsRequest(filter=filter, recipient=to)
    await call.table(
        call.pages(NOTIFICATIONS, "ListNotifications", request, "notifications", limit, tenant=tenant),
        "notifications",
        [
            ("NOTIFICATION", lambda n: n.id),
            ("CREATED", lambda n: n.create_time),
            ("CHANNEL", lambda n: word(pb.NotificationChannel, n.channel)),
            ("TEMPLATE", lambda n: n.template),
            ("STATE", lambda n: word(pb.NotificationState, n.state)),
            ("TRIES", lambda n: n.tries),
            ("LAST ERROR", lambda n: n.last_error),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument, notification: IdArgument) -> None:
    """Show a notification and each try to send it."""
    request = pb.GetNotificationRequest(id=notification)
    one = (await call.in_shop(tenant, NOTIFICATIONS, "GetNotification", request)).notification
    if call.as_json:
        call.show(one, lambda: None)
        return
    call.show(one, lambda: _facts(one))
    await call.table(
        call.pages(
            NOTIFICATIONS,
            "ListAttempts",
            pb.ListAttemptsRequest(notification_id=notification),
            "attempts",
            PAGE,
            tenant=tenant,
        ),
        "attempts",
        [
            ("TRY", lambda a: a.number),
            ("BEGAN", lambda a: a.begin_time),
            ("ENDED", lambda a: a.end_time),
            ("OUTCOME", lambda a: word(pb.AttemptOutcome, a.outcome)),
            ("ERROR", lambda a: a.error),
        ],
    )


@operator(app)
async def send(
    call: Call,
    tenant: TenantArgument,
    to: ToArgument,
    template: NameArgument,
    channel: Channel = "email",
    locale: Locale = "",
    variables: Variables = "{}",
    key: Annotated[str, typer.Option("--dedup-key", help="What it is about: the same again sends nothing more.")] = "",
) -> None:
    """Send somebody a notification."""
    request = pb.SendNotificationRequest(
        channel=number(pb.NotificationChannel, channel),
        recipient=to,
        template=template,
        locale=locale,
        variables=_variables(variables),
        dedup_key=key,
    )
    answer = await call.in_shop(tenant, NOTIFICATIONS, "SendNotification", request)
    call.show(answer, lambda: _facts(answer.notification))


@operator(app)
async def replay(
    call: Call,
    tenant: TenantArgument,
    notification: Annotated[str, typer.Argument(metavar="NOTIFICATION", help="One; without it, --filter.")] = "",
    filter: Annotated[str, filtered_by('template = "order-confirmation"')] = "",
) -> None:
    """Send failed notifications once more."""
    if not notification and not filter:
        raise typer.BadParameter("a notification's id or a --filter is needed")
    request = pb.ReplayFailedRequest(id=notification) if notification else pb.ReplayFailedRequest(filter=filter)
    answer = await call.in_shop(tenant, NOTIFICATIONS, "ReplayFailed", request)
    more = ", and there are more: call again" if answer.has_more else ""
    call.show(answer, lambda: f"{answer.replayed} notifications are sent again{more}")


@operator(app)
async def templates(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by("active = true AND channel = EMAIL")] = "",
    limit: Limit = 100,
) -> None:
    """List the versions of a shop's templates."""
    await call.table(
        call.pages(
            NOTIFICATIONS, "ListTemplates", pb.ListTemplatesRequest(filter=filter), "templates", limit, tenant=tenant
        ),
        "templates",
        [
            ("TEMPLATE", lambda t: t.name),
            ("CHANNEL", lambda t: word(pb.NotificationChannel, t.channel)),
            ("LOCALE", lambda t: t.locale),
            ("VERSION", lambda t: t.version),
            ("ACTIVE", lambda t: "yes" if t.active else ""),
            ("CATEGORY", lambda t: t.category),
            ("SUBJECT", lambda t: t.subject),
        ],
    )


@operator(app)
async def put(
    call: Call,
    tenant: TenantArgument,
    template: NameArgument,
    channel: Channel = "email",
    locale: Locale = "",
    subject: Annotated[str, typer.Option(help="Of e-mail and push.")] = "",
    text: Annotated[str, typer.Option(help="A file with the text, `-` for standard input.")] = "",
    html: Annotated[str, typer.Option(help="A file with the HTML of mail.")] = "",
    category: Annotated[str, typer.Option(help="What recipients may opt out of; not of `essential`.")] = "",
    activate: Annotated[bool, typer.Option("--activate", help="Send this version from now on.")] = False,
) -> None:
    """Add a version of a template."""
    new = pb.NotificationTemplate(
        name=template,
        channel=number(pb.NotificationChannel, channel),
        locale=locale,
        subject=subject,
        text=_content(text),
        html=_content(html),
        category=category,
    )
    request = pb.PutTemplateRequest(template=new, activate=activate)
    answer = await call.in_shop(tenant, NOTIFICATIONS, "PutTemplate", request)
    call.show(answer.template, lambda: _template_facts(answer.template))


@operator(app)
async def render(
    call: Call,
    tenant: TenantArgument,
    template: NameArgument,
    channel: Channel = "email",
    locale: Locale = "",
    variables: Variables = "{}",
) -> None:
    """Show what a template makes of some variables."""
    stored = pb.GetTemplateRequest(name=template, channel=number(pb.NotificationChannel, channel), locale=locale)
    request = pb.RenderTemplateRequest(stored=stored, variables=_variables(variables))
    answer = await call.in_shop(tenant, NOTIFICATIONS, "RenderTemplate", request)
    call.show(answer, lambda: Group(card([("subject", answer.subject)]), answer.text, answer.html))


@operator(app)
async def suppress(
    call: Call,
    tenant: TenantArgument,
    to: ToArgument,
    reason: Annotated[str, typer.Option(help="manual, bounce or complaint.")] = "manual",
) -> None:
    """Send a recipient nothing any more."""
    request = pb.SuppressRecipientRequest(recipient=to, reason=number(pb.SuppressionReason, reason))
    answer = await call.in_shop(tenant, NOTIFICATIONS, "SuppressRecipient", request)
    call.show(answer, lambda: "nothing is sent there any more")


@operator(app)
async def unsuppress(call: Call, tenant: TenantArgument, to: ToArgument) -> None:
    """Send to a recipient again."""
    request = pb.UnsuppressRecipientRequest(recipient=to)
    answer = await call.in_shop(tenant, NOTIFICATIONS, "UnsuppressRecipient", request)
    call.show(answer, lambda: "it is sent to again")


@operator(app)
async def provider(
    call: Call,
    tenant: TenantArgument,
    channel: Channel = "email",
    url: Annotated[str, typer.Option(help="smtp://..., smtps://... or https://...; empty is the platform's.")] = "",
    user: Annotated[str, typer.Option(help="Of SMTP.")] = "",
    secret: Annotated[str, typer.Option(help="A file with the password or token, `-` for standard input.")] = "",
    rate: Annotated[int, typer.Option(help="The most a second; 0 is the platform's.")] = 0,
) -> None:
    """Name the server that a shop's channel goes through."""
    named = pb.NotificationProvider(
        channel=number(pb.NotificationChannel, channel),
        url=url,
        user=user,
        secret=_content(secret).strip(),
        rate_per_second=rate,
    )
    request = pb.PutProviderRequest(provider=named)
    answer = await call.in_shop(tenant, NOTIFICATIONS, "PutProvider", request)
    call.show(answer.provider, lambda: f"{channel} goes through {url or 'the platform'}")


@operator(app)
async def trigger(
    call: Call,
    tenant: TenantArgument,
    name: Annotated[str, typer.Argument(metavar="TRIGGER", help="The trigger's name.")],
    event: Annotated[str, typer.Option(help="Such as product.created.")],
    template: Annotated[str, typer.Option(help="A template's name.")],
    to: Annotated[str, typer.Option(help="An address, or its place in the event: event.customer.email.")],
    channel: Channel = "email",
) -> None:
    """Send a notification for each event of a type."""
    new = pb.NotificationTrigger(
        name=name,
        event_type=event,
        template=template,
        recipient=to,
        channel=number(pb.NotificationChannel, channel),
    )
    answer = await call.in_shop(tenant, NOTIFICATIONS, "PutTrigger", pb.PutTriggerRequest(trigger=new))
    call.show(answer.trigger, lambda: f"{event} sends {template}")


def _facts(one: pb.Notification) -> object:
    return card(
        [
            ("id", one.id),
            ("channel", word(pb.NotificationChannel, one.channel)),
            ("template", one.template),
            ("to", one.masked_recipient),
            ("about", one.dedup_key if one.dedup_key != one.id else ""),
            ("state", word(pb.NotificationState, one.state)),
            ("tries", one.tries),
            ("last error", one.last_error),
            ("created", one.create_time),
            ("next try", one.next_attempt_time),
            ("ended", one.end_time),
        ]
    )


def _template_facts(one: pb.NotificationTemplate) -> object:
    return card([("template", one.name), ("version", one.version), ("active", "yes" if one.active else "no")])


def _variables(text: str) -> struct_pb2.Struct:
    try:
        return json_format.ParseDict(json.loads(text), struct_pb2.Struct())
    except (ValueError, json_format.ParseError) as error:
        raise typer.BadParameter(f"--variables is no JSON object: {error}") from None


def _content(name: str) -> str:
    if not name:
        return ""
    return sys.stdin.read() if name == "-" else Path(name).read_text()
