"""What can go wrong, as kinds: domain and store raise them, one interceptor turns them into a gRPC status."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar


class PlatformError(Exception):
    """A refusal that the caller is meant to read.

    reason: UPPER_SNAKE, stable for ever; clients branch on it (google.rpc.ErrorInfo.reason).
    message: a sentence for people that says what to do; never another tenant's data, never SQL.
    metadata: facts for programs (google.rpc.ErrorInfo.metadata).
    violations: field path -> what is wrong with it (google.rpc.BadRequest), for InvalidArgument.
    retry_after_s: seconds until another try can succeed (google.rpc.RetryInfo), None where none will.
    """

    # The name of the gRPC status, so that this module needs no grpc.
    code: ClassVar[str] = "INTERNAL"

    def __init__(self, reason: str, message: str, /, *, retry_after_s: float | None = None, **metadata: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = metadata
        self.violations: dict[str, str] = {}
        self.retry_after_s = retry_after_s


class InvalidArgument(PlatformError):
    """The request is wrong whatever the state of the platform; `fields` says which part and why."""

    code = "INVALID_ARGUMENT"

    def __init__(
        self,
        reason: str,
        message: str,
        /,
        *,
        fields: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(reason, message, retry_after_s=retry_after_s, **metadata)
        self.violations = dict(fields or {})


class NotFound(PlatformError):
    """No such thing, or it is another tenant's."""

    code = "NOT_FOUND"


class AlreadyExists(PlatformError):
    """A unique name is taken."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(PlatformError):
    """The state does not allow it; metadata says what would be allowed."""

    code = "FAILED_PRECONDITION"


class Aborted(PlatformError):
    """Somebody else changed it meanwhile: read again, then decide again."""

    code = "ABORTED"


class PermissionDenied(PlatformError):
    """Known caller, not allowed."""

    code = "PERMISSION_DENIED"


class Unauthenticated(PlatformError):
    """Unknown caller, or a credential that does not hold."""

    code = "UNAUTHENTICATED"


class ResourceExhausted(PlatformError):
    """A quota, a limit or a size is used up."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(PlatformError):
    """Try again: the only kind that clients retry by themselves."""

    code = "UNAVAILABLE"


class DeadlineExceeded(PlatformError):
    """It took longer than it was allowed to; whether it happened is unknown to the caller."""

    code = "DEADLINE_EXCEEDED"


class Cancelled(PlatformError):
    """The caller went away."""

    code = "CANCELLED"


class Internal(PlatformError):
    """A fault of ours; the cause is chained for the log and never reaches the caller."""

    code = "INTERNAL"


def anew(known: PlatformError) -> PlatformError:
    """One more like it, to be raised: an error that is raised again keeps the frames of every time before, and all that
    those hold."""
    made = type(known)(known.reason, known.message, retry_after_s=known.retry_after_s, **known.metadata)
    made.violations = dict(known.violations)
    return made


@contextmanager
def inside(part: str) -> Iterator[None]:
    """What is wrong with a part of a request is named by its place there: `title` of a product is `product.title`."""
    try:
        yield
    except InvalidArgument as error:
        error.violations = {f"{part}.{field}": why for field, why in error.violations.items()}
        raise


def stale(kind: str, id: str, etag: str = "") -> Aborted:
    """Somebody else's change came first. kind: as people call it; etag: what the thing has now, where that is known."""
    refusal = Aborted("ETAG_MISMATCH", f"the {kind} changed meanwhile; read it again", id=id)
    if etag:
        refusal.metadata["etag"] = etag
    return refusal


def check_etag(kind: str, id: str, etag: str, given: str) -> None:
    """Aborted ETAG_MISMATCH unless the caller has named no etag, or the one that the thing has now."""
    if given not in ("", etag):
        raise stale(kind, id, etag)
