"""center users: people who registered with solutions."""

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import user_service_pb2 as pb
from shared.cli.call import UUID, Call, Limit, Reason, Wait, card, filtered_by, operator, text, word

app = typer.Typer(help="People who registered with solutions.", no_args_is_help=True)

USERS = pb.DESCRIPTOR.services_by_name["UserService"]

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="A user's id or e-mail.")]


def facts(user: pb.User) -> Table:
    return card(
        [
            ("id", user.id),
            ("state", word(pb.UserState, user.state)),
            ("e-mail", user.email),
            ("proven", user.verify_time if user.HasField("verify_time") else "not yet" if user.email else ""),
            ("created", user.create_time),
            ("updated", user.update_time),
            ("erased", user.erase_time),
            ("etag", user.etag),
        ]
    )


async def _id(call: Call, reference: str) -> str:
    if UUID.fullmatch(reference):
        return reference
    return str((await call.look_up(USERS, "FindUser", pb.FindUserRequest(email=reference))).user.id)


@operator(app, "list")
async def list_(
    call: Call,
    filter: Annotated[str, filtered_by("state = ACTIVE AND verified = false")] = "",
    limit: Limit = 100,
) -> None:
    """List users, newest first; their e-mail is shown one by one."""
    await call.table(
        call.pages(USERS, "ListUsers", pb.ListUsersRequest(filter=filter), "users", limit),
        "users",
        [
            ("USER", lambda u: u.id),
            ("STATE", lambda u: word(pb.UserState, u.state)),
            ("PROVEN", lambda u: u.verify_time),
            ("CREATED", lambda u: u.create_time),
            ("ERASED", lambda u: u.erase_time),
        ],
    )


@operator(app)
async def show(call: Call, user: UserArgument) -> None:
    """Show one user."""
    answer = await call(USERS, "GetUser", pb.GetUserRequest(id=await _id(call, user)))
    call.show(answer.user, lambda: facts(answer.user))


@operator(app)
async def export(call: Call, user: UserArgument) -> None:
    """Show everything that is known of a user; --json is what the user gets."""
    answer = await call(USERS, "ExportUser", pb.ExportUserRequest(id=await _id(call, user)))
    call.show(answer, lambda: _exported(answer))


def _exported(answer: pb.ExportUserResponse) -> Group:
    rest = card(
        [
            ("asked for", answer.wanted_email),
            *(
                (f"entitled to {each.solution_id}", f"{each.tier}, {word(access_pb.EntitlementStatus, each.status)}")
                for each in answer.entitlements
            ),
            *((f"token {each.kid}", word(access_pb.TokenState, each.state)) for each in answer.tokens),
            *((f"registered {text(each.create_time)}", each.solution_id) for each in answer.registrations),
            ("mails", len(answer.mails)),
            ("rows of usage", len(answer.usage)),
            ("decisions", answer.decision_count),
            ("audit entries", answer.audit_entry_count),
        ]
    )
    return Group(facts(answer.user), rest)


@operator(app, "change-email")
async def change_email(
    call: Call, user: UserArgument, email: Annotated[str, typer.Argument(metavar="E-MAIL")], reason: Reason
) -> None:
    """Send a link to another e-mail; the user has it once the link is used."""
    request = pb.ChangeUserEmailRequest(id=await _id(call, user), email=email, reason=reason)
    answer = await call(USERS, "ChangeUserEmail", request)
    call.show(answer.user, lambda: "a link is on its way; until it is used nothing changes")


@operator(app)
async def erase(call: Call, user: UserArgument, reason: Reason, wait: Wait = False) -> None:
    """Erase a user for good."""
    answer = await call(USERS, "EraseUser", pb.EraseUserRequest(id=await _id(call, user), reason=reason))
    if not wait:
        call.show(answer, lambda: f"{answer.operation.name} erases the user")
        return
    receipt = pb.ErasureReceipt()
    (await call.follow(answer.operation)).response.Unpack(receipt)
    call.show(receipt, lambda: card([("erased", receipt.erase_time), *((s.store, s.action) for s in receipt.stores)]))


@operator(app, "rotate-keys")
async def rotate_keys(call: Call, reason: Reason, wait: Wait = False) -> None:
    """Add a key-encryption key, and wrap every user's key with it."""
    answer = await call(USERS, "RotateUserKeys", pb.RotateUserKeysRequest(reason=reason))
    if not wait:
        call.show(answer, lambda: f"{answer.operation.name} wraps the keys of users anew")
        return
    receipt = pb.KeyRotationReceipt()
    (await call.follow(answer.operation)).response.Unpack(receipt)
    call.show(receipt, lambda: f"kek-{receipt.kek}.key wraps the keys of {receipt.rewrapped_users} users now")


@operator(app, "retire-keys")
async def retire_keys(call: Call, reason: Reason) -> None:
    """Destroy key-encryption keys that wrap nothing any more, and with them what backups hold of erased users."""
    answer = await call(USERS, "RetireUserKeys", pb.RetireUserKeysRequest(reason=reason))
    call.show(
        answer, lambda: f"destroyed: {', '.join(f'kek-{n}.key' for n in answer.keks) or 'none, there is one key'}"
    )
