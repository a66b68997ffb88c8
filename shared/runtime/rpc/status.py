"""Errors on the wire: a kind becomes a gRPC status with google.rpc details, and the other way round."""

import math
from collections.abc import Mapping
from typing import Any, Final, cast

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from shared.runtime import errors
from shared.runtime.errors import PlatformError

DOMAIN: Final = "center"
# First metadata that the edge makes the status of HTTP of where the answer is a file or a page: gRPC itself knows one
# for success.
HTTP_STATUS: Final = "x-center-http-status"
# Likewise, how many bytes a stream would have that HEAD asks about.
HTTP_LENGTH: Final = "x-center-length"

# A client drops a call whose trailers are over 8 KiB, and its status with it (gRPC's soft limit on metadata; the hard
# one is at 16). The status is in them twice: as text, percent-encoded, and as details in base64.
MESSAGE_BYTES: Final = 600
VALUE_BYTES: Final = 250
VIOLATIONS_BYTES: Final = 2000

_KINDS: dict[grpc.StatusCode, type[PlatformError]] = {
    grpc.StatusCode[kind.code]: kind
    for kind in (
        errors.InvalidArgument,
        errors.NotFound,
        errors.AlreadyExists,
        errors.FailedPrecondition,
        errors.Aborted,
        errors.PermissionDenied,
        errors.Unauthenticated,
        errors.ResourceExhausted,
        errors.Unavailable,
        errors.DeadlineExceeded,
        errors.Cancelled,
        errors.Internal,
    )
}


def to_status(error: PlatformError) -> status_pb2.Status:
    """The google.rpc.Status of an error: ErrorInfo always, other details where they fit (AIP-193)."""
    message = _cut(error.message, MESSAGE_BYTES)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=message)
    metadata = {key: _cut(value, VALUE_BYTES) for key, value in error.metadata.items()}
    details: list[object] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata),
    ]
    if error.violations:
        details.append(_bad_request(error.violations))
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(retry)
    subject = error.metadata.get("id", "")
    if isinstance(error, errors.FailedPrecondition):
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(type=error.reason, subject=_cut(subject, VALUE_BYTES), description=message)
        details.append(failure)
    if isinstance(error, errors.ResourceExhausted):
        quota = error_details_pb2.QuotaFailure()
        quota.violations.add(subject=_cut(subject, VALUE_BYTES), description=message)
        details.append(quota)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)  # type: ignore[arg-type]
        status.details.append(packed)
    return status


def _bad_request(violations: Mapping[str, str]) -> error_details_pb2.BadRequest:
    """The violations that there is room for; the first is always there."""
    request = error_details_pb2.BadRequest()
    for path, why in violations.items():
        request.field_violations.add(field=_cut(path, VALUE_BYTES), description=_cut(why, VALUE_BYTES))
        if request.ByteSize() > VIOLATIONS_BYTES:
            break
    return request


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most_bytes else encoded[: most_bytes - 3].decode(errors="ignore") + "\u2026"


def to_grpc(error: PlatformError) -> grpc.Status:
    """The time to wait stands beside the details, too: Envoy makes a header of HTTP of it."""
    made: Any = rpc_status.to_status(to_status(error))
    if error.retry_after_s is not None:
        after = ("retry-after", str(max(1, math.ceil(error.retry_after_s))))
        made = made._replace(trailing_metadata=(*made.trailing_metadata, after))
    return cast("grpc.Status", made)


def received(error: grpc.aio.AioRpcError) -> PlatformError:
    """The error that a server of ours raised, as its client got it; reason TRANSPORT when the wire itself failed."""
    kind = _KINDS.get(error.code(), errors.Internal)
    reason, metadata, retry_after_s = "TRANSPORT", dict[str, str](), None
    violations: dict[str, str] = {}
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status is not None else ():
        info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(bad):
            violations = {v.field: v.description for v in bad.field_violations}
    made = kind(reason, error.details() or error.code().name.lower())
    made.metadata, made.retry_after_s, made.violations = metadata, retry_after_s, violations
    return made
