"""What ``headrace tail`` writes of a result."""

import pytest

from streams.commands.tail import _result

RESULT = {
    "event_id": "f-2",
    "label": "ash",
    "scores": {"ash": 0.9},
    "verdict": "on_time",
    "latency": {"total_ms": 12.3},
}


@pytest.mark.parametrize("origin", [{}, {"answered_from": "model"}])
def test_an_answer_of_the_model_says_no_more(origin: dict[str, str]) -> None:
    """Results of workers that do not say where an answer is from are the model's."""
    assert _result(RESULT | origin).plain.endswith(" 12 ms  f-2")


def test_an_answer_that_is_taken_over_says_so() -> None:
    """People see at a glance that the model did not run."""
    line = _result(RESULT | {"answered_from": "previous_frame"}).plain
    assert line.endswith("f-2  from previous frame")


def test_what_was_superseded_says_by_what() -> None:
    """The reason comes last, as of every verdict that is not on time."""
    reason = "superseded while it waited by a newer image of camera 'gate', event 'f-3' (c/0/3)"
    shed = RESULT | {"verdict": "shed", "label": None, "answered_from": "none", "reason": reason}
    assert _result(shed).plain.endswith(f"f-2  {reason}")
