"""A log of results in three modalities of which it is known what belongs together.

Incidents happen to entities at Poisson times, so some of one entity lie close together. Each is
told of by news, speech and a camera, which date it differently, take their time, come out of order,
more than once, revised, or never.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from schemas.encode import result_id
from schemas.events import Modality
from schemas.results import Classification, Effort, Latency, Model, Source, Verdict
from streams.apps.entities import Entity
from streams.topics import event_topic

LABELS = ("negative", "neutral", "positive")
USUAL_S = {Modality.NEWS: 0.05, Modality.TRANSCRIPT: 0.4, Modality.CAMERA: 0.15}
"""Mean delay of each modality's results."""
TOTAL_MS = 30.0
"""From an event's record to its result."""
MODEL = Model(name="made-up", version="1", digest="sha256:" + "0" * 64)


@dataclass(frozen=True, slots=True)
class Load:
    """What happens.

    Attributes:
        entities: How many there are.
        minutes: How long incidents go on.
        interval_s: Mean time between two incidents of one entity.
        jitter_s: Most that a modality dates an incident too early or too late.
        dropped: Share of results that never come.
        slow: Share of results that take much longer than usual.
        slow_s: Least and most that those take.
        repeated: Share of results that come again.
        revised: Share of results that a second answer follows.
        interim: Share of speech that comes with an interim text.
        off_s: How much later than it happened news, speech and cameras date an incident.
        pace: Factor on all usual delays.
        seed: The same one gives the same log.
    """

    entities: int = 200
    minutes: float = 30.0
    interval_s: float = 120.0
    jitter_s: float = 1.0
    dropped: float = 0.02
    slow: float = 0.05
    slow_s: tuple[float, float] = (3.0, 60.0)
    repeated: float = 0.05
    revised: float = 0.05
    interim: float = 0.3
    off_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pace: float = 1.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result as it arrives.

    Attributes:
        at: Seconds from the start.
        result: With times from the start.
    """

    at: float
    result: Classification


@dataclass(slots=True)
class Log:
    """All that arrives, and the truth about it.

    Attributes:
        deliveries: In the order of their arrival.
        incident_of: The incident that each result tells of, by the result's id.
        entity_of: The entity of each incident.
        happened: When each incident happened, in seconds from the start.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    incident_of: dict[str, int] = field(default_factory=dict)
    entity_of: list[str] = field(default_factory=list)
    happened: list[float] = field(default_factory=list)


def entities(load: Load) -> tuple[Entity, ...]:
    """Return the table that says which ticker, cameras and sessions are of one entity."""
    return tuple(
        Entity(f"site-{number}", (f"T{number}",), (f"site-{number}",), (f"site-{number}:",))
        for number in range(load.entities)
    )


def generate(load: Load, start: datetime) -> Log:
    """Draw a log.

    Args:
        load: What happens.
        start: What seconds are counted from.
    """
    chance = random.Random(load.seed)  # noqa: S311 - a load, no secret
    log, drawn = Log(), _Drawing(load, start, chance)
    incidents: dict[tuple[Modality, int], int] = {}
    for number in range(load.entities):
        at = 0.0
        while (at := at + chance.expovariate(1 / load.interval_s)) < load.minutes * 60:
            incident = len(log.happened)
            log.happened.append(at)
            log.entity_of.append(f"site-{number}")
            told = list(drawn.told_of(number, incident, at))
            log.deliveries += told
            incidents.update((_event_of(one.result), incident) for one in told)
    log.deliveries = _numbered(log.deliveries, incidents, log.incident_of)
    return log


def _event_of(result: Classification) -> tuple[Modality, int]:
    return result.modality, result.source.offset


def _numbered(
    deliveries: list[Delivery],
    incidents: dict[tuple[Modality, int], int],
    incident_of: dict[str, int],
) -> list[Delivery]:
    """Give events the offsets that they have on their topics: those of the order they came in."""
    events = {_event_of(one.result): one.result for one in deliveries if not one.result.revision}
    offsets: dict[tuple[Modality, int], int] = {}
    taken = dict.fromkeys(Modality, 0)
    for event in sorted(events, key=lambda one: (written(events[one]), one)):
        taken[event[0]] += 1
        offsets[event] = taken[event[0]]
    found = []
    for one in deliveries:
        event = _event_of(one.result)
        source = msgspec.structs.replace(one.result.source, offset=offsets[event])
        result = msgspec.structs.replace(one.result, source=source)
        incident_of[id_of(result)] = incidents[event]
        found.append(Delivery(one.at, result))
    return sorted(found, key=lambda one: one.at)


def made_up(
    modality: Modality,
    offset: int,
    label: str,
    times: tuple[datetime, datetime],
    about: dict[str, object],
) -> Classification:
    """Return the result of the event at an offset.

    Args:
        modality: Of the event.
        offset: Where it lies in its topic.
        label: What it was taken for.
        times: When it happened, and when its result was made.
        about: Further fields of the result.
    """
    happened, answered = times
    result = Classification(
        event_id=f"{modality.value}-{offset}",
        modality=modality,
        label=label,
        scores={label: 0.9},
        verdict=Verdict.ON_TIME,
        model=MODEL,
        effort=Effort(active_share=0.2, layers=2, experts=2),
        latency=Latency(budget_ms=150, queue_ms=1, model_ms=2, total_ms=TOTAL_MS),
        source=Source(topic=event_topic(modality), partition=0, offset=offset),
        event_time=happened,
        result_time=answered,
    )
    return msgspec.structs.replace(result, **about)


def written(result: Classification) -> float:
    """Return when a result's event reached its topic, in Unix seconds."""
    return result.result_time.timestamp() - result.latency.total_ms / 1e3


def id_of(result: Classification) -> str:
    """Return a result's id."""
    return result_id(result.source, result.model.digest, result.revision)


class _Drawing:
    def __init__(self, load: Load, start: datetime, chance: random.Random) -> None:
        self._load = load
        self._start = start
        self._chance = chance
        self._offsets = dict.fromkeys(Modality, 0)

    def told_of(self, number: int, incident: int, at: float) -> Iterator[Delivery]:
        """Yield what arrives of one incident."""
        chance, load = self._chance, self._load
        for modality, off_s in zip(Modality, load.off_s, strict=True):
            if chance.random() < load.dropped:
                continue
            dated = at + off_s + chance.uniform(-load.jitter_s, load.jitter_s)
            delay = load.pace * chance.expovariate(1 / USUAL_S[modality])
            if chance.random() < load.slow:
                delay = chance.uniform(*load.slow_s)
            arrival = at + load.jitter_s + max(load.off_s) + delay
            about = {
                Modality.NEWS: {"tickers": (f"T{number}",)},
                Modality.TRANSCRIPT: {"session_id": f"site-{number}:call", "segment": incident},
                Modality.CAMERA: {"camera_id": f"site-{number}/line-1/cam-{incident % 4}"},
            }[modality]
            if modality is Modality.TRANSCRIPT and chance.random() < load.interim:
                interim = self._result(modality, dated, arrival, about)
                yield Delivery(arrival + chance.uniform(-0.3, 0.3), interim)
            result = self._result(modality, dated, arrival, about)
            yield Delivery(arrival, result)
            if chance.random() < load.repeated:
                yield Delivery(arrival + chance.uniform(0.0, 60.0), result)
            if chance.random() < load.revised:
                later = arrival + chance.uniform(0.2, 10.0)
                yield Delivery(later, self._revised(result, later))

    def _result(
        self, modality: Modality, at: float, published: float, about: dict[str, object]
    ) -> Classification:
        offset = self._offsets[modality] = self._offsets[modality] + 1
        label = self._chance.choice(LABELS)
        times = self._moment(at), self._moment(published)
        return made_up(modality, offset, label, times, about)

    def _revised(self, result: Classification, published: float) -> Classification:
        label = self._chance.choice(LABELS)
        more_ms = 1e3 * (published - (result.result_time - self._start).total_seconds())
        total_ms = result.latency.total_ms + more_ms
        return msgspec.structs.replace(
            result,
            revision=1,
            latency=msgspec.structs.replace(result.latency, total_ms=total_ms),
            label=label,
            scores={label: 0.95},
            verdict=Verdict.LATE,
            result_time=self._moment(published),
        )

    def _moment(self, seconds: float) -> datetime:
        return (self._start + timedelta(seconds=seconds)).astimezone(UTC)
