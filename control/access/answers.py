"""A decision as ValidateTokenResponse, in bytes: what the decisions of a run have in common is made once."""

import math

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from center.control.v1 import access_service_pb2 as pb
from center_sdk.decision import Decision, Run
from control.varint import varint

# The greatest number that JSON gets as a number (the transcoder writes 64 bits as a text).
UINT32_MAX = 0xFFFF_FFFF
REMEMBERED = 16_384

_REMAINING = b"\x20"  # field 4
_DECISION_ID = b"\x4a"  # field 9


class Answers:
    def __init__(self) -> None:
        # Run -> (limit, resets_at, what goes before the numbers of the one decision, its id up to the number).
        self._known: dict[Run, tuple[int | None, float | None, bytes, str]] = {}

    def packed(self, decision: Decision) -> bytes:
        run = decision._run
        if run is None or decision.retry_after_s is not None:
            return message(decision).SerializeToString()
        known = self._known.get(run)
        if known is None or known[0] != decision.limit or known[1] != decision.resets_at:
            known = self._remember(run, decision)
        decision_id = f"{known[3]}{decision.number}".encode()
        tail = _DECISION_ID + bytes((len(decision_id),)) + decision_id
        if decision.remaining is None:
            return known[2] + tail
        return known[2] + _REMAINING + varint(min(decision.remaining, UINT32_MAX)) + tail

    def _remember(self, run: Run, decision: Decision) -> tuple[int | None, float | None, bytes, str]:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        common = message(decision)
        common.ClearField("quota_remaining")
        common.ClearField("decision_id")
        known = decision.limit, decision.resets_at, common.SerializeToString(), f"{run.id}."
        self._known[run] = known
        return known


def message(decision: Decision) -> pb.ValidateTokenResponse:
    facts = decision.facts
    made = pb.ValidateTokenResponse(
        allowed=decision.allowed,
        code=pb.DecisionCode.Name(decision.code),
        user_email=facts.user_email,
        access_tier=facts.tier,
        user_id=facts.user_id,
        decision_id=decision.decision_id,
        upgrade_url=decision.upgrade_url,
        revision=facts.revision,
        entitlement_id=facts.entitlement_id if facts.kid else "",
    )
    if decision.limit is not None:
        made.quota_limit = min(decision.limit, UINT32_MAX)
    if decision.remaining is not None:
        made.quota_remaining = min(decision.remaining, UINT32_MAX)
    if decision.resets_at is not None:
        made.quota_resets_at.CopyFrom(_timestamp(decision.resets_at))
    if decision.retry_after_s is not None:
        made.retry_after.CopyFrom(_duration(decision.retry_after_s))
    return made


def _timestamp(seconds: float) -> Timestamp:
    return Timestamp(seconds=math.floor(seconds), nanos=math.floor(seconds % 1 * 1_000_000) * 1000)


def _duration(seconds: float) -> Duration:
    made = Duration()
    made.FromNanoseconds(round(seconds * 1e9))
    return made
