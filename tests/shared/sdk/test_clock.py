"""The control plane's clock as a validator sees it: nothing passes for newer than it is."""

import time

from center_sdk.clock import ControlClock

# Of the control plane's clock: far from this machine's.
FAR_S = 4_000_000_000.0


def test_a_wrong_clock_of_this_machine_decides_nothing() -> None:
    clock = ControlClock()
    here = time.monotonic()
    clock.begin(here)
    clock.observe(FAR_S, here)
    assert abs(clock.now() - FAR_S) < 1


def test_the_first_message_is_as_old_as_the_question() -> None:
    clock = ControlClock()
    clock.begin(100.0)
    assert clock.observe(FAR_S, 107.0) == 100.0


def test_a_message_that_was_under_way_for_long_is_known_to_be_old() -> None:
    clock = ControlClock()
    clock.begin(100.0)
    clock.observe(FAR_S, 100.01)
    assert abs(clock.observe(FAR_S + 1, 101.01) - 101.0) < 0.011
    # Sent two seconds after the first, and here nine seconds after it.
    assert abs(clock.observe(FAR_S + 2, 109.0) - 102.0) < 0.011


def test_no_message_is_newer_than_its_arrival() -> None:
    clock = ControlClock()
    clock.begin(100.0)
    clock.observe(FAR_S, 100.01)
    # The control plane's clock was set on by an hour.
    assert clock.observe(FAR_S + 3600, 101.0) == 101.0


def test_clocks_that_drift_apart_make_nothing_old_for_ever() -> None:
    clock = ControlClock()
    clock.begin(0.0)
    received, ages = 0.0, []
    for second in range(100_000):
        received = float(second)
        # This machine's clock runs faster by 50 microseconds a second.
        ages.append(received - clock.observe(FAR_S + second * 0.99995, received))
    assert max(ages) < 0.01


def test_a_stream_that_starts_anew_forgets_the_clock_of_the_one_before() -> None:
    clock = ControlClock()
    clock.begin(100.0)
    clock.observe(FAR_S, 100.0)
    clock.begin(200.0)
    assert clock.observe(FAR_S - 5000, 200.1) == 200.0
