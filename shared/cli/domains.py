"""center domains: the names that shops answer at."""

from typing import Annotated

import typer
from rich.table import Table

from center.control.v1 import domain_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, TenantArgument, card, filtered_by, operator, word

app = typer.Typer(help="The names that shops answer at.", no_args_is_help=True)

DOMAINS = pb.DESCRIPTOR.services_by_name["DomainService"]

Name = Annotated[str, typer.Argument(metavar="DOMAIN")]


def facts(domain: pb.Domain) -> Table:
    return card(
        [
            ("name", domain.name),
            ("tenant", domain.tenant_id),
            ("kind", word(pb.DomainKind, domain.kind)),
            ("state", word(pb.DomainState, domain.state)),
            ("primary", "yes" if domain.primary else ""),
            ("to prove it, set TXT", domain.proof.record),
            ("to", domain.proof.value),
            ("verified because", domain.verified_reason),
            ("claimed", domain.create_time),
            ("verified", domain.verify_time),
            ("revision", domain.revision),
            ("etag", domain.etag),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call,
    tenant: Annotated[str, typer.Option(help="Of one tenant only: its code, id or domain.")] = "",
    filter: Annotated[str, filtered_by('state = "PENDING"')] = "",
    limit: Limit = 100_000,
) -> None:
    """List claims on domains, pending ones included."""
    if tenant:
        mine = f'tenant_id = "{await call.tenant_id(tenant)}"'
        filter = f"({filter}) AND {mine}" if filter else mine
    await call.table(
        call.pages(DOMAINS, "ListDomains", pb.ListDomainsRequest(filter=filter), "domains", limit),
        "domains",
        [
            ("DOMAIN", lambda d: d.name),
            ("STATE", lambda d: word(pb.DomainState, d.state)),
            ("KIND", lambda d: word(pb.DomainKind, d.kind)),
            ("PRIMARY", lambda d: "yes" if d.primary else ""),
            ("VERIFIED", lambda d: d.verify_time),
            ("TENANT", lambda d: d.tenant_id),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument, domain: Name) -> None:
    """Show one claim, and what proves it."""
    request = pb.GetDomainRequest(tenant_id=await call.tenant_id(tenant), name=domain)
    answer = await call(DOMAINS, "GetDomain", request)
    call.show(answer.domain, lambda: facts(answer.domain))


@operator(app)
async def add(
    call: Call,
    tenant: TenantArgument,
    domain: Name,
    verified_reason: Annotated[
        str, typer.Option(help="Your word that it is the tenant's own; no proof is asked.")
    ] = "",
) -> None:
    """Claim a domain for a tenant."""
    request = pb.AddDomainRequest(tenant_id=await call.tenant_id(tenant), name=domain, verified_reason=verified_reason)
    answer = await call(DOMAINS, "AddDomain", request)
    call.show(answer.domain, lambda: facts(answer.domain))


@operator(app)
async def verify(call: Call, tenant: TenantArgument, domain: Name) -> None:
    """Look the proof up and, when it is right, serve the domain."""
    request = pb.VerifyDomainRequest(tenant_id=await call.tenant_id(tenant), name=domain)
    answer = await call(DOMAINS, "VerifyDomain", request)
    call.show(answer.domain, lambda: facts(answer.domain))


@operator(app)
async def remove(call: Call, tenant: TenantArgument, domain: Name, reason: Reason) -> None:
    """Take a domain from a tenant."""
    request = pb.RemoveDomainRequest(tenant_id=await call.tenant_id(tenant), name=domain, reason=reason)
    answer = await call(DOMAINS, "RemoveDomain", request)
    call.show(answer, lambda: f"{domain} is no longer served from revision {answer.revision}")


@operator(app, "set-primary")
async def set_primary(call: Call, tenant: TenantArgument, domain: Name) -> None:
    """Make a verified domain the tenant's primary one."""
    request = pb.SetPrimaryDomainRequest(tenant_id=await call.tenant_id(tenant), name=domain)
    answer = await call(DOMAINS, "SetPrimaryDomain", request)
    call.show(answer.domain, lambda: facts(answer.domain))
