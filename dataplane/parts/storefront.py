"""A shop's pages, which call the cluster's other services as a shopper's own calls would."""

from dataclasses import replace

from center.shared.v1.rules_pb2 import CALLER_MERCHANT, CALLER_SHOPPER
from dataplane.parts.ground import Ground, Part
from dataplane.parts.people import People
from dataplane.parts.selling import Selling
from dataplane.storefront.accounts import Accounts
from dataplane.storefront.buying import Buying
from dataplane.storefront.pages import Names, Pages
from dataplane.storefront.refusals import with_pages
from dataplane.storefront.service import StorefrontService
from dataplane.storefront.settings_service import StorefrontSettingsService
from shared.audit.denials import Denials
from shared.media.signing import Signer
from shared.runtime import keys
from shared.runtime.rpc.in_process import InProcess


def wire_storefront(ground: Ground, selling: Selling, people: People, denials: Denials) -> Part:
    pages = Pages(
        reads=ground.db,
        names=Names(ground.steward, ground.tenants),
        closed=ground.tenants.refusal_to_write,
        signer=Signer(keys.load(ground.config.home, "media")),
        clock=ground.clock,
        sessions=people.sessions,
        is_secure=ground.config.public_url.startswith("https:"),
    )
    carts = InProcess(selling.carts, CALLER_SHOPPER)
    checkouts = InProcess(selling.checkouts, CALLER_SHOPPER)
    storefront = StorefrontService(
        pages=pages,
        products=InProcess(selling.products, CALLER_SHOPPER),
        carts=carts,
        buying=Buying(
            pages=pages,
            carts=carts,
            checkouts=checkouts,
            # Shoppers have no method that shows an order: a page does, to who knows the cart that it was.
            orders=InProcess(selling.orders, CALLER_MERCHANT),
        ),
        accounts=Accounts(
            pages=pages,
            # A wrong password is counted wherever it is typed in.
            shoppers=InProcess(people.shoppers, CALLER_SHOPPER, denials.note),
            # Whoever accepts an invitation is nobody's customer by it.
            staff=InProcess(people.staff, CALLER_SHOPPER, denials.note),
            carts=carts,
            checkouts=checkouts,
        ),
    )
    settings = StorefrontSettingsService(db=ground.writes(), reads=ground.db, clock=ground.clock)
    shown, set_up = ground.admitted(storefront, settings)
    # Outside the admission: to a shopper, its refusals are pages, too.
    return Part(services=[replace(shown, servicer=with_pages(shown.servicer, shown.descriptor, pages)), set_up])
