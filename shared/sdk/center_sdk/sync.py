"""The validator for programs without an event loop: threads decide by themselves, one more keeps what they need.

with Validator.connect("127.0.0.1:7100", "search", credentials) as validator:
    decision = validator.validate(token, "search")
"""

import asyncio
import atexit
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from center.control.v1 import validator_service_pb2 as pb
from center_sdk import background, forks
from center_sdk.aio import CONNECT_S, AsyncValidator, Committed, Exchanged, Reservation
from center_sdk.credentials import Credentials
from center_sdk.decision import Decision
from center_sdk.engine import Engine, Lack
from center_sdk.errors import CenterError, InvalidRequest, ValidatorClosed
from center_sdk.leases import Lease

_alive: "weakref.WeakSet[Validator]" = weakref.WeakSet()
forks.tell(_alive)


class _SharedEngine(Engine):
    """The engine for many threads: one at a time, for some microseconds each."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.lock = threading.Lock()

    def decide(self, *told: Any, **rest: Any) -> Decision | Lack:
        with self.lock:
            return super().decide(*told, **rest)

    def apply(self, told: pb.WatchAccessResponse, now: float) -> None:
        with self.lock:
            super().apply(told, now)

    def admitted(self, request: pb.AdmitTokenRequest, told: pb.AdmitTokenResponse, now: float) -> None:
        with self.lock:
            super().admitted(request, told, now)

    def batch(self, now: float, *, everything: bool = False) -> pb.SettleLeasesRequest | None:
        with self.lock:
            return super().batch(now, everything=everything)

    def settled(self, told: pb.SettleLeasesResponse, now: float) -> None:
        with self.lock:
            super().settled(told, now)

    def failed(self) -> None:
        with self.lock:
            super().failed()

    def waits(self, lease: Lease) -> bool:
        with self.lock:
            return super().waits(lease)


class Validator:
    """Made by `connect`; threads may share it. Never call it from an event loop: there is AsyncValidator."""

    def __init__(self, inner: AsyncValidator, engine: _SharedEngine) -> None:
        self._inner = inner
        self._solution_id = inner._solution_id
        self._clock = inner._clock
        self._lock = engine.lock
        # The engine's own, under the lock that is taken here already.
        self._decide: Callable[..., Decision | Lack] = lambda *told, **rest: Engine.decide(engine, *told, **rest)
        _alive.add(self)

    @classmethod
    def connect(
        cls,
        address: str,
        solution_id: str,
        credentials: Credentials,
        *,
        journal: str | Path | None = None,
        instance: str | None = None,
        environment: str = "dev",
        within_s: float = CONNECT_S,
    ) -> Self:
        """Returns once it can decide; as AsyncValidator.connect."""

        async def connected() -> Self:
            inner = await AsyncValidator._started(
                address,
                solution_id,
                credentials,
                _SharedEngine,
                journal=journal,
                instance=instance,
                environment=environment,
            )
            engine = inner._engine
            assert isinstance(engine, _SharedEngine)
            loop, due = asyncio.get_running_loop(), inner._decider._due

            def wake() -> None:
                if not due.is_set():
                    loop.call_soon_threadsafe(due.set)

            engine.wake = wake
            await inner._ready(within_s)
            return cls(inner, engine)

        return background.run(connected())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def validate(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision:
        """As AsyncValidator.validate; in this thread where a lease is held."""
        solution_id = solution_id or self._solution_id
        try:
            with self._lock:
                told = self._decide(
                    token,
                    solution_id,
                    action,
                    cost,
                    now=monotonic() + self._clock.offset_s,
                    anonymous_id=anonymous_id,
                    patient=True,
                )
        except ValueError as error:
            raise InvalidRequest("COST_INVALID", str(error)) from None
        if type(told) is Decision:
            return told
        inner = self._inner
        return background.run(
            inner.validate(token, action, cost=cost, anonymous_id=anonymous_id, solution_id=solution_id)
        )

    def peek(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision:
        """As AsyncValidator.peek."""
        return background.run(
            self._open().peek(token, action, cost=cost, anonymous_id=anonymous_id, solution_id=solution_id)
        )

    def reserve(
        self, token: str, action: str, *, units: int, ttl_s: float = 60.0, solution_id: str = ""
    ) -> Reservation:
        """As AsyncValidator.reserve."""
        return background.run(self._open().reserve(token, action, units=units, ttl_s=ttl_s, solution_id=solution_id))

    def commit(self, reservation_id: str, *, cost: int) -> Committed:
        """As AsyncValidator.commit."""
        return background.run(self._open().commit(reservation_id, cost=cost))

    def release(self, reservation_id: str) -> int:
        """As AsyncValidator.release."""
        return background.run(self._open().release(reservation_id))

    def exchange_code(self, code: str, *, solution_id: str = "") -> Exchanged:
        """As AsyncValidator.exchange_code."""
        return background.run(self._open().exchange_code(code, solution_id=solution_id))

    @property
    def revision(self) -> int:
        """As AsyncValidator.revision."""
        return self._inner.revision

    @property
    def why_not(self) -> CenterError | None:
        """As AsyncValidator.why_not."""
        return self._inner.why_not

    def now(self) -> float:
        """As AsyncValidator.now."""
        return self._clock.now()

    def reached(self, revision: int, *, within_s: float = 10.0) -> None:
        """As AsyncValidator.reached."""
        background.run(self._open().reached(revision, within_s=within_s))

    def close(self) -> None:
        """As AsyncValidator.close."""
        _alive.discard(self)
        if not self._end("the validator was closed"):
            return
        background.run(self._inner.close())

    def _open(self) -> AsyncValidator:
        """Checked here: in a fork nobody would ever run what is asked of the parent's loop."""
        self._inner._check()
        return self._inner

    def _end(self, why: str) -> bool:
        """Decisions raise from now on; whether they did not before."""

        def ended(*told: Any, **rest: Any) -> Decision | Lack:
            raise ValidatorClosed("VALIDATOR_CLOSED", why)

        with self._lock:
            was_open = not self._inner._ended
            self._decide = ended
        return was_open

    def _forked(self) -> None:
        # Another thread of the parent may have held it.
        self._lock = threading.Lock()
        self._end(forks.WHY)


def _at_exit() -> None:
    for validator in list(_alive):
        validator.close()


# What a program that ends without a word still holds goes back all the same.
atexit.register(_at_exit)
