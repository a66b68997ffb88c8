"""The SDK from outside: with a solution key, through Envoy, at the platform's own domain."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from center.control.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    solution_service_pb2,
    solution_service_pb2_grpc,
)
from center_sdk import AsyncValidator, Code, Credentials
from shared.runtime import ids
from shared.samples.search import registration
from tests.support.platform import Platform

# Envoy ends other calls after 15 s.
LONG_S = 16.0


async def test_a_validator_with_a_key_follows_through_envoy(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    solutions: Any = solution_service_pb2_grpc.SolutionServiceStub(platform.channel("control"))
    access: Any = access_service_pb2_grpc.AccessServiceStub(platform.channel("control"))
    key = await solutions.CreateSolutionKey(
        solution_service_pb2.CreateSolutionKeyRequest(
            solution_id=registration.ID, display_name="a test", request_id=ids.uuid7()
        )
    )
    token = await access.GenerateSolutionToken(
        access_service_pb2.GenerateSolutionTokenRequest(
            user_email=f"{uuid4().hex}@example.org", solution_id=registration.ID, request_id=ids.uuid7()
        )
    )
    address = f"{platform.zone}:{platform.envoy_port}"
    credentials = Credentials.key(key.secret, plaintext=True)
    async with await AsyncValidator.connect(address, registration.ID, credentials, within_s=20) as validator:
        decision = await validator.validate(token.token, "search")
        assert (decision.code, decision.remaining) == (Code.ALLOWED, 9)
        held = await validator.reserve(token.token, "search", units=4)
        assert (await validator.commit(held.id, cost=1)).released_units == 3
        # The watch is one stream for longer than that.
        until = validator.now() + LONG_S
        while validator.now() < until:
            await asyncio.sleep(0.1)
        assert "watch broke" not in caplog.text
        revoked = await access.RevokeToken(
            access_service_pb2.RevokeTokenRequest(kid=token.token_kid, reason="a test", request_id=ids.uuid7())
        )
        await validator.reached(revoked.token.revision)
        assert (await validator.validate(token.token, "search")).code is Code.TOKEN_REVOKED
