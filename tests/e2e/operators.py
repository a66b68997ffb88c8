"""Operators and merchants who change tenants through every failure, and write down what was acknowledged."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.longrunning import operations_proto_pb2

from center.control.v1 import domain_service_pb2, tenant_pb2, tenant_service_pb2
from center.dataplane.v1 import product_service_pb2, product_service_pb2_grpc
from shared.runtime import ids
from tests.support.grpc import refusal_of
from tests.support.platform import Platform, until

# What says nothing about whether the change happened. The same request, with its request_id, is sent until it is known.
UNKNOWN_OUTCOME = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
)
# Refusals by the tenant's own state, as a model without the operations under way cannot foresee them.
BY_STATE = {"TENANT_BUSY", "TENANT_TRANSITION_ILLEGAL", "TENANT_SUSPENDED", "TENANT_READ_ONLY"}
PATIENCE_S = 90.0
CALL_S = 8.0


@dataclass
class Known:
    """A tenant as its operator believes it to be: the sum of what was acknowledged."""

    id: str
    code: str
    token: str = ""
    state: int = tenant_pb2.TENANT_STATE_ACTIVE
    mode: int = tenant_pb2.TENANT_MODE_NORMAL
    domains: set[str] = field(default_factory=set)
    products: dict[str, str] = field(default_factory=dict)
    # Names of operations, in the order in which they were started, with where each moves the tenant.
    moves: list[tuple[str, str]] = field(default_factory=list)


class Refused(Exception):
    """The platform said no, for good; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Operator:
    """One client with tenants of its own, so that what it was told is all there is to know of them."""

    def __init__(self, platform: Platform, number: int, seed: int = 0) -> None:
        self.platform = platform
        self.number = number
        self.rng = random.Random(f"{seed}-{number}")
        self.tenants: list[Known] = []
        self.acknowledged = 0
        self.stopping = False

    async def work(self) -> None:
        """Until `stopping` is set, and then to the end of the change at hand."""
        while not self.stopping:
            if len(self.tenants) < 2:
                await self._create()
                continue
            act = self.rng.choice((self._create, *[self._suspend_or_resume] * 3, *[self._mode] * 3, self._add_domain,
                                   *[self._write] * 4, self._move))  # fmt: skip
            try:
                await act()
            except Refused as refused:
                assert refused.reason in BY_STATE, refused
                await asyncio.sleep(0.02)

    async def _create(self) -> None:
        code = f"op-{self.number}-{len(self.tenants)}"
        request = tenant_service_pb2.CreateTenantRequest(
            tenant={"code": code, "display_name": code, "region_id": self.rng.choice(("eu", "us"))},
            request_id=ids.uuid7(),
        )
        answer = await self._settled(self.platform.tenants.CreateTenant, request)
        known = Known(answer.tenant.id, code, domains={f"{code}.{self.platform.zone}"})
        self.tenants.append(known)
        await self._ended(answer.operation.name)
        token = tenant_service_pb2.IssueBackofficeTokenRequest(id=known.id, reason="a test")
        known.token = f"Bearer {(await self._settled(self.platform.tenants.IssueBackofficeToken, token)).token}"

    async def _suspend_or_resume(self) -> None:
        known = self.rng.choice(self.tenants)
        suspends = known.state == tenant_pb2.TENANT_STATE_ACTIVE
        actions = tenant_service_pb2
        action = actions.TENANT_ACTION_SUSPEND if suspends else actions.TENANT_ACTION_RESUME
        request = actions.ChangeTenantStatusRequest(id=known.id, action=action, reason="load", request_id=ids.uuid7())
        answer = await self._settled(self.platform.tenants.ChangeTenantStatus, request)
        known.state = answer.tenant.state
        assert suspends == (known.state == tenant_pb2.TENANT_STATE_SUSPENDED)

    async def _mode(self) -> None:
        known = self.rng.choice(self.tenants)
        mode = self.rng.choice((tenant_pb2.TENANT_MODE_NORMAL, tenant_pb2.TENANT_MODE_READ_ONLY))
        request = tenant_service_pb2.SetTenantModeRequest(id=known.id, mode=mode, reason="load", request_id=ids.uuid7())
        known.mode = (await self._settled(self.platform.tenants.SetTenantMode, request)).tenant.mode
        assert known.mode == mode

    async def _add_domain(self) -> None:
        known = self.rng.choice(self.tenants)
        name = f"{len(known.domains)}.{known.code}.example"
        request = domain_service_pb2.AddDomainRequest(
            tenant_id=known.id, name=name, verified_reason="load", request_id=ids.uuid7()
        )
        known.domains.add((await self._settled(self.platform.domains.AddDomain, request)).domain.name)

    async def _move(self) -> None:
        known = self.rng.choice(self.tenants)
        found = await self._settled(self.platform.tenants.GetTenant, tenant_service_pb2.GetTenantRequest(id=known.id))
        target = "us-1" if found.tenant.placement.cluster_id == "eu-1" else "eu-1"
        request = tenant_service_pb2.MoveTenantRequest(
            id=known.id, cluster_id=target, reason="load", request_id=ids.uuid7()
        )
        answer = await self._settled(self.platform.tenants.MoveTenant, request)
        known.moves.append((answer.operation.name, target))

    async def _write(self) -> None:
        """A merchant's product, through Envoy."""
        known = self.rng.choice(self.tenants)
        if known.state != tenant_pb2.TENANT_STATE_ACTIVE or known.mode != tenant_pb2.TENANT_MODE_NORMAL:
            return
        sku = f"{known.code}-{self.acknowledged}"
        product = {"title": sku, "variants": [{"sku": sku, "price": {"currency_code": "EUR", "units": 1}}]}
        request = product_service_pb2.CreateProductRequest(product=product, request_id=ids.uuid7())
        options = [("grpc.default_authority", f"{known.code}.{self.platform.zone}"), ("grpc.enable_retries", 0)]
        address = f"127.0.0.1:{self.platform.envoy_port}"
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            stub: Any = product_service_pb2_grpc.ProductServiceStub(channel)
            # A new shop's name may be on its way to Envoy still; a name that has answered once is never lost again.
            passing = () if known.products else ("HOST_UNKNOWN",)
            answer = await self._settled(stub.CreateProduct, request, (("authorization", known.token),), passing)
        known.products[answer.product.id] = sku

    async def _settled(
        self,
        method: Callable[..., Awaitable[Any]],
        request: Any,
        metadata: tuple[tuple[str, str], ...] = (),
        passing: Collection[str] = (),
    ) -> Any:
        """Sends one request until its outcome is known; reasons that are `passing` are no outcome either."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await method(request, metadata=metadata, timeout=CALL_S)
                except grpc.aio.AioRpcError as error:
                    refusal = refusal_of(error)
                    if refusal.code not in UNKNOWN_OUTCOME and refusal.reason not in passing:
                        if refusal.code is grpc.StatusCode.FAILED_PRECONDITION:
                            raise Refused(refusal.reason) from error
                        raise AssertionError(f"{type(request).__name__}: {refusal}") from error
                    await asyncio.sleep(0.1)
                else:
                    self.acknowledged += 1
                    return answer

    async def _ended(self, operation: str) -> None:
        async def done() -> bool:
            request = operations_proto_pb2.GetOperationRequest(name=operation)
            try:
                return bool((await self.platform.longrunning.GetOperation(request, timeout=CALL_S)).done)
            except grpc.aio.AioRpcError as error:
                assert error.code() in UNKNOWN_OUTCOME, error
                return False

        await until(done, PATIENCE_S, f"{operation} to end")
