"""What a lane cannot classify, put into dead letters that say why."""

from dataclasses import dataclass
from datetime import UTC, datetime

from inference.clock import Clock
from inference.stack_digest import stack_digest
from inference.trial import CrashedError
from schemas.errors import ContractError
from schemas.events import Modality
from schemas.kafka import Record
from schemas.results import DeadLetter, Source
from streams.lane.crash_log import CrashLog
from streams.offsets import OffsetTracker
from streams.tracing.traced import EventTrace

POISON = "poison"
"""Code of events that the model fails on."""
CRASHED = "crashed"
"""Code of events that the model's process dies of."""
MOST_CONTENT_TYPE_CHARS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Rejected:
    """A record that cannot be classified, with the letter that says why.

    Attributes:
        trace: Follows it, if it is one of those that are followed.
    """

    letter: DeadLetter
    record: Record
    tracker: OffsetTracker
    trace: EventTrace | None = None


class Rejections:
    """Writes the letters of one lane, and tells the log where its events fail.

    Args:
        modality: The lane's.
        clock: Says when they failed.
    """

    def __init__(self, modality: Modality, clock: Clock) -> None:
        self._modality = modality
        self._clock = clock
        self._crash_log = CrashLog()

    def of(
        self,
        record: Record,
        tracker: OffsetTracker,
        error: Exception,
        *,
        event_id: str | None,
        trace: EventTrace | None = None,
        catcher: str | None = None,
    ) -> Rejected:
        """Describe why a record has no answer.

        Args:
            record: As it was read.
            tracker: Of its partition.
            error: A ``ContractError`` where it breaks the contract; anything else is the model's.
            event_id: Of the event in it, where one could be read.
            trace: Follows it, if it is one of those that are followed.
            catcher: The module that caught the error; see
                :func:`inference.stack_digest.stack_digest`.
        """
        digest = None
        if not isinstance(error, ContractError):
            digest = stack_digest(error, catcher=catcher)
            self._crash_log.tell(error, digest)
        letter = DeadLetter(
            error=_code(error),
            message=str(error),
            field=error.field if isinstance(error, ContractError) else None,
            event_id=event_id,
            source=Source(topic=record.topic, partition=record.partition, offset=record.offset),
            modality=self._modality,
            content_type=_content_type(record),
            failed_at=datetime.fromtimestamp(self._clock.wall(), UTC),
            attempts=error.attempts if isinstance(error, CrashedError) else 1,
            stack_digest=digest,
        )
        return Rejected(letter, record, tracker, trace)


def _code(error: Exception) -> str:
    if isinstance(error, ContractError):
        return error.code
    return CRASHED if isinstance(error, CrashedError) else POISON


def _content_type(record: Record) -> str | None:
    for name, value in record.headers:
        if name.lower() == "content-type" and value is not None:
            return value.decode("utf-8", "replace")[:MOST_CONTENT_TYPE_CHARS]
    return None
