"""How often a password or an invitation may be tried.

In memory: each cluster is one process, and a try of somebody who is not known must not write a row.
"""

import time

from dataplane.features.domain import Bucket, Rate
from shared.runtime.errors import ResourceExhausted

# Of one person: five at once, then one each half minute; a password is not guessed in a lifetime.
_OF_ONE = Rate(per_second=1 / 30, burst=5)
# Of a shop, whoever it is said to be: each costs a fifth of a second of a core.
_OF_SHOP = Rate(per_second=1, burst=100)
# When so many are known, those that are full again are forgotten.
_SWEEP_AT = 10_000


class Tries:
    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._sweep_at = _SWEEP_AT

    def take(self, tenant_id: str, who: str) -> None:
        """Before the try is looked at, so that many at once are not more. ResourceExhausted TOO_MANY_TRIES."""
        now = time.monotonic()
        wait_s = self._take((tenant_id, who), _OF_ONE, now) or self._take((tenant_id, ""), _OF_SHOP, now)
        if wait_s:
            message = "too many tries: wait a while, then try again"
            raise ResourceExhausted("TOO_MANY_TRIES", message, retry_after_s=wait_s)

    def succeeded(self, tenant_id: str, who: str) -> None:
        self._buckets.pop((tenant_id, who), None)

    def _take(self, whose: tuple[str, str], rate: Rate, now: float) -> float:
        if whose not in self._buckets and len(self._buckets) >= self._sweep_at:
            self._buckets = {key: each for key, each in self._buckets.items() if not each.is_full(now)}
            self._sweep_at = max(_SWEEP_AT, 2 * len(self._buckets))
        bucket = self._buckets.setdefault(whose, Bucket(rate, now))
        return bucket.take(rate, now)
