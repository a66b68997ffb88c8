"""Where an event stands: ev.<plane>.<tenant>.<aggregate>.<type>.v<N>, in the stream of its plane.

What a consumer could not apply lies at dead.<consumer>.<subject>; what is given to one consumer once more goes over
again.<plane>.<consumer>.<tenant>.<aggregate>.<type>.v<N>, in the plane's own stream, where nobody else hears it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from shared.runtime.errors import InvalidArgument
from shared.runtime.ids import is_uuid

EVENTS, AGAIN, DEAD = "ev", "again", "dead"
# The stream of each plane.
STREAMS = {"control": "CONTROL", "dataplane": "DATA"}
DEAD_LETTERS = "DEAD"
# Whose dead letters those are that cannot be said at all.
RELAY = "relay"
# The tenant's place in an event that concerns none.
NO_TENANT = "-"


_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """tenant: its id, or `-`. aggregate: a kind, such as product. type: what happened, such as created."""

    plane: str
    tenant: str
    aggregate: str
    type: str
    major: int

    def __post_init__(self) -> None:
        for token in (self.plane, self.tenant, self.aggregate, self.type):
            if not _TOKEN.fullmatch(token):
                raise ValueError(f"{token!r} is no part of a subject")

    @staticmethod
    @lru_cache(maxsize=10_000)
    def parse(text: str) -> "Subject":
        """ValueError when it is none of an event's."""
        tokens = text.split(".")
        if tokens[0] == DEAD:
            tokens = tokens[2:]
        if tokens[0] == AGAIN:
            tokens = [EVENTS, tokens[1], *tokens[3:]]
        if len(tokens) != 6 or tokens[0] != EVENTS or tokens[5][:1] != "v" or not tokens[5][1:].isdigit():
            raise ValueError(f"{text!r} is no event's subject")
        _, plane, tenant, aggregate, type, major = tokens
        return Subject(plane, tenant, aggregate, type, int(major[1:]))

    def __str__(self) -> str:
        return f"{EVENTS}.{self._rest(self.plane)}"

    @property
    def name(self) -> str:
        """product.created, whatever its version."""
        return f"{self.aggregate}.{self.type}"

    def again(self, consumer: str) -> str:
        return f"{AGAIN}.{self._rest(f'{self.plane}.{consumer}')}"

    def dead(self, consumer: str) -> str:
        return f"{DEAD}.{consumer}.{self}"

    def _rest(self, whose: str) -> str:
        return f"{whose}.{self.tenant}.{self.aggregate}.{self.type}.v{self.major}"


def of_tenant(tenant_id: str, plane: str = "*") -> str:
    """All events of one tenant. InvalidArgument TENANT_ID_MALFORMED: a wildcard would be everybody's."""
    if not is_uuid(tenant_id):
        raise InvalidArgument("TENANT_ID_MALFORMED", "a tenant id is a UUID")
    return f"{EVENTS}.{plane}.{tenant_id}.>"
