"""The tokens that a validator has met, packed: it may hold a million, of which few are in use at a time."""

import hashlib
import hmac
from collections import OrderedDict
from struct import Struct

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import validator_service_pb2 as pb
from center_sdk.decision import Code, uuid_text, uuid_words

# Changes and refusals that are remembered; older ones are asked for again.
REMEMBERED = 100_000
REFUSED_S = 60.0
# What another process of the control plane may know already.
SOON_S = 0.5

ACTIVE = int(access_pb.TOKEN_STATE_ACTIVE)
REVOKED = int(access_pb.TOKEN_STATE_REVOKED)
_RECORD = Struct("<16sQQQQdqBBHH")


class Subject:
    """Who asks: a token that is known here, or a caller without one. expires: 0 is never."""

    __slots__ = ("email", "entitlement", "expires", "kid", "solution_id", "state", "status", "tier", "user_id")

    def __init__(self, kid: str, entitlement: int, solution_id: str, tier: str) -> None:
        self.kid = kid
        self.entitlement = entitlement
        self.solution_id = solution_id
        self.tier = tier
        self.user_id = ""
        self.email = ""
        self.expires = 0.0
        self.state = ACTIVE
        self.status = int(access_pb.ENTITLEMENT_STATUS_ACTIVE)


def digest(token: str) -> bytes:
    """What stands for a token in memory."""
    return hashlib.blake2b(token.encode(), digest_size=16).digest()


class Tokens:
    def __init__(self) -> None:
        # kid -> packed record. An index by entitlement would take as much again: what changed is remembered instead.
        self._records: dict[str, bytes] = {}
        self._names: list[str] = [""]
        self._numbers: dict[str, int] = {"": 0}
        self._refused: OrderedDict[tuple[bytes, str], tuple[Code, float]] = OrderedDict()
        # What was pushed lately: kid or entitlement -> revision. Records and answers that are older do not count, nor
        # do those from before the floor, where it is not known any more.
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._floor = 0

    def __len__(self) -> int:
        return len(self._records)

    def start_over(self, revision: int) -> None:
        """Nothing from before this revision counts."""
        self._records.clear()
        self._refused.clear()
        self._changed.clear()
        self._floor = max(self._floor, revision)

    def changed(self, name: str, revision: int) -> None:
        """name: a kid or an entitlement."""
        self._changed[name] = revision
        self._changed.move_to_end(name)
        if len(self._changed) > REMEMBERED:
            self._floor = max(self._floor, self._changed.popitem(last=False)[1])

    def token_changed(self, told: pb.TokenTerms, revision: int) -> bytes | None:
        """The digest of the token, if it was known here."""
        self.changed(told.kid, revision)
        record = self._records.get(told.kid)
        if record is None:
            return None
        if told.state == REVOKED:
            # Final, so there is nothing to ask for.
            *kept, _, _, status, solution, tier = _RECORD.unpack_from(record)
            head = _RECORD.pack(*kept, revision, REVOKED, status, solution, tier)
            self._records[told.kid] = head + record[_RECORD.size :]
        else:
            del self._records[told.kid]
        return record[:16]

    def hold(self, key: bytes, told: pb.AdmitTokenResponse) -> bytes | None:
        """Takes over what was said of a token, unless a push has overtaken it; gives the digest held for it before."""
        token, entitlement = told.token, told.entitlement
        if not self._stands(token.kid, entitlement.id, told.revision):
            return None
        before = self._records.get(token.kid)
        expires = token.expire_time.seconds + token.expire_time.nanos / 1e9 if token.HasField("expire_time") else 0.0
        head = _RECORD.pack(
            key,
            *uuid_words(entitlement.id),
            *uuid_words(entitlement.user_id),
            expires,
            told.revision,
            token.state,
            entitlement.status,
            self._number(entitlement.solution_id),
            self._number(entitlement.tier),
        )
        self._records[token.kid] = head + entitlement.user_email.encode()
        return before[:16] if before is not None else None

    def known(self, kid: str, key: bytes) -> Subject | None:
        """None for what has to be asked for; another secret under a known kid is such, too."""
        record = self._records.get(kid)
        if record is None or not hmac.compare_digest(record[:16], key):
            return None
        told = _RECORD.unpack_from(record)
        _, high, low, user_high, user_low, expires, revision, state, status, solution, tier = told
        if not self._stands(kid, uuid_text(high, low), revision):
            del self._records[kid]
            return None
        subject = Subject(kid, high << 64 | low, self._names[solution], self._names[tier])
        subject.user_id = uuid_text(user_high, user_low)
        subject.email = record[_RECORD.size :].decode()
        subject.expires, subject.state, subject.status = expires, state, status
        return subject

    def refuse(self, key: bytes, solution_id: str, code: Code, now: float) -> None:
        """What is no token of the solution stays none; a solution that is not known there may be the next moment."""
        until = now + (SOON_S if code is Code.SOLUTION_UNKNOWN else REFUSED_S)
        self._refused[key, solution_id] = code, until
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def refused(self, key: bytes, solution_id: str, now: float) -> Code | None:
        code, until = self._refused.get((key, solution_id), (None, 0.0))
        return code if now < until else None

    def _stands(self, kid: str, entitlement_id: str, revision: int) -> bool:
        """Whether nothing was pushed since that revision which would make it wrong."""
        changed = max(self._changed.get(kid, 0), self._changed.get(entitlement_id, 0))
        return revision >= max(changed, self._floor)

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._names)
            self._names.append(name)
        return number
