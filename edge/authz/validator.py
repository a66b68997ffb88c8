"""The SDK's validator over all solutions, as the edge has it: there as soon as control was reached once."""

import asyncio
import time
from pathlib import Path

import structlog

from center_sdk import AsyncValidator, CenterError, Credentials, Decision
from shared.runtime.errors import Unavailable
from shared.runtime.pki import Identity

log = structlog.stdlib.get_logger("center.edge")

_RETRY_S = 1.0


class Deciding:
    """Starts without control as the rest of the edge does; what it cannot decide yet, Envoy refuses."""

    def __init__(self, address: str, identity: Identity, journal: Path, instance: str, environment: str) -> None:
        self._address = address
        self._credentials = Credentials.certificate(
            ca=identity.ca_pem, certificate=identity.cert_pem, key=identity.key_pem
        )
        self._journal = journal
        self._instance = instance
        self._environment = environment
        self._validator: AsyncValidator | None = None

    async def run(self) -> None:
        """Until control was reached once: from then on the validator comes back to it by itself."""
        while self._validator is None:
            try:
                self._validator = await AsyncValidator.connect(
                    self._address,
                    "",
                    self._credentials,
                    journal=self._journal,
                    instance=self._instance,
                    environment=self._environment,
                )
                log.info("deciding for solutions")
            except CenterError as error:
                log.warning("nothing to decide by yet", why=str(error))
                await asyncio.sleep(_RETRY_S)

    async def close(self) -> None:
        """Gives back leases, and hands in the log of decisions."""
        if self._validator is not None:
            await self._validator.close()

    async def validate(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision:
        if self._validator is None:
            raise Unavailable("DECISIONS_UNAVAILABLE", "the control plane was not reached yet", retry_after_s=1)
        return await self._validator.validate(
            token, action, cost=cost, anonymous_id=anonymous_id, solution_id=solution_id
        )

    def now(self) -> float:
        return time.time() if self._validator is None else self._validator.now()
