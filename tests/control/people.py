"""Users as tests make them: they register, read their mail, and exchange their codes."""

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as solutions_pb
from center.control.v1 import user_service_pb2 as pb
from center.control.v1.user_service_pb2_grpc import UserServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from tests.control.plane import Plane, until

TARGET = "https://search.example/done"


@dataclass
class Moved:
    """The system's time and something more."""

    by: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


def an_email(name: str = "ann") -> str:
    return f"{name}.{uuid.uuid4().hex[:10]}@example.com"


@dataclass
class People:
    """A control plane, as users and solutions see it."""

    plane: Plane
    clock: Moved = field(default_factory=Moved)

    @property
    def users(self) -> UserServiceStub:
        return UserServiceStub(self.plane.channel())

    async def solution(self, **changes: Any) -> str:
        solution_id = f"s-{uuid.uuid4().hex[:12]}"
        quota = {"limit": 10, "period": quota_pb2.QUOTA_PERIOD_DAY}
        given: dict[str, Any] = {
            "id": solution_id,
            "display_name": "Search & <Find>",
            "tiers": [{"id": "registered", "quotas": {"search": quota}}, {"id": "pro", "quotas": {"search": quota}}],
            "redirect_urls": [TARGET, "https://search.example/other"],
            **changes,
        }
        await self.plane.solutions.CreateSolution(
            solutions_pb.CreateSolutionRequest(solution=solutions_pb.Solution(**given))
        )
        return solution_id

    async def register(self, email: str, solution_id: str, **more: Any) -> pb.RegisterUserResponse:
        return await self.users.RegisterUser(pb.RegisterUserRequest(email=email, solution_id=solution_id, **more))

    async def exchange(self, code: str, solution_id: str, **more: Any) -> pb.ExchangeCodeResponse:
        return await self.users.ExchangeCode(pb.ExchangeCodeRequest(code=code, solution_id=solution_id, **more))

    async def token(self, email: str, solution_id: str) -> pb.ExchangeCodeResponse:
        """Of a user who is new."""
        return await self.exchange(code_in((await self.register(email, solution_id)).redirect_url), solution_id)

    async def verify(self, link: str, **more: Any) -> pb.VerifyEmailResponse:
        return await self.users.VerifyEmail(pb.VerifyEmailRequest(token=link, **more))

    async def find(self, email: str) -> pb.User:
        return (await self.users.FindUser(pb.FindUserRequest(email=email))).user

    async def get(self, user_id: str) -> pb.User:
        return (await self.users.GetUser(pb.GetUserRequest(id=user_id))).user

    async def mails(self, user_id: str) -> list[pb.Mail]:
        """Newest first."""
        return list((await self.users.ListMails(pb.ListMailsRequest(filter=f'user_id = "{user_id}"'))).mails)

    async def mail(self, user_id: str, number: int = 1) -> EmailMessage:
        """The mail that came as the `number`-th to the user."""

        async def arrived() -> list[pb.Mail]:
            found = await self.mails(user_id)
            is_there = len(found) >= number and found[-number].state == pb.MAIL_STATE_SENT
            return found if is_there else []

        found = await until(arrived)
        path = self.plane.config.home / "mail" / f"{found[-number].id}.eml"
        return message_from_bytes(path.read_bytes(), policy=policy.default)

    async def link(self, user_id: str, number: int = 1) -> str:
        return link_in(await self.mail(user_id, number))

    async def export(self, user_id: str) -> pb.ExportUserResponse:
        return await self.users.ExportUser(pb.ExportUserRequest(id=user_id))

    async def token_states(self, user_id: str) -> dict[str, int]:
        return {token.kid: token.state for token in (await self.export(user_id)).tokens}

    async def audited(self, resource_id: str) -> list[audit_pb.AuditEntry]:
        request = audit_pb.ListEntriesRequest(filter=f'resource_id = "{resource_id}"')
        return list((await self.plane.audit.ListEntries(request)).entries)


ACTIVE, REVOKED = access_pb.TOKEN_STATE_ACTIVE, access_pb.TOKEN_STATE_REVOKED


def code_in(url: str) -> str:
    [code] = parse_qs(urlsplit(url).query)["code"]
    return code


def link_in(message: EmailMessage) -> str:
    """What stands behind the # of the mail's link."""
    found = re.search(r"/verify#(\S+)", message.get_content())
    assert found, message
    return found[1]
