"""Domains: whose a name is, and what proves it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.control.v1 import domain_service_pb2 as pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as tenants_pb
from center.shared.v1 import audit_service_pb2 as audit_pb
from control.domains import domain
from control.domains.dns import ZoneFile
from shared.runtime.errors import InvalidArgument, Unavailable
from tests.control.plane import Plane
from tests.support.grpc import refuses


class Records:
    """TXT records as a test sets them."""

    def __init__(self) -> None:
        self.texts_of: dict[str, list[str]] = {}
        self.is_down = False

    async def texts(self, name: str) -> list[str]:
        if self.is_down:
            raise Unavailable("DNS_UNAVAILABLE", "no answer")
        return self.texts_of.get(name, [])


@pytest.fixture(scope="module")
async def records() -> Records:
    return Records()


@pytest.fixture(scope="module")
async def names(start_plane: Any, records: Records) -> AsyncIterator[Plane]:
    async with start_plane(resolver=records) as plane:
        yield plane


async def new(plane: Plane, code: str) -> tenant_pb2.Tenant:
    return (await plane.create(code, draft=True)).tenant


async def add(plane: Plane, tenant_id: str, name: str, verified_reason: str = "") -> pb.Domain:
    request = pb.AddDomainRequest(tenant_id=tenant_id, name=name, verified_reason=verified_reason)
    return (await plane.domains.AddDomain(request)).domain


async def verify(plane: Plane, tenant_id: str, name: str) -> pb.Domain:
    return (await plane.domains.VerifyDomain(pb.VerifyDomainRequest(tenant_id=tenant_id, name=name))).domain


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Shop.Example.", "shop.example"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
        ("faß.example", "xn--fa-hia.example"),  # UTS 46 without the transitional rules
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("rj.gov.br", "rj.gov.br"),
    ],
)
def test_a_name_has_one_spelling(text: str, name: str) -> None:
    assert domain.normalize(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "127.0.0.1",
        "a..b",
        "-a.example",
        "a-.example",
        "a_b.example",
        "x" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "shop.example:8080",
        "xn--a.example",
        "shop.example/x",
        "*.example.com",
        "a b.example",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="DOMAIN_INVALID"):
        domain.normalize(text)


@given(st.one_of(st.text(max_size=80), st.text(alphabet="ab.-_xn:[]\u3002ßüÀ\u200d０Ⅷ", max_size=30)))  # noqa: RUF001
def test_any_text_is_one_name_or_refused(text: str) -> None:
    try:
        name = domain.normalize(text)
    except InvalidArgument:
        return
    assert domain.normalize(name) == name


async def test_a_claim_is_proven_by_its_record(names: Plane, records: Records) -> None:
    tenant = await new(names, "prover")
    claim = await add(names, tenant.id, "Proven.Example.")
    assert claim.state == pb.DOMAIN_STATE_PENDING
    assert claim.proof.record == "_center-challenge.proven.example"
    assert claim.proof.value.startswith("center-verify=")
    assert "proven.example" not in (await names.get(tenant.id)).domains, "only verified names are served"
    async with refuses("FAILED_PRECONDITION", "DOMAIN_PROOF_MISSING") as refusal:
        await verify(names, tenant.id, "proven.example")
    assert refusal.metadata == {"record": claim.proof.record, "expected": claim.proof.value}
    records.texts_of[claim.proof.record] = ["v=spf1 -all", "center-verify=somebody-else"]
    async with refuses("FAILED_PRECONDITION", "DOMAIN_PROOF_MISSING"):
        await verify(names, tenant.id, "proven.example")
    records.texts_of[claim.proof.record].append(claim.proof.value)
    verified = await verify(names, tenant.id, "proven.example")
    assert verified.state == pb.DOMAIN_STATE_VERIFIED and not verified.HasField("proof")
    answer = await names.tenants.ResolveTenant(
        tenants_pb.ResolveTenantRequest(domain="proven.example", min_revision=verified.revision)
    )
    assert answer.tenant_id == tenant.id
    assert (await verify(names, tenant.id, "proven.example")).revision >= verified.revision, "once more is no error"


async def test_a_pending_claim_keeps_nobody_from_proving_the_name(names: Plane, records: Records) -> None:
    squatter, owner = await new(names, "squatter"), await new(names, "owner")
    await add(names, squatter.id, "wanted.example")
    claim = await add(names, owner.id, "wanted.example")
    records.texts_of[claim.proof.record] = [claim.proof.value]
    await verify(names, owner.id, "wanted.example")
    async with refuses("NOT_FOUND", "DOMAIN_NOT_FOUND"):
        await names.domains.GetDomain(pb.GetDomainRequest(tenant_id=squatter.id, name="wanted.example"))
    async with refuses("ALREADY_EXISTS", "DOMAIN_TAKEN"):
        await add(names, squatter.id, "wanted.example")
    entries = audit_pb.ListEntriesRequest(filter=f'tenant_id = "{squatter.id}" AND resource_id = "wanted.example"')
    listed = (await names.audit.ListEntries(entries)).entries
    assert [entry.reason for entry in listed] == ["another tenant has proven the domain", ""]


async def test_of_many_who_prove_a_name_at_once_one_gets_it(names: Plane, records: Records) -> None:
    for turn in range(5):
        name = f"race-{turn}.example"
        racers = [await new(names, f"racer-{turn}-{n}") for n in range(6)]
        claims = [await add(names, racer.id, name) for racer in racers]
        records.texts_of[claims[0].proof.record] = [claim.proof.value for claim in claims]

        async def run(tenant_id: str, name: str = name) -> str:
            try:
                return (await verify(names, tenant_id, name)).tenant_id
            except grpc.aio.AioRpcError as error:
                # Too late for the claim, or for the record already.
                assert error.code() in (grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND), error
                return ""

        winners = [winner for winner in await asyncio.gather(*(run(racer.id) for racer in racers)) if winner]
        assert len(winners) == 1
        listed = await names.domains.ListDomains(pb.ListDomainsRequest(filter=f'name = "{name}"'))
        assert [(each.tenant_id, each.state) for each in listed.domains] == [(winners[0], pb.DOMAIN_STATE_VERIFIED)]


async def test_public_suffixes_need_an_operator_s_word(names: Plane) -> None:
    tenant = await new(names, "rio")
    for name in ("co.uk", "rj.gov.br", "example"):
        async with refuses("INVALID_ARGUMENT"):
            await add(names, tenant.id, name)
    assert (await add(names, tenant.id, "shop.github.io")).state == pb.DOMAIN_STATE_PENDING, "only ICANN's section"
    vouched = await add(names, tenant.id, "rj.gov.br", "the state's own site")
    assert vouched.state == pb.DOMAIN_STATE_VERIFIED and vouched.verified_reason == "the state's own site"


async def test_names_of_the_platform_s_zone_are_one_level_below_it_and_not_its_own(names: Plane) -> None:
    tenant = await new(names, "zoned")
    free = await add(names, tenant.id, "second.center.localhost")
    assert (free.kind, free.state) == (pb.DOMAIN_KIND_PLATFORM, pb.DOMAIN_STATE_VERIFIED)
    for name in ("center.localhost", "a.b.center.localhost", "api.center.localhost", "www.center.localhost"):
        async with refuses("INVALID_ARGUMENT", "DOMAIN_INVALID"):
            await add(names, tenant.id, name, "operators cannot give them away either")
    async with refuses("ALREADY_EXISTS", "DOMAIN_TAKEN"):
        await add(names, (await new(names, "other-zoned")).id, "zoned.center.localhost")
    async with refuses("ALREADY_EXISTS", "DOMAIN_CLAIMED"):
        await add(names, tenant.id, "second.center.localhost")
    async with refuses("INVALID_ARGUMENT", "DOMAIN_INVALID"):
        await new(names, "status")


async def test_the_primary_domain_is_verified_and_stays(names: Plane) -> None:
    tenant = await new(names, "primary")
    await add(names, tenant.id, "pending.example")
    vouched = await add(names, tenant.id, "main.example", "known")
    async with refuses("FAILED_PRECONDITION", "DOMAIN_NOT_VERIFIED"):
        await names.domains.SetPrimaryDomain(pb.SetPrimaryDomainRequest(tenant_id=tenant.id, name="pending.example"))
    stale_choice = pb.SetPrimaryDomainRequest(tenant_id=tenant.id, name="main.example", etag="7")
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await names.domains.SetPrimaryDomain(stale_choice)
    chosen = pb.SetPrimaryDomainRequest(tenant_id=tenant.id, name="MAIN.example", etag=vouched.etag)
    assert (await names.domains.SetPrimaryDomain(chosen)).domain.primary
    remove = pb.RemoveDomainRequest(tenant_id=tenant.id, name="main.example", reason="gone")
    async with refuses("FAILED_PRECONDITION", "DOMAIN_IS_PRIMARY"):
        await names.domains.RemoveDomain(remove)
    back = pb.SetPrimaryDomainRequest(tenant_id=tenant.id, name="primary.center.localhost")
    await names.domains.SetPrimaryDomain(back)
    stale = pb.RemoveDomainRequest(tenant_id=tenant.id, name="main.example", reason="gone", etag="7")
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await names.domains.RemoveDomain(stale)
    revision = (await names.domains.RemoveDomain(remove)).revision
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await names.tenants.ResolveTenant(tenants_pb.ResolveTenantRequest(domain="main.example", min_revision=revision))
    again = await add(names, (await new(names, "heir")).id, "main.example", "sold")
    assert vouched.revision < again.revision


async def test_a_domain_s_number_is_never_used_again(names: Plane) -> None:
    tenant = await new(names, "numbers")
    numbers = []
    async with names.watch("numbers") as watch:
        for _ in range(2):
            added = await add(names, tenant.id, "n.example", "known")
            await watch.reach(added.revision)
            numbers += [each.number for each in watch.tenants[tenant.id].domains if each.name == "n.example"]
            await names.domains.RemoveDomain(pb.RemoveDomainRequest(tenant_id=tenant.id, name="n.example", reason="x"))
    assert 0 < numbers[0] < numbers[1]


async def test_a_resolver_that_is_down_says_so(names: Plane, records: Records) -> None:
    tenant = await new(names, "unlucky")
    await add(names, tenant.id, "unlucky.example")
    records.is_down = True
    async with refuses("UNAVAILABLE", "DNS_UNAVAILABLE"):
        await verify(names, tenant.id, "unlucky.example")
    records.is_down = False


async def test_claims_are_listed_in_pages_by_name(names: Plane) -> None:
    tenant = await new(names, "lister")
    for number in range(5):
        await add(names, tenant.id, f"l{number}.example")
    found: list[str] = []
    request = pb.ListDomainsRequest(page_size=2, filter=f"tenant_id = {tenant.id} AND state = PENDING")
    while True:
        page = await names.domains.ListDomains(request)
        found += [each.name for each in page.domains]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == [f"l{number}.example" for number in range(5)]
    request.filter = "state = VERIFIED"
    async with refuses("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await names.domains.ListDomains(request)


async def test_a_zone_file_answers_as_the_dns_would(tmp_path: Path) -> None:
    path = tmp_path / "zone"
    resolver = ZoneFile(path)
    assert await resolver.texts("_center-challenge.shop.example") == []
    path.write_text(
        '_center-challenge.shop.example. 60 IN TXT "center-verify=" "abc"\nother.example. 60 IN A 10.0.0.1\n'
    )
    assert await resolver.texts("_center-challenge.SHOP.example") == ["center-verify=abc"]
    assert await resolver.texts("other.example") == []
    path.write_text("this is no zone file\n")
    with pytest.raises(Unavailable, match="DNS_UNAVAILABLE"):
        await resolver.texts("shop.example")
