"""StaffService on a real server and PostgreSQL, and what each role and credential lets in, whatever is called."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from sqlalchemy import text

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import staff_service_pb2 as pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.staff_service_pb2_grpc import StaffServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from center.shared.v1 import rules_pb2
from dataplane import app
from dataplane.staff import domain
from dataplane.staff.credentials import API_KEY, INVITATION, KEY, MEMBER, SESSION, Credentials, Known
from dataplane.staff.domain import Role
from dataplane.staff.tries import Tries
from shared.runtime import journal, keys, passwords
from shared.runtime.backoffice import Verifier
from shared.runtime.clock import SystemClock
from shared.runtime.errors import ResourceExhausted, Unauthenticated
from shared.runtime.ids import uuid7
from shared.runtime.rpc import rules
from tests.dataplane.cluster import Running, bearer, digest, entry, move_rows, of, product
from tests.dataplane.test_contract import send
from tests.support.grpc import refuses
from tests.support.platform import until

READ_ONLY, STAFF, MANAGER, OWNER = (
    rules_pb2.STAFF_ROLE_READ_ONLY,
    rules_pb2.STAFF_ROLE_STAFF,
    rules_pb2.STAFF_ROLE_MANAGER,
    rules_pb2.STAFF_ROLE_OWNER,
)
PASSWORD = "a brass lamp burns"
numbers = itertools.count(1)


def authorized(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


@dataclass
class Shop:
    """A tenant, as an operator sees it; `at` is as somebody with a credential does, through Envoy."""

    running: Running
    id: str

    def call(self, name: str, token: str = "", *, is_outside: bool = False, **request: Any) -> Any:
        stub = StaffServiceStub(self.running.channel("envoy" if token or is_outside else "operator"))
        metadata = of(self.id, *([authorized(token)] if token else []))
        return getattr(stub, name)(getattr(pb, f"{name}Request")(**request), metadata=metadata)

    async def invited(self, role: Any = STAFF, email: str = "") -> pb.InviteMemberResponse:
        answer: pb.InviteMemberResponse = await self.call(
            "InviteMember", email=email or f"p{next(numbers)}@mail.example", role=role
        )
        return answer

    async def joined(self, role: Any = STAFF, email: str = "") -> pb.AcceptInvitationResponse:
        secret = (await self.invited(role, email)).secret
        answer: pb.AcceptInvitationResponse = await self.call(
            "AcceptInvitation", is_outside=True, secret=secret, password=PASSWORD
        )
        return answer

    async def key(self, role: Any = STAFF, **more: Any) -> pb.CreateApiKeyResponse:
        answer: pb.CreateApiKeyResponse = await self.call("CreateApiKey", display_name="sync", role=role, **more)
        return answer

    async def lists(self, token: str, tenant_id: str = "") -> int:
        """Lists the shop's carts, as only its own people may: what a credential is good for."""
        products = ProductServiceStub(self.running.channel("envoy"))
        listed = await products.ListProducts(
            products_pb.ListProductsRequest(), metadata=of(tenant_id or self.id, authorized(token))
        )
        return len(listed.products)


@pytest.fixture
async def shop(eu: Running, tenant: str) -> Shop:
    return Shop(eu, tenant)


async def test_whoever_is_invited_becomes_a_member_and_signs_in(shop: Shop) -> None:
    invited = await shop.invited(MANAGER, "Ada@Mail.example")
    assert (invited.member.role, invited.member.state) == (MANAGER, pb.MEMBER_STATE_INVITED)
    assert invited.secret.startswith("si_") and invited.member.HasField("invitation_expire_time")
    accepted = await shop.call("AcceptInvitation", is_outside=True, secret=invited.secret, password=PASSWORD)
    assert accepted.member.id == invited.member.id
    assert accepted.member.state == pb.MEMBER_STATE_ACTIVE
    assert await shop.lists(accepted.token) == 0

    signed_in = await shop.call("SignIn", is_outside=True, email=" ada@mail.EXAMPLE ", password=PASSWORD)
    lasts = signed_in.expire_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < lasts <= timedelta(hours=12)
    [listed] = (await shop.call("ListMembers", signed_in.token)).members
    got = (await shop.call("GetMember", signed_in.token, id=accepted.member.id)).member
    assert listed == got and got.email == "ada@mail.example" and got.role == MANAGER
