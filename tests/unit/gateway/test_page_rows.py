"""Which rows of the live page somebody asks for."""

import msgspec
import pytest
from multidict import MultiDict

from schemas.errors import ConfigurationError
from schemas.events import Modality
from schemas.results import Classification, Verdict
from streams.gateway.page.rows import asked_rows, row_of
from streams.gateway.page.watching import MOST_ROWS, Looker
from tests.fakes.results import result

ACME = msgspec.structs.replace(result(), tickers=("ACME",), event_id="n-17")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([], True),
        ([("source", "camera"), ("source", "news")], True),
        ([("source", "results.news")], True),
        ([("source", "results.camera")], False),
        ([("label", "positive")], True),
        ([("label", "negative")], False),
        ([("verdict", "late"), ("verdict", "on_time")], True),
        ([("verdict", "late")], False),
        ([("min_confidence", "0.9")], True),
        ([("min_confidence", "0.91")], False),
        ([("text", " acm")], True),
        ([("text", "N-17")], True),
        ([("text", "other")], False),
    ],
)
def test_filters_hold_together(query: list[tuple[str, str]], expected: bool) -> None:
    """Several values of one name are alternatives; case and blanks around do not matter."""
    row = row_of(ACME, "results.news", 0)
    assert asked_rows(MultiDict(query)).holds(row) is expected


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"labels": "x"}, "labels: is no parameter; there are label, min_confidence, source"),
        ({"verdict": "soon"}, "verdict: 'soon' is unknown; choose on_time"),
        ({"min_confidence": "much"}, "min_confidence: 'much' is no probability; give 0 to 1"),
        ({"min_confidence": "1.5"}, "min_confidence: '1.5' is no probability"),
        ({"min_confidence": "nan"}, "min_confidence: 'nan' is no probability"),
    ],
)
def test_mistakes_are_named(query: dict[str, str], told: str) -> None:
    """By parameter and value, with what to give instead."""
    with pytest.raises(ConfigurationError, match=told):
        asked_rows(MultiDict(query))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"tickers": ("A", "B")}, "A B"),
        ({"session_id": "call-1", "segment": 4}, "call-1#4"),
        ({"camera_id": "cam-1", "modality": Modality.CAMERA}, "cam-1"),
        ({}, ""),
    ],
)
def test_a_row_says_what_its_result_is_about(changed: dict[str, object], what: str) -> None:
    """Instruments, a segment of a conversation, or a camera."""
    assert row_of(msgspec.structs.replace(result(), **changed), "results.news", 0).what == what


def test_a_shed_result_has_no_confidence() -> None:
    """So it never passes a least one."""
    row = row_of(result(label=None, verdict=Verdict.SHED), "results.news", 0)
    assert row.confidence is None
    assert not asked_rows(MultiDict(min_confidence="0.01")).holds(row)


def test_who_looks_gets_the_newest_and_is_told_what_was_passed_over() -> None:
    """Of what was asked for; the rest takes no room."""
    looker = Looker(asked_rows(MultiDict(label="positive")))
    assert looker.take() is None
    other = result(label="negative")
    results: list[Classification] = [result(), other] * (MOST_ROWS + 10)
    for number, one in enumerate(results):
        looker.offer(row_of(one, "results.news", number))
    taken = looker.take()
    assert taken is not None
    assert taken["passed_over"] == 10
    assert [row.at_ms for row in taken["rows"]] == list(range(20, 2 * MOST_ROWS + 20, 2))
    assert looker.take() is None
