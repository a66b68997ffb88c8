"""Every RPC of every server, tried by everyone: the contract's callers get in, and nobody else does."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.discovery.v3 import ads_pb2
from google.longrunning import operations_proto_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from center.control.v1 import (
    access_service_pb2,
    catalog_service_pb2,
    cluster_service_pb2,
    domain_service_pb2,
    operations_service_pb2,
    page_service_pb2,
    plan_service_pb2,
    solution_service_pb2,
    tenant_service_pb2,
    user_service_pb2,
    validator_service_pb2,
)
from center.dataplane.v1 import (
    backoffice_description_service_pb2,
    cart_service_pb2,
    checkout_service_pb2,
    customer_service_pb2,
    description_service_pb2,
    inventory_service_pb2,
    merchandising_service_pb2,
    navigation_service_pb2,
    order_import_service_pb2,
    order_service_pb2,
    price_list_service_pb2,
    product_service_pb2,
    promotion_service_pb2,
    staff_service_pb2,
    storefront_service_pb2,
    storefront_settings_service_pb2,
    tenant_runtime_service_pb2,
)
from center.edge.v1 import edge_service_pb2
from center.flagd.sync.v1 import sync_pb2
from center.shared.v1 import (
    audit_service_pb2,
    media_service_pb2,
    notification_service_pb2,
    payment_service_pb2,
    rules_pb2,
    tenant_audit_service_pb2,
    webhook_service_pb2,
)
from shared.runtime.rpc import rules
from tests.support.grpc import Refusal, refusal_of, told
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


def _services(*files: Any) -> list[ServiceDescriptor]:
    return [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]


STANDARD = _services(health_pb2, reflection_pb2)
SERVED = {
    "control": [
        *_services(
            tenant_service_pb2,
            domain_service_pb2,
            cluster_service_pb2,
            catalog_service_pb2,
            plan_service_pb2,
            sync_pb2,
            solution_service_pb2,
            access_service_pb2,
            validator_service_pb2,
            operations_service_pb2,
            user_service_pb2,
            page_service_pb2,
            audit_service_pb2,
            operations_proto_pb2,
        ),
        *STANDARD,
    ],
    "eu-1": [
        *_services(
            product_service_pb2,
            merchandising_service_pb2,
            navigation_service_pb2,
            inventory_service_pb2,
            cart_service_pb2,
            description_service_pb2,
            backoffice_description_service_pb2,
            order_import_service_pb2,
            customer_service_pb2,
            checkout_service_pb2,
            order_service_pb2,
            price_list_service_pb2,
            promotion_service_pb2,
            staff_service_pb2,
            storefront_service_pb2,
            storefront_settings_service_pb2,
            media_service_pb2,
            notification_service_pb2,
            tenant_runtime_service_pb2,
            payment_service_pb2,
            webhook_service_pb2,
        ),
        *_services(audit_service_pb2, tenant_audit_service_pb2),
        *STANDARD,
    ],
    "edge": [*_services(edge_service_pb2, ads_pb2, external_auth_pb2), *STANDARD],
}
METHODS = [
    (server, method) for server, services in SERVED.items() for service in services for method in service.methods
]


@dataclass(frozen=True)
class Who:
    """A certificate and, through Envoy, a token; `roles` are what the contract may call them."""

    certificate: str
    roles: frozenset[int]
    has_token: bool = False


ANYONE = {
    "operator": Who("operator", frozenset({rules_pb2.CALLER_OPERATOR})),
    "control": Who("control", frozenset({rules_pb2.CALLER_CONTROL})),
    "edge": Who("edge", frozenset({rules_pb2.CALLER_EDGE})),
    "cluster": Who("cluster/eu-1", frozenset({rules_pb2.CALLER_CLUSTER})),
    "solution": Who("solution/search", frozenset({rules_pb2.CALLER_SOLUTION})),
    "shopper": Who("envoy", frozenset({rules_pb2.CALLER_SHOPPER, rules_pb2.CALLER_ENVOY})),
    "merchant": Who("envoy", frozenset({rules_pb2.CALLER_MERCHANT, rules_pb2.CALLER_ENVOY}), has_token=True),
    "other-ca": Who("other", frozenset()),
    "no-certificate": Who("none", frozenset()),
}


@pytest.fixture(scope="module")
async def shop(platform: Platform) -> tuple[str, str]:
    """A tenant of eu-1 and its merchant's token."""
    tenant = await platform.create("identities", region_id="eu")
    return tenant.id, await platform.token(tenant.id)


@pytest.mark.parametrize("who", ANYONE)
@pytest.mark.parametrize(
    ("server", "method"), METHODS, ids=[f"{server}-{m.containing_service.name}-{m.name}" for server, m in METHODS]
)
async def test_a_method_takes_exactly_the_callers_of_its_contract(
    platform: Platform, shop: tuple[str, str], server: str, method: MethodDescriptor, who: str
) -> None:
    caller = ANYONE[who]
    tenant_id, token = shop
    # As of a page of the shop's own: forms of others are refused for that.
    form = [("x-center-host", "shop.example"), ("origin", "http://shop.example")]
    metadata = [("x-tenant-id", tenant_id), *form, *([("authorization", token)] if caller.has_token else [])]
    channel = platform.channel(server, caller.certificate)
    # A watch that is allowed may stay silent; a refusal is worth waiting for.
    patience_s = 0.5 if caller.roles & rules.of(method).callers else 9.0
    refusal = await told(lambda: _tried(channel, method, metadata, patience_s))
    if not caller.roles:
        # The handshake refuses before any method is named.
        assert refusal.code is grpc.StatusCode.UNAVAILABLE, refusal
        assert not refusal.reason, refusal
    elif caller.has_token and rules_pb2.CALLER_SOLUTION in rules.of(method).callers:
        # What a solution may call takes a token for a solution's key, and a merchant's is none.
        assert refusal.code is grpc.StatusCode.UNAUTHENTICATED, refusal
    elif caller.roles & rules.of(method).callers:
        assert refusal.code not in (
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.UNIMPLEMENTED,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.INTERNAL,
        ), refusal
    else:
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED, refusal
        assert refusal.reason == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize("server", SERVED)
async def test_no_service_is_left_out_of_the_test_above(platform: Platform, server: str) -> None:
    reflect = platform.channel(server).stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    call = reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = [service.name async for answer in call for service in answer.list_services_response.service]
    assert sorted(listed) == sorted(service.full_name for service in SERVED[server])


async def _tried(
    channel: grpc.aio.Channel, method: MethodDescriptor, metadata: list[tuple[str, str]], patience_s: float
) -> Refusal:
    """The answer to an empty request; a stream that goes on after its first message counts as answered."""
    shape = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    path = f"/{method.containing_service.full_name}/{method.name}"
    answer_class = message_factory.GetMessageClass(method.output_type)
    request: Any = message_factory.GetMessageClass(method.input_type)()
    make = getattr(channel, shape)(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer_class.FromString,
    )
    call = make(iter([request]) if method.client_streaming else request, metadata=metadata, timeout=10)
    try:
        if method.server_streaming:
            async with asyncio.timeout(patience_s):
                await call.read()
        else:
            await call
    except TimeoutError:
        pass  # silent, and open: a watch
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    finally:
        call.cancel()
    return Refusal()
