"""Kafka records as the codecs see them, without a Kafka client."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.events import Event, Modality
from schemas.results import Source

Header = tuple[str, bytes | None]
"""Name and value of a Kafka header; Kafka allows a value to be null."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka record as it was read."""

    topic: str
    partition: int = 0
    offset: int = 0
    timestamp_ms: int | None = None
    """Milliseconds since the epoch; ``None`` or -1 when the record has none."""
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[Header] = ()


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka record to be sent; the topic is the sender's choice."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """An event with what its record said about how to treat it."""

    event: Event
    modality: Modality
    budget_ms: float | None = None
    """The event's own budget; ``None`` leaves it to the topic's setting."""
    priority: int | None = None
    """0 to 9, 9 the most urgent; ``None`` leaves it to the default."""
    on_overload: str | None = None
    """``degrade``, ``shed`` or ``late``; ``None`` leaves it to the worker's setting."""
    traceparent: str | None = None
    """A valid W3C trace context, or ``None``."""
    event_time: datetime
    """When the event happened, in UTC."""
    source: Source
