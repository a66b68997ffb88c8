"""The cluster's audit: how it is read, sealed and checked, and what it has of calls that were refused."""

from dataclasses import dataclass
from functools import partial

from dataplane import tables
from dataplane.parts.ground import Ground, Part
from dataplane.tenants import denied
from shared.audit import schema
from shared.audit.anchors import Anchors
from shared.audit.checking import Checker
from shared.audit.denials import Denials
from shared.audit.sealer import Sealer
from shared.audit.service import AuditService, Entries, TenantAuditService
from shared.audit.signing import Signer
from shared.runtime.db import app_url, database_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(Part):
    sealer: Sealer
    denials: Denials


def wire_audit(ground: Ground) -> Audit:
    config, identity, tenants = ground.config, ground.identity, ground.tenants
    anchors = Anchors(config.home, database_name(config.database_url))
    sealer = Sealer(
        app_url(config.database_url, config.home, schema.ROLE),
        tables.audit,
        name=f"cluster {config.cluster_id}",
        key=ground.audit_key,
        signer=Signer(identity),
        ca_pem=identity.ca_pem,
        anchors=anchors,
    )
    checker = Checker(
        ground.database(schema.ROLE, 2), tables.audit, anchors, ca_pem=identity.ca_pem, key=ground.audit_key
    )
    denials = Denials(
        partial(denied.write, ground.db, ground.writes(), tenants), lambda tenant_id: tenants.get(tenant_id) is not None
    )
    entries = Entries(ground.db, tables.audit, ground.tokens)
    return Audit(
        sealer=sealer,
        denials=denials,
        services=ground.admitted(
            AuditService(entries, tables.audit, checker), TenantAuditService(entries, tables.audit)
        ),
        workers=[sealer.run, denials.run],
    )
