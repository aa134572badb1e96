"""What a producer sends is what a worker reads, and mistakes are noticed before they are sent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from schemas import (
    CameraEvent,
    ConfigurationError,
    Event,
    InvalidEventError,
    Modality,
    NewsEvent,
    Outbound,
    Record,
    TranscriptEvent,
    decode_event,
    encode_event,
)

Arrive = Callable[[Outbound], Record]
Draw = Callable[..., bytes]
TRACE = "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01"
MOMENT = datetime(2026, 3, 2, 7, 59, 58, 120_000, tzinfo=UTC)
NEWS = NewsEvent(
    id="n-17",
    headline="Hafenstreik endet nach neun Tagen — Kräne laufen wieder",
    body="",
    source="Harbour Gazette",
    language="de",
    url="https://news.example/9",
    published_at=MOMENT,
    tickers=("PORT", "SHIP.L"),
)
SAID = TranscriptEvent(
    id="s-4",
    text="we expect margins to widen",
    session_id="call-88",
    segment=0,
    speaker="CFO",
    is_final=False,
    confidence=0.5,
    start_ms=0,
    end_ms=2_500,
)
MODES = pytest.mark.parametrize("mode", ["binary", "structured", "json"])


@pytest.fixture(params=list(Modality))
def event(request: pytest.FixtureRequest, picture: Draw) -> Event:
    """One full event of each modality."""
    seen = CameraEvent(
        id="f-1",
        image=picture("jpeg"),
        camera_id="north gate/2",
        captured_at=MOMENT,
        content_type="image/jpeg",
    )
    return {Modality.NEWS: NEWS, Modality.TRANSCRIPT: SAID, Modality.CAMERA: seen}[request.param]


def _modality(event: Event) -> Modality:
    return Modality(type(event).__name__.removesuffix("Event").lower())


@MODES
def test_an_event_arrives_as_it_was_sent(event: Event, mode: str, sent: Arrive, now_ms: int):
    """In every form, with all of its fields and options."""
    outbound = encode_event(
        event,
        mode=mode,
        key=b"harbour",
        budget_ms=120.5,
        priority="high",
        on_overload="shed",
        traceparent=TRACE,
    )
    inbound = decode_event(sent(outbound), _modality(event), now_ms=now_ms)
    assert inbound.event == event
    assert outbound.key == b"harbour"
    assert (inbound.budget_ms, inbound.priority, inbound.on_overload) == (120.5, 8, "shed")
    assert inbound.traceparent == TRACE


@MODES
def test_a_bare_event_arrives_without_options(mode: str, sent: Arrive, now_ms: int):
    """What is not said stays unsaid."""
    event = TranscriptEvent(id="s-4", text="good morning")
    inbound = decode_event(sent(encode_event(event, mode=mode)), Modality.TRANSCRIPT, now_ms=now_ms)
    assert inbound.event == event
    assert (inbound.budget_ms, inbound.priority, inbound.on_overload) == (None, None, None)
    assert inbound.traceparent is None


def test_binary_mode_is_a_complete_cloudevent():
    """Other CloudEvents readers can route it."""
    headers = dict(encode_event(NEWS, source="/feeds/harbour").headers)
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"n-17",
        "ce_source": b"/feeds/harbour",
        "ce_type": b"headrace.news.v1",
        "ce_time": b"2026-03-02T07:59:58.120000Z",
        "content-type": b"application/json",
    }


def test_structured_mode_is_a_complete_cloudevent():
    """All of it in the value."""
    outbound = encode_event(SAID, mode="structured", budget_ms=80)
    envelope = orjson.loads(outbound.value)
    data = envelope.pop("data")
    assert data["text"] == "we expect margins to widen"
    assert envelope == {
        "specversion": "1.0",
        "id": "s-4",
        "source": "/headrace/producer",
        "type": "headrace.transcript.v1",
        "datacontenttype": "application/json",
        "budgetms": "80",
    }
    assert outbound.headers == [("content-type", b"application/cloudevents+json; charset=utf-8")]


def test_an_image_travels_as_it_is_in_binary_mode(picture: Draw):
    """Base64 would cost a third more."""
    image = picture("png")
    outbound = encode_event(CameraEvent(id="f", image=image))
    assert outbound.value is image
    assert ("content-type", b"image/png") in outbound.headers


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (NewsEvent(id="", headline="Rain"), "id"),
        (NewsEvent(id="n", headline=" "), "headline"),
        (NewsEvent(id="n", headline="Rain", published_at=datetime(2026, 3, 2)), "published_at"),  # noqa: DTZ001 - that it lacks an offset is the point
        (TranscriptEvent(id="s", text="hm", confidence=float("nan")), "confidence"),
        (TranscriptEvent(id="s", text="hm", segment=10**5000), "segment"),
        (CameraEvent(id="f", image=b"GIF89a"), "image"),
        (NewsEvent(id="\ud800", headline="Rain"), None),
        (NewsEvent(id="n", headline="\udfff"), None),
    ],
)
def test_an_event_out_of_its_limits_is_not_sent(event: Event, field: str | None):
    """The producer learns it at once, not from a dead letter."""
    with pytest.raises(InvalidEventError) as caught:
        encode_event(event)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"budget_ms": 0}, "budgetms"),
        ({"budget_ms": float("inf")}, "budgetms"),
        ({"priority": 10}, "priority"),
        ({"on_overload": "drop"}, "onoverload"),
    ],
)
def test_an_option_out_of_its_limits_is_not_sent(options: dict[str, object], field: str):
    """As for the event's own fields."""
    with pytest.raises(InvalidEventError) as caught:
        encode_event(NEWS, **options)
    assert caught.value.field == field


def test_an_unknown_mode_is_refused_with_the_known_ones():
    """A misspelt mode must not pick one silently."""
    with pytest.raises(ConfigurationError, match="binary, structured or json"):
        encode_event(NEWS, mode="batched")


def test_the_last_hours_of_time_can_be_sent_though_not_read(sent: Arrive, now_ms: int):
    """A producer has no clock to be held to; the worker has."""
    last = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14)))
    outbound = encode_event(NewsEvent(id="n", headline="Rain", published_at=last))
    with pytest.raises(InvalidEventError, match="in the future"):
        decode_event(sent(outbound), Modality.NEWS, now_ms=now_ms)
