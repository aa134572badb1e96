"""Which events are about the same thing, and how they are cited."""

from datetime import UTC, datetime

import pytest

from inference.work import Subject
from schemas.events import CameraEvent, Event, Modality, NewsEvent, TranscriptEvent
from schemas.kafka import Inbound
from schemas.results import Source
from streams.lane.sources import Cameras, Keep, Sources, Transcripts
from streams.settings import load_settings

LATEST = Sources(cameras=Cameras(keep=Keep.LATEST))


def inbound(event: Event) -> Inbound:
    """Wrap an event as it came from Kafka."""
    return Inbound(
        event=event,
        modality=Modality.TRANSCRIPT,
        event_time=datetime.now(UTC),
        source=Source(topic="events.t", partition=2, offset=9),
    )


def segment(**fields: object) -> Inbound:
    """Make a segment."""
    fields = {"id": "s-1", "text": "hello", "session_id": "call", "segment": 4} | fields
    return inbound(TranscriptEvent(**fields))  # type: ignore[arg-type]


def test_texts_of_one_segment_are_about_the_same() -> None:
    """An interim one may be superseded, the final one is the last word."""
    interim, final = (LATEST.subject_of(segment(is_final=each)) for each in (False, True))
    assert interim == Subject(
        ("call", 4),
        "the later interim text of segment 4 of session 'call', event 's-1' (events.t/2/9)",
    )
    assert final is not None
    assert final.key == interim.key
    assert final.is_final
    assert final.name.startswith("the final text of segment 4 of session 'call'")


def test_images_of_one_camera_are_about_the_same_where_the_newest_wins() -> None:
    """None is the last word."""
    event = inbound(CameraEvent(id="f-1", image=b"", camera_id="gate 3"))
    name = "a newer image of camera 'gate 3', event 'f-1' (events.t/2/9)"
    assert LATEST.subject_of(event) == Subject("gate 3", name)
    assert Sources().subject_of(event) is None


@pytest.mark.parametrize(
    "event",
    [
        segment(session_id=None),
        segment(segment=None),
        inbound(CameraEvent(id="f-1", image=b"")),
        inbound(NewsEvent(id="n-1", headline="Ferry")),
    ],
)
def test_what_does_not_say_where_it_is_from_is_about_nothing(event: Inbound) -> None:
    """Without session, number or camera nothing is superseded."""
    assert LATEST.subject_of(event) is None


def test_interim_texts_may_all_be_kept() -> None:
    """On request each is run."""
    keeping = Sources(transcripts=Transcripts(keep=Keep.ALL))
    assert keeping.subject_of(segment(is_final=False)) is None


def test_settings_name_what_is_kept() -> None:
    """Tables of the file, in the environment as well."""
    environment = {"HEADRACE_CAMERAS__KEEP": "latest", "HEADRACE_TRANSCRIPTS__MAX_SESSIONS": "7"}
    sources = load_settings(environment=environment).sources
    assert sources.cameras == Cameras(keep=Keep.LATEST)
    assert sources.transcripts == Transcripts(max_sessions=7)
    assert load_settings(environment={}).sources == Sources()
