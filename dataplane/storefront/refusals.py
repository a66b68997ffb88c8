"""What a shopper reads where a program would get an error."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from google.api import httpbody_pb2
from google.protobuf.descriptor import ServiceDescriptor

from dataplane.storefront.pages import Pages, Visit
from shared.runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PlatformError,
    ResourceExhausted,
)

_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# As the edge answers for a shop that it knows to be closed.
_CLOSED = {"TENANT_SUSPENDED": 503, "TENANT_READ_ONLY": 503, "TENANT_NOT_FOUND": 404}

_WORDS = {
    "PRODUCT_NOT_FOUND": ("Not here any more", "We do not sell this product, or do not sell it any more."),
    "CATEGORY_NOT_FOUND": ("Not here any more", "There is no such part of this shop, or not any more."),
    "COLLECTION_NOT_FOUND": ("Not here any more", "There is no such collection in this shop, or not any more."),
    "ORDER_NOT_FOUND": (
        "No such order",
        "Look at the address once more: it has to be the whole one that you were given.",
    ),
    "SESSION_ENDED": ("You are signed out", "Sign in again, and go on from there."),
    "PAGE_NOT_FOUND": ("No such page", "There is nothing at this address."),
    "TENANT_SUSPENDED": ("This shop is closed for now", "Its owner can have it opened again."),
    "TENANT_MAINTENANCE": ("Back in a moment", "This shop is being worked on. Please try again in a few minutes."),
    "TENANT_READ_ONLY": ("Nothing can be changed for now", "You can look around, and buy again soon."),
    "TENANT_MOVING": ("One moment", "This shop is moving to another place. Please try again."),
    "TENANT_NOT_FOUND": ("No such shop", "No shop answers at this address."),
    "RATE_LIMITED": ("A little slower, please", "There are too many requests at once. Please try again in a moment."),
    "FORM_OF_ANOTHER_SITE": (
        "This did not come from here",
        "Open the page in this shop, and send the form from there.",
    ),
}
# What a form is shown again for, with what is wrong; other refusals have nothing to do with the form.
WRONG = (InvalidArgument, NotFound, FailedPrecondition, AlreadyExists, Aborted, ResourceExhausted)
_OTHERWISE = ("That did not work", "Please go back and try again.")
_BROKEN = ("Something went wrong", "That was our mistake, not yours. Please try again in a moment.")


def status_of(refusal: PlatformError) -> int:
    return _CLOSED.get(refusal.reason) or _STATUSES.get(refusal.code, 500)


def said(refusal: PlatformError) -> str:
    """In a sentence, for a page that goes on."""
    if refusal.reason in _WORDS:
        return " ".join(_WORDS[refusal.reason])
    text = refusal.message.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def with_pages(servicer: Any, descriptor: ServiceDescriptor, pages: Pages) -> object:
    """`servicer`, whose refusals are pages, too: programs get the error as ever, for it comes behind the page."""
    return _Methods({name: _explained(getattr(servicer, name), pages) for name in descriptor.methods_by_name})


class _Methods:
    def __init__(self, methods: Mapping[str, Callable[..., Any]]) -> None:
        self.__dict__.update(methods)


def _explained(method: Callable[[Any, Any], Awaitable[Any]], pages: Pages) -> Callable[[Any, Any], Awaitable[Any]]:
    @wraps(method)
    async def answer(request: Any, context: Any) -> Any:
        try:
            return await method(request, context)
        except Exception as error:
            # What nobody expected is logged where every call ends; the browser is told of it here, as of a refusal.
            refusal = error if isinstance(error, PlatformError) else Internal("UNEXPECTED", "see the log")
            visit = pages.visit(context)
            if visit.wants_page:
                # Envoy shows a body that came before the status, and makes one of the status only where none did.
                await context.write((await _page(visit, refusal, pages)).SerializeToString())
            raise

    return answer


async def _page(visit: Visit, refusal: PlatformError, pages: Pages) -> httpbody_pb2.HttpBody:
    otherwise = _BROKEN if isinstance(refusal, Internal) else _OTHERWISE
    title, message = _WORDS.get(refusal.reason, otherwise)
    if refusal.code == "NOT_FOUND" and refusal.reason not in _CLOSED:
        return await pages.show(visit, "refused.html", 404, title=title, message=message)
    # The shop is not asked for anything: it may be what is wrong, or what has too much to do.
    return await pages.plain(
        visit, "refused.html", status_of(refusal), refusal.retry_after_s, title=title, message=message
    )
