"""From Kafka records to admitted work; what cannot be classified becomes a dead letter here."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

from aiokafka import ConsumerRecord

from inference.clock import Clock
from inference.engine import Encoded, Engine
from inference.result_cache import content_key
from inference.work import DEFAULT_PRIORITY, OverloadPolicy, Work
from schemas.cloudevents import traceparent_of
from schemas.errors import ContractError
from schemas.events import Modality
from schemas.kafka import Inbound, Record, decode_event
from schemas.limits import Limits
from streams.consumed import to_record
from streams.lane.frames import Frames, Seen
from streams.lane.quarantine import Ward
from streams.lane.rejecting import Rejected, Rejections
from streams.lane.sessions import Context, Sessions, encode_in_context
from streams.lane.sources import Sources
from streams.lane.verdicts import Admitted
from streams.offsets import OffsetTracker
from streams.tracing.traced import EventTrace, TopicTracing

BEHIND = 8
"""Records of a partition at once by which a worker knows that it is behind."""
LATE_SHARE = 0.5
"""Share of its budget that an event must have spent on its way for a worker that is behind to look
whether it is of use to read it."""
NOTHING = Encoded(tokens=0, data=None)
"""What the model is given of an event whose answer is known."""


class _Decoded(NamedTuple):
    """A record that holds an event.

    Attributes:
        timestamp_ms: When the event entered Kafka.
        context: What the model is to read before it.
        seen: What is known of it by the images before it.
        trace: Follows it, if it is one of the events that are followed.
    """

    record: Record
    inbound: Inbound
    timestamp_ms: float
    context: Context
    seen: Seen
    trace: EventTrace | None


class Ingress:
    """Decodes, validates and tokenises the records of one modality.

    Args:
        budget_ms: Budget of events that name none.
        on_overload: Policy of events that name none.
        reject: Takes what becomes a dead letter.
        sources: How events of one session or camera are treated.
        tells_contents: Whether works carry what their content is known again by.
        lead_s: Says how long results take to reach subscribers once they are there.
        refuse: Says why a work, of no tokens yet, cannot be in time any more; ``None`` if it may.
        ward: Takes events that processes died over; none are if it is unset.
        tracing: Follows events; none are if it is unset.

    Attributes:
        rejections: Writes the lane's dead letters.
        frames: The last image of each camera.
    """

    def __init__(
        self,
        *,
        modality: Modality,
        engine: Engine,
        clock: Clock,
        budget_ms: float,
        on_overload: OverloadPolicy,
        limits: Limits,
        reject: Callable[[Rejected], None],
        sources: Sources,
        tells_contents: bool = False,
        lead_s: Callable[[], float] = lambda: 0.0,
        refuse: Callable[[Work], str | None] = lambda _: None,
        ward: Ward | None = None,
        tracing: TopicTracing | None = None,
    ) -> None:
        self._ward = ward
        self._tracing = tracing
        self._modality = modality
        self._engine = engine
        self._clock = clock
        self._budget_ms = budget_ms
        self._on_overload = on_overload
        self._limits = limits
        self._reject = reject
        self._sources = sources
        self._tells_contents = tells_contents
        self._lead_s = lead_s
        self._refuse = refuse
        self.rejections = Rejections(modality, clock)
        self._sessions = Sessions(sources.transcripts)
        self.frames = Frames(sources.cameras)

    def admit(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> list[Work]:
        """Turn one partition's records into work; each becomes work or is rejected.

        Images that show what their camera's last one did are not encoded: they are works of no
        tokens, whose handle has the answer. Nor are events encoded by a worker that is behind if
        they come too late to be in time: that would make what comes behind them late as well.
        """
        now_ms = self._clock.wall() * 1e3
        decoded: list[_Decoded] = []
        for consumed in records:
            record = to_record(consumed)
            try:
                inbound = decode_event(
                    record, self._modality, now_ms=int(now_ms), limits=self._limits
                )
            except ContractError as error:
                trace = self._trace(record, now_ms) if self._tracing is not None else None
                self._reject(
                    self.rejections.of(record, tracker, error, event_id=error.event_id, trace=trace)
                )
            else:
                decoded.append(self._look(record, inbound, now_ms))
        if self._ward is not None and self._ward.has_suspects and decoded:
            decoded = self._without_suspects(self._ward, decoded, tracker)
        unread, unknown = [], []
        for one in decoded:
            work = self._without_reading(one, tracker, behind=len(records) >= BEHIND)
            if work is None:
                unknown.append(one)
            else:
                unread.append(work)
        works = [
            self._work(one, encoded, tracker) for one, encoded in self._encode(unknown, tracker)
        ]
        if not unread:
            return works
        return sorted([*works, *unread], key=attrgetter("handle.record.offset"))

    def _without_suspects(
        self, ward: Ward, decoded: list[_Decoded], tracker: OffsetTracker
    ) -> list[_Decoded]:
        """Hand over what processes died over; return the others."""
        ward.note_place(decoded[0].record)
        others = []
        for one in decoded:
            if ward.is_suspect(one.inbound.source):
                ward.try_alone(self._work(one, NOTHING, tracker), one.context)
            else:
                others.append(one)
        return others

    def _without_reading(
        self, decoded: _Decoded, tracker: OffsetTracker, *, behind: bool
    ) -> Work | None:
        """Return the work of an event that needs no encoding: its answer is known, or too late."""
        if decoded.seen.previous is not None:
            return self._work(decoded, NOTHING, tracker)
        if not behind:
            return None
        spent_ms = self._clock.wall() * 1e3 - decoded.timestamp_ms
        budget_ms = decoded.inbound.budget_ms
        if spent_ms < LATE_SHARE * (self._budget_ms if budget_ms is None else budget_ms):
            return None
        work = self._work(decoded, NOTHING, tracker)
        if work.subject is not None:
            return None  # what it supersedes, or is superseded by, the queue knows
        reason = self._refuse(work)
        if reason is None:
            return None
        return replace(work, handle=replace(work.handle, refused=reason))

    def forget(self) -> None:
        """Forget what was said and shown before: it may have gone on elsewhere."""
        self._sessions.clear()
        self.frames.clear()

    def _look(self, record: Record, inbound: Inbound, now_ms: float) -> _Decoded:
        timestamp_ms = _timestamp_ms(record, now_ms)
        context = self._sessions.take(inbound)
        seen = self.frames.look(inbound.event, timestamp_ms)
        trace = None
        if self._tracing is not None:
            trace = self._tracing.begin(record, inbound.traceparent, timestamp_ms)
        return _Decoded(record, inbound, timestamp_ms, context, seen, trace)

    def _trace(self, record: Record, now_ms: float) -> EventTrace | None:
        """Follow a record that holds no event, by its headers alone."""
        assert self._tracing is not None  # noqa: S101 - asked for by those who have it
        return self._tracing.begin(record, traceparent_of(record), _timestamp_ms(record, now_ms))

    def _encode(
        self, decoded: list[_Decoded], tracker: OffsetTracker
    ) -> list[tuple[_Decoded, Encoded]]:
        if not decoded:
            return []
        sources = [one.inbound.source for one in decoded]
        try:
            with nullcontext() if self._ward is None else self._ward.encoding(sources):
                encoded = encode_in_context(
                    self._engine,
                    [one.inbound.event for one in decoded],
                    [one.context for one in decoded],
                )
        except Exception as error:  # noqa: BLE001 - whatever the tokenizer raises
            if len(decoded) == 1:
                self._reject(self._unreadable(decoded[0], tracker, error))
                return []
            # One unreadable event must not take its neighbours along, nor the worker down.
            return [pair for one in decoded for pair in self._encode([one], tracker)]
        return list(zip(decoded, encoded, strict=True))

    def _unreadable(self, one: _Decoded, tracker: OffsetTracker, error: Exception) -> Rejected:
        return self.rejections.of(
            one.record,
            tracker,
            error,
            event_id=one.inbound.event.id,
            trace=one.trace,
            catcher=__name__,
        )

    def _work(self, decoded: _Decoded, encoded: Encoded, tracker: OffsetTracker) -> Work:
        record, inbound, timestamp_ms, _, seen, trace = decoded
        now, wall_ms = self._clock.monotonic(), self._clock.wall() * 1e3
        budget_ms = self._budget_ms if inbound.budget_ms is None else inbound.budget_ms
        policy = inbound.on_overload
        wanted = self._tells_contents and encoded is not NOTHING
        content = content_key(inbound.event, encoded) if wanted else None
        return Work(
            handle=Admitted(
                inbound, record, timestamp_ms, budget_ms, tracker, seen, content, trace=trace
            ),
            encoded=encoded,
            arrival=now,
            # The one place where wall clock becomes monotonic clock.
            deadline=now + (timestamp_ms + budget_ms - wall_ms) / 1e3 - self._lead_s(),
            priority=DEFAULT_PRIORITY if inbound.priority is None else inbound.priority,
            on_overload=self._on_overload if policy is None else OverloadPolicy(policy),
            subject=self._sources.subject_of(inbound),
        )


def _timestamp_ms(record: Record, now_ms: float) -> float:
    """Return when a record entered Kafka; one without a timestamp counts from its arrival here."""
    stamped = record.timestamp_ms
    return now_ms if stamped is None or stamped < 0 else float(stamped)
