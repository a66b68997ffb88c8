"""center staff and center api-keys: who runs a shop, and what its programs call with."""

from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group
from rich.table import Table

from center.dataplane.v1 import staff_service_pb2 as pb
from center.shared.v1 import rules_pb2
from shared.cli.call import UUID, Call, Limit, TenantArgument, card, filtered_by, number, operator, seconds, word
from shared.runtime.errors import NotFound
from shared.runtime.ids import uuid7

app = typer.Typer(help="The people who run a shop.", no_args_is_help=True)
api_keys = typer.Typer(help="What a shop's programs call with.", no_args_is_help=True)

STAFF = pb.DESCRIPTOR.services_by_name["StaffService"]

MemberArgument = Annotated[str, typer.Argument(metavar="MEMBER", help="A member's id or e-mail.")]
RoleArgument = Annotated[str, typer.Argument(metavar="ROLE", help="owner, manager, staff or read-only.")]


@operator(app, "list")
async def list_(
    call: Call, tenant: TenantArgument, filter: Annotated[str, filtered_by("role = OWNER")] = "", limit: Limit = 100
) -> None:
    """List a shop's people, newest first."""
    await call.table(
        call.pages(STAFF, "ListMembers", pb.ListMembersRequest(filter=filter), "members", limit, tenant=tenant),
        "members",
        [
            ("E-MAIL", lambda m: m.email),
            ("ROLE", lambda m: word(rules_pb2.StaffRole, m.role)),
            ("STATE", lambda m: word(pb.MemberState, m.state)),
            ("INVITED UNTIL", lambda m: m.invitation_expire_time),
            ("CREATED", lambda m: m.create_time),
            ("ID", lambda m: m.id),
        ],
    )


@operator(app)
async def invite(
    call: Call, tenant: TenantArgument, email: Annotated[str, typer.Argument(help="Whom.")], role: RoleArgument
) -> None:
    """Invite somebody, by mail where the shop has a domain. The secret that they accept with is shown this once."""
    request = pb.InviteMemberRequest(email=email, role=number(rules_pb2.StaffRole, role), request_id=uuid7())
    answer = await call.in_shop(tenant, STAFF, "InviteMember", request)
    call.show(
        answer, lambda: Group(_facts(answer.member), card([("secret", answer.secret), ("mailed", answer.is_mailed)]))
    )


@operator(app)
async def role(call: Call, tenant: TenantArgument, member: MemberArgument, role: RoleArgument) -> None:
    """Give somebody another role."""
    request = pb.ChangeRoleRequest(
        id=await _id(call, tenant, member), role=number(rules_pb2.StaffRole, role), request_id=uuid7()
    )
    answer = await call.in_shop(tenant, STAFF, "ChangeRole", request)
    call.show(answer.member, lambda: _facts(answer.member))


@operator(app)
async def remove(call: Call, tenant: TenantArgument, member: MemberArgument) -> None:
    """Forget somebody, or an invitation; what they are signed in with ends."""
    request = pb.RemoveMemberRequest(id=await _id(call, tenant, member), request_id=uuid7())
    await call.in_shop(tenant, STAFF, "RemoveMember", request)
    call.show(pb.Member(id=request.id), lambda: f"{member} is removed")


@operator(api_keys, "list")
async def list_keys(
    call: Call, tenant: TenantArgument, filter: Annotated[str, filtered_by("role = OWNER")] = "", limit: Limit = 100
) -> None:
    """List a shop's API keys, newest first, with those that have ended."""
    await call.table(
        call.pages(STAFF, "ListApiKeys", pb.ListApiKeysRequest(filter=filter), "api_keys", limit, tenant=tenant),
        "api_keys",
        [
            ("NAME", lambda k: k.display_name),
            ("ROLE", lambda k: word(rules_pb2.StaffRole, k.role)),
            ("STATE", lambda k: word(pb.ApiKeyState, k.state)),
            ("LAST USED", lambda k: k.last_use_time),
            ("ENDS", lambda k: k.expire_time),
            ("CREATED", lambda k: k.create_time),
            ("ID", lambda k: k.id),
        ],
    )


@operator(api_keys)
async def create(
    call: Call,
    tenant: TenantArgument,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: RoleArgument,
    expires: Annotated[str, typer.Option(help="After how long, such as 90d; never without one.")] = "",
) -> None:
    """Make an API key. It is shown this once."""
    request = pb.CreateApiKeyRequest(
        display_name=name, role=number(rules_pb2.StaffRole, role), request_id=uuid7(), expire_time=_from_now(expires)
    )
    answer = await call.in_shop(tenant, STAFF, "CreateApiKey", request)
    call.show(answer, lambda: Group(_key_facts(answer.api_key), card([("key", answer.key)])))


@operator(api_keys)
async def revoke(
    call: Call, tenant: TenantArgument, key: Annotated[str, typer.Argument(metavar="KEY", help="A key's id.")]
) -> None:
    """End an API key, for good."""
    request = pb.RevokeApiKeyRequest(id=key, request_id=uuid7())
    answer = await call.in_shop(tenant, STAFF, "RevokeApiKey", request)
    call.show(answer.api_key, lambda: _key_facts(answer.api_key))


async def _id(call: Call, tenant: str, reference: str) -> str:
    if UUID.fullmatch(reference):
        return reference
    found = await call.in_shop(tenant, STAFF, "ListMembers", pb.ListMembersRequest(email=reference))
    for member in found.members:
        return str(member.id)
    raise NotFound("MEMBER_NOT_FOUND", f"{tenant} has no member {reference}", email=reference)


def _from_now(after: str) -> Timestamp | None:
    if not after:
        return None
    made = Timestamp()
    made.GetCurrentTime()
    made.FromMilliseconds(made.ToMilliseconds() + round(seconds(after) * 1000))
    return made


def _facts(member: pb.Member) -> Table:
    return card(
        [
            ("id", member.id),
            ("role", word(rules_pb2.StaffRole, member.role)),
            ("state", word(pb.MemberState, member.state)),
            ("invited until", member.invitation_expire_time),
            ("etag", member.etag),
        ]
    )


def _key_facts(key: pb.ApiKey) -> Table:
    return card(
        [
            ("id", key.id),
            ("name", key.display_name),
            ("role", word(rules_pb2.StaffRole, key.role)),
            ("state", word(pb.ApiKeyState, key.state)),
            ("ends", key.expire_time),
            ("revoked", key.revoke_time),
            ("etag", key.etag),
        ]
    )
