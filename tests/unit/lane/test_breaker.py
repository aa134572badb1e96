"""Too many dead letters open the breaker; a few events that end well close it."""

import pytest

from streams.lane.breaker import PROBES, Breaker, BreakerSettings, Side, State, side_of
from tests.fakes.clock import ManualClock

SETTINGS = BreakerSettings(events=10, share=0.5, window_ms=10_000, retry_ms=5_000)


class Rig:
    """A breaker over a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.breaker = Breaker(SETTINGS, self.clock.monotonic)

    def end(self, *errors: str | None, every_s: float = 0.0) -> State:
        """End some events one after another; return the state then."""
        for error in errors:
            self.clock.advance(every_s)
            self.breaker.count(side_of(error) if error else Side.RUN, error)
            self.breaker.judge()
        return self.breaker.state


@pytest.fixture
def rig() -> Rig:
    """Return a breaker that opens at more than half of at least 10 events in 10 s."""
    return Rig()


def test_few_events_say_nothing(rig: Rig) -> None:
    """The first events of a quiet topic may all be bad."""
    assert rig.end(*["invalid"] * 9) is State.CLOSED
    assert rig.end("invalid") is State.OPEN


def test_half_is_not_more_than_half(rig: Rig) -> None:
    """The limit itself is still accepted."""
    assert rig.end(*[None, "poison"] * 20) is State.CLOSED
    assert rig.end("poison") is State.OPEN


def test_what_is_long_over_does_not_count(rig: Rig) -> None:
    """A bad event every two seconds never adds up to ten."""
    assert rig.end(*["poison"] * 100, every_s=2.0) is State.CLOSED
    assert rig.end(*["poison"] * 100, every_s=0.5) is State.OPEN


def test_it_says_what_it_was_opened_for_and_whom_it_blames(rig: Rig) -> None:
    """A bad model and a bad producer have different remedies."""
    rig.end(None, None, *["poison"] * 6, "invalid", "crashed", "poison")
    assert rig.breaker.reason == "8 of 10 events became dead letters (7 poison, 1 crashed)"
    assert rig.breaker.side is Side.RUN
    other = Rig()
    other.end(*["invalid"] * 9, "poison", "oversized")
    assert other.breaker.reason == "10 of 10 events became dead letters (9 invalid, 1 oversized)"
    assert other.breaker.side is Side.READ


def test_what_ends_together_is_judged_together(rig: Rig) -> None:
    """Which event of a poll or batch comes first says nothing."""
    for _ in range(20):
        rig.breaker.count(Side.READ, "invalid", 40)
        rig.breaker.count(Side.READ, None, 60)
        rig.breaker.judge()
    assert rig.breaker.state is State.CLOSED


def test_events_that_were_only_read_do_not_hide_a_model_that_fails(rig: Rig) -> None:
    """Nor do answers hide records that nobody can read."""
    rig.breaker.count(Side.READ, None, 1_000)
    assert rig.end(*["poison"] * 10) is State.OPEN
    other = Rig()
    other.breaker.count(Side.RUN, None, 1_000)
    assert other.end(*["undecodable"] * 10) is State.OPEN


def test_probes_begin_after_a_while_and_decide(rig: Rig) -> None:
    """All that is well closes it, and counting begins anew."""
    rig.end(*["poison"] * 10)
    rig.breaker.look()
    assert rig.breaker.state is State.OPEN
    rig.clock.advance(5.0)
    rig.breaker.look()
    assert rig.breaker.state is State.PROBING
    assert rig.end(*[None] * (PROBES - 1)) is State.PROBING
    assert rig.end("poison") is State.CLOSED
    assert rig.end(*["poison"] * 9) is State.CLOSED


def test_probes_that_fail_open_it_again_for_as_long(rig: Rig) -> None:
    """And say what they failed with."""
    rig.end(*["poison"] * 10)
    rig.clock.advance(5.0)
    rig.breaker.look()
    assert rig.end(*["crashed"] * PROBES) is State.OPEN
    assert rig.breaker.reason == f"{PROBES} of {PROBES} events became dead letters (10 crashed)"
    rig.clock.advance(4.9)
    rig.breaker.look()
    assert rig.breaker.state is State.OPEN


def test_what_ends_while_it_is_open_is_not_counted(rig: Rig) -> None:
    """The device still had a batch or two of the same kind."""
    rig.end(*["poison"] * 10)
    rig.end(*["invalid"] * 50)
    assert rig.breaker.reason == "10 of 10 events became dead letters (10 poison)"
