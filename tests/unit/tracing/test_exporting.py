"""Spans on their way to a receiver: bounded, counted, and never in the way of events."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags
from prometheus_client import REGISTRY

from streams.tracing.exporting import BoundedProcessor
from streams.tracing.provider import Provider
from streams.tracing.settings import TracingSettings
from tests.unit.tracing.traced_lane import traced


class HeldExporter(SpanExporter):
    """Takes a batch and keeps its thread until it is told what became of it.

    Attributes:
        spans: What it was given.
    """

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.spans: list[ReadableSpan] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self._result = result

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep spans."""
        self.spans += spans
        self.entered.set()
        self.go_on.wait()
        return self._result

    def shutdown(self) -> None:
        """Let go, as a receiver that is given up."""
        self.go_on.set()


class RaisingExporter(SpanExporter):
    """Fails on everything."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Raise."""
        raise RuntimeError(f"{len(spans)} spans are too many")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans leave when there are as many as one request holds."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")


@pytest.fixture
def held() -> Iterator[HeldExporter]:
    """An exporter that lets go at the end."""
    exporter = HeldExporter()
    yield exporter
    exporter.go_on.set()


def counted() -> dict[str, float]:
    """Return the spans counted so far, by outcome."""
    return {
        outcome: REGISTRY.get_sample_value("headrace_trace_spans_total", {"outcome": outcome}) or 0
        for outcome in ("sent", "failed", "dropped")
    }


def added(before: dict[str, float]) -> dict[str, float]:
    """Return what was counted since."""
    return {name: value - before[name] for name, value in counted().items() if value > before[name]}


def ended(number: int) -> ReadableSpan:
    """Return a sampled span that has ended."""
    return ReadableSpan(
        f"span {number}", SpanContext(1, number + 1, is_remote=False, trace_flags=TraceFlags(1))
    )


def test_spans_beyond_the_bound_are_dropped_and_counted_and_nobody_waits(
    held: HeldExporter,
) -> None:
    """The receiver does not answer: four are under way, six wait, the others are lost."""
    before = counted()
    processor = BoundedProcessor(held, max_queued=6)
    for number in range(4):
        processor.on_end(ended(number))
    assert held.entered.wait(10)
    for number in range(4, 16):  # whoever waited for the receiver would wait for ever
        processor.on_end(ended(number))
    assert processor.queued == 6
    assert added(before) == {"dropped": 6}
    held.go_on.set()
    processor.shutdown()
    assert added(before) == {"dropped": 6, "sent": 10}
    assert [span.name for span in held.spans] == [f"span {number}" for number in range(10)]


@pytest.mark.parametrize("exporter", [HeldExporter(SpanExportResult.FAILURE), RaisingExporter()])
def test_what_the_receiver_does_not_take_is_counted(exporter: SpanExporter) -> None:
    """Whether it refuses or the exporter fails, the next spans are tried all the same."""
    if isinstance(exporter, HeldExporter):
        exporter.go_on.set()
    before = counted()
    processor = BoundedProcessor(exporter, max_queued=100)
    for number in range(9):
        processor.on_end(ended(number))
    processor.shutdown()
    assert added(before) == {"failed": 9}


async def test_closing_sends_what_waits() -> None:
    """A drained stop loses no span."""
    before = counted()
    async with traced() as rig:
        rig.send("a", "b")
        spans = await rig.spans(2)
    assert added(before) == {"sent": sum(map(len, spans.values()))}


async def test_closing_gives_a_receiver_up_that_does_not_answer(held: HeldExporter) -> None:
    """When its time is over, with the number of spans that were lost."""
    before = counted()
    provider = Provider(TracingSettings(), held, group="desk")
    for number in range(6):
        provider._processor.on_end(ended(number))
    assert held.entered.wait(10)
    started = time.monotonic()
    await provider.close(0.05)
    assert time.monotonic() - started < 5
    assert counted()["dropped"] == before["dropped"] + 2
