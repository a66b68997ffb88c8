"""What can go wrong between a solution and the platform; each error says what to do.

A refusal of a token is no error but a `Decision`. So is an outage, as far as validating goes: it refuses, or allows
where the solution's fail mode says so.
"""

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

# Where every grpc implementation carries google.rpc.Status.
_DETAILS = "grpc-status-details-bin"


class CenterError(Exception):
    """What the platform, or the way to it, has refused.

    reason: UPPER_SNAKE, stable; programs branch on it.
    retry_after_s: when another try can succeed; None where none will, or nobody knows.
    """

    def __init__(self, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s


class Unreachable(CenterError):
    """The control plane did not answer. Try again later; the SDK itself goes on trying."""


class NotAuthorized(CenterError):
    """The credentials do not hold, or not for this solution. Make new ones, or name your own solution."""


class InvalidRequest(CenterError):
    """The call itself is wrong, such as a negative cost: a fault of the program."""


class CodeInvalid(CenterError):
    """A one-time code that is unknown, used or over its minute. Send the user to register again."""


class ReservationEnded(CenterError):
    """The reservation expired or was ended before: what it held is given back already."""


class ValidatorClosed(CenterError):
    """The validator was closed, or made before a fork. Make one in the process that uses it."""


_KINDS: dict[grpc.StatusCode, type[CenterError]] = {
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
    grpc.StatusCode.CANCELLED: Unreachable,
    grpc.StatusCode.UNKNOWN: Unreachable,
    grpc.StatusCode.INTERNAL: Unreachable,
    grpc.StatusCode.UNIMPLEMENTED: Unreachable,
    grpc.StatusCode.UNAUTHENTICATED: NotAuthorized,
    grpc.StatusCode.PERMISSION_DENIED: NotAuthorized,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
}
_REASONS: dict[str, type[CenterError]] = {
    "RESERVATION_NOT_FOUND": ReservationEnded,
    "RESERVATION_ENDED": ReservationEnded,
    "CODE_UNKNOWN": CodeInvalid,
    "CODE_EXPIRED": CodeInvalid,
    "CODE_USED": CodeInvalid,
    "CODE_FOREIGN": CodeInvalid,
}


def received(error: grpc.aio.AioRpcError) -> CenterError:
    """The error as the platform meant it; reason TRANSPORT when the wire itself failed."""
    reason, retry_after_s = "TRANSPORT", None
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(retry):
                    retry_after_s = _seconds(retry.retry_delay)
    kind = _REASONS.get(reason) or _KINDS.get(error.code(), CenterError)
    return kind(reason, error.details() or error.code().name.lower(), retry_after_s)


def _seconds(duration: duration_pb2.Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
