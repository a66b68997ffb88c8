"""Every method with every caller, and with malformed and boundary input."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from center.dataplane.v1 import product_service_pb2 as pb
from center.shared.v1 import rules_pb2
from dataplane.app import (
    BACKOFFICE_DESCRIPTION,
    CARTS,
    CHECKOUTS,
    COMMANDS,
    CUSTOMERS,
    DESCRIPTION,
    MEDIA,
    NOTIFICATIONS,
    PRODUCTS,
    SELLING,
    SHOPPERS,
)
from dataplane.customers.domain import Customer
from dataplane.customers.sessions import Sessions
from shared.runtime.clock import SystemClock
from shared.runtime.ids import uuid7
from shared.runtime.rpc import rules
from shared.runtime.rpc.status import received
from tests.dataplane.cluster import Running, bearer, create, entry, of, product

SERVICES = (
    PRODUCTS, CARTS, CHECKOUTS, SELLING, SHOPPERS, CUSTOMERS, MEDIA, NOTIFICATIONS, DESCRIPTION, BACKOFFICE_DESCRIPTION,
    COMMANDS,
)  # fmt: skip
METHODS = [method for service in SERVICES for method in service.methods]
CALLERS = {
    "operator": rules_pb2.CALLER_OPERATOR,
    "control": rules_pb2.CALLER_CONTROL,
    "edge": rules_pb2.CALLER_EDGE,
    "envoy": rules_pb2.CALLER_SHOPPER,
    "customer": rules_pb2.CALLER_CUSTOMER,
    "merchant": rules_pb2.CALLER_MERCHANT,
    "cluster/eu-1": rules_pb2.CALLER_CLUSTER,
    "cluster/us-1": rules_pb2.CALLER_CLUSTER,
}
# What an honest server says of bad input; INTERNAL and UNKNOWN are faults of ours.
TYPED = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "UNAVAILABLE",
    "PERMISSION_DENIED",
}


async def send(
    running: Running, method: MethodDescriptor, identity: str, requests: list[bytes], metadata: Any
) -> tuple[str, str]:
    """The status and the reason that the method answers with."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    channel = running.channel("envoy" if identity in ("merchant", "customer") else identity)
    kind = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
    call = getattr(channel, kind)(path, request_serializer=None, response_deserializer=None)

    async def stream() -> AsyncIterator[bytes]:
        for request in requests:
            yield request

    given_ = stream() if method.client_streaming else requests[0]
    try:
        answer = call(given_, metadata=metadata, timeout=20)
        if method.server_streaming:
            async for _ in answer:
                pass
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code().name, received(error).reason
    return "OK", ""


@pytest.mark.parametrize("identity", CALLERS)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
async def test_only_those_whom_the_contract_names_may_call(
    eu: Running, tenant: str, method: MethodDescriptor, identity: str
) -> None:
    metadata = of(tenant, *_credentials(eu, tenant, identity))
    empty = message_factory.GetMessageClass(method.input_type)().SerializeToString()
    _, reason = await send(eu, method, identity, [empty], metadata)
    roles = {CALLERS[identity]}
    if identity == "customer":
        roles.add(rules_pb2.CALLER_SHOPPER)
    assert (reason != "CALLER_NOT_ALLOWED") is bool(roles & rules.of(method).callers)


def _credentials(eu: Running, tenant: str, identity: str) -> list[tuple[str, str]]:
    if identity == "customer":
        now = datetime.now(UTC)
        session, _ = Sessions(eu.home, SystemClock()).issue(tenant, Customer(uuid7(), now, now))
        return [("authorization", f"Bearer {session}")]
    return [bearer(eu.home, tenant)] if identity == "merchant" else []


@pytest.mark.parametrize("method", [*PRODUCTS.methods, *MEDIA.methods, *NOTIFICATIONS.methods], ids=lambda m: m.name)
@pytest.mark.parametrize("tenant_id", [None, "", "acme", "*", "00000000-0000-0000-0000-00000000000g", "A" * 36])
async def test_a_method_of_a_tenant_needs_one(eu: Running, method: MethodDescriptor, tenant_id: str | None) -> None:
    empty = message_factory.GetMessageClass(method.input_type)().SerializeToString()
    metadata = () if tenant_id is None else of(tenant_id)
    assert await send(eu, method, "operator", [empty], metadata) == ("INVALID_ARGUMENT", "TENANT_REQUIRED")


async def test_a_caller_without_a_certificate_gets_no_answer(eu: Running, tenant: str) -> None:
    async with grpc.aio.insecure_channel(eu.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/center.dataplane.v1.ProductService/ListProducts")(b"", metadata=of(tenant))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_each_service_tells_its_health(eu: Running) -> None:
    stub = health_pb2_grpc.HealthStub(eu.channel("envoy"))
    for service in ("", PRODUCTS.full_name, MEDIA.full_name, COMMANDS.full_name):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "\0",
            "a\0b",
            "'",
            '"; DROP TABLE products; --',
            "%s %(x)s :name {0}",
            "\\",
            "🏮" * 300,
            "x" * 5000,
            "status = ACTIVE",
            "handle = '",
            "create_time < 9999-99-99",
            "create_time desc",
            "EUR",
            "*",
            "variants",
            uuid7(),
            "00000000-0000-0000-0000-000000000000",
            uuid7().upper(),
        ]
    ),
    st.text(max_size=40),
)
NUMBERS = st.one_of(st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)]), st.integers(-5, 1005))


def messages(cls: type[Message], depth: int = 0) -> st.SearchStrategy[Message]:
    """Any message of the type, odd values first."""
    fields = {}
    for field in cls.DESCRIPTOR.fields:
        if field.message_type is not None and (depth > 3 or field.message_type.GetOptions().map_entry):
            continue
        value = values(field, depth)
        fields[field.name] = st.one_of(st.none(), st.lists(value, max_size=3) if field.is_repeated else value)

    def build(given_: dict[str, Any]) -> Message:
        message = cls()
        for name, value in given_.items():
            if value is not None:
                # A value that does not fit the field is no message at all.
                with contextlib.suppress(ValueError, TypeError):
                    message.MergeFrom(cls(**{name: value}))
        return message

    return st.fixed_dictionaries(fields).map(build)


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(message_factory.GetMessageClass(field.message_type), depth + 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXTS
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=200)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    return NUMBERS


# The shared services' methods get odd requests with all others in tests/e2e/own/test_input.py, on rows that they know.
@pytest.mark.parametrize("method", [*PRODUCTS.methods, *COMMANDS.methods], ids=lambda m: m.name)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_bad_input_gets_typed_errors_and_the_process_lives(
    eu: Running, method: MethodDescriptor, data: st.DataObject
) -> None:
    cls = message_factory.GetMessageClass(method.input_type)
    drawn = data.draw(st.lists(messages(cls), min_size=1, max_size=3))
    about_known = data.draw(st.booleans())
    spoil = data.draw(st.sampled_from(["", "", "", "", "cut", "grown"]))
    known = entry()
    await eu.apply(known)
    [there] = await create(eu, known.id, product())
    for message in drawn if about_known else ():
        for name, value in (("tenant_id", known.id), ("id", there.id)):
            if name in cls.DESCRIPTOR.fields_by_name:
                setattr(message, name, value)
        if isinstance(message, pb.UpdateProductRequest):
            message.product.id = there.id
    requests = [message.SerializeToString() for message in drawn]
    if spoil:
        requests[0] = requests[0][:-1] if spoil == "cut" else requests[0] + b"\xff"
    identity = "control" if method.containing_service is COMMANDS else "operator"
    code, reason = await send(eu, method, identity, requests, of(known.id))
    assert code in TYPED and reason not in ("DATABASE_FAILURE", "TRANSPORT"), f"{code}/{reason}"
    assert (code == "OK") == (reason == "")
    health = health_pb2_grpc.HealthStub(eu.channel("operator"))
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
