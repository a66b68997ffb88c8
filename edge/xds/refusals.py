"""What a caller gets from the edge instead of an answer: the same thing as gRPC, as JSON and as a page."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

BRAND = "Center"
# For pages that stand alone: nothing of them is fetched, framed, kept or told to where their links lead.
SAFE_HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a page leads on."""

    key: str
    href: str
    label: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to pass a request on; `reason` is google.rpc.ErrorInfo's and never changes."""

    http_status: int
    code: int
    reason: str
    title: str
    message: str
    retry_after_s: int | None = None


TENANT_SUSPENDED = Refusal(
    503,
    code_pb2.FAILED_PRECONDITION,
    "TENANT_SUSPENDED",
    "This shop is closed for now",
    "this shop is suspended; its owner can have it opened again",
    3600,
)
TENANT_MAINTENANCE = Refusal(
    503,
    code_pb2.UNAVAILABLE,
    "TENANT_MAINTENANCE",
    "Back in a moment",
    "this shop is being worked on; try again in a few minutes",
    60,
)
TENANT_READ_ONLY = Refusal(
    503,
    code_pb2.FAILED_PRECONDITION,
    "TENANT_READ_ONLY",
    "Reading only",
    "this shop can be read but not changed for now",
    60,
)
TENANT_NOT_READY = Refusal(
    503,
    code_pb2.UNAVAILABLE,
    "TENANT_NOT_READY",
    "This shop is about to open",
    "this shop is not ready yet; try again soon",
    30,
)
TENANT_GONE = Refusal(410, code_pb2.NOT_FOUND, "TENANT_GONE", "This shop is gone", "this shop does not exist any more")
ROUTE_REFUSED = Refusal(
    503,
    code_pb2.UNAVAILABLE,
    "ROUTE_REFUSED",
    "This shop cannot be reached",
    "the way to this shop is broken; its operators have been told",
    60,
)
HOST_UNKNOWN = Refusal(
    404, code_pb2.NOT_FOUND, "HOST_UNKNOWN", "No shop at this address", "no shop answers at this address"
)
PATH_UNKNOWN = Refusal(404, code_pb2.NOT_FOUND, "PATH_UNKNOWN", "No such page", "there is nothing at this path")
UPSTREAM_UNAVAILABLE = Refusal(
    503,
    code_pb2.UNAVAILABLE,
    "UPSTREAM_UNAVAILABLE",
    "No answer",
    "the servers behind this address cannot be reached; try again in a moment",
    1,
)
UPSTREAM_TIMEOUT = Refusal(
    504,
    code_pb2.DEADLINE_EXCEEDED,
    "UPSTREAM_TIMEOUT",
    "This took too long",
    "the servers behind this address did not answer in time",
)


VALIDATION_UNAVAILABLE = Refusal(
    503,
    code_pb2.UNAVAILABLE,
    "VALIDATION_UNAVAILABLE",
    "Nobody can say yes",
    "whether this request is allowed cannot be told for now; try again in a moment",
    1,
)


def details_bin(refusal: Refusal, message: str, metadata: Mapping[str, str]) -> str:
    """The value of grpc-status-details-bin: a google.rpc.Status with ErrorInfo and, where waiting helps, RetryInfo."""
    status = status_pb2.Status(code=refusal.code, message=message)
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain="center", metadata=dict(metadata))
    status.details.add().Pack(info)
    if refusal.retry_after_s is not None:
        delay = duration_pb2.Duration(seconds=refusal.retry_after_s)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return b64encode(status.SerializeToString(deterministic=True)).rstrip(b"=").decode()


def document(refusal: Refusal, message: str, metadata: Mapping[str, str]) -> str:
    """The same google.rpc.Status as the transcoder writes it in JSON."""
    prefix = "type.googleapis.com/google.rpc."
    details: list[dict[str, object]] = [
        {"@type": f"{prefix}ErrorInfo", "reason": refusal.reason, "domain": "center", "metadata": dict(metadata)}
    ]
    if refusal.retry_after_s is not None:
        details.append({"@type": f"{prefix}RetryInfo", "retryDelay": f"{refusal.retry_after_s}s"})
    return json.dumps({"code": refusal.code, "message": message, "details": details}, separators=(",", ":"))


def page(title: str, message: str, name: str = "", notice: str = "", link: Link | None = None) -> str:
    """A page that stands alone: no script, no font, nothing fetched."""
    heading = escape(title)
    lead = f"<p><b>{escape(name)}</b></p>" if name else ""
    words = f"<p>{escape(notice)}</p>" if notice else ""
    on = f'<p><a id="{link.key}" href="{escape(link.href)}">{escape(link.label)}</a></p>' if link is not None else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{heading}</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#223}"
        "h1{font-size:1.6rem}@media(prefers-color-scheme:dark){body{background:#112;color:#dde}}</style>"
        f"{lead}<h1>{heading}</h1><p>{escape(message)}</p>{words}{on}</html>"
    )
