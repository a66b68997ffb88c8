"""What a shop sells, at which price and from which stock, and how it is bought and paid for."""

from dataclasses import dataclass
from functools import partial

from dataplane.carts import messages as cart_messages
from dataplane.carts.service import CartService
from dataplane.checkout.selling import SellingService
from dataplane.checkout.service import CheckoutService
from dataplane.inventory import sweeper as stock_sweeper
from dataplane.inventory.service import InventoryService
from dataplane.inventory.watch import Watches
from dataplane.merchandising.navigation import NavigationService
from dataplane.merchandising.service import MerchandisingService
from dataplane.orders import messages as order_messages
from dataplane.orders import worker as orders_worker
from dataplane.orders.import_service import OrderImportService
from dataplane.orders.ops import Following
from dataplane.orders.service import OrderService
from dataplane.parts.ground import Ground, Part
from dataplane.prices.service import PriceListService
from dataplane.products.memory import Memory, Revisions
from dataplane.products.service import ProductService
from dataplane.promotions.service import PromotionService
from shared.payments import stripe_api
from shared.payments import worker as payments_worker
from shared.payments.ops import Payments
from shared.payments.service import PaymentService
from shared.payments.stripe_api import Stripe
from shared.runtime.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Selling(Part):
    products: ProductService
    carts: CartService
    checkouts: CheckoutService
    orders: OrderService
    order_vault: Vault


def wire_selling(ground: Ground) -> Selling:
    home, clock, tokens, features = ground.config.home, ground.clock, ground.tokens, ground.features
    reads, steward = ground.db, ground.steward
    writes = ground.writes()

    # Everybody's reading of products waits for the one statement of the revisions, and that for nobody's sweep.
    memory = Memory(Revisions(ground.database("center_steward", 1)))
    products = ProductService(db=writes, reads=reads, memory=memory, tokens=tokens, clock=clock, features=features)
    prices = PriceListService(db=writes, reads=reads, tokens=tokens, clock=clock)
    promotions = PromotionService(db=writes, reads=reads, tokens=tokens, clock=clock)
    merchandising = MerchandisingService(db=writes, reads=reads, clock=clock)
    navigation = NavigationService(reads=reads, tokens=tokens)

    watches = Watches(reads, ground.draining)
    stock = ground.writes(watches.wake)
    inventory = InventoryService(
        db=stock, reads=reads, tokens=tokens, clock=clock, watches=watches, admit=ground.tenants.admit_watch
    )
    expiry = stock_sweeper.Sweeper(db=stock, steward=steward, clock=clock, caller=ground.name)

    cart_vault, order_vault = Vault(home, cart_messages.RING), Vault(home, order_messages.RING)
    carts = CartService(db=writes, reads=reads, tokens=tokens, clock=clock, vault=cart_vault)

    stripe = Stripe()
    ground.stack.push_async_callback(stripe.close)
    followed = Following(clock)
    payments = followed.payments = Payments(
        db=stock,
        reads=reads,
        clock=clock,
        vault=Vault(home, "payments"),
        providers={stripe_api.NAME: stripe},
        followed=followed,
    )
    checkouts = CheckoutService(
        db=stock, reads=reads, clock=clock, payments=payments, carts=cart_vault, orders=order_vault
    )
    selling = SellingService(db=writes, reads=reads, clock=clock)
    orders = OrderService(db=stock, reads=reads, tokens=tokens, clock=clock, vault=order_vault, payments=payments)
    unpaid = orders_worker.Sweeper(db=stock, steward=steward, clock=clock, caller=ground.name, payments=payments)
    past = OrderImportService(db=writes, reads=reads, clock=clock, features=features)
    paying = PaymentService(payments=payments, tokens=tokens)

    offered = [products, prices, promotions, merchandising, navigation, inventory]
    bought = [carts, checkouts, selling, paying, orders, past]
    return Selling(
        products=products,
        carts=carts,
        checkouts=checkouts,
        orders=orders,
        order_vault=order_vault,
        services=ground.admitted(*offered, *bought),
        workers=[expiry.run, unpaid.run, partial(payments_worker.run, payments, steward, ground.name)],
    )
