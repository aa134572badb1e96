"""A lane whose events are followed, and the spans that come of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.kafka import Outbound
from streams.tracing.provider import Provider
from streams.tracing.settings import TracingSettings
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of

RESULTS, LETTERS = "results.news", "events.news.dlq"
TRACE_ID, PARENT_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
SAMPLED = f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-01"
UNSAMPLED = f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-00"


class TracedRig(LaneRig):
    """A lane of headlines; each batch takes 10 ms of the clock's time."""

    def __init__(self, sample_ratio: float | None, engine: FakeEngine | None, **parts: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = Provider(
            TracingSettings(sample_ratio=sample_ratio), self.exporter, group="desk"
        )
        clock = ManualClock()
        super().__init__(
            route_of(),
            engine=engine or FakeEngine(cost=lambda *_: 0.010, spend=clock.advance),
            clock=clock,
            partition=3,
            tracing=self.provider,
            **parts,
        )

    def send(self, *ids: str, traceparent: str | None = SAMPLED, text: str = "Ferry line") -> None:
        """Admit headlines in one poll."""
        values = [orjson.dumps({"id": one, "headline": f"{text} {one}"}) for one in ids]
        headers = () if traceparent is None else (("traceparent", traceparent.encode()),)
        self.admit(*values, headers=headers)

    async def learn_costs(self) -> None:
        """Answer three events that nobody follows, to let the scheduler know what they cost."""
        for number in range(3):
            self.send(f"before-{number}", traceparent=UNSAMPLED)
            await self.drained()

    def send_late(self, event_id: str) -> None:
        """Admit a headline that came a minute ago and is shed rather than late."""
        self.admit(
            orjson.dumps({"id": event_id, "headline": "Ferry"}),
            timestamp=int(self.clock.wall() * 1e3) - 60_000,
            headers=(("traceparent", SAMPLED.encode()), ("ce_onoverload", b"shed")),
        )

    async def until_published(self, answers: int) -> None:
        """Wait until so many answers are there."""
        async with asyncio.timeout(30):
            while len(self.publisher.parcels) < answers:  # noqa: ASYNC110 - nobody tells of them
                await asyncio.sleep(0.001)

    async def spans(self, answers: int) -> dict[str, list[ReadableSpan]]:
        """Acknowledge so many answers once they are there; return all ended spans by name."""
        await self.drained()
        assert len(self.publisher.parcels) == answers
        self.publisher.acknowledge()
        return await self.ended()

    async def ended(self) -> dict[str, list[ReadableSpan]]:
        """Return all ended spans by name; none can end after this."""
        await self.provider.close(5)
        found: dict[str, list[ReadableSpan]] = {}
        for span in self.exporter.get_finished_spans():
            found.setdefault(span.name, []).append(span)
        return found

    def headers(self, topic: str) -> list[dict[str, str]]:
        """Return the headers of what was sent to a topic."""
        return [headers_of(one) for one in self.publisher.sent(topic)]


def headers_of(outbound: Outbound) -> dict[str, str]:
    """Return headers as text."""
    return {name: (value or b"").decode() for name, value in outbound.headers}


@asynccontextmanager
async def traced(
    sample_ratio: float | None = 0.0, engine: FakeEngine | None = None, **parts: Any
) -> AsyncIterator[TracedRig]:
    """Start a lane whose events are followed, and end its device thread."""
    async with TracedRig(sample_ratio, engine, **parts).started() as rig:
        yield rig


def traceparent_of(span: ReadableSpan) -> str:
    """Return a span's context as it travels."""
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


def parents(spans: Sequence[ReadableSpan]) -> list[int | None]:
    """Return the ids of what spans lie below."""
    return [span.parent and span.parent.span_id for span in spans]
