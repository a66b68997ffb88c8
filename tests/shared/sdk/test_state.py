"""A registration comes back to the browser in which it began, and to no other."""

import pytest

from center_sdk import state

MINE = state.kept("")


def test_a_browser_keeps_its_state_and_another_has_another() -> None:
    assert state.kept(MINE) == MINE
    assert state.kept("") != MINE
    assert state.holds(MINE, MINE)


@pytest.mark.parametrize("cookie", ["", "x", "{}" + "x" * 22, "x" * 25, "ä" * 24])
def test_what_we_did_not_set_is_replaced_and_never_holds(cookie: str) -> None:
    assert state.kept(cookie, lambda size: f"{size} bytes") == "18 bytes"
    assert not state.holds(cookie, cookie)


@pytest.mark.parametrize("told", ["", "x" * 24, "ä", "\ud800"], ids=["none", "another", "no ASCII", "no text"])
def test_another_browsers_state_does_not_hold(told: str) -> None:
    assert not state.holds(MINE, told)
