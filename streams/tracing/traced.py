"""What the worker's other parts know of traces. Whoever is not followed has no trace at all."""

from typing import Protocol

from inference.clock import Clock
from inference.scheduler import BatchRun
from inference.work import Completion
from schemas.records import Record
from schemas.results import Classification, DeadLetter
from streams.routes import Route


class EventTrace(Protocol):
    """An event that is followed, from its record to the acknowledgement of what was sent."""

    def sends(self, result: Classification) -> str:
        """Note that a result is being made, and return the ``traceparent`` for its record."""

    def sends_letter(self) -> str:
        """Note likewise of a dead letter."""

    def answered(self, completion: Completion) -> None:
        """Note that the broker has the result: the event's way ends."""

    def buried(self, letter: DeadLetter) -> None:
        """Note that the broker has the dead letter: the event's way ends."""

    def again(self) -> "EventTrace":
        """Return a part of the same trace, for the event's second answer."""


class TopicTracing(Protocol):
    """Follows the events of one topic."""

    def begin(
        self, record: Record, traceparent: str | None, timestamp_ms: float
    ) -> EventTrace | None:
        """Follow an event, if it is one of those that are followed.

        Args:
            record: Where it was read.
            traceparent: Its valid W3C trace context, if it has one.
            timestamp_ms: When it entered Kafka.
        """

    def ran(self, run: BatchRun) -> None:
        """Note a batch, if it held anything that is followed."""


class Tracing(Protocol):
    """Traces of a worker."""

    def of_topic(
        self, route: Route, *, model: str, clock: Clock, names_events: bool
    ) -> TopicTracing:
        """Return what follows a topic's events.

        Args:
            route: The topic, and where its answers go.
            model: By name.
            clock: The lane's.
            names_events: Whether spans may hold the ids of events.
        """

    async def close(self, timeout_s: float) -> None:
        """Send what waits, but for no longer than this."""
