"""What leaves headrace: a classification for every event, a dead letter for what cannot be one."""

from datetime import datetime
from enum import StrEnum

import msgspec

from schemas.events import Modality


class Verdict(StrEnum):
    """How an event's result was reached; on every result, never left out."""

    ON_TIME = "on_time"
    """Published before the deadline, at full effort."""
    LATE = "late"
    """Published after the deadline."""
    DEGRADED = "degraded"
    """Published before the deadline, with less effort than the model's full."""
    SHED = "shed"
    """Not classified: no effort could have met the deadline, or a newer event superseded it."""


class AnsweredFrom(StrEnum):
    """Where an event's answer was taken from."""

    MODEL = "model"
    """The model read the event."""
    CACHE = "cache"
    """The model had read the same content shortly before."""
    PREVIOUS_FRAME = "previous_frame"
    """The model had read an earlier image of the same camera that hardly differs."""
    NONE = "none"
    """Nothing answered: the event was shed."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Which weights answered."""

    name: str
    """The checkpoint's name."""
    version: str
    """The checkpoint's version."""
    digest: str
    """``sha256:`` and the hex digest of the weights and configuration."""


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the network an event was given; all zero when shed.

    Of an answer that was not taken from the model, what that content or image was given before.
    """

    active_share: float
    """Share of the encoder's parameters that ran for this event, 0 to 1."""
    layers: int
    """Encoder layers run before the event left."""
    experts: int
    """Routed experts per token."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time went, in milliseconds."""

    budget_ms: float
    """The event's budget: its own, or its topic's."""
    queue_ms: float
    """From ingress to the start of the batch."""
    model_ms: float
    """Run time of the batch that the event was part of."""
    total_ms: float
    """From the event's Kafka timestamp to the moment its result was handed to the producer."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The Kafka record that an event came from."""

    topic: str
    """The record's topic."""
    partition: int
    """The record's partition."""
    offset: int
    """The record's offset."""


class Relation(StrEnum):
    """What a company that a text names has to do with the ticker that it is linked to."""

    MENTIONED = "mentioned"
    """The ticker is its own."""
    SUBSIDIARY = "subsidiary"
    """The ticker is its parent's; it has none of its own."""


class RelatedAs(StrEnum):
    """What a related company is to the one that is named."""

    PARENT = "parent"
    SUPPLIER = "supplier"
    CUSTOMER = "customer"


class TextField(StrEnum):
    """Which text of a news event a company is named in."""

    HEADLINE = "headline"
    BODY = "body"


class Related(msgspec.Struct, frozen=True, kw_only=True):
    """A company that has to do with one that is named, and is not named itself."""

    ticker: str
    """The related company's."""
    relation: RelatedAs
    """What it is to the one that is named."""


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """A company that a news event names."""

    ticker: str
    """What it is linked to."""
    name: str | None = None
    """As the list of companies has it, whatever the text says; null for a ticker that is not in the
    list."""
    relation: Relation = Relation.MENTIONED
    """Whether the ticker is its own."""
    field: TextField = TextField.HEADLINE
    """Which text of the event names it first."""
    start: int
    """Where in that text, in Unicode code points from 0."""
    end: int
    """Behind the last one."""
    sector: str | None = None
    """What it does, where the list says so."""
    related: tuple[Related, ...] = ()
    """Companies that have to do with it, as the list has them; their tickers are not among the
    result's."""


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one event."""

    event_id: str
    """The event's ``id``."""
    modality: Modality
    """The event's."""
    label: str | None
    """The most probable label; ``None`` when shed."""
    scores: dict[str, float]
    """Calibrated probability per label; empty when shed."""
    verdict: Verdict
    """How the result was reached."""
    reason: str | None = None
    """Why the verdict is not ``on_time``."""
    answered_from: AnsweredFrom = AnsweredFrom.MODEL
    """Where the answer was taken from."""
    revision: int = 0
    """0 for the first answer; 1 when the event was classified again at full effort."""
    model: Model
    """Which weights answered."""
    effort: Effort
    """How much of the network the event was given."""
    latency: Latency
    """Where the time went."""
    source: Source
    """The Kafka record that the event came from."""
    event_time: datetime
    """When the event happened."""
    result_time: datetime
    """When the result was handed to the producer."""
    tickers: tuple[str, ...] = ()
    """The news event's instruments: first those that it came with, then those that its text was
    found to name."""
    entities: tuple[Entity, ...] = ()
    """Companies that the news event's text was found to name; empty when shed."""
    session_id: str | None = None
    """The transcript event's session."""
    segment: int | None = None
    """The transcript event's number within its session."""
    camera_id: str | None = None
    """The camera event's camera."""
    speaker: str | None = None
    """The transcript event's speaker."""
    is_question: bool | None = None
    """Whether the transcript event's text holds a question; null where its punctuation does not
    tell, and for other events."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that cannot be classified at all; the original bytes travel beside it."""

    error: str
    """Which kind of failure: ``undecodable``, ``invalid``, ``oversized``, ``poison`` or
    ``crashed``."""
    message: str
    """Names the field, the value and the remedy."""
    field: str | None = None
    """The offending field as a path, such as ``tickers[3]``; none when it is the whole record."""
    event_id: str | None = None
    """The event's id, where it could be read."""
    source: Source
    """The original Kafka record."""
    modality: Modality
    """What the original's topic carries."""
    content_type: str | None = None
    """The original's content type, as it was sent."""
    failed_at: datetime
    """When it failed."""
    attempts: int = 1
    """How often it has failed, redrives included."""
    stack_digest: str | None = None
    """Equal where the same exception came from the same calls, whatever the event; of ``poison``
    and ``crashed`` alone."""
