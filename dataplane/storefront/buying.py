"""From the cart to the order: the checkout in its steps, and what became of it."""

import hmac
from collections.abc import Mapping
from importlib.resources import files
from typing import NoReturn
from urllib.parse import urlencode

from google.api import httpbody_pb2
from google.type import money_pb2

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from dataplane.storefront import domain
from dataplane.storefront.pages import Pages, Visit
from dataplane.storefront.refusals import WRONG, said, status_of
from shared.runtime.errors import InvalidArgument, NotFound, PlatformError
from shared.runtime.rpc.in_process import InProcess

# ISO 3166-1, in English, by name: [(code, name), ...].
_ISO = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text()
COUNTRIES = sorted(
    ((line[:2], line[3:]) for line in _ISO.splitlines() if not line.startswith("#")), key=lambda each: each[1]
)

# By field of the form: the field of the request, what is said when it is empty, and its most characters.
_DETAILS = {
    "email": ("email", "Write your e-mail address.", 254),
    "name": ("address.name", "Write your name.", 200),
    "line1": ("address.lines[0]", "Write the street and the house.", 200),
    "line2": ("address.lines[1]", "", 200),
    "postal_code": ("address.postal_code", "", 20),
    "city": ("address.city", "Write the town.", 100),
    "country": ("address.country_code", "Choose a country.", 2),
}
_MISSING = {
    "SHIPPING_METHOD": "The shop does not ship to this address.",
    "AVAILABLE_LINES": "Something in the cart cannot be bought now; the cart says what.",
    "TOTAL": "There is nothing to pay, and so nothing to check out.",
}
# What a checkout that is told to go on needs a new beginning for.
_AGAIN = {"CHECKOUT_EXPIRED", "CHECKOUT_NOT_STARTED", "CART_CHANGED", "PRICE_CHANGED", "OUT_OF_STOCK"}
_SAID = {
    "CHECKOUT_EXPIRED": "It took a while, and the items are not held for you any more. Please go on from here.",
    "CART_CHANGED": "The cart has changed meanwhile. Please look at it once more.",
    "PRICE_CHANGED": "The price has changed meanwhile. Please look at it once more.",
    "OUT_OF_STOCK": "There is not enough of everything in the cart any more. Take some out, and try again.",
    "PAYMENT_OPEN": "The payment before this one is not settled yet. Please look again in a moment.",
    "PAYMENTS_NOT_CONFIGURED": "This shop takes no payments yet.",
}


class Buying:
    """carts, checkouts: called as a shopper, carts as a customer, too; orders: as the shop's own people."""

    def __init__(self, *, pages: Pages, carts: InProcess, checkouts: InProcess, orders: InProcess) -> None:
        self._pages = pages
        self._carts = carts
        self._checkouts = checkouts
        self._orders = orders

    async def page(self, visit: Visit, step: str) -> httpbody_pb2.HttpBody:
        if not visit.cart_id:
            return await self._pages.lead(visit, "/cart")
        checkout = await self._checkout(visit)
        if checkout is not None and checkout.state == pb.CHECKOUT_STATE_COMPLETED:
            return await self._done(visit, checkout)
        return await self._show(visit, checkout, step)

    async def submitted(self, visit: Visit, action: str, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        take = _ACTIONS.get(action)
        if take is None:
            raise NotFound("PAGE_NOT_FOUND", f"no form is taken at /checkout/{action}")
        if not visit.cart_id:
            return await self._pages.lead(visit, "/cart")
        return await take(self, visit, form)

    async def order(self, visit: Visit, order_id: str, key: str) -> httpbody_pb2.HttpBody:
        """NotFound ORDER_NOT_FOUND, also for who has the wrong key and is not the customer who ordered it."""
        try:
            request = orders_pb.GetOrderRequest(id=order_id)
            found: orders_pb.Order = (await self._orders(request, visit.context)).order
        except (NotFound, InvalidArgument):
            _no_order(order_id)
        is_theirs = bool(visit.customer_id) and found.customer_id == visit.customer_id
        # An order that was imported was no cart, and has no key.
        has_key = bool(found.cart_id) and hmac.compare_digest(found.cart_id.encode(), key.lower().encode())
        if not is_theirs and not has_key:
            _no_order(order_id)
        return await self._pages.show(visit, "order.html", order=found, country=_COUNTRY_NAMES, is_theirs=is_theirs)

    async def _checkout(self, visit: Visit) -> pb.Checkout | None:
        try:
            request = pb.GetCheckoutRequest(cart_id=visit.cart_id)
            found: pb.Checkout = (await self._checkouts(request, visit.context)).checkout
            return found
        except NotFound:
            return None

    async def _show(
        self,
        visit: Visit,
        checkout: pb.Checkout | None,
        step: str = "",
        errors: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> httpbody_pb2.HttpBody:
        try:
            wanted = carts_pb.GetCartRequest(id=visit.cart_id)
            cart: carts_pb.Cart = (await self._carts(wanted, visit.context, visit.session)).cart
            asked = pb.GetRequirementsRequest(cart_id=visit.cart_id)
            needed: pb.GetRequirementsResponse = await self._checkouts(asked, visit.context)
        except NotFound:
            visit.keep("")
            return await self._pages.lead(visit, "/cart")
        missing = {pb.Requirement.Name(each).removeprefix("REQUIREMENT_") for each in needed.missing}
        if not cart.lines:
            return await self._pages.lead(visit, "/cart")
        errors = dict(errors or {})
        lack = next((text for word, text in _MISSING.items() if word in missing), "")
        if lack and not {"EMAIL", "ADDRESS"} & missing:
            errors["form"] = lack
        return await self._pages.show(
            visit,
            "checkout.html",
            status,
            cart=cart,
            checkout=checkout if checkout is not None and checkout.state in _HELD else None,
            step=_step(checkout, missing, step),
            methods=needed.shipping_methods,
            errors=errors,
            form=form or _known(cart),
            countries=COUNTRIES,
            country=_COUNTRY_NAMES,
            is_open=checkout is not None and checkout.state == pb.CHECKOUT_STATE_PAYMENT_OPEN,
            declined=_declined(checkout),
        )

    async def _details(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        said_of = {name: form.get(name, "").strip() for name in _DETAILS}
        errors = {name: lack for name, (_, lack, _) in _DETAILS.items() if lack and not said_of[name]}
        errors |= {name: "This is too long." for name, (_, _, most) in _DETAILS.items() if len(said_of[name]) > most}
        if said_of["country"] not in _COUNTRY_NAMES:
            errors["country"] = _DETAILS["country"][1]
        if errors:
            return await self._show(visit, await self._checkout(visit), "details", errors, form, 422)
        address = carts_pb.Address(
            name=said_of["name"],
            lines=[line for line in (said_of["line1"], said_of["line2"]) if line],
            postal_code=said_of["postal_code"],
            city=said_of["city"],
            country_code=said_of["country"],
        )
        email_id, address_id = domain.effect_id(form, "email"), domain.effect_id(form, "address")
        email = carts_pb.SetEmailRequest(cart_id=visit.cart_id, email=said_of["email"], request_id=email_id)
        try:
            await self._carts(email, visit.context, visit.session)
            where = carts_pb.SetAddressRequest(cart_id=visit.cart_id, address=address, request_id=address_id)
            await self._carts(where, visit.context, visit.session)
        except WRONG as refusal:
            errors = _beside(refusal)
            return await self._show(visit, await self._checkout(visit), "details", errors, form, status_of(refusal))
        return await self._pages.lead(visit, "/checkout?step=shipping")

    async def _shipping(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        request = pb.StartCheckoutRequest(
            cart_id=visit.cart_id,
            shipping_method=form.get("shipping_method", ""),
            request_id=domain.effect_id(form, "start"),
        )
        try:
            await self._checkouts(request, visit.context)
        except WRONG as refusal:
            return await self._refused(visit, refusal, "shipping", form)
        return await self._pages.lead(visit, "/checkout")

    async def _pay(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        total = _total(form)
        if total is None:
            raise InvalidArgument("FORM_MALFORMED", "form: no total", fields={"form": "no total"})
        request = pb.CompleteCheckoutRequest(
            cart_id=visit.cart_id,
            payment_method=form.get("payment_method", "").strip(),
            expected_total=total,
            return_url=visit.address("/checkout"),
            request_id=domain.effect_id(form, "complete"),
        )
        try:
            checkout: pb.Checkout = (await self._checkouts(request, visit.context)).checkout
        except WRONG as refusal:
            return await self._refused(visit, refusal, "pay", form)
        if checkout.state == pb.CHECKOUT_STATE_COMPLETED:
            return await self._done(visit, checkout)
        return await self._pages.lead(visit, "/checkout")

    async def _refused(
        self, visit: Visit, refusal: PlatformError, step: str, form: dict[str, str]
    ) -> httpbody_pb2.HttpBody:
        if refusal.reason == "CART_COMPLETED":
            return await self._pages.lead(visit, "/checkout")
        errors = _beside(refusal)
        step = "shipping" if refusal.reason in _AGAIN else step
        return await self._show(visit, await self._checkout(visit), step, errors, None, status_of(refusal))

    async def _done(self, visit: Visit, checkout: pb.Checkout) -> httpbody_pb2.HttpBody:
        path = f"/orders/{checkout.order_id}?{urlencode({'key': checkout.cart_id})}"
        visit.keep("")
        return await self._pages.lead(visit, path)


_HELD = {pb.CHECKOUT_STATE_STARTED, pb.CHECKOUT_STATE_PAYMENT_FAILED, pb.CHECKOUT_STATE_PAYMENT_OPEN}
_COUNTRY_NAMES = dict(COUNTRIES)
_ACTIONS = {"details": Buying._details, "shipping": Buying._shipping, "pay": Buying._pay}


def _step(checkout: pb.Checkout | None, missing: set[str], wanted: str) -> str:
    """Which form is shown: the first that lacks something, or one before that somebody wants to see again."""
    if checkout is not None and checkout.order_id and checkout.state in _HELD:
        # There is an order: what it says stays, and only its payment is open.
        return "pay"
    if missing & {"EMAIL", "ADDRESS", "SHIPPING_METHOD"} or wanted == "details":
        return "details"
    is_held = checkout is not None and checkout.state == pb.CHECKOUT_STATE_STARTED
    return "pay" if is_held and wanted != "shipping" else "shipping"


def _known(cart: carts_pb.Cart) -> dict[str, str]:
    """The details as the cart has them."""
    lines = [*cart.address.lines, "", ""]
    return {
        "email": cart.email,
        "name": cart.address.name,
        "line1": lines[0],
        "line2": ", ".join(filter(None, lines[1:])),
        "postal_code": cart.address.postal_code,
        "city": cart.address.city,
        "country": cart.address.country_code,
    }


def _beside(refusal: PlatformError) -> dict[str, str]:
    """What is wrong, by field of the form; where it is none of the fields, of the form."""
    fields = {path: name for name, (path, _, _) in _DETAILS.items()} | {"payment_method": "payment_method"}
    found = {fields[path]: "This is not right." for path in refusal.violations if path in fields}
    return found or {"form": _SAID.get(refusal.reason) or said(refusal)}


def _declined(checkout: pb.Checkout | None) -> str:
    if checkout is None or checkout.state != pb.CHECKOUT_STATE_PAYMENT_FAILED:
        return ""
    why = checkout.failure_reason.replace("_", " ").lower()
    return f"The payment was declined{f' ({why})' if why else ''}. Nothing was charged; try another one."


def _total(form: Mapping[str, str]) -> money_pb2.Money | None:
    """What the shopper was shown, as its form brings it back: `EUR 48 150000000`."""
    currency, _, rest = form.get("total", "").partition(" ")
    units, _, nanos = rest.partition(" ")
    if len(currency) != 3 or not (units.isdecimal() and nanos.isdecimal()) or len(units) > 18 or len(nanos) > 9:
        return None
    return money_pb2.Money(currency_code=currency, units=int(units), nanos=int(nanos))


def _no_order(order_id: str) -> NoReturn:
    raise NotFound("ORDER_NOT_FOUND", "no such order, or not for who asks", id=order_id)
