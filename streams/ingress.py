"""From Kafka records to admitted work; what cannot be classified becomes a dead letter here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import ConsumerRecord

from inference.clock import Clock
from inference.engine import Encoded, Engine
from inference.work import DEFAULT_PRIORITY, OverloadPolicy, Work
from schemas.errors import ContractError, InvalidEventError
from schemas.events import Modality
from schemas.kafka import Inbound, Record, decode_event
from schemas.limits import Limits
from schemas.results import DeadLetter, Source
from streams.offsets import OffsetTracker
from streams.verdicts import Admitted

POISON = "poison"
"""Code of events that the model fails on."""


@dataclass(frozen=True, slots=True, eq=False)
class Rejected:
    """A record that cannot be classified, with the letter that says why."""

    letter: DeadLetter
    record: Record
    tracker: OffsetTracker


class Ingress:
    """Decodes, validates and tokenises the records of one modality.

    Args:
        budget_ms: Budget of events that name none.
        on_overload: Policy of events that name none.
        reject: Takes what becomes a dead letter.
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
    ) -> None:
        self._modality = modality
        self._engine = engine
        self._clock = clock
        self._budget_ms = budget_ms
        self._on_overload = on_overload
        self._limits = limits
        self._reject = reject

    def admit(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> list[Work]:
        """Turn one partition's records into work; each becomes work or is rejected."""
        now_ms = self._clock.wall() * 1e3
        decoded: list[tuple[Record, Inbound]] = []
        for consumed in records:
            record = to_record(consumed)
            try:
                inbound = decode_event(
                    record, self._modality, now_ms=int(now_ms), limits=self._limits
                )
            except ContractError as error:
                self._reject(
                    self.rejection(record, tracker, error.code, error, event_id=error.event_id)
                )
            else:
                decoded.append((record, inbound))
        return [
            self._work(record, inbound, encoded, tracker)
            for record, inbound, encoded in self._encode(decoded, tracker)
        ]

    def rejection(
        self,
        record: Record,
        tracker: OffsetTracker,
        code: str,
        error: Exception,
        *,
        event_id: str | None,
    ) -> Rejected:
        """Describe why a record cannot be classified."""
        letter = DeadLetter(
            error=code,
            message=str(error),
            field=error.field if isinstance(error, ContractError) else None,
            event_id=event_id,
            source=Source(topic=record.topic, partition=record.partition, offset=record.offset),
            modality=self._modality,
            content_type=_content_type(record),
            failed_at=datetime.fromtimestamp(self._clock.wall(), UTC),
        )
        return Rejected(letter, record, tracker)

    def _encode(
        self, decoded: list[tuple[Record, Inbound]], tracker: OffsetTracker
    ) -> list[tuple[Record, Inbound, Encoded]]:
        if not decoded:
            return []
        try:
            encoded = self._engine.encode([inbound.event for _, inbound in decoded])
        except Exception as error:  # noqa: BLE001 - whatever the tokenizer raises
            if len(decoded) == 1:
                record, inbound = decoded[0]
                code = error.code if isinstance(error, InvalidEventError) else POISON
                self._reject(
                    self.rejection(record, tracker, code, error, event_id=inbound.event.id)
                )
                return []
            # One unreadable event must not take its neighbours along, nor the worker down.
            return [one for pair in decoded for one in self._encode([pair], tracker)]
        return [(*pair, one) for pair, one in zip(decoded, encoded, strict=True)]

    def _work(
        self, record: Record, inbound: Inbound, encoded: Encoded, tracker: OffsetTracker
    ) -> Work:
        now, wall_ms = self._clock.monotonic(), self._clock.wall() * 1e3
        budget_ms = self._budget_ms if inbound.budget_ms is None else inbound.budget_ms
        # A record without a timestamp counts from its arrival here.
        stamped = record.timestamp_ms is not None and record.timestamp_ms >= 0
        timestamp_ms = float(record.timestamp_ms) if stamped else wall_ms  # type: ignore[arg-type]
        policy = inbound.on_overload
        return Work(
            handle=Admitted(inbound, record, timestamp_ms, budget_ms, tracker),
            encoded=encoded,
            arrival=now,
            # The one place where wall clock becomes monotonic clock.
            deadline=now + (timestamp_ms + budget_ms - wall_ms) / 1e3,
            priority=DEFAULT_PRIORITY if inbound.priority is None else inbound.priority,
            on_overload=self._on_overload if policy is None else OverloadPolicy(policy),
        )


def to_record(consumed: ConsumerRecord) -> Record:
    """Take from aiokafka's record what the contracts need."""
    return Record(
        topic=consumed.topic,
        partition=consumed.partition,
        offset=consumed.offset,
        timestamp_ms=consumed.timestamp,
        key=consumed.key,
        value=consumed.value,
        headers=consumed.headers,
    )


def _content_type(record: Record) -> str | None:
    for name, value in record.headers:
        if name.lower() == "content-type" and value is not None:
            return value.decode("utf-8", "replace")[:200]
    return None
