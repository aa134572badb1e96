"""Input events of the three modalities. Field names are a contract; see docs/contracts.md."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Modality(StrEnum):
    """What kind of input an event carries."""

    NEWS = "news"
    TRANSCRIPT = "transcript"
    CAMERA = "camera"


class NewsEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A headline, with its article's text where the feed has it."""

    id: str
    """The feed's own name for the event; comes back as the result's ``event_id``."""
    headline: str
    """What is classified, together with ``body``."""
    body: str | None = None
    """The article's text; the model reads as much of it as it has room for."""
    source: str | None = None
    """Who reports."""
    language: str | None = None
    """BCP 47 tag of the text, such as ``en`` or ``pt-BR``."""
    url: str | None = None
    """Where the article can be read."""
    published_at: datetime | None = None
    """When the headline was published, with its offset from UTC."""
    tickers: tuple[str, ...] = ()
    """Instruments that the feed says the article is about."""


class TranscriptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One segment of recognised speech; interim until ``is_final``."""

    id: str
    """The recogniser's own name for the segment; comes back as the result's ``event_id``."""
    text: str
    """What was said."""
    session_id: str | None = None
    """The call, meeting or broadcast that the segment belongs to."""
    segment: int | None = None
    """Number of the segment within its session."""
    speaker: str | None = None
    """Who spoke, as the recogniser tells speakers apart."""
    is_final: bool = True
    """False while the recogniser may still change the text."""
    confidence: float | None = None
    """The recogniser's, from 0 to 1."""
    start_ms: int | None = None
    """Milliseconds from the session's start to the segment's."""
    end_ms: int | None = None
    """Milliseconds from the session's start to the segment's end; not before ``start_ms``."""


class CameraEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One still image from a camera, as the encoded file that the camera sent."""

    id: str
    """The camera's own name for the image; comes back as the result's ``event_id``."""
    image: bytes
    """The encoded JPEG or PNG file; base64 where the event is JSON."""
    camera_id: str | None = None
    """Which camera."""
    captured_at: datetime | None = None
    """When the image was taken, with its offset from UTC."""
    content_type: str | None = None
    """The image's media type; read from its first bytes when left out."""


Event = NewsEvent | TranscriptEvent | CameraEvent

EVENT_TYPES: dict[Modality, type[NewsEvent] | type[TranscriptEvent] | type[CameraEvent]] = {
    Modality.NEWS: NewsEvent,
    Modality.TRANSCRIPT: TranscriptEvent,
    Modality.CAMERA: CameraEvent,
}
