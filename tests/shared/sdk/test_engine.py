"""The decision function: never one unit too many, and always in the log."""

import random
import time
import tracemalloc
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from center.control.v1 import validator_service_pb2 as pb
from center_sdk import tokens
from center_sdk.decision import Code, Decision
from center_sdk.engine import FLOW_RUNS, FLOW_S, TICK_S, Engine, Lack, Need
from center_sdk.journal import Journal, JournalBusy
from center_sdk.leases import IDLE_S
from tests.support.ledger import ACTION, SOLUTION, Ledger, solution

NOON = 1_700_000_000.0 - 1_700_000_000.0 % 86_400 + 43_200


class Validator:
    """An engine and its way to the ledger, which loses requests and answers as it is told to."""

    def __init__(self, ledger: Ledger, path: Path | None = None, records: int = 512) -> None:
        self.ledger = ledger
        self.engine = Engine(instance="v", environment="dev", journal=Journal(path, records))
        self.engine.apply(ledger.push(reset=True), ledger.now)
        self.allowed = 0

    def decide(self, token: str, cost: int = 1, *, reachable: bool = True, **how: Any) -> Decision:
        for _ in range(12):
            told = self.engine.decide(token, SOLUTION, ACTION, cost, now=self.ledger.now, **how)
            if isinstance(told, Decision):
                break
            if not reachable or told.need is Need.WAIT:
                told = self.engine.decide(token, SOLUTION, ACTION, cost, now=self.ledger.now, last=True, **how)
                break
            if told.need is Need.ADMIT:
                assert told.request is not None
                self.engine.admitted(told.request, self.ledger.admit(told.request), self.ledger.now)
            else:
                self.settle()
        assert isinstance(told, Decision), told
        if told.allowed and not how.get("peek"):
            self.allowed += cost
        return told

    def settle(self, *, request_lost: bool = False, answer_lost: bool = False, everything: bool = False) -> None:
        while (request := self.engine.batch(self.ledger.now, everything=everything)) is not None:
            if request_lost:
                self.engine.failed()
                return
            answer = self.ledger.settle(request)
            if answer_lost:
                self.engine.failed()
                return
            self.engine.settled(answer, self.ledger.now)


@settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
class Accounts(RuleBasedStateMachine):
    """Any number of validators that come, die, lose messages and are recalled, against one number: the limit."""

    tokens = Bundle("tokens")

    @initialize(limit=st.integers(0, 60))
    def begin(self, limit: int) -> None:
        self.ledger = Ledger(NOON, solution(limit))
        self.limit = self.highest = limit
        self.living = [Validator(self.ledger)]
        self.dead: list[Validator] = []
        self.entitlement = str(uuid.uuid4())

    @rule(target=tokens)
    def issue(self) -> str:
        return self.ledger.issue(self.entitlement)

    @rule()
    def start(self) -> None:
        if len(self.living) < 4:
            self.living.append(Validator(self.ledger))

    @rule(token=tokens, who=st.integers(0, 3), cost=st.integers(0, 9), peek=st.booleans(), reachable=st.booleans())
    def decide(self, token: str, who: int, cost: int, peek: bool, reachable: bool) -> None:
        validator = self.living[who % len(self.living)]
        before = self.spent()
        decision = validator.decide(token, cost, reachable=reachable, peek=peek, patient=True)
        if decision.code is Code.QUOTA_EXHAUSTED:
            # Refused for the quota: no other could have been allowed more either.
            assert before + cost > self.limit - self.held_elsewhere(validator)

    @rule(who=st.integers(0, 3), request_lost=st.booleans(), answer_lost=st.booleans())
    def settle(self, who: int, request_lost: bool, answer_lost: bool) -> None:
        self.living[who % len(self.living)].settle(request_lost=request_lost, answer_lost=answer_lost)

    @rule(seconds=st.sampled_from([0.3, 1.1, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.ledger.now += seconds
        self.ledger.expire()
        for validator in self.living:
            validator.engine.apply(self.ledger.push(), self.ledger.now)

    @rule(limit=st.integers(0, 60))
    def change_limit(self, limit: int) -> None:
        self.ledger.revision += 1
        self.ledger.terms = solution(limit, self.ledger.revision)
        self.limit, self.highest = limit, max(limit, self.highest)
        for validator in self.living:
            validator.engine.apply(self.ledger.push(), self.ledger.now)

    @rule(who=st.integers(0, 3))
    def recall(self, who: int) -> None:
        told = pb.WatchAccessResponse(recalled_lease_ids=list(self.ledger.leases))
        self.living[who % len(self.living)].engine.apply(told, self.ledger.now)

    @precondition(lambda self: len(self.living) > 1)
    @rule(who=st.integers(0, 3))
    def kill(self, who: int) -> None:
        self.dead.append(self.living.pop(who % len(self.living)))

    def spent(self) -> int:
        return sum(validator.allowed for validator in [*self.living, *self.dead])

    def held_elsewhere(self, but: Validator) -> int:
        """What of the counter was not to be had: others hold it, or it was lost."""
        return self.ledger.lost + sum(lease.unspent for lease in self.ledger.leases.values() if not lease.expired)

    @invariant()
    def never_one_too_many(self) -> None:
        if hasattr(self, "ledger"):
            assert self.spent() <= self.highest
            assert all(0 <= counter.outstanding <= counter.taken for counter in self.ledger.counters.values())

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        for validator in self.living:
            validator.settle(everything=True)
        self.ledger.now += 60
        self.ledger.expire()
        of_the_living = sum(validator.allowed for validator in self.living)
        assert self.ledger.taken == self.ledger.used + self.ledger.lost
        assert of_the_living <= self.ledger.used <= self.spent()
        if not self.dead:
            assert self.ledger.used == self.spent() == self.ledger.taken
            assert self.ledger.lost == 0


TestAccounts = Accounts.TestCase


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(NOON, solution(10))


def test_a_limit_is_a_limit(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    codes = [validator.decide(token).code for _ in range(12)]
    assert codes == [Code.ALLOWED] * 10 + [Code.QUOTA_EXHAUSTED] * 2


def test_a_refused_call_costs_nothing(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    assert validator.decide(token, 11).code is Code.QUOTA_EXHAUSTED
    assert validator.decide(token, 10).code is Code.ALLOWED
    assert validator.decide(token, 1).code is Code.QUOTA_EXHAUSTED


def test_a_raised_limit_works_on_the_next_call(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    assert validator.decide(token, 10).allowed
    assert not validator.decide(token).allowed
    ledger.terms = solution(11, revision=2)
    validator.engine.apply(ledger.push(), ledger.now)
    assert validator.decide(token).allowed
    assert not validator.decide(token).allowed


def test_a_lowered_limit_holds_for_units_in_hand(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    for _ in range(4):
        assert validator.decide(token).allowed
    ledger.terms = solution(4, revision=2)
    validator.engine.apply(ledger.push(), ledger.now)
    assert validator.decide(token).code is Code.QUOTA_EXHAUSTED


def test_a_new_day_is_a_new_quota(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    assert validator.decide(token, 10).allowed
    ledger.now += 86_400
    validator.engine.apply(ledger.push(), ledger.now)
    assert validator.decide(token, 10).allowed


def test_a_peek_spends_nothing_and_says_what_is_left(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    assert validator.decide(token, 10, peek=True).code is Code.ALLOWED
    assert validator.decide(token, 11, peek=True).code is Code.QUOTA_EXHAUSTED
    peeked = validator.decide(token, 1, peek=True)
    assert (peeked.remaining, peeked.limit, peeked.decision_id) == (10, 10, "")
    assert validator.decide(token, 3).remaining == 7


def test_a_soft_limit_allows_and_says_so() -> None:
    ledger = Ledger(NOON, solution(3, soft=True))
    validator, token = Validator(ledger), ledger.issue()
    codes = [validator.decide(token).code for _ in range(5)]
    assert codes == [Code.ALLOWED] * 3 + [Code.ALLOWED_OVER_LIMIT] * 2


def test_without_a_limit_nothing_is_leased_and_everything_is_logged() -> None:
    ledger = Ledger(NOON, solution(None))
    validator, token = Validator(ledger), ledger.issue()
    assert all(validator.decide(token, 1000).allowed for _ in range(100))
    validator.settle(everything=True)
    assert ledger.used == 100_000
    assert not ledger.leases


def test_two_tokens_of_one_entitlement_share_its_units(ledger: Ledger) -> None:
    validator = Validator(ledger)
    one, other = (
        ledger.issue("00000000-0000-0000-0000-0000000000aa"),
        ledger.issue("00000000-0000-0000-0000-0000000000aa"),
    )
    codes = [validator.decide(token).code for token in (one, other) * 6]
    assert codes.count(Code.ALLOWED) == 10


@pytest.mark.parametrize("spoil", [lambda t: t[:-1], lambda t: t[:20] + "!" + t[21:], lambda t: t + "a", str.lower])
def test_what_is_no_token_is_refused_without_asking_anybody(ledger: Ledger, spoil: Any) -> None:
    told = Validator(ledger).engine.decide(spoil(ledger.issue()), SOLUTION, ACTION, now=ledger.now)
    assert isinstance(told, Decision)
    assert told.code is Code.TOKEN_MALFORMED


def test_foreign_unknown_revoked_expired_and_suspended_each_say_so(ledger: Ledger) -> None:
    validator = Validator(ledger)
    assert validator.decide(tokens.issue("prod")).code is Code.TOKEN_FOREIGN
    assert validator.decide(tokens.issue("dev")).code is Code.TOKEN_UNKNOWN
    assert validator.decide("").code is Code.TOKEN_MISSING
    revoked, suspended = ledger.issue(), ledger.issue()
    ledger.revoked.add(revoked)
    assert validator.decide(revoked).code is Code.TOKEN_REVOKED
    ledger.suspended.add(ledger.granted[suspended])
    assert validator.decide(suspended).code is Code.ENTITLEMENT_SUSPENDED
    told = validator.engine.decide(ledger.issue(), "other", ACTION, now=ledger.now)
    assert isinstance(told, Decision)
    assert told.code is Code.SOLUTION_UNKNOWN


def test_a_known_kid_with_another_secret_is_an_unknown_token(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    assert validator.decide(token).allowed
    body = token[:22] + ("A" if token[22] != "A" else "B") + token[23:-6]
    forged = body + tokens._crc(body)
    assert tokens.parse(forged) == tokens.parse(token)
    assert validator.decide(forged).code is Code.TOKEN_UNKNOWN
    assert validator.decide(token).allowed


def test_a_pushed_revocation_holds_for_the_next_decision(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    assert validator.decide(token).allowed
    ledger.revoked.add(token)
    ledger.revision += 1
    parsed = tokens.parse(token)
    assert parsed is not None
    told = pb.WatchAccessResponse(revision=ledger.revision, tokens=[pb.TokenTerms(kid=parsed.kid)])
    validator.engine.apply(told, ledger.now)
    assert validator.decide(token).code is Code.TOKEN_REVOKED
    assert validator.decide(token, reachable=False).code is Code.TOKEN_REVOKED


def test_an_answer_that_a_push_overtook_is_not_believed(ledger: Ledger) -> None:
    validator, token = Validator(ledger), ledger.issue()
    lack = validator.engine.decide(token, SOLUTION, ACTION, now=ledger.now)
    assert isinstance(lack, Lack) and lack.request is not None
    answer = ledger.admit(lack.request)
    ledger.revoked.add(token)
    ledger.revision += 1
    told = pb.WatchAccessResponse(revision=ledger.revision, tokens=[pb.TokenTerms(kid=answer.token.kid)])
    validator.engine.apply(told, ledger.now)
    validator.engine.admitted(lack.request, answer, ledger.now)
    assert validator.decide(token).code is Code.TOKEN_REVOKED


def test_old_knowledge_refuses_or_allows_as_the_solution_says(ledger: Ledger) -> None:
    ledger.terms.max_age.FromSeconds(5)
    closed = Validator(ledger)
    token = ledger.issue()
    assert closed.decide(token).allowed
    ledger.now += 6
    assert closed.decide(token).code is Code.STALE
    ledger.terms.fail_mode = 2  # type: ignore[assignment]
    ledger.terms.revision = 2
    opened = Validator(ledger)
    assert opened.decide(token).allowed
    ledger.now += 6
    assert opened.decide(token).code is Code.ALLOWED_STALE
    assert opened.decide(ledger.issue()).code is Code.STALE


def test_no_age_at_all_asks_each_time(ledger: Ledger) -> None:
    ledger.terms.max_age.SetInParent()
    validator, token = Validator(ledger), ledger.issue()

    def asked() -> Decision:
        told = validator.engine.decide(token, SOLUTION, ACTION, now=ledger.now)
        assert isinstance(told, Lack) and told.assured and told.request is not None
        validator.engine.admitted(told.request, ledger.admit(told.request), ledger.now)
        decided = validator.engine.decide(token, SOLUTION, ACTION, now=ledger.now, assured=True)
        assert isinstance(decided, Decision)
        return decided

    assert asked().allowed
    ledger.revoked.add(token)
    assert asked().code is Code.TOKEN_REVOKED


def test_a_rate_is_a_bucket_that_refills(ledger: Ledger) -> None:
    ledger.terms.tiers[0].rate_limit.per_second = 2
    ledger.terms.tiers[0].rate_limit.burst = 3
    validator, token = Validator(ledger), ledger.issue()
    assert [validator.decide(token).code for _ in range(4)] == [Code.ALLOWED] * 3 + [Code.RATE_LIMITED]
    refused = validator.decide(token)
    assert refused.retry_after_s is not None and 0 < refused.retry_after_s <= 0.5
    ledger.now += refused.retry_after_s + 0.01
    assert validator.decide(token).allowed
    assert validator.decide(token).code is Code.RATE_LIMITED
    assert validator.allowed == 4


@pytest.mark.parametrize("cost", [-1, 10**12 + 1, -(10**30)])
def test_a_cost_that_is_none_is_a_fault_of_the_caller(ledger: Ledger, cost: int) -> None:
    validator, token = Validator(ledger), ledger.issue()
    validator.decide(token)
    with pytest.raises(ValueError, match="cost"):
        validator.engine.decide(token, SOLUTION, ACTION, cost, now=ledger.now)


def test_a_full_journal_refuses_and_goes_on_once_it_is_taken(ledger: Ledger) -> None:
    ledger.terms.tiers[0].quotas["*"].CopyFrom(ledger.terms.tiers[0].quotas[ACTION])
    validator = Validator(ledger, records=8)
    tokens_ = [ledger.issue() for _ in range(12)]
    codes = []
    for token in tokens_:
        lack = validator.engine.decide(token, SOLUTION, ACTION, now=ledger.now)
        assert isinstance(lack, Lack) and lack.request is not None
        validator.engine.admitted(lack.request, ledger.admit(lack.request), ledger.now)
        told = validator.engine.decide(token, SOLUTION, ACTION, now=ledger.now)
        assert isinstance(told, Decision)
        codes.append(told.code)
    assert codes == [Code.ALLOWED] * 8 + [Code.LOG_FULL] * 4
    assert validator.engine.unlogged == 4
    validator.settle()
    assert ledger.used == 8
    assert validator.decide(tokens_[-1]).allowed


def test_equal_decisions_are_one_record(ledger: Ledger) -> None:
    ledger.terms = solution(1000)
    validator, token = Validator(ledger), ledger.issue()
    ids = [validator.decide(token).decision_id for _ in range(50)]
    assert len(set(ids)) == 50
    validator.settle(everything=True)
    assert sum(run.count for run in ledger.runs.values()) == 50
    assert len(ledger.runs) < 10
    runs = {decision_id.rpartition(".")[0] for decision_id in ids}
    assert runs == set(ledger.runs)


def test_what_a_process_that_died_has_decided_is_in_the_log(ledger: Ledger, tmp_path: Path) -> None:
    ledger.terms = solution(1000)
    path = tmp_path / "journal"
    validator, token = Validator(ledger, path), ledger.issue()
    for _ in range(37):
        assert validator.decide(token).allowed
    with pytest.raises(JournalBusy):
        Journal(path)
    validator.engine._journal.close()
    following = Journal(path)
    for request in following.recovered("again"):
        ledger.settle(request)
        ledger.settle(request)
    assert ledger.used == ledger.taken == 37
    assert not ledger.leases
    assert following.used == 0


def test_a_torn_record_is_left_out(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "journal"
    validator, token = Validator(ledger, path), ledger.issue()
    validator.decide(token)
    [run] = validator.engine._pending
    validator.engine._counts[run.place + 10] += 1
    validator.engine._journal.close()
    assert not list(Journal(path).recovered("again"))


def test_the_log_of_many_tokens_flows_in_small_parts_and_all_of_it_within_fifteen_seconds(ledger: Ledger) -> None:
    ledger.terms = solution(None)
    validator = Validator(ledger, records=4096)
    tokens = [ledger.issue() for _ in range(400)]
    for token in tokens:
        validator.decide(token)
    parts: list[int] = []
    for _ in range(75):
        ledger.now += FLOW_S
        validator.engine.apply(ledger.push(), ledger.now)
        while (request := validator.engine.batch(ledger.now)) is not None:
            parts.append(len(request.runs))
            validator.engine.settled(ledger.settle(request), ledger.now)
    assert max(parts) <= FLOW_RUNS
    assert sum(parts) == len(tokens)


def test_idle_units_go_back(ledger: Ledger) -> None:
    ledger.terms = solution(1000)
    validator, token = Validator(ledger), ledger.issue()
    for _ in range(20):
        validator.decide(token)
        ledger.now += 0.01
    assert sum(lease.unspent for lease in ledger.leases.values()) > 0
    for _ in range(2):
        ledger.now += IDLE_S
        validator.engine.apply(ledger.push(), ledger.now)
        validator.settle()
    assert not ledger.leases
    assert ledger.taken == ledger.used == 20


def crowded(ledger: Ledger) -> tuple[Validator, str]:
    """A validator and a token whose log is not handed in soon, because many others' comes first."""
    ledger.terms = solution(1024)
    validator = Validator(ledger, records=4096)
    for _ in range(300):
        validator.decide(ledger.issue())
    token = ledger.issue()
    validator.decide(token)
    return validator, token


def tick(validator: Validator) -> None:
    validator.ledger.now += TICK_S
    validator.engine.apply(validator.ledger.push(), validator.ledger.now)
    validator.settle()


def test_what_is_used_up_is_filled_up_again_with_a_batch(ledger: Ledger) -> None:
    """And not begun anew by a transaction of its own."""
    validator, token = crowded(ledger)
    [lease] = [lease for lease in validator.engine._live if lease.spent == 1][-1:]
    validator.decide(token, lease.left)
    tick(validator)
    tick(validator)
    told = validator.engine.decide(token, SOLUTION, ACTION, 100, now=ledger.now)
    assert isinstance(told, Lack) and told.need is Need.MORE


def flow(validator: Validator) -> pb.SettleLeasesRequest | None:
    """The next batch of what flows; all that is due goes with it."""
    validator.ledger.now += FLOW_S
    request = validator.engine.batch(validator.ledger.now)
    if request is not None:
        validator.engine.settled(validator.ledger.settle(request), validator.ledger.now)
        assert validator.engine.batch(validator.ledger.now) is None
    return request


def test_what_is_used_fast_asks_before_all_is_used_up(ledger: Ledger) -> None:
    validator, token = crowded(ledger)
    for _ in range(9):
        validator.decide(token)
    tick(validator)
    [lease] = [lease for lease in validator.engine._live if lease.spent == 10]
    while lease.left > 1:
        validator.decide(token)
    flow(validator)
    assert lease.left > 10


def test_what_is_used_slowly_asks_before_all_is_used_up(ledger: Ledger) -> None:
    """A few units a second: where it is low stays where it is, however often one looks."""
    validator, token = crowded(ledger)
    [lease] = [lease for lease in validator.engine._live if lease.spent == 1][-1:]
    for _ in range(40):
        for _ in range(2):
            assert isinstance(validator.engine.decide(token, SOLUTION, ACTION, 1, now=ledger.now), Decision)
        tick(validator)
    assert lease.spent == 81


def test_leases_that_run_low_after_each_other_ask_together(ledger: Ledger) -> None:
    """A batch for each would meet the next one's: one after the other, for as long as there are any."""
    ledger.terms = solution(1024)
    validator, several = Validator(ledger, records=4096), [ledger.issue() for _ in range(8)]
    for token in several:
        for _ in range(5):
            validator.decide(token)
    tick(validator)
    leases = [lease for lease in validator.engine._live if lease.spent == 5]
    for token, lease in zip(several, leases, strict=True):
        while lease.left > 2:
            validator.decide(token)
        assert validator.engine.batch(ledger.now) is None
    asked = flow(validator)
    assert asked is not None and len(asked.settlements) == len(several)


def test_a_million_tokens_fit_in_their_size() -> None:
    """A hundredth of them here; the bench has all."""
    count = 10_000
    ledger = Ledger(NOON, solution(10))
    engine = Engine(instance="v", environment="dev", journal=Journal(None, 64))
    engine.apply(ledger.push(reset=True), ledger.now)
    source = random.Random(5)
    answers = []
    for _ in range(count):
        token = tokens.issue("dev", random=source.randbytes)
        request = pb.AdmitTokenRequest(token=token, solution_id=SOLUTION)
        told = pb.AdmitTokenResponse(code=1, revision=1)  # type: ignore[arg-type]
        parsed = tokens.parse(token)
        assert parsed is not None
        told.token.kid, told.token.state = parsed.kid, 1  # type: ignore[assignment]
        told.entitlement.id = str(uuid.UUID(bytes=source.randbytes(16)))
        told.entitlement.user_id = str(uuid.UUID(bytes=source.randbytes(16)))
        told.entitlement.user_email = f"user-{source.randrange(10**9)}@mail.example.com"
        told.entitlement.solution_id, told.entitlement.tier = SOLUTION, "free"
        told.entitlement.status = 1  # type: ignore[assignment]
        answers.append((request, told))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for request, told in answers:
        engine.admitted(request, told, ledger.now)
    size = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    assert engine.held == count
    assert size < 400


def test_many_decisions_on_a_lease_take_microseconds(ledger: Ledger) -> None:
    """A wide bar, for busy machines; the bench has the real one."""
    ledger.terms = solution(10**9)
    validator, token = Validator(ledger), ledger.issue()
    decide, now = validator.engine.decide, ledger.now
    validator.decide(token)
    ledger.now += 0.001
    for _ in range(200):
        validator.decide(token)
    best = min(_seconds_of(lambda: decide(token, SOLUTION, ACTION, now=now), 2000) for _ in range(5))
    assert best < 50e-6


def _seconds_of(work: Any, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times
