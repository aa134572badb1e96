"""How long records take to the broker, and how many are on their way."""

import asyncio

import pytest

from streams.delivery.underway import FADE_S, SPARE_S, WINDOW, Longest, Underway
from tests.fakes.clock import ManualClock


def test_the_margin_is_the_longest_way_of_late() -> None:
    """Shorter ones after it do not lower it at once; it fades to what is always spared."""
    clock = ManualClock()
    underway = Underway(clock.monotonic)
    assert underway.margin_s == SPARE_S
    for took_s in (0.010, 0.030, 0.005):
        number = underway.begin()
        clock.advance(took_s)
        assert underway.end(number) == pytest.approx(took_s)
    assert 0.029 < underway.margin_s - SPARE_S < 0.030
    clock.advance(FADE_S)
    assert 0.010 < underway.margin_s - SPARE_S < 0.012
    clock.advance(10 * FADE_S)
    assert underway.margin_s == pytest.approx(SPARE_S, rel=0.01)


def test_a_stall_counts_while_it_lasts() -> None:
    """The oldest that waits for its acknowledgement says that the next will wait too."""
    clock = ManualClock()
    underway = Underway(clock.monotonic)
    underway.begin()
    clock.advance(0.040)
    newer = underway.begin()
    assert underway.margin_s == pytest.approx(0.040 + SPARE_S)
    underway.end(newer)
    assert underway.margin_s == pytest.approx(0.040 + SPARE_S)


def test_a_longer_time_replaces_a_faded_one() -> None:
    """Not the longest ever."""
    longest = Longest()
    longest.note(0.1, 0.0)
    longest.note(0.05, FADE_S)
    assert longest.at(FADE_S) == pytest.approx(0.05)


async def test_a_full_window_waits_for_an_acknowledgement() -> None:
    """What is made later has a truer verdict."""
    underway = Underway(ManualClock().monotonic)
    numbers = [underway.begin() for _ in range(WINDOW)]
    waiting = asyncio.create_task(underway.room())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    underway.end(numbers[0])
    await asyncio.wait_for(waiting, 30)
