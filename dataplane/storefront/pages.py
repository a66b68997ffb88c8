"""Pages as they are sent: made of templates, in the shop's dress, with headers that let nothing else in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import urlencode

import grpc
import jinja2
from google.api import httpbody_pb2
from google.protobuf import timestamp_pb2
from google.type import money_pb2

from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import customer_service_pb2 as customers_pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from dataplane.carts.domain import MOST_OF_A_LINE
from dataplane.customers.sessions import Sessions
from dataplane.inventory import store as inventory_store
from dataplane.storefront import assets, domain, store
from dataplane.storefront.domain import Around, Availability, Link, Place, Theme, Way
from dataplane.tenants import store as tenant_store
from dataplane.tenants.local import LocalTenants
from shared.media.signing import Signer
from shared.runtime import money
from shared.runtime.clock import Clock
from shared.runtime.context import Session, current
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError, Unauthenticated
from shared.runtime.ids import uuid7
from shared.runtime.rpc.status import HTTP_STATUS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Headers: TypeAlias = Sequence[tuple[str, str]]

# No script at all, and nothing from elsewhere. Referrers stay in the shop, and are sent there: without one a browser
# hides from which site a form is, too.
HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
)
# A page that a browser kept has the request ids of forms that were sent already.
_FRESH = ("cache-control", "no-store")
_HTML = "text/html; charset=utf-8"


def _money(amount: money_pb2.Money) -> str:
    return money.written(money.from_proto(amount))


def _least(variants: Iterable[products_pb.Variant]) -> money_pb2.Money:
    """Of one currency, as a product's variants usually are; otherwise of the first variant's."""
    first, *more = variants
    return min(
        (each.price for each in (first, *more) if each.price.currency_code == first.price.currency_code),
        key=lambda price: (price.units, price.nanos),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tile(title: str) -> str:
    """The class of the colours that stand in for a picture: the same for the same title."""
    return f"tile-{sum(title.encode()) % 6}"


def _stock(line: carts_pb.CartLine) -> str:
    return carts_pb.LineStock.Name(line.stock).removeprefix("LINE_STOCK_")


def _clock(moment: timestamp_pb2.Timestamp) -> str:
    """In UTC: where the shopper is, nobody has said."""
    return f"{moment.ToDatetime(tzinfo=UTC):%d %B %Y, %H:%M} UTC".lstrip("0")


def _headline(order: orders_pb.Order) -> str:
    return _STANDING.get(order.state, ("Your order", ""))[0]


def _state(order: customers_pb.MyOrder) -> str:
    """In a word or two."""
    return _REFUNDED_STATES.get(order.payment_status) or _STATES.get(order.state, "")


def _standing(order: orders_pb.Order) -> str:
    said = _STANDING.get(order.state, ("", ""))[1]
    if order.payment_status in _REFUNDED:
        return f"{said} {_REFUNDED[order.payment_status]}".strip()
    return said


_STANDING = {
    orders_pb.ORDER_STATE_PENDING_PAYMENT: ("Almost there", "Your order is waiting for its payment."),
    orders_pb.ORDER_STATE_PLACED: ("Thank you for your order", "It will be on its way soon."),
    orders_pb.ORDER_STATE_PARTIALLY_FULFILLED: ("Your order is on its way", "Some of it has been shipped."),
    orders_pb.ORDER_STATE_FULFILLED: ("Your order is on its way", "All of it has been shipped."),
    orders_pb.ORDER_STATE_EXPIRED: ("Your order has expired", "It was not paid in time. Nothing was charged."),
    orders_pb.ORDER_STATE_CANCELED: ("Your order is cancelled", "What was paid is given back."),
}
_STATES = {
    orders_pb.ORDER_STATE_PENDING_PAYMENT: "Waiting for its payment",
    orders_pb.ORDER_STATE_PLACED: "Placed",
    orders_pb.ORDER_STATE_PARTIALLY_FULFILLED: "Shipped in part",
    orders_pb.ORDER_STATE_FULFILLED: "Shipped",
    orders_pb.ORDER_STATE_EXPIRED: "Expired",
    orders_pb.ORDER_STATE_CANCELED: "Cancelled",
}
_REFUNDED_STATES = {orders_pb.PAYMENT_STATUS_REFUNDED: "Refunded"}
_REFUNDED = {
    orders_pb.PAYMENT_STATUS_PARTIALLY_REFUNDED: "Some of the money has been given back.",
    orders_pb.PAYMENT_STATUS_REFUNDED: "All of the money has been given back.",
}


_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("dataplane.storefront"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.filters |= {"money": _money, "tile": _tile, "least_price": _least, "sentence": _sentence, "stock": _stock}
_templates.filters |= {"clock": _clock, "headline": _headline, "standing": _standing, "state": _state}
_templates.globals |= {"request_id": uuid7, "query": lambda **said: urlencode(said)}


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around every page. items: how many there are in the cart. is_signed_in: whether a customer sees it."""

    title: str
    logo: str
    tagline: str
    style: str
    icon: str
    items: int = 0
    is_signed_in: bool = False
    categories: tuple[Link, ...] = ()
    collections: tuple[Link, ...] = ()


class Names:
    """What tenants are called, read once for each version of a tenant."""

    def __init__(self, steward: Database, tenants: LocalTenants) -> None:
        self._steward = steward
        self._tenants = tenants
        self._known: dict[str, tuple[int, str]] = {}

    async def of(self, tenant_id: str) -> str:
        local = self._tenants.get(tenant_id)
        revision = 0 if local is None else local.revision
        known = self._known.get(tenant_id)
        if known is None or known[0] != revision:
            async with self._steward.transaction() as tx:
                found = await tenant_store.entry(tx, tenant_id)
            entry = CatalogTenant() if found is None else CatalogTenant.FromString(found[0])
            known = self._known[tenant_id] = revision, entry.display_name or entry.code
        return known[1]


class Visit:
    """A request as the pages see it. session: the customer's, where there is one that was issued here; whether it was
    ended, Pages.begin() looks up."""

    def __init__(self, context: Context, sessions: Sessions, *, is_secure: bool) -> None:
        said = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
        self.context = context
        self.tenant_id = current().tenant_id
        self.host = said.get("x-center-host", "")
        self._said = said
        self._is_secure = is_secure
        # A browser keeps one of this prefix only for this very host: no other shop of the zone can put it there.
        prefix = "__Host-" if is_secure else ""
        self._cart, self._session = f"{prefix}cart", f"{prefix}session"
        self.around: Around | None = None
        # What the browser is told to keep from now on, and for how many seconds.
        self._keeps: dict[str, tuple[str, int]] = {}
        cookies = said.get("cookie", "")
        self.cart_id = domain.cart_of(cookies, self._cart)
        self.session: Session | None = None
        if token := domain.session_of(cookies, self._session):
            try:
                self.session = sessions.verify(token, self.tenant_id)
            except Unauthenticated:
                self.sign_out()

    @property
    def wants_page(self) -> bool:
        return "text/html" in self._said.get("accept", "")

    def check_origin(self) -> None:
        """PermissionDenied FORM_OF_ANOTHER_SITE. Who does not come through Envoy is no browser."""
        if current().is_outside:
            domain.check_origin(self.host, self._said.get("origin", ""), self._said.get("referer", ""))

    def address(self, path: str) -> str:
        """The path as a browser asks for it. The origin names the port, which the host does not; check_origin() has
        seen that it is of this host."""
        scheme = "https" if self._is_secure else "http"
        origin = self._said.get("origin", "")
        return f"{origin if origin.startswith('http') else f'{scheme}://{self.host}'}{path}"

    def keep(self, cart_id: str) -> None:
        """Lets the browser keep the id of its cart; an empty one takes it away."""
        self.cart_id = cart_id
        # As long as a cart is kept that nobody touches.
        self._keeps[self._cart] = cart_id, _CART_LIFE_S if cart_id else 0

    @property
    def customer_id(self) -> str:
        """Of who is signed in; empty for nobody."""
        return self.session.customer_id if self.session else ""

    def sign_in(self, token: str, session: Session, life_s: int) -> None:
        self.session = session
        self._keeps[self._session] = token, life_s

    def sign_out(self) -> None:
        """The cart goes, too: it says where the customer lives."""
        self.session = None
        self._keeps[self._session] = "", 0
        self.keep("")

    @property
    def cookies(self) -> Headers:
        rest = f"HttpOnly; SameSite=Lax{'; Secure' if self._is_secure else ''}"
        return [
            ("set-cookie", f"{name}={value}; Path=/; Max-Age={life_s}; {rest}")
            for name, (value, life_s) in self._keeps.items()
        ]


_DAY_S = 24 * 3600
_CART_LIFE_S = 30 * _DAY_S


class Pages:
    """reads: of tenants' rows. closed: why nothing of a tenant can be changed now. signer: of addresses of media.
    is_secure: shops are at https."""

    def __init__(
        self,
        *,
        reads: Database,
        names: Names,
        closed: Callable[[str], PlatformError | None],
        signer: Signer,
        clock: Clock,
        sessions: Sessions,
        is_secure: bool,
    ) -> None:
        self._reads = reads
        self._names = names
        self._closed = closed
        self._signer = signer
        self._clock = clock
        self._sessions = sessions
        self._is_secure = is_secure

    def visit(self, context: Context) -> Visit:
        """A visit as the browser tells of it."""
        return Visit(context, self._sessions, is_secure=self._is_secure)

    async def begin(self, context: Context) -> Visit:
        """A visit whose session, if it has one, has not ended. What is around its page is read at once: it takes as
        long as the look at the session alone."""
        visit = self.visit(context)
        around = await self._around(visit)
        if visit.session is not None and not around.is_signed_in:
            visit.sign_out()
        return visit

    async def _around(self, visit: Visit) -> Around:
        if visit.around is None:
            visit.around = await store.around(self._reads, visit.tenant_id, visit.cart_id, visit.session)
        return visit.around

    async def category(self, visit: Visit, handle: str) -> Place:
        """NotFound CATEGORY_NOT_FOUND."""
        return await store.category(self._reads, visit.tenant_id, handle)

    async def categories(self, visit: Visit, skipped: int, most: int) -> list[Way]:
        return await store.categories(self._reads, visit.tenant_id, skipped, most)

    async def collection(self, visit: Visit, handle: str) -> Place:
        """NotFound COLLECTION_NOT_FOUND."""
        return await store.collection(self._reads, visit.tenant_id, handle)

    async def availability(self, visit: Visit, products: Iterable[products_pb.Product]) -> dict[str, Availability]:
        """Of every variant of the products, by its id."""
        ids = [variant.id for product in products for variant in product.variants]
        offered = await inventory_store.offered(self._reads, visit.tenant_id, ids)
        return {id: domain.availability(offered.get(id), MOST_OF_A_LINE) for id in ids}

    def sign_in(self, visit: Visit, session: customers_pb.Session) -> None:
        life_s = int(session.expire_time.seconds - self._clock.now().timestamp())
        visit.sign_in(session.token, self._sessions.verify(session.token, visit.tenant_id), life_s)

    async def show(
        self, visit: Visit, template: str, status: int = 200, retry_after_s: float | None = None, **said: Any
    ) -> httpbody_pb2.HttpBody:
        around = await self._around(visit)
        # Another cart than that was begun just now, and there is nothing in it.
        items = around.items if around.cart_id == visit.cart_id else 0
        frame = _frame(
            around.theme,
            await self._names.of(visit.tenant_id),
            items=items,
            is_signed_in=visit.session is not None,
            categories=around.categories,
            collections=around.collections,
        )
        closed, picture = self._closed(visit.tenant_id), partial(self._picture, visit.tenant_id)
        headers = _retry_after(retry_after_s)
        return await _sent(visit, frame, template, status, headers, closed=closed, picture=picture, **said)

    def _picture(self, tenant_id: str, media_id: str) -> str:
        """Where it is served, at one address all day, so that browsers keep it."""
        day = int(self._clock.now().timestamp()) // _DAY_S
        return self._signer.path(tenant_id, media_id, "", (day + 2) * _DAY_S)

    async def plain(
        self, visit: Visit, template: str, status: int, retry_after_s: float | None, **said: Any
    ) -> httpbody_pb2.HttpBody:
        """A page that asks for nothing of the shop's."""
        frame = _frame(Theme(), visit.host or "Shop", is_signed_in=visit.session is not None)
        return await _sent(visit, frame, template, status, _retry_after(retry_after_s), closed=None, **said)

    async def lead(self, visit: Visit, path: str) -> httpbody_pb2.HttpBody:
        """To another page, which the browser then gets: so that a form is not sent again by going back."""
        headers = [*HEADERS, _FRESH, (HTTP_STATUS, "303"), ("location", path), *visit.cookies]
        await visit.context.send_initial_metadata(headers)
        return httpbody_pb2.HttpBody(content_type=_HTML, data=b"<!doctype html><title>Go on</title>")


def _retry_after(seconds: float | None) -> Headers:
    return [("retry-after", str(max(1, round(seconds))))] if seconds else []


def _frame(theme: Theme, name: str, **more: Any) -> Frame:
    title = theme.title or name
    dress = assets.dress(theme.accent_color)
    return Frame(title, theme.logo_text or title, theme.tagline, dress.style, dress.icon, **more)


async def _sent(
    visit: Visit, frame: Frame, template: str, status: int, headers: Headers = (), **said: Any
) -> httpbody_pb2.HttpBody:
    text = _templates.get_template(template).render(shop=frame, **{"query_text": "", "path": "", **said})
    await visit.context.send_initial_metadata([*HEADERS, _FRESH, (HTTP_STATUS, str(status)), *headers, *visit.cookies])
    return httpbody_pb2.HttpBody(content_type=_HTML, data=text.encode())
