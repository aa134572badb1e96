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
    headline: str
    body: str | None = None
    source: str | None = None
    language: str | None = None
    url: str | None = None
    published_at: datetime | None = None
    tickers: tuple[str, ...] = ()


class TranscriptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One segment of recognised speech; interim until ``is_final``."""

    id: str
    text: str
    session_id: str | None = None
    segment: int | None = None
    speaker: str | None = None
    is_final: bool = True
    confidence: float | None = None
    start_ms: int | None = None
    end_ms: int | None = None


class CameraEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One still image from a camera, as the encoded file that the camera sent."""

    id: str
    image: bytes
    camera_id: str | None = None
    captured_at: datetime | None = None
    content_type: str | None = None


Event = NewsEvent | TranscriptEvent | CameraEvent

EVENT_TYPES: dict[Modality, type[NewsEvent] | type[TranscriptEvent] | type[CameraEvent]] = {
    Modality.NEWS: NewsEvent,
    Modality.TRANSCRIPT: TranscriptEvent,
    Modality.CAMERA: CameraEvent,
}
