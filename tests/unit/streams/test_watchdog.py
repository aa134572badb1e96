"""Progress is judged by positions, at the observer's pace."""

from streams.watchdog import Stall, StallDetector


def test_no_work_is_no_stall() -> None:
    """A quiet topic may stay quiet for ever."""
    detector = StallDetector(10)
    verdicts = [
        detector.observe(now=now, lag=0, in_flight=0, progress=5) for now in range(0, 100, 10)
    ]
    assert verdicts == [None] * 10


def test_lag_that_shrinks_is_no_stall() -> None:
    """Every completion starts the clock again."""
    detector = StallDetector(10)
    verdicts = [
        detector.observe(now=now, lag=50, in_flight=1, progress=now) for now in range(0, 100, 9)
    ]
    assert set(verdicts) == {None}


def test_lag_without_arrivals_is_the_consumers_stall() -> None:
    """The broker has events and none comes in: the consumer must be replaced."""
    detector = StallDetector(10)
    assert detector.observe(now=0, lag=5, in_flight=0, progress=3) is None
    assert detector.observe(now=9, lag=5, in_flight=0, progress=3) is None
    assert detector.observe(now=10, lag=5, in_flight=0, progress=3) is Stall.CONSUMER


def test_events_that_never_end_are_the_pipelines_stall() -> None:
    """Replacing the consumer would not help what hangs behind it."""
    detector = StallDetector(10)
    detector.observe(now=0, lag=5, in_flight=2, progress=3)
    assert detector.observe(now=11, lag=5, in_flight=2, progress=3) is Stall.PIPELINE


def test_the_remedy_gets_time_to_show_an_effect() -> None:
    """A stall is reported once per waiting time, not at every look."""
    detector = StallDetector(10)
    detector.observe(now=0, lag=5, in_flight=0, progress=3)
    assert detector.observe(now=10, lag=5, in_flight=0, progress=3) is Stall.CONSUMER
    assert detector.observe(now=12, lag=5, in_flight=0, progress=3) is None
    assert detector.observe(now=20, lag=5, in_flight=0, progress=3) is Stall.CONSUMER
