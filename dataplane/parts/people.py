"""Who has an account at a shop: its customers, and its own people."""

from dataclasses import dataclass

from dataplane.customers.backoffice import CustomerService
from dataplane.customers.ops import Customers
from dataplane.customers.service import ShopperService
from dataplane.customers.sessions import Sessions
from dataplane.parts.ground import Ground, Part
from dataplane.parts.notifications import Notifications
from dataplane.staff.admission import Admission
from dataplane.staff.credentials import Credentials, Known
from dataplane.staff.service import StaffService
from dataplane.staff.uses import Uses
from dataplane.tenants.origins import Origins
from shared.runtime import keys
from shared.runtime.backoffice import Verifier
from shared.runtime.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class People(Part):
    """known, admission: who a merchant's call is from, and whether it may be made."""

    shoppers: ShopperService
    sessions: Sessions
    staff: StaffService
    known: Known
    admission: Admission


def wire_people(ground: Ground, notifications: Notifications) -> People:
    config, clock, tokens = ground.config, ground.clock, ground.tokens
    writes, mailing = ground.writes(), ground.writes(notifications.sending.wake)
    origin = Origins(ground.steward, config.public_url).of

    customers, sessions = Customers(config.home, clock), Sessions(config.home, clock)
    shoppers = ShopperService(
        db=mailing,
        reads=ground.db,
        tokens=tokens,
        customers=customers,
        sessions=sessions,
        vault=notifications.vault,
        origin=origin,
    )

    credentials = Credentials(keys.load(config.home, "staff"))
    staff = StaffService(
        db=mailing,
        reads=ground.db,
        tokens=tokens,
        clock=clock,
        vault=Vault(config.home, "staff"),
        credentials=credentials,
        mails=notifications.vault,
        origin=origin,
    )
    uses = Uses(writes, ground.name)
    admission = Admission(
        # Of its own: whatever else is done across tenants, a call waits for none of it.
        steward=ground.database("center_steward", 4),
        tenants=ground.tenants,
        credentials=credentials,
        uses=uses,
        clock=clock,
    )
    return People(
        shoppers=shoppers,
        sessions=sessions,
        staff=staff,
        known=Known(credentials, Verifier(config.home, clock), clock),
        admission=admission,
        services=ground.admitted(
            shoppers, CustomerService(db=writes, reads=ground.db, tokens=tokens, customers=customers), staff
        ),
        workers=[uses.run],
    )
