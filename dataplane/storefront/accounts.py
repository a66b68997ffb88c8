"""Customers' pages: signing in and out, registering, a new password, and what was ordered; and the one page of the
shop's own people, on which they accept an invitation."""

from contextlib import suppress
from typing import Any

from google.api import httpbody_pb2

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as checkouts_pb
from center.dataplane.v1 import customer_service_pb2 as pb
from center.dataplane.v1 import staff_service_pb2 as staff_pb
from dataplane.storefront import domain
from dataplane.storefront.pages import Pages, Visit
from dataplane.storefront.refusals import WRONG, said, status_of
from shared.runtime.errors import InvalidArgument, NotFound, PlatformError, Unauthenticated
from shared.runtime.rpc.in_process import InProcess

_PAGE = 20
_LEAST, _MOST = 8, 200
# Of the shop's own people.
_LEAST_OF_STAFF, _MOST_OF_STAFF = 10, 128
_EMAIL = "Write your e-mail address."
_WORDS = {
    # The same, whether or not there is such a customer.
    "LOGIN_FAILED": "This e-mail and this password do not belong together.",
    "RESET_INVALID": "This link is too old, or was used already. Ask for another one.",
    "EMAIL_TAKEN": "There is an account with this e-mail already. Sign in, or ask for a new password.",
    "INVITATION_NOT_FOUND": "This invitation was used already, or is over. Ask for another one.",
    "TENANT_HAS_NO_DOMAIN": "This shop sends no links yet.",
}
_TOO_MANY = {"TOO_MANY_ATTEMPTS": "e-mail", "TOO_MANY_TRIES": "invitation"}
_DONE = {
    "password": "Your new password is set. Sign in with it.",
    "sent": "If there is an account with this e-mail, a link is on its way to it. It holds for an hour.",
    "joined": "You are one of the people who run this shop now. Sign in with your e-mail and this password.",
}
_FORMS = ("sign-in", "register", "forgot", "password", "invitation")


class Accounts:
    """shoppers: called as a shopper, or as the customer who is signed in. staff: for who accepts an invitation."""

    def __init__(
        self, *, pages: Pages, shoppers: InProcess, staff: InProcess, carts: InProcess, checkouts: InProcess
    ) -> None:
        self._pages = pages
        self._shoppers = shoppers
        self._staff = staff
        self._carts = carts
        self._checkouts = checkouts

    async def page(self, visit: Visit, page: str) -> httpbody_pb2.HttpBody:
        if visit.session is None:
            return await self._pages.lead(visit, "/account/sign-in")
        me: pb.Customer = (await self._shoppers(pb.GetMeRequest(), visit.context, visit.session)).customer
        listed = await self._listed(visit, page)
        return await self._pages.show(
            visit,
            "account.html",
            me=me,
            orders=listed.orders,
            following=listed.next_page_token,
            is_first=not page,
        )

    async def form(self, visit: Visit, name: str, token: str, done: str) -> httpbody_pb2.HttpBody:
        if name not in _FORMS or (name == "invitation" and not token and not done):
            raise NotFound("PAGE_NOT_FOUND", f"there is nothing at /account/{name}")
        if name == "password" and not token:
            return await self._pages.lead(visit, "/account/forgot")
        if visit.session is not None and name in ("sign-in", "register"):
            return await self._pages.lead(visit, "/account")
        return await self._show(visit, name, form={"token": token}, done=_DONE.get(done, ""))

    async def submitted(self, visit: Visit, action: str, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        take = _ACTIONS.get(action)
        if take is None:
            raise NotFound("PAGE_NOT_FOUND", f"no form is taken at /account/{action}")
        try:
            return await take(self, visit, form)
        except (*WRONG, Unauthenticated) as refusal:
            if action not in _FORMS:
                raise
            return await self._refused(visit, action, form, refusal)

    async def _sign_in(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        errors = _lacking(form)
        if not form.get("password"):
            errors["password"] = "Write your password."
        if errors:
            return await self._show(visit, "sign-in", 422, errors, form)
        return await self._signed_in(visit, form, await self._session(visit, form))

    async def _register(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        name = form.get("name", "").strip()
        errors = _lacking(form) | _password(form)
        if len(name) > _MOST:
            errors["name"] = "This is too long."
        if errors:
            return await self._show(visit, "register", 422, errors, form)
        request = pb.RegisterCustomerRequest(
            email=form["email"].strip(),
            password=form["password"],
            name=name,
            request_id=domain.effect_id(form, "register"),
        )
        made: pb.RegisterCustomerResponse = await self._shoppers(request, visit.context)
        # The session is told once; who sends the form again has the password, too.
        session = made.session if made.session.token else await self._session(visit, form)
        return await self._signed_in(visit, form, session)

    async def _forgot(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        if errors := _lacking(form):
            return await self._show(visit, "forgot", 422, errors, form)
        request = pb.RequestPasswordResetRequest(
            email=form["email"].strip(), request_id=domain.effect_id(form, "forgot")
        )
        await self._shoppers(request, visit.context)
        return await self._pages.lead(visit, "/account/forgot?done=sent")

    async def _set_password(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        if errors := _password(form):
            return await self._show(visit, "password", 422, errors, form)
        request = pb.ResetPasswordRequest(
            token=form.get("token", ""), password=form["password"], request_id=domain.effect_id(form, "password")
        )
        await self._shoppers(request, visit.context)
        if visit.session is not None:
            # Every session ends with the password that it was begun with; another customer's is not shown as theirs.
            visit.sign_out()
        return await self._pages.lead(visit, "/account/sign-in?done=password")

    async def _join(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        if errors := _password(form, _LEAST_OF_STAFF, _MOST_OF_STAFF):
            return await self._show(visit, "invitation", 422, errors, form)
        request = staff_pb.AcceptInvitationRequest(
            secret=form.get("token", ""), password=form["password"], request_id=domain.effect_id(form, "invitation")
        )
        # The session that comes with the answer is for programs: no page of a shop is for its own people.
        await self._staff(request, visit.context)
        return await self._pages.lead(visit, "/account/invitation?done=joined")

    async def _sign_out(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        if visit.session is not None:
            request = pb.LogOutRequest(
                everywhere=form.get("everywhere") == "yes", request_id=domain.effect_id(form, "sign-out")
            )
            await self._shoppers(request, visit.context, visit.session)
        visit.sign_out()
        return await self._pages.lead(visit, "/")

    async def _session(self, visit: Visit, form: dict[str, str]) -> pb.Session:
        """Unauthenticated LOGIN_FAILED; ResourceExhausted TOO_MANY_ATTEMPTS."""
        request = pb.LogInRequest(email=form["email"].strip(), password=form["password"])
        session: pb.Session = (await self._shoppers(request, visit.context)).session
        return session

    async def _signed_in(self, visit: Visit, form: dict[str, str], session: pb.Session) -> httpbody_pb2.HttpBody:
        self._pages.sign_in(visit, session)
        if visit.cart_id:
            # Such as one that is being paid for: it stays as it is, and in this browser.
            with suppress(*WRONG):
                await self._take_along(visit, form)
        return await self._pages.lead(visit, "/account")

    async def _take_along(self, visit: Visit, form: dict[str, str]) -> None:
        """The browser's cart becomes the customer's, under an id that nobody knew before they signed in."""
        wanted = carts_pb.GetCartRequest(id=visit.cart_id)
        cart: carts_pb.Cart = (await self._carts(wanted, visit.context, visit.session)).cart
        if cart.order_id or cart.customer_id == visit.customer_id:
            return
        if cart.customer_id:
            visit.keep("")
            return
        # What is held for the one would be missing from the other.
        abandon = checkouts_pb.AbandonCheckoutRequest(cart_id=cart.id, request_id=domain.effect_id(form, "abandon"))
        await self._checkouts(abandon, visit.context)
        new = carts_pb.CreateCartRequest(
            currency_code=cart.currency_code, request_id=domain.effect_id({**form, "cart": cart.id}, "cart")
        )
        theirs: carts_pb.Cart = (await self._carts(new, visit.context, visit.session)).cart
        merge = carts_pb.MergeCartsRequest(
            from_cart_id=cart.id, into_cart_id=theirs.id, request_id=domain.effect_id(form, "merge")
        )
        await self._carts(merge, visit.context, visit.session)
        visit.keep(theirs.id)

    async def _listed(self, visit: Visit, page: str) -> Any:
        try:
            request = pb.ListMyOrdersRequest(page_size=_PAGE, page_token=page)
            return await self._shoppers(request, visit.context, visit.session)
        except InvalidArgument as refusal:
            if not page or refusal.reason != "PAGE_TOKEN_INVALID":
                raise
            return await self._listed(visit, "")

    async def _refused(
        self, visit: Visit, name: str, form: dict[str, str], refusal: PlatformError
    ) -> httpbody_pb2.HttpBody:
        fields = "email", "name", "password"
        errors: dict[str, str] = {field: "This is not right." for field in fields if field in refusal.violations}
        if refusal.reason in _TOO_MANY:
            wait = domain.wait(refusal.retry_after_s or 0)
            errors["form"] = (
                f"There were too many tries with this {_TOO_MANY[refusal.reason]}. Please try again in {wait}."
            )
        elif not errors:
            errors["form"] = _WORDS.get(refusal.reason) or said(refusal)
        # 401 would ask for a header that no form sends.
        status = 422 if refusal.code == "UNAUTHENTICATED" else status_of(refusal)
        return await self._show(visit, name, status, errors, form, retry_after_s=refusal.retry_after_s)

    async def _show(
        self,
        visit: Visit,
        name: str,
        status: int = 200,
        errors: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
        **more: Any,
    ) -> httpbody_pb2.HttpBody:
        least, most = (_LEAST_OF_STAFF, _MOST_OF_STAFF) if name == "invitation" else (_LEAST, _MOST)
        words = {"errors": errors or {}, "form": form or {}, "done": "", "least": least, "most": most, **more}
        return await self._pages.show(visit, f"{name}.html", status, **words)


_ACTIONS = {
    "sign-in": Accounts._sign_in,
    "register": Accounts._register,
    "forgot": Accounts._forgot,
    "password": Accounts._set_password,
    "invitation": Accounts._join,
    "sign-out": Accounts._sign_out,
}


def _lacking(form: dict[str, str]) -> dict[str, str]:
    email = form.get("email", "").strip()
    if not email:
        return {"email": _EMAIL}
    return {"email": "This is too long."} if len(email) > 254 else {}


def _password(form: dict[str, str], least: int = _LEAST, most: int = _MOST) -> dict[str, str]:
    """Of a new one."""
    given = len(form.get("password", ""))
    return {} if least <= given <= most else {"password": f"Choose one of {least} to {most} characters."}
