"""center webhooks: where a shop's events are sent, and what became of them."""

import asyncio
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group
from rich.table import Table

from center.shared.v1 import webhook_service_pb2 as pb
from shared.cli.call import Call, Limit, TenantArgument, card, duration, filtered_by, operator, word
from shared.runtime.ids import uuid7

app = typer.Typer(help="Where a shop's events are sent, and what became of them.", no_args_is_help=True)

WEBHOOKS = pb.DESCRIPTOR.services_by_name["WebhookService"]
LOOK_S = 0.1

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="An endpoint's id.")]
DeliveryArgument = Annotated[str, typer.Argument(metavar="DELIVERY", help="A delivery's id.")]


@operator(app, "list")
async def list_(call: Call, tenant: TenantArgument, limit: Limit = 100) -> None:
    """List a shop's endpoints, newest first."""
    await call.table(
        call.pages(WEBHOOKS, "ListEndpoints", pb.ListEndpointsRequest(), "endpoints", limit, tenant=tenant),
        "endpoints",
        [
            ("ENDPOINT", lambda e: e.id),
            ("URL", lambda e: e.url),
            ("EVENTS", lambda e: e.event_types),
            ("STATE", lambda e: word(pb.EndpointState, e.state)),
            ("FAILING SINCE", lambda e: e.failing_since),
            ("CREATED", lambda e: e.create_time),
        ],
    )


@operator(app)
async def create(
    call: Call,
    tenant: TenantArgument,
    url: Annotated[str, typer.Argument(help="https://...")],
    event: Annotated[
        list[str] | None, typer.Option(help="Such as product.created, product.* or *; all by default.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Add an endpoint. Its secret is shown this once."""
    endpoint = pb.Endpoint(url=url, event_types=event or ["*"], description=description)
    request = pb.CreateEndpointRequest(endpoint=endpoint, request_id=uuid7())
    answer = await call.in_shop(tenant, WEBHOOKS, "CreateEndpoint", request)
    call.show(answer, lambda: Group(_facts(answer.endpoint), card([("secret", answer.secret)])))


@operator(app)
async def show(call: Call, tenant: TenantArgument, endpoint: EndpointArgument) -> None:
    """Show an endpoint."""
    answer = await call.in_shop(tenant, WEBHOOKS, "GetEndpoint", pb.GetEndpointRequest(id=endpoint))
    call.show(answer.endpoint, lambda: _facts(answer.endpoint))


@operator(app)
async def enable(call: Call, tenant: TenantArgument, endpoint: EndpointArgument) -> None:
    """Let a disabled endpoint have events again."""
    request = pb.EnableEndpointRequest(id=endpoint, request_id=uuid7())
    answer = await call.in_shop(tenant, WEBHOOKS, "EnableEndpoint", request)
    call.show(answer.endpoint, lambda: _facts(answer.endpoint))


@operator(app)
async def rotate(
    call: Call,
    tenant: TenantArgument,
    endpoint: EndpointArgument,
    overlap: Annotated[str, typer.Option(help="How long the old secret signs, too, such as 24h.")] = "24h",
) -> None:
    """Make a new secret, and show it this once."""
    request = pb.RotateSecretRequest(id=endpoint, overlap=duration(overlap), request_id=uuid7())
    answer = await call.in_shop(tenant, WEBHOOKS, "RotateSecret", request)
    call.show(answer, lambda: Group(_facts(answer.endpoint), card([("secret", answer.secret)])))


@operator(app)
async def delete(call: Call, tenant: TenantArgument, endpoint: EndpointArgument) -> None:
    """Remove an endpoint."""
    request = pb.DeleteEndpointRequest(id=endpoint, request_id=uuid7())
    call.show(await call.in_shop(tenant, WEBHOOKS, "DeleteEndpoint", request), lambda: "removed")


@operator(app)
async def ping(call: Call, tenant: TenantArgument, endpoint: EndpointArgument) -> None:
    """Send an endpoint the event webhook.ping, and show what it answers."""
    request = pb.PingEndpointRequest(id=endpoint, request_id=uuid7())
    sent = (await call.in_shop(tenant, WEBHOOKS, "PingEndpoint", request)).delivery
    while sent.state == pb.DELIVERY_STATE_PENDING:
        await asyncio.sleep(LOOK_S)
        answer = await call.in_shop(tenant, WEBHOOKS, "GetDelivery", pb.GetDeliveryRequest(id=sent.id))
        sent = answer.delivery
    call.show(answer, lambda: _delivery(answer))
    if sent.state != pb.DELIVERY_STATE_SUCCEEDED:
        raise typer.Exit(1)


@operator(app)
async def deliveries(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by('state = DEAD AND event_type = "product.created"')] = "",
    limit: Limit = 100,
) -> None:
    """List what was sent or waits to be, newest first."""
    await call.table(
        call.pages(
            WEBHOOKS, "ListDeliveries", pb.ListDeliveriesRequest(filter=filter), "deliveries", limit, tenant=tenant
        ),
        "deliveries",
        [
            ("DELIVERY", lambda d: d.id),
            ("EVENT", lambda d: d.event_type),
            ("TIME", lambda d: d.event_time),
            ("ENDPOINT", lambda d: d.endpoint_id),
            ("STATE", lambda d: word(pb.DeliveryState, d.state)),
            ("TRIES", lambda d: d.attempt_count),
            ("NEXT", lambda d: d.next_attempt_time),
            ("LAST ERROR", lambda d: d.last_error),
        ],
    )


@operator(app)
async def delivery(call: Call, tenant: TenantArgument, delivery: DeliveryArgument) -> None:
    """Show a delivery with what is sent and its tries."""
    answer = await call.in_shop(tenant, WEBHOOKS, "GetDelivery", pb.GetDeliveryRequest(id=delivery))
    call.show(answer, lambda: _delivery(answer))


@operator(app)
async def redeliver(call: Call, tenant: TenantArgument, delivery: DeliveryArgument) -> None:
    """Send a delivery again."""
    request = pb.RedeliverRequest(id=delivery, request_id=uuid7())
    answer = await call.in_shop(tenant, WEBHOOKS, "Redeliver", request)
    call.show(answer.delivery, lambda: f"{answer.delivery.id} is on its way again")


@operator(app)
async def replay(
    call: Call,
    tenant: TenantArgument,
    endpoint: EndpointArgument,
    since: Annotated[str, typer.Option(help="Of events from this time on, such as 2026-01-31T12:00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Of events before this time.")] = "",
    event: Annotated[str, typer.Option(help="Such as product.created or product.*; all by default.")] = "",
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
) -> None:
    """Send the deliveries of a range again, oldest first."""
    request = pb.ReplayDeliveriesRequest(endpoint_id=endpoint, event_type=event)
    for field, text in (("start_time", since), ("end_time", until)):
        if text:
            getattr(request, field).CopyFrom(_time(text))
    if dead:
        request.state = pb.DELIVERY_STATE_DEAD
    total = pb.ReplayDeliveriesResponse()
    while True:
        request.request_id = uuid7()
        answer = await call.in_shop(tenant, WEBHOOKS, "ReplayDeliveries", request)
        total.replayed += answer.replayed
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    call.show(total, lambda: f"{total.replayed} deliveries are on their way again")


def _time(text: str) -> Timestamp:
    made = Timestamp()
    try:
        made.FromJsonString(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-01-31T12:00:00Z") from None
    return made


def _facts(endpoint: pb.Endpoint) -> Table:
    return card(
        [
            ("id", endpoint.id),
            ("url", endpoint.url),
            ("events", endpoint.event_types),
            ("description", endpoint.description),
            ("state", word(pb.EndpointState, endpoint.state)),
            ("disabled", endpoint.disable_time),
            ("why", endpoint.disable_reason),
            ("failing since", endpoint.failing_since),
            ("old secret until", endpoint.old_secret_expire_time),
            ("created", endpoint.create_time),
            ("etag", endpoint.etag),
        ]
    )


def _delivery(answer: pb.GetDeliveryResponse) -> Group:
    sent = answer.delivery
    tries = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("TRY", "TIME", "TOOK", "STATUS", "ERROR", "ANSWER"):
        tries.add_column(heading, overflow="fold")
    for each in answer.attempts:
        took = f"{each.latency.ToMilliseconds()} ms"
        start = each.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
        tries.add_row(str(each.number), start, took, str(each.status or ""), each.error, each.answer)
    about = card(
        [
            ("id", sent.id),
            ("endpoint", sent.endpoint_id),
            ("event", f"{sent.event_type} {sent.event_id}"),
            ("state", word(pb.DeliveryState, sent.state)),
            ("next try", sent.next_attempt_time),
            ("last try after", sent.expire_time if sent.state == pb.DELIVERY_STATE_PENDING else ""),
            ("payload", answer.payload),
        ]
    )
    return Group(about, "", tries)
