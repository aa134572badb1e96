"""Spans of events and batches, by OpenTelemetry's conventions for messaging.

An event's span is of the kind consumer, begins with its Kafka timestamp under the producer's span
and ends when the broker has its answer. Below it lie the wait in the queue, the run of the batch
that it was part of, and the sending of the answer, whose id travels on with it. A batch has many
parents, so it is a trace of its own with links to the events' spans, and they link to it.
"""

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from inference.clock import Clock
from inference.scheduler import BatchRun
from inference.work import Completion
from schemas.records import Record
from schemas.results import Classification, DeadLetter
from streams.lane.verdicts import Admitted
from streams.routes import Route
from streams.tracing.sampling import Sampling

LATEST_NS = 2**63 - 1


class TopicSpans:
    """Makes the spans of one topic's events; see :class:`streams.tracing.traced.TopicTracing`.

    Args:
        events: Makes spans of events, as far as they are sampled.
        batches: Makes spans of batches, always.
        group: Consumer group of the worker.
    """

    def __init__(
        self,
        events: Tracer,
        batches: Tracer,
        sampling: Sampling,
        *,
        route: Route,
        model: str,
        group: str,
        clock: Clock,
        names_events: bool,
    ) -> None:
        self.tracer = events
        self._batches = batches
        self._sampling = sampling
        self.route = route
        self.model = model
        self.clock = clock
        self.names_events = names_events
        self._name = f"process {route.topic}"
        self._of_topic: dict[str, AttributeValue] = {
            "messaging.system": "kafka",
            "messaging.destination.name": route.topic,
            "messaging.consumer.group.name": group,
            "headrace.modality": route.modality.value,
        }
        self._of_event = self._of_topic | _operation("process")

    def begin(
        self, record: Record, traceparent: str | None, timestamp_ms: float
    ) -> "EventSpans | None":
        """Begin an event's span, if it is followed."""
        parent = self._sampling.parent(traceparent)
        if parent is None:
            return None
        span = self.tracer.start_span(
            self._name,
            parent,
            SpanKind.CONSUMER,
            {
                **self._of_event,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
                "messaging.message.body.size": len(record.value or b""),
            },
            start_time=_nanoseconds(timestamp_ms / 1e3),
        )
        return EventSpans(self, span) if span.get_span_context().trace_flags.sampled else None

    def ran(self, run: BatchRun) -> None:
        """Make a batch's span, linked to those of its events."""
        traces = [trace for work in run.works if (trace := _trace_of(work.handle)) is not None]
        if not traces:
            return
        start_s = run.started + self.wall_offset_s
        span = self._batches.start_span(
            f"run {self.model}",
            Context(),
            SpanKind.INTERNAL,
            {
                **self._of_topic,
                "messaging.batch.message_count": run.events,
                "headrace.model": self.model,
                "headrace.effort": run.effort,
                "headrace.tokens": run.tokens,
                "headrace.predicted_ms": run.predicted_s * 1e3,
                "headrace.clean": run.clean,
            },
            links=[Link(trace.context) for trace in traces],
            start_time=_nanoseconds(start_s),
        )
        span.end(_nanoseconds(start_s + run.seconds))
        for trace in traces:
            trace.batch = span.get_span_context()

    @property
    def wall_offset_s(self) -> float:
        """What turns monotonic seconds into wall-clock seconds, now."""
        return self.clock.wall() - self.clock.monotonic()


class EventSpans:
    """The spans of one event; see :class:`streams.tracing.traced.EventTrace`.

    Attributes:
        batch: The span of the batch that it was part of, once that has run.
    """

    __slots__ = ("_first", "_sending", "_span", "_topic", "batch")

    def __init__(self, topic: TopicSpans, span: Span, *, first: bool = True) -> None:
        self._topic = topic
        self._span = span
        self._first = first
        self._sending: Span | None = None
        self.batch: SpanContext | None = None

    @property
    def context(self) -> SpanContext:
        """What others link to."""
        return self._span.get_span_context()

    def sends(self, result: Classification) -> str:
        """Note what a result says, and begin to send it."""
        described: dict[str, AttributeValue] = {
            "headrace.verdict": result.verdict.value,
            "headrace.budget_ms": result.latency.budget_ms,
            "headrace.total_ms": result.latency.total_ms,
            "headrace.answered_from": result.answered_from.value,
            "headrace.revision": result.revision,
            "headrace.model": result.model.name,
            "headrace.layers": result.effort.layers,
            "headrace.experts": result.effort.experts,
            "headrace.active_share": result.effort.active_share,
        }
        if self._topic.names_events:
            described["messaging.message.id"] = result.event_id
        self._span.set_attributes(described)
        return self._begin_to_send(self._topic.route.results)

    def sends_letter(self) -> str:
        """Begin to send a dead letter."""
        return self._begin_to_send(self._topic.route.dead_letters)

    def answered(self, completion: Completion) -> None:
        """End the spans, with what the event waited for and what it was run with."""
        topic, work = self._topic, completion.work
        started = work.arrival + completion.queue_s + topic.wall_offset_s
        if self._first and completion.queue_s > 0:
            self._child("queue", started - completion.queue_s, completion.queue_s)
        if self.batch is not None:
            self._child(f"model {topic.model}", started, completion.model_s, self.batch)
        if completion.effort is not None:
            self._span.set_attribute("headrace.effort", completion.effort.name)
        self._span.set_attribute("headrace.tokens", work.tokens)
        self._end()

    def buried(self, letter: DeadLetter) -> None:
        """End the spans as failed."""
        self._span.set_status(Status(StatusCode.ERROR))
        self._span.set_attribute("error.type", letter.error)
        if self._topic.names_events and letter.event_id is not None:
            self._span.set_attribute("messaging.message.id", letter.event_id)
        self._end()

    def again(self) -> "EventSpans":
        """Begin the span of a second answer below the event's."""
        topic = self._topic
        span = topic.tracer.start_span(
            f"revise {topic.route.topic}",
            set_span_in_context(self._span, Context()),
            start_time=_nanoseconds(topic.clock.wall()),
        )
        return EventSpans(topic, span, first=False)

    def _begin_to_send(self, destination: str) -> str:
        """Begin the span of what is sent, unless this is another attempt; return its context."""
        if self._sending is None:
            self._sending = self._topic.tracer.start_span(
                f"send {destination}",
                set_span_in_context(self._span, Context()),
                SpanKind.PRODUCER,
                {
                    "messaging.system": "kafka",
                    "messaging.destination.name": destination,
                    **_operation("send"),
                },
                start_time=_nanoseconds(self._topic.clock.wall()),
            )
        context = self._sending.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def _child(
        self, name: str, start_s: float, seconds: float, linked: SpanContext | None = None
    ) -> None:
        self._topic.tracer.start_span(
            name,
            set_span_in_context(self._span, Context()),
            links=None if linked is None else [Link(linked)],
            start_time=_nanoseconds(start_s),
        ).end(_nanoseconds(start_s + seconds))

    def _end(self) -> None:
        now = _nanoseconds(self._topic.clock.wall())
        if self._sending is not None:
            self._sending.end(now)
        self._span.end(now)


def _trace_of(handle: Admitted) -> EventSpans | None:
    trace: EventSpans | None = handle.trace  # type: ignore[assignment]
    return trace


def _operation(name: str) -> dict[str, AttributeValue]:
    return {"messaging.operation.name": name, "messaging.operation.type": name}


def _nanoseconds(seconds: float) -> int:
    """Return a moment as spans have it; what is none that they can hold becomes the nearest.

    Timestamps are the producers' own, in whatever unit, and one that does not fit would keep the
    spans of others from being sent.
    """
    return min(max(int(seconds * 1e9), 0), LATEST_NS)
