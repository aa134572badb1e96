"""A process that slept longer than its session may not write on."""

import pytest

from streams.apps.pulse import AppFailedError, Pulse
from tests.fakes.clock import ManualClock


def test_a_long_sleep_is_noticed_whoever_looks_first() -> None:
    """Short pauses are not one, however many there are."""
    clock = ManualClock()
    pulse = Pulse(6.0, clock.monotonic)
    for _ in range(5):
        clock.advance(5.0)
        pulse.check()
    clock.advance(6.1)
    with pytest.raises(AppFailedError, match=r"slept 6\.1 s"):
        pulse.check()


def test_who_has_slept_is_never_well_again() -> None:
    """Whoever else looks before the process has ended is told the same."""
    clock = ManualClock()
    pulse = Pulse(6.0, clock.monotonic)
    clock.advance(7.0)
    for _ in range(2):
        with pytest.raises(AppFailedError):
            pulse.check()
        clock.advance(0.1)
