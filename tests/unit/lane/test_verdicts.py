"""A result says honestly how it was reached."""

from datetime import UTC, datetime

import pytest

from inference.engine import EffortLevel, Encoded, Prediction
from inference.work import Completion, Work
from schemas.events import Event, Modality, NewsEvent, TranscriptEvent
from schemas.kafka import Inbound, Record
from schemas.results import Classification, Model, Source, Verdict
from streams.lane.verdicts import Admitted, to_classification
from streams.offsets import OffsetTracker

MODEL = Model(name="m", version="1", digest="sha256:00")
LABELS = ("down", "up")
SENT_MS = 1_700_000_000_000.0
FULL = EffortLevel("full")
HEADLINE = NewsEvent(id="n-1", headline="Harbour tolls rise", tickers=("HBR", "TLL"))


def classify(
    *,
    total_ms: float,
    shed: bool = False,
    degraded: bool = False,
    queue_s: float = 0.002,
    margin_ms: float = 0.0,
    event: Event = HEADLINE,
) -> Classification:
    """Classify one event with a budget of 100 ms, ``total_ms`` after it entered Kafka."""
    source = Source(topic="events.news", partition=2, offset=41)
    inbound = Inbound(
        event=event,
        modality=Modality.NEWS,
        event_time=datetime(2026, 1, 2, tzinfo=UTC),
        source=source,
    )
    admitted = Admitted(inbound, Record(topic="events.news"), SENT_MS, 100.0, OffsetTracker())
    completion = Completion(
        work=Work(handle=admitted, encoded=Encoded(5, None), arrival=0.0, deadline=0.1),
        prediction=None if shed else Prediction((0.25, 0.75), 0.18, 2, 2),
        effort=None if shed else FULL,
        degraded=degraded,
        reason="no effort could have met the deadline" if shed or degraded else None,
        queue_s=queue_s,
        model_s=0.0 if shed else 0.004,
    )
    now_ms = SENT_MS + total_ms
    return to_classification(
        completion, model=MODEL, labels=LABELS, now_ms=now_ms, margin_ms=margin_ms
    )


@pytest.mark.parametrize("degraded", [False, True])
def test_what_may_reach_the_broker_too_late_is_late(degraded: bool) -> None:
    """Its deadline is that of publishing; the reason tells the two times."""
    assert classify(total_ms=92, margin_ms=8, degraded=degraded).verdict is not Verdict.LATE
    late = classify(total_ms=95, margin_ms=8, degraded=degraded)
    assert late.verdict is Verdict.LATE
    assert late.reason is not None
    assert "5.0 ms before the end of its budget of 100 ms" in late.reason
    assert "takes up to 8.0 ms" in late.reason
    assert late.latency.total_ms == 95.0
    assert classify(total_ms=95, margin_ms=8, shed=True).verdict is Verdict.SHED


@pytest.mark.parametrize(
    ("total_ms", "shed", "degraded", "verdict"),
    [
        (20, False, False, Verdict.ON_TIME),
        (100, False, False, Verdict.ON_TIME),
        (101, False, False, Verdict.LATE),
        (20, False, True, Verdict.DEGRADED),
        (101, False, True, Verdict.LATE),
        (20, True, False, Verdict.SHED),
        (500, True, False, Verdict.SHED),
    ],
)
def test_the_verdict_follows_from_time_and_effort(
    total_ms: float, shed: bool, degraded: bool, verdict: Verdict
) -> None:
    """Late outweighs degraded; shed is shed whenever it was published."""
    assert classify(total_ms=total_ms, shed=shed, degraded=degraded).verdict is verdict


def test_an_on_time_result_needs_no_reason() -> None:
    """Label, scores and the receipt are the event's own."""
    result = classify(total_ms=20)
    assert result.reason is None
    assert result.event_id == "n-1"
    assert result.label == "up"
    assert result.scores == {"down": 0.25, "up": 0.75}
    assert (result.source.partition, result.source.offset) == (2, 41)
    assert result.latency.total_ms == pytest.approx(20)
    assert result.latency.queue_ms == pytest.approx(2)


def test_a_late_result_names_where_the_time_went() -> None:
    """The reason points at the longest part of the way."""
    assert "in the queue" in (classify(total_ms=200, queue_s=0.19).reason or "")
    assert "before it reached the worker" in (classify(total_ms=5000).reason or "")


def test_a_shed_result_has_no_label_and_no_effort() -> None:
    """Nothing is made up for an event that was not classified."""
    result = classify(total_ms=20, shed=True)
    assert result.label is None
    assert result.scores == {}
    assert result.effort.active_share == 0


def test_a_clock_behind_the_producers_shows_no_negative_latency() -> None:
    """Skew between machines is clamped at zero."""
    assert classify(total_ms=-50).latency.total_ms == 0


def test_a_result_passes_on_what_it_is_grouped_by() -> None:
    """The news event's instruments; shed ones too."""
    assert classify(total_ms=1).tickers == ("HBR", "TLL")
    assert classify(total_ms=1, shed=True).tickers == ("HBR", "TLL")
    assert classify(total_ms=1).session_id is None


def test_a_segment_of_speech_is_followed_without_its_text() -> None:
    """By session, number and speaker, and by whether it asks; shed ones too."""
    said = TranscriptEvent(
        id="s-1", text="Why so late?", session_id="call-7", segment=3, speaker="agent"
    )
    for shed in (False, True):
        result = classify(total_ms=1, event=said, shed=shed)
        assert (result.session_id, result.segment, result.speaker) == ("call-7", 3, "agent")
        assert result.is_question is True
        assert said.text not in str(result)
    assert classify(total_ms=1).is_question is None
