"""The events of a plan: those of a log, as a worker would take them in, or made up at a rate."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiokafka import ConsumerRecord

from inference.engine import Engine
from inference.work import Work
from schemas.errors import ConfigurationError, UndecodableError
from schemas.kafka import encode_event
from schemas.limits import DEFAULT_LIMITS
from schemas.records import Outbound
from streams.lane.ingress import Ingress
from streams.lane.rejecting import Rejected
from streams.offsets import OffsetTracker
from streams.planning.clock import SetClock
from streams.replay.mapping import Mapper
from streams.replay.pacing import OriginalPace
from streams.replay.source import LineSource
from streams.routes import Route
from streams.worker.warm_up import warm_up_events

EPOCH_MS = 1_700_000_000_000.0
"""Where events without a time begin; any moment will do."""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedEvent:
    """One event of a load, before its speed is chosen.

    Attributes:
        at_s: Seconds after the load's first.
        key: Of its record; decides on its partition.
        outbound: The record that a producer would send.
        work: What ingress makes of it, as if it came at 0; its deadline is its budget in seconds.
    """

    at_s: float
    key: bytes | None
    outbound: Outbound
    work: Work


@dataclass(slots=True)
class EventLog:
    """What was read.

    Attributes:
        events: In order of time.
        unreadable: Lines that are no JSON object, which a replay skips.
        rejected: Events that would become dead letters.
    """

    events: list[PlannedEvent] = field(default_factory=list)
    unreadable: int = 0
    rejected: int = 0

    @property
    def span_s(self) -> float:
        """Seconds from the first event to the last."""
        return self.events[-1].at_s if self.events else 0.0

    @property
    def rate(self) -> float:
        """Events per second on average."""
        return len(self.events) / self.span_s if self.span_s else 0.0

    def at_speed(self, speed: float) -> list[PlannedEvent]:
        """Return the events with their times divided by a speed."""
        return [replace(one, at_s=one.at_s / speed) for one in self.events]


class _Intake:
    """Runs records through a worker's ingress at the time that they say."""

    def __init__(self, route: Route, engine: Engine) -> None:
        self._clock = SetClock()
        self._route = route
        self._offsets = itertools.count()
        self._tracker = OffsetTracker()
        self._ingress = Ingress(
            modality=route.modality,
            engine=engine,
            clock=self._clock,
            budget_ms=route.budget_ms,
            on_overload=route.on_overload,
            limits=DEFAULT_LIMITS,
            reject=self._reject,
            sources=route.sources,
            tells_contents=True,
        )

    def take(self, outbound: Outbound, time_ms: float) -> Work | None:
        """Return the work of a record, as if its timestamp were 0; ``None`` for a dead letter."""
        self._clock.set(time_ms / 1e3)
        record = record_of(self._route.topic, next(self._offsets), outbound, int(time_ms))
        works = self._ingress.admit([record], self._tracker)
        if not works:
            return None
        (work,) = works
        return replace(work, arrival=0.0, deadline=work.handle.budget_ms / 1e3)

    def _reject(self, rejected: Rejected) -> None:
        """Dead letters are counted by who gets no work."""


async def read_log(
    source: LineSource, mapper: Mapper, route: Route, engine: Engine, *, limit: int | None = None
) -> EventLog:
    """Read a log of events with their times.

    Args:
        source: Its lines.
        mapper: Makes records of them.
        route: Whose topic they would come in on.
        engine: Tokenises them.
        limit: Most events to read.

    Raises:
        ConfigurationError: The log cannot be read, has no event, or spans no time.
    """
    log, intake = EventLog(), _Intake(route, engine)
    pace, moment_ms = OriginalPace(speed=1.0), EPOCH_MS
    async for number, line in source.lines():
        if limit is not None and len(log.events) >= limit:
            break
        try:
            prepared = None if line is None else mapper.prepare(line, number)
        except UndecodableError:
            prepared = None
        if prepared is None:
            log.unreadable += 1
            continue
        at_s = pace.due_s(prepared.time_ms)
        moment_ms = moment_ms if prepared.time_ms is None else prepared.time_ms
        work = intake.take(prepared.outbound, moment_ms)
        if work is None:
            log.rejected += 1
            continue
        log.events.append(PlannedEvent(at_s, prepared.outbound.key, prepared.outbound, work))
        if len(log.events) % 256 == 0:
            await asyncio.sleep(0)
    _check(log, source.name)
    return log


def _check(log: EventLog, name: str) -> None:
    if not log.events:
        raise ConfigurationError(
            f"FILE {name}: holds no event that can be classified ({log.unreadable:,} lines are no "
            f"JSON objects, {log.rejected:,} would be dead letters); look at --map and --modality"
        )
    if not log.span_s:
        raise ConfigurationError(
            f"FILE {name}: all of its {len(log.events):,} events are of one moment, or say no "
            "time; name the field with --map THEIRS=time, or give --rate"
        )


def made_up(route: Route, engine: Engine, times: Sequence[float]) -> EventLog:
    """Return events that come at given times, their contents taken in turns from the warm-up's.

    Args:
        route: Whose topic they would come in on.
        engine: Tokenises them.
        times: Seconds, in order.

    Raises:
        ConfigurationError: There is no time.
    """
    intake = _Intake(route, engine)
    found: list[tuple[Outbound, Work]] = []
    for number, event in enumerate(warm_up_events(route.modality)):
        outbound = encode_event(event, key=None, source="/headrace/plan")
        work = intake.take(outbound, EPOCH_MS + number)
        if work is not None:
            # Not content that comes again: each stands for others of its kind.
            handle = replace(work.handle, content=None)
            found.append((outbound, replace(work, handle=handle, subject=None)))
    if not times or not found:
        raise ConfigurationError("--rate: gives no event in this time; raise it, or --seconds")
    pairs = itertools.cycle(found)
    return EventLog([PlannedEvent(at_s, None, *next(pairs)) for at_s in times])


def record_of(topic: str, offset: int, outbound: Outbound, timestamp_ms: int) -> ConsumerRecord:
    """Return a record as a consumer would get it."""
    value = outbound.value or b""
    return ConsumerRecord(
        topic=topic,
        partition=0,
        offset=offset,
        timestamp=timestamp_ms,
        timestamp_type=0,
        key=outbound.key,
        value=value,
        checksum=None,
        serialized_key_size=len(outbound.key or b""),
        serialized_value_size=len(value),
        headers=tuple(outbound.headers),
    )
