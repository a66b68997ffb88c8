"""A validator decides in its own process, learns of a change at once, and never spends what is not there."""

import asyncio
from pathlib import Path

import pytest

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import solution_service_pb2 as solutions_pb
from center_sdk import (
    AsyncValidator,
    Code,
    CodeInvalid,
    Credentials,
    InvalidRequest,
    NotAuthorized,
    Unreachable,
    ValidatorClosed,
)
from tests.control.plane import until
from tests.shared.sdk.market import Market, quota
from tests.support.server import free_port


async def test_a_limit_is_spent_to_the_last_unit_and_not_further(market: Market) -> None:
    solution_id = await market.solution(limit=10)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        decisions = [await validator.validate(token.token, "search") for _ in range(12)]
    assert [decision.allowed for decision in decisions] == [True] * 10 + [False] * 2
    assert decisions[0].user_id == token.user_id
    assert decisions[0].tier == "free"
    assert decisions[0].limit == 10
    assert decisions[9].remaining == 0
    assert decisions[10].code is Code.QUOTA_EXHAUSTED
    assert decisions[10].upgrade_url == "https://upgrade.example/free/search"


async def test_what_is_left_goes_back_when_a_validator_closes(market: Market) -> None:
    solution_id = await market.solution(limit=1000)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        for _ in range(200):
            assert (await validator.validate(token.token, "search")).allowed
    async with market.validator(solution_id) as validator:
        for _ in range(800):
            assert (await validator.validate(token.token, "search")).allowed
        assert (await validator.validate(token.token, "search")).code is Code.QUOTA_EXHAUSTED


async def test_the_usage_is_what_was_allowed_and_the_log_has_every_decision(market: Market) -> None:
    solution_id = await market.solution(limit=5)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        decisions = [await validator.validate(token.token, "search") for _ in range(8)]
    [usage] = await market.usage(solution_id)
    assert (usage.used_units, usage.lost_units, usage.allowed_count, usage.denied_count) == (5, 0, 5, 3)
    runs = await market.decisions(solution_id)
    assert sum(run.count for run in runs) == 8
    explained = await market.access.ExplainDecision(
        access_pb.ExplainDecisionRequest(decision_id=decisions[-1].decision_id)
    )
    assert explained.decision.code == access_pb.DECISION_CODE_QUOTA_EXHAUSTED


async def test_a_peek_spends_nothing(market: Market) -> None:
    solution_id = await market.solution(limit=1)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        for _ in range(3):
            seen = await validator.peek(token.token, "search")
            assert seen.allowed
            assert seen.remaining == 1
        assert (await validator.validate(token.token, "search")).allowed
        assert not (await validator.peek(token.token, "search")).allowed


async def test_a_revoked_token_is_refused_by_a_validator_that_holds_a_lease_of_it(market: Market) -> None:
    solution_id = await market.solution(limit=1000)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        assert (await validator.validate(token.token, "search")).allowed
        await validator.reached(await market.revoke(token.token_kid), within_s=5)
        assert (await validator.validate(token.token, "search")).code is Code.TOKEN_REVOKED


async def test_a_raised_limit_works_on_the_next_call(market: Market) -> None:
    solution_id = await market.solution(limit=2)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        assert [(await validator.validate(token.token, "search")).allowed for _ in range(3)] == [True, True, False]
        raised = solutions_pb.Solution(
            id=solution_id,
            tiers=[
                solutions_pb.Tier(id="free", quotas={"search": quota(3)}),
                solutions_pb.Tier(id="pro", quotas={"search": quota(None)}),
            ],
        )
        request = solutions_pb.UpdateSolutionRequest(solution=raised, reason="a test")
        request.update_mask.paths.append("tiers")
        changed = await market.solutions.UpdateSolution(request)
        await validator.reached(changed.solution.revision, within_s=5)
        assert [(await validator.validate(token.token, "search")).allowed for _ in range(2)] == [True, False]


async def test_another_tier_holds_for_a_live_token(market: Market) -> None:
    solution_id = await market.solution(limit=1)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        assert (await validator.validate(token.token, "export")).code is Code.ACTION_NOT_ALLOWED
        changed = await market.access.UpdateEntitlement(
            access_pb.UpdateEntitlementRequest(id=token.entitlement_id, tier="pro", reason="paid")
        )
        await validator.reached(changed.entitlement.revision, within_s=5)
        assert (await validator.validate(token.token, "export")).allowed
        suspended = await market.access.UpdateEntitlement(
            access_pb.UpdateEntitlementRequest(
                id=token.entitlement_id, status=access_pb.ENTITLEMENT_STATUS_SUSPENDED, reason="unpaid"
            )
        )
        await validator.reached(suspended.entitlement.revision, within_s=5)
        assert (await validator.validate(token.token, "export")).code is Code.ENTITLEMENT_SUSPENDED


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda token: "", Code.TOKEN_MISSING),
        (lambda token: token[:-1], Code.TOKEN_MALFORMED),
        (lambda token: token[:-8] + "AAAAAAAA", Code.TOKEN_MALFORMED),
        (lambda token: "x" * 500, Code.TOKEN_MALFORMED),
    ],
)
async def test_what_is_no_token_is_refused_without_asking(market: Market, spoil: object, code: Code) -> None:
    solution_id = await market.solution()
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        assert (await validator.validate(spoil(token.token), "search")).code is code  # type: ignore[operator]


async def test_a_token_of_another_solution_is_refused(market: Market) -> None:
    mine, other = await market.solution(), await market.solution()
    token = await market.token(other)
    async with market.validator(mine) as validator:
        assert (await validator.validate(token.token, "search")).code is Code.SOLUTION_MISMATCH


async def test_a_negative_cost_is_the_callers_fault(market: Market) -> None:
    solution_id = await market.solution()
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        with pytest.raises(InvalidRequest):
            await validator.validate(token.token, "search", cost=-1)
        assert (await validator.validate(token.token, "search", cost=11)).code is Code.QUOTA_EXHAUSTED
        assert (await validator.validate(token.token, "search", cost=10)).allowed


async def test_units_are_set_aside_and_given_back(market: Market) -> None:
    solution_id = await market.solution(limit=10)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        held = await validator.reserve(token.token, "search", units=8)
        assert held.decision.allowed
        refused = await validator.reserve(token.token, "search", units=3)
        assert refused.decision.code is Code.QUOTA_EXHAUSTED
        assert refused.id == ""
        committed = await validator.commit(held.id, cost=5)
        assert (committed.spent_units, committed.released_units, committed.short_units) == (5, 3, 0)
        again = await validator.reserve(token.token, "search", units=5)
        assert again.decision.allowed
        assert await validator.release(again.id) == 5


async def test_an_unknown_code_is_told_as_such(market: Market) -> None:
    solution_id = await market.solution()
    async with market.validator(solution_id) as validator:
        with pytest.raises(CodeInvalid):
            await validator.exchange_code("never-issued")


async def test_age_zero_asks_the_control_plane_each_time(market: Market) -> None:
    solution_id = await market.solution(limit=100, max_age_s=0)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        assert (await validator.validate(token.token, "search")).allowed
        # With nothing waited for in between.
        await market.revoke(token.token_kid)
        assert (await validator.validate(token.token, "search")).code is Code.TOKEN_REVOKED


async def test_two_validators_of_one_process_share_no_units(market: Market, tmp_path: Path) -> None:
    solution_id = await market.solution(limit=20)
    token = await market.token(solution_id)
    async with (
        market.validator(solution_id, instance="a", journal=tmp_path / "a") as one,
        market.validator(solution_id, instance="b", journal=tmp_path / "b") as two,
    ):
        decisions = await asyncio.gather(
            *(each.validate(token.token, "search") for _ in range(20) for each in (one, two))
        )
    assert sum(decision.allowed for decision in decisions) == 20


async def test_many_that_wait_for_one_token_ask_once(market: Market) -> None:
    solution_id = await market.solution(limit=1000)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        decisions = await asyncio.gather(*(validator.validate(token.token, "search") for _ in range(300)))
        assert all(decision.allowed for decision in decisions)
    [usage] = await market.usage(solution_id)
    assert usage.used_units == 300


async def test_another_solutions_certificate_is_refused(market: Market) -> None:
    mine, other = await market.solution(), await market.solution()
    with pytest.raises(NotAuthorized):
        await AsyncValidator.connect(market.plane.config.address, other, market.credentials(mine))


async def test_nobody_there_is_said_so(market: Market) -> None:
    solution_id = await market.solution()
    with pytest.raises(Unreachable):
        async with market.validator(solution_id, address=f"127.0.0.1:{free_port()}", within_s=0.5):
            pass


async def test_a_closed_validator_decides_nothing(market: Market) -> None:
    solution_id = await market.solution()
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        await validator.close()
        with pytest.raises(ValidatorClosed):
            await validator.validate(token.token, "search")


def test_a_key_goes_to_another_machine_over_tls_only() -> None:
    with pytest.raises(InvalidRequest):
        Credentials.key("ccs_dev_x", plaintext=True).channel("center.example:8080")
    assert "ccs_dev_x" not in repr(Credentials.key("ccs_dev_x"))


async def test_threads_share_a_validator_and_spend_exactly_the_limit(market: Market) -> None:
    solution_id = await market.solution(limit=500)
    token = await market.token(solution_id)
    async with market.process(solution_id) as solution:
        allowed = await solution.ask(do="threads", token=token.token, threads=8, times=100)
        assert allowed == 500
        assert await until(lambda: _used(market, solution_id, 500))


async def _used(market: Market, solution_id: str, units: int) -> bool:
    return sum(usage.used_units for usage in await market.usage(solution_id)) == units


async def test_a_fork_has_no_share_of_the_lease(market: Market) -> None:
    # Without a limit there is no end to what the child could allow by itself.
    solution_id = await market.solution(limit=None)
    token = await market.token(solution_id)
    async with market.process(solution_id) as solution:
        assert await solution.validate(token.token) == ["ALLOWED"]
        # Of a lease, and where the control plane would be asked.
        assert await solution.ask(do="fork", token=token.token) == ["ValidatorClosed", "ValidatorClosed"]
        assert await solution.validate(token.token) == ["ALLOWED"]
