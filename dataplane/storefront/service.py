"""StorefrontService: a shop's pages. What they show and change goes through the services that programs call."""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc
from google.api import httpbody_pb2

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import storefront_service_pb2 as pb
from center.dataplane.v1 import storefront_service_pb2_grpc as pb_grpc
from dataplane.carts.domain import MOST_OF_A_LINE
from dataplane.merchandising.domain import MOST_CATEGORIES
from dataplane.storefront import assets, domain
from dataplane.storefront.accounts import Accounts
from dataplane.storefront.buying import Buying
from dataplane.storefront.domain import Availability, Place, Standing
from dataplane.storefront.pages import HEADERS, Pages, Visit
from dataplane.storefront.refusals import WRONG, said, status_of
from shared.runtime.errors import InvalidArgument, NotFound, PlatformError
from shared.runtime.rpc.in_process import InProcess

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

PAGE = 24
CATEGORIES_PAGE = 100
_HANDLE = re.compile(r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?")
# A cart that cannot be filled any more, or that nobody knows: the shopper gets another one.
_USED_UP = {"CART_NOT_FOUND", "CART_COMPLETED"}
_FOREVER = "public, max-age=31536000, immutable"


class StorefrontService(pb_grpc.StorefrontServiceServicer):
    """products, carts: their services, called as a shopper; carts as a customer, too. buying: the pages that come
    after the cart. accounts: those of customers."""

    def __init__(
        self, *, pages: Pages, products: InProcess, carts: InProcess, buying: Buying, accounts: Accounts
    ) -> None:
        self._pages = pages
        self._products = products
        self._carts = carts
        self._buying = buying
        self._accounts = accounts

    async def GetHomePage(self, request: pb.GetHomePageRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit, query = await self._pages.begin(context), request.q.strip()
        wanted: Any = products_pb.SearchProductsRequest(query=query) if query else products_pb.ListProductsRequest()
        return await self._show_list(visit, wanted, request.page, path="/", query_text=query)

    async def GetCategoriesPage(self, request: pb.GetCategoriesPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        # Any other text is an old link, or a made-up one, and leads to the beginning.
        number = domain.count(request.page, 1, MOST_CATEGORIES) or 1
        found = await self._pages.categories(visit, (number - 1) * CATEGORIES_PAGE, CATEGORIES_PAGE + 1)
        return await self._pages.show(
            visit,
            "categories.html",
            ways=found[:CATEGORIES_PAGE],
            is_first=number == 1,
            following=number + 1 if len(found) > CATEGORIES_PAGE else 0,
            path="/categories",
        )

    async def GetCategoryPage(self, request: pb.GetCategoryPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        place = await self._pages.category(visit, request.handle)
        wanted = products_pb.SearchProductsRequest(category_id=place.id)
        return await self._show_list(visit, wanted, request.page, path=f"/categories/{request.handle}", place=place)

    async def GetCollectionPage(self, request: pb.GetCollectionPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        place = await self._pages.collection(visit, request.handle)
        wanted = products_pb.SearchProductsRequest(collection_id=place.id)
        return await self._show_list(visit, wanted, request.page, path=f"/collections/{request.handle}", place=place)

    async def GetProductPage(self, request: pb.GetProductPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        return await self._show_product(visit, await self._product(request.handle, context))

    async def GetCartPage(self, request: pb.GetCartPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        return await self._show_cart(await self._pages.begin(context))

    async def SubmitCart(self, request: pb.SubmitCartRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        visit.check_origin()
        take = _ACTIONS.get(request.action)
        if take is None:
            raise NotFound("PAGE_NOT_FOUND", f"no form is taken at /cart/{request.action}")
        form = domain.fields(request.form.content_type, request.form.data)
        return await take(self, visit, form)

    async def GetCheckoutPage(self, request: pb.GetCheckoutPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        return await self._buying.page(await self._pages.begin(context), request.step)

    async def SubmitCheckout(self, request: pb.SubmitCheckoutRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        visit.check_origin()
        form = domain.fields(request.form.content_type, request.form.data)
        return await self._buying.submitted(visit, request.action, form)

    async def GetAccountPage(self, request: pb.GetAccountPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        return await self._accounts.page(await self._pages.begin(context), request.page)

    async def GetAccountForm(self, request: pb.GetAccountFormRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        return await self._accounts.form(visit, request.name, request.token, request.done)

    async def SubmitAccount(self, request: pb.SubmitAccountRequest, context: Context) -> httpbody_pb2.HttpBody:
        visit = await self._pages.begin(context)
        visit.check_origin()
        form = domain.fields(request.form.content_type, request.form.data)
        return await self._accounts.submitted(visit, request.action, form)

    async def GetOrderPage(self, request: pb.GetOrderPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        return await self._buying.order(await self._pages.begin(context), request.id, request.key)

    async def GetAsset(self, request: pb.GetAssetRequest, context: Context) -> httpbody_pb2.HttpBody:
        found = assets.find(request.name)
        if found is None:
            raise NotFound("ASSET_NOT_FOUND", "there is no such file", name=request.name)
        asset, is_current = found
        # A page of another version of this program asks for what it was made with.
        await context.send_initial_metadata([*HEADERS, ("cache-control", _FOREVER if is_current else "no-cache")])
        return httpbody_pb2.HttpBody(content_type=asset.content_type, data=asset.data)

    async def _show_list(
        self, visit: Visit, wanted: Any, page: str, *, path: str, place: Place | None = None, query_text: str = ""
    ) -> httpbody_pb2.HttpBody:
        """wanted: the question of ProductService that finds what the list shows. path: of the list."""
        found = await self._listed(visit, wanted, page)
        available = await self._pages.availability(visit, found.products)
        return await self._pages.show(
            visit,
            "list.html",
            products=found.products,
            sold_out={product.id for product in found.products if _is_sold_out(product, available)},
            following=found.next_page_token,
            is_first=not page,
            path=path,
            place=place,
            query_text=query_text,
        )

    async def _listed(self, visit: Visit, wanted: Any, page: str) -> Any:
        wanted.page_size, wanted.page_token = PAGE, page
        try:
            return await self._products(wanted, visit.context)
        except InvalidArgument as refusal:
            if not page or refusal.reason != "PAGE_TOKEN_INVALID":
                raise
            # An old link into the middle of a list leads to its beginning.
            return await self._listed(visit, wanted, "")

    async def _product(self, handle: str, context: Context) -> products_pb.Product:
        """NotFound PRODUCT_NOT_FOUND."""
        if not _HANDLE.fullmatch(handle):
            raise NotFound("PRODUCT_NOT_FOUND", "no such product is on sale here", handle=handle)
        request = products_pb.GetProductByHandleRequest(handle=handle)
        product: products_pb.Product = (await self._products(request, context)).product
        return product

    async def _show_product(
        self, visit: Visit, product: products_pb.Product, errors: dict[str, str] | None = None, **more: Any
    ) -> httpbody_pb2.HttpBody:
        available = await self._pages.availability(visit, [product])
        about = {"product": product, "available": available, "is_sold_out": _is_sold_out(product, available)}
        return await self._pages.show(
            visit, "product.html", **{**about, "errors": errors or {}, "most": MOST_OF_A_LINE, "form": {}, **more}
        )

    async def _show_cart(
        self, visit: Visit, errors: dict[str, str] | None = None, **more: Any
    ) -> httpbody_pb2.HttpBody:
        cart = await self._cart(visit)
        return await self._pages.show(
            visit,
            "cart.html",
            **{"cart": cart, "errors": errors or {}, "most": MOST_OF_A_LINE, "form": {}, **more},
        )

    async def _cart(self, visit: Visit) -> carts_pb.Cart | None:
        """The visitor's cart, also one that became an order: its payment may not be done."""
        if not visit.cart_id:
            return None
        try:
            request = carts_pb.GetCartRequest(id=visit.cart_id)
            cart: carts_pb.Cart = (await self._carts(request, visit.context, visit.session)).cart
        except NotFound:
            visit.keep("")
            return None
        return cart

    async def _add(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        product = await self._product(form.get("product", ""), visit.context)
        variant = next((each for each in product.variants if each.id == form.get("variant", "")), None)
        quantity = domain.count(form.get("quantity", "1"), 1, MOST_OF_A_LINE)
        errors = {} if quantity else {"quantity": _QUANTITY}
        if variant is None:
            errors["variant"] = "Choose one of these."
        if quantity is None or variant is None:
            return await self._show_product(visit, product, errors, status=422, form=form)
        if errors := _lacking((await self._pages.availability(visit, [product]))[variant.id], quantity):
            return await self._show_product(visit, product, errors, status=409, form=form)
        line = carts_pb.AddLineRequest(variant_id=variant.id, quantity=quantity)
        try:
            await self._put(visit, line, variant.price.currency_code, form)
        except WRONG as refusal:
            errors = {"form": said(refusal)}
            return await self._show_product(visit, product, errors, status=status_of(refusal), form=form)
        return await self._pages.lead(visit, "/cart")

    async def _put(self, visit: Visit, line: carts_pb.AddLineRequest, currency: str, form: dict[str, str]) -> None:
        """Into the visitor's cart, or into a new one where that is used up."""
        line.request_id = domain.effect_id(form, "line")
        if visit.cart_id:
            line.cart_id = visit.cart_id
            try:
                await self._carts(line, visit.context, visit.session)
                return
            except PlatformError as refusal:
                if refusal.reason not in _USED_UP:
                    raise
        new = carts_pb.CreateCartRequest(currency_code=currency, request_id=domain.effect_id(form, "cart"))
        visit.keep((await self._carts(new, visit.context, visit.session)).cart.id)
        line.cart_id = visit.cart_id
        await self._carts(line, visit.context, visit.session)

    async def _set(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        line_id = form.get("line", "")
        quantity = domain.count(form.get("quantity", ""), 0, MOST_OF_A_LINE)
        if quantity is None:
            return await self._show_cart(visit, {line_id: _QUANTITY}, status=422, form=form)
        request = carts_pb.SetQuantityRequest(line_id=line_id, quantity=quantity)
        return await self._changed(visit, form, request, line_id)

    async def _remove(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        return await self._changed(visit, form, carts_pb.RemoveLineRequest(line_id=form.get("line", "")), "form")

    async def _apply_code(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        code = form.get("code", "").strip()
        if not code:
            return await self._show_cart(visit, {"code": "Write a code first."}, status=422, form=form)
        return await self._changed(visit, form, carts_pb.ApplyCodeRequest(code=code), "code")

    async def _remove_code(self, visit: Visit, form: dict[str, str]) -> httpbody_pb2.HttpBody:
        return await self._changed(visit, form, carts_pb.RemoveCodeRequest(code=form.get("code", "")), "code")

    async def _changed(self, visit: Visit, form: dict[str, str], request: Any, part: str) -> httpbody_pb2.HttpBody:
        """part: of the page, which says what is wrong with it."""
        request.cart_id, request.request_id = visit.cart_id, domain.effect_id(form, "change")
        try:
            if visit.cart_id:
                await self._carts(request, visit.context, visit.session)
        except WRONG as refusal:
            # What is gone already is as it was wanted, and a cart that is used up is shown as it is.
            if refusal.reason not in {"LINE_NOT_FOUND", "CODE_NOT_FOUND", *_USED_UP}:
                return await self._show_cart(visit, {part: said(refusal)}, status=status_of(refusal), form=form)
        return await self._pages.lead(visit, "/cart")


def _is_sold_out(product: products_pb.Product, available: Mapping[str, Availability]) -> bool:
    """Whether there is nothing of it to be had, in any variant."""
    return all(available[variant.id].standing is Standing.SOLD_OUT for variant in product.variants)


def _lacking(available: Availability, quantity: int) -> dict[str, str]:
    """What keeps so many of a variant out of a cart; the checkout asks again, and holds them."""
    if available.standing is Standing.SOLD_OUT:
        return {"form": "This is sold out, and cannot be bought now."}
    return {"quantity": f"Only {available.most:,} can be bought now."} if quantity > available.most else {}


_QUANTITY = f"Write a whole number, at most {MOST_OF_A_LINE:,}."
_ACTIONS = {
    "add": StorefrontService._add,
    "set": StorefrontService._set,
    "remove": StorefrontService._remove,
    "apply-code": StorefrontService._apply_code,
    "remove-code": StorefrontService._remove_code,
}
