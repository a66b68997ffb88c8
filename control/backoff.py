"""How long to wait before what failed is tried again."""

from dataclasses import dataclass

# 2.0**n of a large n is no float any more; by then the last wait is long reached.
_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from the first up to the last."""

    first_s: float
    last_s: float

    def delay_s(self, attempts: int, chance: float) -> float:
        """attempts: made so far, from 1. chance: between 0 and 1; spreads the tries of what failed together."""
        longest = min(self.first_s * 2.0 ** min(attempts - 1, _DOUBLINGS), self.last_s)
        return longest * (0.5 + chance / 2)
