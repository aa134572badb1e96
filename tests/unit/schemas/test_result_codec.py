"""Results on the wire."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest

from schemas import (
    Classification,
    Effort,
    InvalidEventError,
    Latency,
    Modality,
    Model,
    Source,
    UndecodableError,
    Verdict,
    decode_result,
    encode_result,
    result_id,
)

TRACE = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01"
DIGEST = "sha256:" + "0123456789abcdef" * 4
SOURCE = Source(topic="events.news", partition=3, offset=41)


@pytest.fixture
def result() -> Callable[..., Classification]:
    """Build a result."""

    def build(**fields: Any) -> Classification:
        defaults = {
            "event_id": "n-17",
            "modality": Modality.NEWS,
            "label": "positive",
            "scores": {"negative": 0.041, "neutral": 0.059, "positive": 0.9},
            "verdict": Verdict.ON_TIME,
            "model": Model(name="news-sentiment", version="1", digest=DIGEST),
            "effort": Effort(active_share=0.31, layers=4, experts=2),
            "latency": Latency(budget_ms=250.0, queue_ms=1.5, model_ms=6.25, total_ms=14.0),
            "source": SOURCE,
            "event_time": datetime(2026, 3, 2, 8, tzinfo=UTC),
            "result_time": datetime(2026, 3, 2, 8, 0, 0, 14_000, tzinfo=UTC),
        }
        return Classification(**(defaults | fields))

    return build


def test_a_result_is_read_as_it_was_written(result: Callable[..., Classification]):
    """With all its fields."""
    for written in (
        result(),
        result(verdict=Verdict.SHED, label=None, scores={}, reason="no effort would meet it"),
        result(revision=1),
    ):
        assert decode_result(encode_result(written, key=b"k").value) == written


def test_a_result_is_a_cloudevent_in_binary_mode(result: Callable[..., Classification]):
    """Its subject is the event."""
    outbound = encode_result(result(), key=b"harbour", traceparent=TRACE)
    assert outbound.key == b"harbour"
    assert dict(outbound.headers) == {
        "ce_specversion": b"1.0",
        "ce_type": b"headrace.result.v1",
        "ce_id": b"events.news:3:41:0123456789ab:0",
        "ce_source": b"/headrace/news",
        "ce_time": b"2026-03-02T08:00:00.014000Z",
        "ce_subject": b"n-17",
        "content-type": b"application/json",
        "ce_traceparent": TRACE.encode(),
        "traceparent": TRACE.encode(),
    }


def test_a_result_without_a_key_of_its_event_has_the_events_id(
    result: Callable[..., Classification],
):
    """A compacted result topic keeps the last answer for each event."""
    assert encode_result(result(), key=None).key == b"n-17"
    assert encode_result(result(), key=b"").key == b""


def test_a_results_id_depends_on_its_event_model_and_revision_alone():
    """So that a result that is sent twice can be recognised."""
    ids = {
        result_id(SOURCE, DIGEST, 0),
        result_id(SOURCE, DIGEST, 1),
        result_id(SOURCE, "sha256:" + "f" * 64, 0),
        result_id(Source(topic="events.news", partition=3, offset=42), DIGEST, 0),
        result_id(Source(topic="events.news", partition=4, offset=41), DIGEST, 0),
        result_id(Source(topic="events.news2", partition=3, offset=41), DIGEST, 0),
    }
    assert len(ids) == 6
    assert result_id(msgspec.structs.replace(SOURCE), DIGEST) in ids


def test_fields_that_a_later_version_adds_are_ignored(result: Callable[..., Classification]):
    """A subscriber need not be updated first."""
    document = orjson.loads(encode_result(result(), key=b"k").value)
    document["cluster"] = {"name": "west"}
    document["model"]["licence"] = "Apache-2.0"
    assert decode_result(orjson.dumps(document)) == result()


def test_what_is_no_result_is_refused(result: Callable[..., Classification]):
    """With the reason."""
    with pytest.raises(UndecodableError, match="not JSON"):
        decode_result(b"<result/>")
    document = orjson.loads(encode_result(result(), key=b"k").value)
    with pytest.raises(InvalidEventError, match="verdict"):
        decode_result(orjson.dumps(document | {"verdict": "maybe"}))
    with pytest.raises(InvalidEventError, match="not a classification"):
        decode_result(b"[]")
