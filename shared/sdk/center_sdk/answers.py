"""A decision as HTTP and gRPC say it: status, headers and problem of a refusal.

Headers: RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11), the older x-ratelimit-*, Retry-After.
Bodies: application/problem+json (RFC 9457) with `code`, `decision_id` and `upgrade_url`.
"""

import json
import math

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from center_sdk.decision import Code, Decision

PROBLEM = "application/problem+json"
# All that `http_headers` may give. Scripts of other origins see those alone that Access-Control-Expose-Headers names.
HEADERS = (
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
    "www-authenticate",
)
_DETAILS = "grpc-status-details-bin"

_UNAUTHENTICATED = frozenset(
    {
        Code.TOKEN_MISSING,
        Code.TOKEN_MALFORMED,
        Code.TOKEN_FOREIGN,
        Code.TOKEN_UNKNOWN,
        Code.TOKEN_EXPIRED,
        Code.TOKEN_REVOKED,
    }
)
_EXHAUSTED = frozenset({Code.RATE_LIMITED, Code.QUOTA_EXHAUSTED, Code.ANONYMOUS_EXHAUSTED})
_UNAVAILABLE = frozenset({Code.STALE, Code.LOG_FULL})
# When a validator that knows nothing recent is worth asking again.
_UNAVAILABLE_RETRY_S = 2

_TITLES: dict[Code, str] = {
    Code.TOKEN_MISSING: "A token is needed.",
    Code.TOKEN_MALFORMED: "This is not a token.",
    Code.TOKEN_FOREIGN: "The token is of another environment.",
    Code.TOKEN_UNKNOWN: "The token is not known.",
    Code.TOKEN_EXPIRED: "The token has expired.",
    Code.TOKEN_REVOKED: "The token was revoked.",
    Code.SOLUTION_MISMATCH: "The token is of another solution.",
    Code.SOLUTION_UNKNOWN: "There is no such solution.",
    Code.ENTITLEMENT_SUSPENDED: "Access is suspended.",
    Code.ENTITLEMENT_CANCELLED: "Access was cancelled.",
    Code.ACTION_NOT_ALLOWED: "The tier does not include this.",
    Code.RATE_LIMITED: "Too many requests at once.",
    Code.QUOTA_EXHAUSTED: "The quota is used up.",
    Code.ANONYMOUS_EXHAUSTED: "That was all without an account: register to go on.",
    Code.STALE: "Access cannot be checked at the moment.",
    Code.LOG_FULL: "Access cannot be recorded at the moment.",
}


def title(decision: Decision) -> str:
    """A refusal as a sentence for people."""
    return _TITLES.get(decision.code, "Refused.")


def http_status(decision: Decision) -> int:
    """200, 401, 403, 429, or 503 where the platform is what is missing."""
    if decision.allowed:
        return 200
    if decision.code in _UNAUTHENTICATED:
        return 401
    if decision.code in _EXHAUSTED:
        return 429
    return 503 if decision.code in _UNAVAILABLE else 403


def http_headers(decision: Decision, action: str, now_s: float) -> list[tuple[str, str]]:
    """now_s: seconds since the epoch, by the clock that `resets_at` is of."""
    headers: list[tuple[str, str]] = []
    resets_s = None if decision.resets_at is None else max(0, math.ceil(decision.resets_at - now_s))
    if decision.limit is not None:
        reset = "" if resets_s is None else f";t={resets_s}"
        remaining = decision.remaining or 0
        headers += [
            ("ratelimit-policy", f'"{action}";q={decision.limit}'),
            ("ratelimit", f'"{action}";r={remaining}{reset}'),
            ("x-ratelimit-limit", str(decision.limit)),
            ("x-ratelimit-remaining", str(remaining)),
        ]
        if resets_s is not None:
            headers.append(("x-ratelimit-reset", str(resets_s)))
    if (wait_s := retry_after_s(decision, now_s)) is not None:
        headers.append(("retry-after", str(math.ceil(wait_s))))
    if decision.code in _UNAUTHENTICATED:
        error = "" if decision.code is Code.TOKEN_MISSING else ' error="invalid_token"'
        headers.append(("www-authenticate", f"Bearer{error}"))
    return headers


def retry_after_s(decision: Decision, now_s: float) -> float | None:
    """When the same request may be allowed; None where it is already, or waiting does not help."""
    if decision.code is Code.RATE_LIMITED:
        return decision.retry_after_s
    if decision.code in _EXHAUSTED and decision.resets_at is not None:
        return max(1.0, decision.resets_at - now_s)
    return _UNAVAILABLE_RETRY_S if decision.code in _UNAVAILABLE else None


def problem(decision: Decision) -> bytes:
    """The body of a refusal."""
    told: dict[str, object] = {
        "type": "about:blank",
        "title": title(decision),
        "status": http_status(decision),
        "code": decision.code.name,
        "decision_id": decision.decision_id,
    }
    if decision.upgrade_url:
        told["upgrade_url"] = decision.upgrade_url
    return json.dumps(told).encode()


class Refusal(grpc.Status):
    """A refused decision as a gRPC status, with google.rpc.ErrorInfo and, where waiting helps, RetryInfo."""

    def __init__(self, decision: Decision, now_s: float) -> None:
        if decision.code in _UNAUTHENTICATED:
            code = grpc.StatusCode.UNAUTHENTICATED
        elif decision.code in _EXHAUSTED:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
        elif decision.code in _UNAVAILABLE:
            code = grpc.StatusCode.UNAVAILABLE
        else:
            code = grpc.StatusCode.PERMISSION_DENIED
        self.code, self.details = code, title(decision)
        facts = {"decision_id": decision.decision_id, "upgrade_url": decision.upgrade_url}
        told = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=self.details)
        info = error_details_pb2.ErrorInfo(
            reason=decision.code.name, domain="center", metadata={name: value for name, value in facts.items() if value}
        )
        packed: list[error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo] = [info]
        if (wait_s := retry_after_s(decision, now_s)) is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromNanoseconds(round(wait_s * 1e9))
            packed.append(retry)
        for detail in packed:
            any_of = any_pb2.Any()
            any_of.Pack(detail)
            told.details.append(any_of)
        self.trailing_metadata = ((_DETAILS, told.SerializeToString()),)
