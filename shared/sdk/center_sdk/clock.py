"""The control plane's clock as seen from here, so that a wrong clock of this machine decides nothing.

Each message of the watch says when it was sent. The one that took the least time tells best how far the clocks are
apart; how old another one is shows in how far it lags behind that. Of this machine only monotonic time is used.
"""

import time

# Crystals drift by tens of microseconds a second: the best message of the last minutes counts, not of all time.
_REMEMBERED_S = 120.0


class ControlClock:
    """`now` may be called from any thread, the rest from the one that reads the watch."""

    def __init__(self) -> None:
        # Until the first message the machine's own clock has to do.
        self.offset_s = time.time() - time.monotonic()
        self._asked_s: float | None = None
        self._best: list[tuple[float, float]] = []

    def now(self) -> float:
        """Seconds since the epoch by the control plane's clock."""
        return time.monotonic() + self.offset_s

    def begin(self, asked_s: float) -> None:
        """A stream starts: another process may answer, with another clock.

        asked_s: when the stream was asked for, by time.monotonic(). Nothing that it brings was sent before that, so its
        first message is taken to have been under way since then: never too fresh, however slow the way was.
        """
        self._best.clear()
        self._asked_s = asked_s

    def observe(self, sent_s: float, received_s: float) -> float:
        """When a message was sent, by time.monotonic(); rather too early than too late.

        sent_s: what the message says, by the control plane's clock; received_s: by time.monotonic().
        """
        since_s, self._asked_s = received_s if self._asked_s is None else self._asked_s, None
        ahead_s = sent_s - since_s
        self._best = [(at, seen) for at, seen in self._best if seen > ahead_s and at > received_s - _REMEMBERED_S]
        self._best.append((received_s, ahead_s))
        self.offset_s = self._best[0][1]
        return sent_s - self.offset_s
