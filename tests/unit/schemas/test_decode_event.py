"""What a well-formed record becomes, in each of the forms that it may have."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from schemas import (
    DEFAULT_LIMITS,
    CameraEvent,
    Inbound,
    InvalidEventError,
    Limits,
    Modality,
    NewsEvent,
    Record,
    Source,
    TranscriptEvent,
    UndecodableError,
    decode_event,
)

Decode = Callable[..., Inbound]
Build = Callable[..., Record]
Draw = Callable[..., bytes]

HEADLINE = "Harbour strike ends after nine days"
NEWS = {"id": "n-17", "headline": HEADLINE}
TRACE = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01"
OTHER_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
CE = {
    "ce_specversion": "1.0",
    "ce_id": "ce-9",
    "ce_source": "/feeds/harbour",
    "ce_type": "org.example.story",
    "content-type": "application/json",
}
ENVELOPE = {
    "specversion": "1.0",
    "id": "ce-9",
    "source": "/feeds/harbour",
    "type": "org.example.story",
}
STRUCTURED = {"content-type": "application/cloudevents+json"}


def test_plain_json_without_any_header_is_an_event(decode: Decode):
    """A producer needs nothing but the two required fields."""
    inbound = decode(NEWS)
    assert inbound.event == NewsEvent(id="n-17", headline=HEADLINE)
    assert inbound.modality is Modality.NEWS
    assert inbound.source == Source(topic="events.news", partition=3, offset=41)
    assert (inbound.budget_ms, inbound.priority, inbound.on_overload) == (None, None, None)
    assert inbound.traceparent is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "text/json",
        "application/vnd.acme.story+json",
    ],
)
def test_json_is_recognised_by_its_content_type(decode: Decode, content_type: str):
    """Parameters, case and vendor types do not matter."""
    assert decode(NEWS, {"content-type": content_type}).event.headline == HEADLINE


def test_header_names_are_read_in_any_case(decode: Decode):
    """HTTP-minded producers write Content-Type."""
    headers = {"Content-Type": "application/json", "CE_BudgetMs": "80"}
    assert decode(NEWS, headers).budget_ms == 80


def test_unknown_fields_and_headers_are_ignored(decode: Decode):
    """A newer producer's additions do not break an older worker."""
    inbound = decode(NEWS | {"sentiment_hint": {"x": [1]}}, {"x-shard": b"\xff", "ce_new": "1"})
    assert inbound.event == NewsEvent(id="n-17", headline=HEADLINE)


def test_every_news_field_is_read(decode: Decode):
    """All optional fields arrive typed."""
    event = decode(
        NEWS
        | {
            "body": "Cranes are moving again.",
            "source": "Harbour Gazette",
            "language": "en",
            "url": "https://news.example/9",
            "published_at": "2026-03-02T09:30:00.250+02:00",
            "tickers": ["PORT", "SHIP.L"],
        }
    ).event
    assert event.tickers == ("PORT", "SHIP.L")
    assert event.published_at == datetime(2026, 3, 2, 7, 30, 0, 250_000, tzinfo=UTC)


def test_every_transcript_field_is_read(decode: Decode):
    """All optional fields arrive typed."""
    document = {
        "id": "s-1/4",
        "text": "we expect margins to widen",
        "session_id": "call-88",
        "segment": 4,
        "speaker": "CFO",
        "is_final": False,
        "confidence": 0.93,
        "start_ms": 61_000,
        "end_ms": 63_500,
    }
    event = decode(document, modality=Modality.TRANSCRIPT).event
    assert event == TranscriptEvent(**document)


def test_null_says_the_same_as_leaving_an_optional_field_out(decode: Decode):
    """Serialisers that write every field write null for the absent."""
    event = decode(NEWS | {"tickers": None, "body": None, "published_at": None}).event
    assert event == NewsEvent(id="n-17", headline=HEADLINE)


def test_a_whole_number_may_be_written_with_a_point(decode: Decode):
    """Data frames turn integer columns into floats."""
    document = {"id": "s", "text": "good morning", "segment": 4.0, "start_ms": 10.0}
    event = decode(document, modality=Modality.TRANSCRIPT).event
    assert (event.segment, event.start_ms) == (4, 10)


def test_of_a_repeated_key_the_last_one_counts(decode: Decode):
    """As most JSON readers have it."""
    assert decode(b'{"id":"a","id":"b","headline":"Rain"}').event.id == "b"


def test_binary_mode_reads_data_from_the_value_and_attributes_from_headers(decode: Decode):
    """The CloudEvents binding's preferred form."""
    headers = CE | {
        "ce_time": "2026-03-02T07:59:58Z",
        "ce_budgetms": "120.5",
        "ce_priority": "high",
        "ce_onoverload": "shed",
        "ce_traceparent": TRACE,
    }
    inbound = decode({"headline": HEADLINE}, headers)
    moment = datetime(2026, 3, 2, 7, 59, 58, tzinfo=UTC)
    assert inbound.event == NewsEvent(
        id="ce-9", headline=HEADLINE, source="/feeds/harbour", published_at=moment
    )
    assert (inbound.budget_ms, inbound.priority, inbound.on_overload) == (120.5, 8, "shed")
    assert inbound.traceparent == TRACE
    assert inbound.event_time == moment


def test_structured_mode_reads_everything_from_the_value(decode: Decode):
    """Attributes and data in one JSON object."""
    envelope = ENVELOPE | {
        "time": "2026-03-02T07:59:58Z",
        "budgetms": 120,
        "priority": 9,
        "onoverload": "late",
        "traceparent": TRACE,
        "data": {"headline": HEADLINE},
    }
    inbound = decode(envelope, STRUCTURED)
    assert inbound.event.id == "ce-9"
    assert (inbound.budget_ms, inbound.priority, inbound.on_overload) == (120, 9, "late")
    assert inbound.traceparent == TRACE


def test_structured_mode_is_recognised_without_its_content_type(decode: Decode):
    """Some producers cannot set headers."""
    assert decode(ENVELOPE | {"data": NEWS}).event.headline == HEADLINE


def test_structured_mode_reads_json_from_base64(decode: Decode):
    """A gateway that does not know JSON from other bytes sends data_base64."""
    encoded = base64.b64encode(b'{"headline":"Rain"}').decode()
    envelope = ENVELOPE | {"data_base64": encoded, "datacontenttype": "application/json"}
    assert decode(envelope, STRUCTURED).event.headline == "Rain"


def test_structured_mode_wins_over_headers_that_copy_its_attributes(decode: Decode):
    """The envelope is the event; headers beside it are copies, perhaps of an older one."""
    envelope = ENVELOPE | {"data": {"headline": HEADLINE}, "budgetms": 50}
    inbound = decode(envelope, STRUCTURED | {"ce_id": "stale", "ce_budgetms": "900"})
    assert (inbound.event.id, inbound.budget_ms) == ("ce-9", 50)


def test_the_events_own_fields_win_over_the_cloudevents(decode: Decode):
    """Attributes only stand in where the data is silent."""
    document = NEWS | {"source": "Harbour Gazette", "published_at": "2026-03-01T00:00:00Z"}
    inbound = decode(document, CE | {"ce_time": "2026-03-02T00:00:00Z"})
    assert inbound.event.id == "n-17"
    assert inbound.event.source == "Harbour Gazette"
    assert inbound.event_time == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_cloudevents_time_is_not_looked_at_when_the_data_has_its_own(decode: Decode):
    """What is not needed cannot make an event invalid."""
    document = NEWS | {"published_at": "2026-03-01T00:00:00Z"}
    assert decode(document, CE | {"ce_time": "yesterday"}).event_time.day == 1


def test_the_event_time_falls_back_to_the_records(decode: Decode):
    """Without a time of its own an event happened when Kafka took it."""
    stamped = decode(NEWS, timestamp_ms=1_700_000_000_000)
    assert stamped.event_time == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize("timestamp_ms", [None, -1])
def test_the_event_time_falls_back_to_now(decode: Decode, now_ms: int, timestamp_ms: int | None):
    """Topics may be without timestamps."""
    inbound = decode(NEWS, timestamp_ms=timestamp_ms)
    assert inbound.event_time == datetime.fromtimestamp(now_ms / 1e3, UTC)


def test_the_event_time_is_in_utc(decode: Decode):
    """Whatever the offset that the producer wrote."""
    inbound = decode(NEWS | {"published_at": "2026-03-01T23:30:00-05:00"})
    assert inbound.event_time == datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    assert inbound.event_time.tzinfo is UTC
    assert inbound.event.published_at.tzinfo == timezone(timedelta(hours=-5))


def test_an_old_event_is_as_good_as_a_new_one(decode: Decode):
    """Logs of past years are replayed."""
    inbound = decode(NEWS | {"published_at": "1971-05-04T00:00:00Z"}, timestamp_ms=0)
    assert inbound.event_time.year == 1971


def test_a_clock_that_runs_a_little_ahead_is_forgiven(decode: Decode, now_ms: int):
    """Up to a day: the usual mistake is a wrong time zone."""
    inbound = decode(NEWS | {"published_at": "2026-03-03T07:59:00Z"}, timestamp_ms=now_ms + 60_000)
    assert inbound.event_time.day == 3


def test_a_transcripts_time_is_the_cloudevents(decode: Decode):
    """It has no field of its own for it."""
    inbound = decode(
        {"text": "good morning"}, CE | {"ce_time": "2026-03-02T07:00:00Z"}, Modality.TRANSCRIPT
    )
    assert inbound.event == TranscriptEvent(id="ce-9", text="good morning")
    assert inbound.event_time == datetime(2026, 3, 2, 7, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "media"), [("png", "image/png"), ("jpeg", "image/jpeg")])
def test_a_cameras_raw_image_is_the_value(decode: Decode, picture: Draw, kind: str, media: str):
    """No base64 in binary mode."""
    image = picture(kind)
    headers = CE | {
        "content-type": media,
        "ce_cameraid": "north-gate",
        "ce_time": "2026-03-02T07:59:59Z",
    }
    inbound = decode(image, headers, Modality.CAMERA)
    assert inbound.event == CameraEvent(
        id="ce-9",
        image=image,
        camera_id="north-gate",
        captured_at=datetime(2026, 3, 2, 7, 59, 59, tzinfo=UTC),
        content_type=media,
    )


def test_a_camera_without_an_id_of_its_own_is_known_by_its_source(decode: Decode, picture: Draw):
    """The CloudEvents source says who sent."""
    headers = CE | {"content-type": "image/png"}
    assert decode(picture(), headers, Modality.CAMERA).event.camera_id == "/feeds/harbour"


def test_a_raw_image_needs_no_more_than_an_id(decode: Decode, picture: Draw):
    """Headers are read one by one; they need not make a complete CloudEvent."""
    headers = {"content-type": "image/png", "ce_id": "frame-1"}
    assert decode(picture(), headers, Modality.CAMERA).event.id == "frame-1"


def test_a_cameras_image_is_base64_in_json(decode: Decode, picture: Draw):
    """Its type is read from its first bytes."""
    image = picture("jpeg")
    document = {"id": "f", "image": base64.b64encode(image).decode(), "camera_id": "yard"}
    event = decode(document, modality=Modality.CAMERA).event
    assert (event.image, event.content_type) == (image, "image/jpeg")


def test_a_cameras_image_is_data_base64_in_structured_mode(decode: Decode, picture: Draw):
    """As CloudEvents has it for binary data."""
    image = picture()
    envelope = ENVELOPE | {
        "datacontenttype": "image/png",
        "data_base64": base64.b64encode(image).decode(),
        "cameraid": "yard",
    }
    event = decode(envelope, STRUCTURED, Modality.CAMERA).event
    assert (event.id, event.image, event.camera_id) == ("ce-9", image, "yard")


@pytest.mark.parametrize(
    ("written", "level"), [("0", 0), ("9", 9), ("low", 2), ("normal", 4), ("high", 8)]
)
def test_a_priority_is_a_digit_or_a_word(decode: Decode, written: str, level: int):
    """Plain JSON takes it from the Kafka headers too."""
    assert decode(NEWS, {"ce_priority": written}).priority == level


@pytest.mark.parametrize("written", ["1", "3600000", "0250", "99.75"])
def test_a_budget_is_a_decimal_number_of_milliseconds(decode: Decode, written: str):
    """Both ends of the range are in it."""
    assert decode(NEWS, {"ce_budgetms": written}).budget_ms == float(written)


@pytest.mark.parametrize("header", ["traceparent", "ce_traceparent"])
def test_a_trace_context_is_found_under_both_names(decode: Decode, header: str):
    """Tracing Kafka clients write the bare one."""
    assert decode(NEWS, {header: TRACE}).traceparent == TRACE


def test_the_transports_trace_context_wins(decode: Decode):
    """It names the nearer hop."""
    headers = {"ce_traceparent": OTHER_TRACE, "traceparent": TRACE}
    assert decode(NEWS, headers).traceparent == TRACE


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\xff",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
    ],
)
def test_an_invalid_trace_context_is_dropped(decode: Decode, written: str):
    """Tracing must not cost an event its answer."""
    assert decode(NEWS, {"traceparent": written, "ce_traceparent": written}).traceparent is None


def test_an_invalid_trace_context_gives_way_to_a_valid_one(decode: Decode):
    """One damaged header does not hide the other."""
    headers = {"traceparent": "broken", "ce_traceparent": TRACE}
    assert decode(NEWS, headers).traceparent == TRACE


def test_a_later_version_of_trace_context_may_be_longer(decode: Decode):
    """As W3C asks for forward compatibility."""
    later = f"01{TRACE[2:]}-extra"
    assert decode(NEWS, {"traceparent": later}).traceparent == later


def test_a_foreign_type_is_accepted_and_ours_is_held_to_its_word(decode: Decode):
    """A camera event of ours that strays onto the news topic is noticed."""
    assert decode(NEWS, CE | {"ce_type": "headrace.news.v1"}).event.id == "n-17"
    for stray in ("headrace.camera.v1", "headrace.news.v2"):
        with pytest.raises(InvalidEventError, match=r"headrace\.news\.v1") as caught:
            decode(NEWS, CE | {"ce_type": stray})
        assert caught.value.field == "ce_type"


def test_of_a_repeated_header_the_last_one_counts(record: Build, now_ms: int):
    """As Kafka's own clients have it."""
    twice = msgspec.structs.replace(
        record(NEWS), headers=[("ce_budgetms", b"10"), ("ce_budgetms", b"20")]
    )
    assert decode_event(twice, Modality.NEWS, now_ms=now_ms).budget_ms == 20


def test_a_null_header_counts_as_absent(decode: Decode):
    """Kafka allows a header without a value."""
    assert decode(NEWS, {"ce_budgetms": None}).budget_ms is None


def test_what_a_redrive_adds_does_not_count_against_the_limits(decode: Decode):
    """A record that was within its limits still is when it comes back."""
    headers = {f"x-{index}": "1" for index in range(DEFAULT_LIMITS.headers)}
    assert decode(NEWS, headers | {"headrace_attempts": "2"}).event.id == "n-17"


def test_limits_are_the_callers_choice(record: Build, now_ms: int):
    """A deployment may be stricter."""
    strict = Limits(headline_chars=10)
    with pytest.raises(InvalidEventError, match="1 to 10 characters"):
        decode_event(record(NEWS), Modality.NEWS, now_ms=now_ms, limits=strict)


def test_an_invalid_event_that_has_an_id_is_named_by_it(decode: Decode):
    """So that its dead letter can be found."""
    with pytest.raises(InvalidEventError) as invalid:
        decode({"id": "n-17", "headline": " "})
    assert invalid.value.event_id == "n-17"
    with pytest.raises(InvalidEventError) as nameless:
        decode({"id": "", "headline": "Rain"})
    assert nameless.value.event_id is None
    with pytest.raises(UndecodableError) as unreadable:
        decode(b"{")
    assert unreadable.value.event_id is None
