"""The control plane's services as a validator calls them: with its credentials, a deadline, and typed errors."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import user_service_pb2 as users_pb
from center.control.v1 import validator_service_pb2 as pb
from center.control.v1.access_service_pb2_grpc import AccessServiceStub
from center.control.v1.user_service_pb2_grpc import UserServiceStub
from center.control.v1.validator_service_pb2_grpc import ValidatorServiceStub
from center_sdk.credentials import Credentials
from center_sdk.errors import received

# A user waits for these.
CALL_S = 5.0
# Nobody does for this.
SETTLE_S = 15.0

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Remote:
    def __init__(self, address: str, credentials: Credentials) -> None:
        self._channel = credentials.channel(address)
        self._metadata = credentials.metadata
        self._access: Any = AccessServiceStub(self._channel)
        self._users: Any = UserServiceStub(self._channel)
        self._validators: Any = ValidatorServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    def watch(self, requests: AsyncIterator[pb.WatchAccessRequest]) -> Any:
        return self._validators.WatchAccess(requests, metadata=self._metadata)

    async def admit(self, request: pb.AdmitTokenRequest) -> pb.AdmitTokenResponse:
        return await self._call(self._validators.AdmitToken, request, CALL_S)

    async def settle(self, request: pb.SettleLeasesRequest) -> pb.SettleLeasesResponse:
        return await self._call(self._validators.SettleLeases, request, SETTLE_S)

    async def validate(self, request: access_pb.ValidateTokenRequest) -> access_pb.ValidateTokenResponse:
        return await self._call(self._access.ValidateToken, request, CALL_S)

    async def reserve(self, request: access_pb.ReserveUnitsRequest) -> access_pb.ReserveUnitsResponse:
        return await self._call(self._access.ReserveUnits, request, CALL_S)

    async def commit(self, request: access_pb.CommitReservationRequest) -> access_pb.CommitReservationResponse:
        return await self._call(self._access.CommitReservation, request, CALL_S)

    async def release(self, request: access_pb.ReleaseReservationRequest) -> access_pb.ReleaseReservationResponse:
        return await self._call(self._access.ReleaseReservation, request, CALL_S)

    async def exchange(self, request: users_pb.ExchangeCodeRequest) -> users_pb.ExchangeCodeResponse:
        return await self._call(self._users.ExchangeCode, request, CALL_S)

    async def _call(
        self, method: Callable[..., Awaitable[_Response]], request: _Request, timeout_s: float
    ) -> _Response:
        try:
            return await method(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise received(error) from None
