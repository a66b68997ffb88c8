"""What a fork does to validators: in the child they have ended, for what they hold is the parent's."""

import os
from collections.abc import Iterable
from typing import Protocol

WHY = "the validator was made before a fork: its leases are the parent's; make one after the fork"


class Forked(Protocol):
    def _forked(self) -> None:
        """Called in the child, before anything else of it runs."""
        ...


def tell(alive: Iterable[Forked]) -> None:
    """Tells all that are in `alive` by then of each fork to come."""

    def after() -> None:
        for each in list(alive):
            each._forked()

    os.register_at_fork(after_in_child=after)
