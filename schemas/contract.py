"""What each field of an event must look like.

``RULES`` is the one table that the decoder and the JSON Schemas both read, so they cannot disagree.
"""

from collections.abc import Mapping
from datetime import datetime

from schemas import images
from schemas.errors import InvalidEventError
from schemas.events import CameraEvent, Event, Modality, TranscriptEvent
from schemas.limits import Limits
from schemas.rules import EPOCH, MAX_WHOLE, Choice, Flag, Image, Moment, Number, Rule, Text, Texts

ID = Text(limit="id_chars", visible=True, one_line=True)
_NAME = Text(limit="name_chars")
_WHOLE = Number(most=MAX_WHOLE)

RULES: Mapping[Modality, Mapping[str, Rule]] = {
    Modality.NEWS: {
        "id": ID,
        "headline": Text(limit="headline_chars", visible=True),
        "body": Text(limit="body_chars"),
        "source": _NAME,
        "language": _NAME,
        "url": Text(limit="url_chars"),
        "published_at": Moment(),
        "tickers": Texts(
            limit="tickers", each=Text(limit="ticker_chars", visible=True, one_line=True)
        ),
    },
    Modality.TRANSCRIPT: {
        "id": ID,
        "text": Text(limit="text_chars", visible=True),
        "session_id": _NAME,
        "segment": _WHOLE,
        "speaker": _NAME,
        "is_final": Flag(),
        "confidence": Number(most=1, whole=False),
        "start_ms": _WHOLE,
        "end_ms": _WHOLE,
    },
    Modality.CAMERA: {
        "id": ID,
        "image": Image(),
        "camera_id": _NAME,
        "captured_at": Moment(),
        "content_type": Choice((images.JPEG, images.PNG)),
    },
}
"""Every field of every event type."""

TIME_FIELDS: Mapping[Modality, str] = {
    Modality.NEWS: "published_at",
    Modality.CAMERA: "captured_at",
}
"""Where an event itself says when it happened; a transcript's times count from its session."""

_TABLES = {modality: tuple(rules.items()) for modality, rules in RULES.items()}


def check_event(event: Event, modality: Modality, limits: Limits, *, now_ms: int | None) -> None:
    """Raise :class:`InvalidEventError` when a field is out of its limits.

    Args:
        event: Its fields already have their types.
        modality: The event's.
        limits: What to hold it to.
        now_ms: Wall clock in milliseconds since the epoch; ``None`` accepts any future.
    """
    for field, rule in _TABLES[modality]:
        value = getattr(event, field)
        if value is not None:
            rule.check(value, field, limits)
    if now_ms is not None and modality in TIME_FIELDS:
        time_field = TIME_FIELDS[modality]
        moment = getattr(event, time_field)
        if moment is not None:
            check_not_future(moment, time_field, limits, now_ms)
    if isinstance(event, TranscriptEvent):
        _check_order(event)
    elif isinstance(event, CameraEvent):
        _check_content_type(event)


def check_not_future(moment: datetime, field: str, limits: Limits, now_ms: int) -> None:
    """Raise :class:`InvalidEventError` when a time lies further ahead than clocks go wrong."""
    if (moment - EPOCH).total_seconds() * 1e3 > now_ms + limits.future_ms:
        raise InvalidEventError(
            f"{field}: {moment.isoformat()} is more than {limits.future_ms / 3.6e6:g} h in the "
            "future; check the producer's clock and the time's offset",
            field=field,
        )


def _check_order(event: TranscriptEvent) -> None:
    if event.start_ms is not None and event.end_ms is not None and event.end_ms < event.start_ms:
        raise InvalidEventError(
            f"end_ms: {event.end_ms} is before start_ms {event.start_ms}; "
            "send both as milliseconds since the session began",
            field="end_ms",
        )


def _check_content_type(event: CameraEvent) -> None:
    found = images.media_type(event.image)
    if event.content_type not in (None, found):
        raise InvalidEventError(
            f"content_type: says {event.content_type}, but the image is {found}; "
            "send the type that the camera really encodes",
            field="content_type",
        )
