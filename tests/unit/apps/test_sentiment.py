"""Signals are a function of the set of an instrument's events, whatever their order."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Classification, Direction, Source, Verdict
from streams.apps.sentiment import (
    POLARITIES,
    Evidence,
    SentimentSettings,
    add,
    evidence_of,
    signal_as_of,
)
from tests.fakes.results import MOMENT, result

SETTINGS = SentimentSettings(
    window_s=100, half_life_s=50, history_s=1_000, minimum_history=3, most_evidence=8
)


def said(offset: int, at: float, score: float, revision: int = 0) -> Evidence:
    """Make the evidence of one event."""
    return Evidence(f"e:0:{offset}", at, score, revision, f"e:0:{offset}:m:{revision}")


def folded(*events: Evidence, settings: SentimentSettings = SETTINGS) -> tuple[Evidence, ...]:
    """Take events in, one after the other."""
    kept: tuple[Evidence, ...] = ()
    for event in events:
        kept = add(kept, event, settings) or kept
    return kept


def classified(**changes: Any) -> Classification:
    """Make a result of news."""
    return msgspec.structs.replace(result(), **changes)


def test_what_a_result_says_is_the_mean_of_its_labels() -> None:
    """Positive and negative probability pull against each other."""
    scores = {"positive": 0.7, "neutral": 0.1, "negative": 0.2}
    found = evidence_of(classified(scores=scores), POLARITIES)
    assert found is not None
    assert found.score == pytest.approx(0.5)
    assert found.at == MOMENT.timestamp()


def test_shed_results_and_foreign_labels_say_nothing() -> None:
    """Neither counts as neutral."""
    shed = classified(scores={}, label=None, verdict=Verdict.SHED)
    assert evidence_of(shed, POLARITIES) is None
    assert evidence_of(classified(scores={"sport": 1.0}), POLARITIES) is None


def test_too_little_evidence_gives_no_signal() -> None:
    """One event alone is not enough."""
    event = said(1, 10, 1.0)
    assert signal_as_of("HBR", folded(event), event, SETTINGS) is None


def test_an_event_of_one_half_life_ago_weighs_half() -> None:
    """The mean of -1 at half weight and 1 at full is a third."""
    new = said(2, 50, 1.0)
    signal = signal_as_of("HBR", folded(said(1, 0, -1.0), new), new, SETTINGS)
    assert signal is not None
    assert signal.sentiment == pytest.approx(1 / 3, abs=1e-6)
    assert signal.direction is Direction.POSITIVE
    assert signal.strength == pytest.approx(1 / 3, abs=1e-6)
    # Evidence of 1.5 events; a third of it agrees.
    assert signal.confidence == pytest.approx(1 / 3 * 1.5 / 2.5, abs=1e-6)
    assert signal.results == ("e:0:1:m:0", "e:0:2:m:0")
    assert signal.surprise is None


def test_a_weak_sentiment_has_no_direction() -> None:
    """Events that cancel out are neutral."""
    new = said(2, 10, 0.1)
    signal = signal_as_of("HBR", folded(said(1, 10, -0.1), new), new, SETTINGS)
    assert signal is not None
    assert signal.direction is Direction.NEUTRAL


def test_surprise_is_measured_in_the_instruments_own_deviations() -> None:
    """History of mean 0.1 with the smallest deviation; now it is 0.6."""
    history = [said(number, number, 0.1) for number in range(3)]
    now = [said(10, 500, 0.6), said(11, 500, 0.6)]
    signal = signal_as_of("HBR", folded(*history, *now), now[-1], SETTINGS)
    assert signal is not None
    assert signal.surprise == pytest.approx(5.0, abs=1e-6)
    assert signal.evidence == 2


def test_a_late_revision_corrects_its_signal() -> None:
    """The same id, the next revision, and what came after the event stays out of it."""
    first, wrong, later = said(1, 10, 0.4), said(2, 20, -0.9), said(3, 30, 0.1)
    before = signal_as_of("HBR", folded(first, wrong), wrong, SETTINGS)
    right = said(2, 20, 0.9, revision=1)
    after = signal_as_of("HBR", folded(first, wrong, later, right), right, SETTINGS)
    assert before is not None
    assert after is not None
    assert (before.id, before.revision, after.revision) == (after.id, 0, 1)
    assert before.direction is Direction.NEGATIVE
    assert after.direction is Direction.POSITIVE
    assert after.results == ("e:0:1:m:0", "e:0:2:m:1")


def test_a_first_answer_that_comes_after_its_revision_changes_nothing() -> None:
    """As after a crash between the two."""
    kept = folded(said(1, 10, 0.9, revision=1))
    assert add(kept, said(1, 10, -0.9), SETTINGS) is None


def test_what_is_older_than_history_is_not_taken_in() -> None:
    """Nor does it stay."""
    kept = folded(said(1, 5_000, 0.5))
    assert add(kept, said(2, 3_999, 0.5), SETTINGS) is None
    assert folded(said(2, 3_999, 0.5), said(1, 5_000, 0.5)) == kept


EVENTS = st.lists(
    st.builds(
        lambda offset, revision: said(
            offset, offset * 137 % 1_500, ((offset * 7 + revision) % 21 - 10) / 10, revision
        ),
        st.integers(0, 20),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=40,
)


@given(events=EVENTS, random=st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_what_is_kept(events: list[Evidence], random: Any):
    """A replay, from wherever it starts, ends with the same totals."""
    again = [*events, *random.choices(events, k=len(events))]
    random.shuffle(again)
    assert folded(*again) == folded(*events)


@given(events=EVENTS)
def test_signals_stay_within_their_bounds(events: list[Evidence]) -> None:
    """Whatever the events."""
    kept = folded(*events)
    signal = signal_as_of("HBR", kept, kept[-1], SETTINGS)
    if signal is not None:
        assert -1 <= signal.sentiment <= 1
        assert 0 <= signal.strength <= 1
        assert 0 <= signal.confidence <= 1
        assert signal.evidence == len(signal.results) >= SETTINGS.minimum_evidence


def test_the_source_names_the_event() -> None:
    """Not the feed's id, which two events may share."""
    source = Source(topic="events.news", partition=3, offset=41)
    found = evidence_of(classified(source=source, event_time=MOMENT + timedelta(1)), POLARITIES)
    assert found is not None
    assert found.event == "events.news:3:41"
    assert found.result == "events.news:3:41:00:0"
