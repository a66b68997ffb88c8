"""AccessService: what a token may do, who has one, and what was decided."""

from center.control.v1 import access_service_pb2_grpc as pb_grpc
from center_sdk.decider import Decider
from control.access.deciding import Deciding
from control.access.logbook import Logbook
from control.catalog.abreast import Abreast
from control.catalog.memory import Catalog
from control.entitlements.ops import Issuer
from control.entitlements.service import Granting
from control.quotas.ops import Quotas
from control.users.crypto import Proofs, Vault
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.paging import PageTokens


# Some answers are bytes that were serialised before.
class AccessService(Granting, Deciding, Logbook, pb_grpc.AccessServiceServicer):  # type: ignore[misc]
    def __init__(
        self,
        db: Database,
        clock: Clock,
        page_tokens: PageTokens,
        issuer: Issuer,
        vault: Vault,
        proofs: Proofs,
        catalog: Catalog,
        decider: Decider,
        quotas: Quotas,
        abreast: Abreast,
    ) -> None:
        Granting.__init__(self, db, clock, page_tokens, issuer, vault, proofs)
        Deciding.__init__(self, catalog, decider, quotas)
        self.committed = abreast
