"""When the events of a log are due."""

import pytest

from schemas.errors import ConfigurationError
from streams.replay.pacing import NoPace, OriginalPace, Pacer, SteadyPace, make_pace
from tests.fakes.clock import ManualClock


def test_the_gaps_of_the_log_are_kept_and_scaled() -> None:
    """At tenfold speed a gap of five seconds is half a second."""
    pace = OriginalPace(10.0)
    assert [pace.due_s(time) for time in (1_000, 6_000, 16_000)] == [0.0, 0.5, 1.5]


def test_events_out_of_order_or_without_a_time_keep_their_place() -> None:
    """The order of the log is kept; nothing is held up, nothing is due in the past."""
    pace = OriginalPace(1.0)
    assert [pace.due_s(time) for time in (1_000, 3_000, 2_000, None, 4_000)] == [0, 2, 2, 2, 3]


def test_a_rate_spaces_events_evenly_whatever_the_log_says() -> None:
    """Four a second are due a quarter of a second apart."""
    pace = SteadyPace(4.0)
    assert [pace.due_s(time) for time in (5, 5, 5)] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("speed", "kind"), [("max", NoPace), ("x3", OriginalPace), ("0.5", OriginalPace)]
)
def test_speeds_are_read(speed: str, kind: type) -> None:
    """A factor with or without an x, or max."""
    assert isinstance(make_pace(speed), kind)
    assert isinstance(make_pace(speed, rate=5.0), SteadyPace)


@pytest.mark.parametrize(("speed", "rate"), [("fast", None), ("0", None), ("-1", None), ("1", 0.0)])
def test_what_is_no_speed_is_refused(speed: str, rate: float | None) -> None:
    """The error names the flag and what it takes."""
    with pytest.raises(ConfigurationError, match=r"--speed|--rate"):
        make_pace(speed, rate)


async def test_the_pacer_sleeps_until_an_event_is_due_and_notes_being_late() -> None:
    """Waiting is measured from the first event; being behind is remembered, not made worse."""
    clock = ManualClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    pacer = Pacer(SteadyPace(2.0), clock, sleep)
    await pacer.wait(None)
    await pacer.wait(None)
    assert slept == [0.5]
    clock.advance(2.0)
    await pacer.wait(None)
    assert slept == [0.5]
    assert pacer.worst_behind_s == pytest.approx(1.5)
