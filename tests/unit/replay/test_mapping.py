"""From lines of other people's logs to records of ours."""

from typing import Any

import orjson
import pytest

from schemas.errors import ConfigurationError, UndecodableError
from schemas.events import Modality, NewsEvent, TranscriptEvent
from schemas.kafka import Record, decode_event
from streams.replay.mapping import Mapper, Prepared, parse_map, to_ms

NOW_MS = 1_772_443_800_000


def prepare(document: dict[str, Any], mapper: Mapper | None = None, number: int = 7) -> Prepared:
    """Map one line."""
    return (mapper or Mapper(Modality.NEWS)).prepare(orjson.dumps(document), number)


def decoded(prepared: Prepared) -> Any:
    """Read a record back as the worker would."""
    record = Record(
        topic="events.news",
        key=prepared.outbound.key,
        value=prepared.outbound.value,
        headers=prepared.outbound.headers,
        timestamp_ms=NOW_MS,
    )
    return decode_event(record, prepared.modality, now_ms=NOW_MS)


def test_common_foreign_names_need_no_map() -> None:
    """A log with text and ts_ms is read as it is; the original time travels along."""
    prepared = prepare({"text": "Ferry line expands", "ts_ms": NOW_MS - 5_000, "uuid": "u-1"})
    event = decoded(prepared).event
    assert isinstance(event, NewsEvent)
    assert (event.id, event.headline) == ("u-1", "Ferry line expands")
    assert event.published_at is not None
    assert event.published_at.timestamp() * 1e3 == NOW_MS - 5_000
    assert prepared.time_ms == NOW_MS - 5_000


def test_a_map_descends_into_objects_and_wins_over_common_names() -> None:
    """--map says which of two candidates is meant."""
    mapper = Mapper(
        Modality.NEWS, fields=parse_map("story.title=headline,when=time", Modality.NEWS)
    )
    document = {"id": 4, "text": "wrong", "story": {"title": "right"}, "when": 1_772_443_000}
    prepared = prepare(document, mapper)
    assert decoded(prepared).event.headline == "right"
    assert decoded(prepared).event.id == "4"
    assert prepared.time_ms == 1_772_443_000_000


def test_an_event_without_an_id_is_named_after_its_line() -> None:
    """The same log replayed twice gives the same ids."""
    assert decoded(prepare({"text": "x"}, Mapper(Modality.NEWS, name="wire"))).event.id == "wire:7"


def test_segments_of_a_session_share_a_key() -> None:
    """What belongs together stays in one partition, so in order."""
    prepared = prepare(
        {"id": "s-1", "transcript": "hello", "session_id": "call-9"}, Mapper(Modality.TRANSCRIPT)
    )
    assert prepared.outbound.key == b"call-9"
    assert isinstance(decoded(prepared).event, TranscriptEvent)


def test_an_event_that_breaks_its_contract_is_sent_as_it_is() -> None:
    """The replay brings the failure back; the worker answers with a dead letter."""
    prepared = prepare({"id": "x", "headline": "  "})
    assert prepared.breach is not None
    assert "headline" in prepared.breach
    assert orjson.loads(prepared.outbound.value or b"")["headline"] == "  "


def test_a_structured_cloudevent_passes_unchanged() -> None:
    """An envelope in a log is sent as an envelope."""
    envelope = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/wire",
        "type": "headrace.news.v1",
        "time": "2026-03-02T09:30:00Z",
        "data": {"headline": "Mill reopens"},
    }
    prepared = prepare(envelope)
    assert decoded(prepared).event.headline == "Mill reopens"
    assert prepared.time_ms == NOW_MS


DEEP = b"[" * 400 + b"]" * 400


@pytest.mark.parametrize(
    "line", [b'{"headline":%s}' % DEEP, b'{"specversion":"1.0","id":"x","data":%s}' % DEEP]
)
def test_what_is_nested_too_deeply_to_be_sent_on_is_refused(line: bytes) -> None:
    """One such line in a log does not end the replay."""
    with pytest.raises(UndecodableError, match="cannot be written"):
        Mapper(Modality.NEWS).prepare(line, 1)


def test_a_time_that_is_no_date_does_not_end_the_replay() -> None:
    """The event is sent, with what it says, at the pace of its neighbours."""
    prepared = prepare({"headline": "x", "published_at": "0001-01-01T00:00:00+01:00"})
    assert prepared.time_ms is None
    assert orjson.loads(prepared.outbound.value or b"")["headline"] == "x"


@pytest.mark.parametrize("line", [b"{", b"[1]", b'"text"', b"\xff"])
def test_what_is_no_object_cannot_be_mapped(line: bytes) -> None:
    """The line is refused; the replay names it and goes on."""
    with pytest.raises(UndecodableError):
        Mapper(Modality.NEWS).prepare(line, 1)


@pytest.mark.parametrize(
    ("pairs", "named"), [("text", "text"), ("a=b", "b"), ("=headline", "headline")]
)
def test_a_wrong_map_is_refused_by_name(pairs: str, named: str) -> None:
    """The error quotes what was given and shows what may stand there."""
    with pytest.raises(ConfigurationError, match=named):
        parse_map(pairs, Modality.NEWS)


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1_772_443_800, NOW_MS),
        (NOW_MS, NOW_MS),
        (NOW_MS * 1_000, NOW_MS),
        (NOW_MS * 1_000_000, NOW_MS),
        ("1772443800", NOW_MS),
        ("2026-03-02T09:30:00Z", NOW_MS),
        ("2026-03-02T10:30:00+01:00", NOW_MS),
        ("2026-03-02T09:30:00", NOW_MS),
        ("soon", None),
        (-1, None),
        (True, None),
        (None, None),
        (float("nan"), None),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("1969-07-20T20:17:00Z", None),
    ],
)
def test_times_tell_their_unit_by_their_size(value: Any, ms: float | None) -> None:
    """Seconds, milliseconds, micro- and nanoseconds, and ISO 8601; anything else is no time."""
    assert to_ms(value) == ms
