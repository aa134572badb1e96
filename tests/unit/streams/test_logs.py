"""What is written to the log, and what is left out."""

import logging

from streams.logs import Throttle
from tests.fakes.clock import ManualClock


def line(text: str = "Unable connect to node %s", *arguments: object) -> logging.LogRecord:
    """Make a record of aiokafka's."""
    return logging.LogRecord("aiokafka", logging.ERROR, "client.py", 1, text, arguments, None)


def test_a_line_that_repeats_is_written_once_in_a_while_with_a_count() -> None:
    """Same wording, whatever its values: the next one written says how many were not."""
    clock = ManualClock()
    throttle = Throttle(10.0, clock.monotonic)
    assert [throttle.filter(line("Unable connect to node %s", node)) for node in (1, 2, 3)] == [
        True,
        False,
        False,
    ]
    clock.advance(10.0)
    later = line("Unable connect to node %s", 4)
    assert throttle.filter(later)
    assert later.getMessage() == "Unable connect to node 4 (and 2 more like it)"


def test_another_wording_is_not_held_back() -> None:
    """News is written at once."""
    throttle = Throttle(10.0, ManualClock().monotonic)
    assert throttle.filter(line("Unable connect to node %s", 1))
    assert throttle.filter(line("Marking the coordinator dead (node %s)", 1))


def test_a_percent_sign_in_a_counted_line_is_kept() -> None:
    """The count is added to the finished text, not to its template."""
    clock = ManualClock()
    throttle = Throttle(1.0, clock.monotonic)
    throttle.filter(line("at %s", "100%"))
    throttle.filter(line("at %s", "100%"))
    clock.advance(1.0)
    last = line("at %s", "100%")
    assert throttle.filter(last)
    assert last.getMessage() == "at 100% (and 1 more like it)"
