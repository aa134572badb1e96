"""From ended spans to the receiver, on a thread of its own; what cannot be sent is counted."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from streams import metrics


class CountingExporter(SpanExporter):
    """Counts what becomes of the spans that another exporter is given.

    Attributes:
        taken: How many were handed over so far.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; called on the processor's thread."""
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            outcome = "sent" if result is SpanExportResult.SUCCESS else "failed"
            metrics.TRACE_SPANS.labels(outcome).inc(len(spans))
        return result

    def shutdown(self) -> None:
        """Send nothing any more, and give up what is being tried again."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        del timeout_millis
        return True


class BoundedProcessor(BatchSpanProcessor):
    """Queues spans for the exporter's thread; counts those for which there is no room.

    The SDK's own queue drops its oldest spans without a count, so none that it has no room for is
    put there. Spans have to end on one thread.

    Args:
        exporter: Sends them.
        max_queued: How many may wait.
    """

    def __init__(self, exporter: SpanExporter, max_queued: int) -> None:
        self._counting = CountingExporter(exporter)
        super().__init__(self._counting, max_queue_size=max_queued)
        self._max_queued = max_queued
        self._put = 0

    @property
    def queued(self) -> int:
        """How many wait."""
        return self._put - self._counting.taken

    def on_end(self, span: ReadableSpan) -> None:
        """Queue an ended span."""
        if self.queued >= self._max_queued:
            metrics.TRACE_SPANS.labels("dropped").inc()
            return
        self._put += 1
        super().on_end(span)

    def give_up(self) -> int:
        """Drop what waits, and what is being tried again; return how many wait."""
        left = self.queued
        metrics.TRACE_SPANS.labels("dropped").inc(left)
        self._counting.shutdown()
        return left
