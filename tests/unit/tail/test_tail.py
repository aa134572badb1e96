"""What ``headrace tail`` writes of a record, on a line for people."""

from typing import Any

import pytest
from rich.text import Text

from streams.tail.lines import line_of
from streams.topics import TopicKind

RESULT = {
    "event_id": "f-2",
    "label": "ash",
    "scores": {"ash": 0.9},
    "verdict": "on_time",
    "latency": {"total_ms": 12.3},
}


def _line(result: dict[str, Any]) -> Text:
    return line_of(result, TopicKind.RESULTS)


@pytest.mark.parametrize("origin", [{}, {"answered_from": "model"}])
def test_an_answer_of_the_model_says_no_more(origin: dict[str, str]) -> None:
    """Results of workers that do not say where an answer is from are the model's."""
    assert _line(RESULT | origin).plain.endswith(" 12 ms  f-2")


def test_an_answer_that_is_taken_over_says_so() -> None:
    """People see at a glance that the model did not run."""
    line = _line(RESULT | {"answered_from": "previous_frame"}).plain
    assert line.endswith("f-2  from previous frame")


def test_what_was_superseded_says_by_what() -> None:
    """The reason comes last, as of every verdict that is not on time."""
    reason = "superseded while it waited by a newer image of camera 'gate', event 'f-3' (c/0/3)"
    shed = RESULT | {"verdict": "shed", "label": None, "answered_from": "none", "reason": reason}
    assert _line(shed).plain.endswith(f"f-2  {reason}")


def test_a_long_label_stands_apart_from_its_score() -> None:
    """Names of intents and defects are longer than those of sentiments."""
    label = "finishing_roll_printing"
    line = _line(RESULT | {"label": label, "scores": {label: 0.77}}).plain
    assert line.startswith("finishing_roll_printing 0.77 ")


def test_news_shows_its_tickers() -> None:
    """Those of the feed and those that were found."""
    assert _line(RESULT | {"tickers": ["HBR", "AAPL"]}).plain.endswith("f-2  HBR AAPL")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "c1  2 segments  card_arrival 1  customer waits for an answer"),
        ({"open_question": None, "mood": -0.5}, "c1  2 segments  card_arrival 1  mood -0.50"),
        ({"intents": [], "open_question": None}, "c1  2 segments  no intent yet"),
    ],
)
def test_a_session_shows_how_it_goes(changes: dict[str, Any], line: str) -> None:
    """Its intents, its mood, and who waits for an answer."""
    state = {
        "session_id": "c1",
        "segments": 2,
        "intents": [{"label": "card_arrival", "count": 1}],
        "mood": None,
        "open_question": {"speaker": "customer"},
    }
    assert line_of(state | changes, TopicKind.SESSIONS).plain == line


def test_a_fused_answer_shows_its_parts() -> None:
    """And what it is without."""
    parts = {"news": {"label": "positive"}, "camera": {"label": None}}
    fused = {"key": "HBR", "parts": parts, "missing": ["transcript"], "revision": 1}
    unsure = fused | {"ambiguous": True, "confidence": 0.7}
    assert "ambiguous, 0.7" in line_of(unsure, TopicKind.FUSED).plain
    line = line_of(fused, TopicKind.FUSED).plain
    assert line == "HBR  news positive  camera -  without transcript  revision 1"


def test_a_long_ticker_stands_apart_from_its_signal() -> None:
    """Exchanges add their suffixes to long names."""
    signal = {"direction": "negative", "ticker": "BAJAJ-HOLDINGS.NS", "strength": 0.92}
    rest = {"confidence": 0.5, "evidence": 2, "surprise": None, "revision": 0}
    line = line_of(signal | rest, TopicKind.SIGNALS).plain
    assert line.startswith("negative BAJAJ-HOLDINGS.NS strength 0.92 ")
