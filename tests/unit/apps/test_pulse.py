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
