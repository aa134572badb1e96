"""In whatever order texts of segments come, each has one verdict, and each final text an answer."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import orjson
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from schemas.events import Modality
from schemas.kafka import decode_result
from schemas.limits import DEFAULT_LIMITS
from schemas.results import Classification, Verdict
from streams.lane.lane import Lane
from streams.lane.sources import Sources, Transcripts
from streams.offsets import Ledger
from tests.fakes.clock import ManualClock
from tests.fakes.consumer import record
from tests.fakes.engine import FakeEngine
from tests.fakes.publisher import KeepingPublisher
from tests.fakes.routes import route_of

PARTITION = TopicPartition("events.transcripts", 0)


@dataclass(frozen=True)
class Text:
    """One text of a segment; ``pauses`` lets the device have its turn before the next."""

    session: str | None
    segment: int | None
    is_final: bool
    pauses: bool

    def value(self, offset: int) -> bytes:
        """Write it."""
        event = {"id": str(offset), "text": f"text {offset}", "is_final": self.is_final}
        named = {"session_id": self.session, "segment": self.segment}
        return orjson.dumps(event | {key: one for key, one in named.items() if one is not None})


TEXTS = st.builds(
    Text,
    session=st.sampled_from(["a", "a", "b", None]),
    segment=st.sampled_from([1, 1, 2, None]),
    is_final=st.booleans(),
    pauses=st.sampled_from([True, False, False, False]),
)


async def answered(texts: list[Text], sources: Sources) -> dict[int, Classification]:
    """Let texts come one by one while the device is busy; return the results by offset."""
    engine, ledger, publisher = FakeEngine(), Ledger(), KeepingPublisher()
    ledger.assign([PARTITION])
    lane = Lane(
        route_of(
            Modality.TRANSCRIPT,
            budget_ms=1_000.0,
            on_overload=OverloadPolicy.LATE,
            sources=sources,
        ),
        engine=engine,
        clock=ManualClock(),
        scheduler_settings=SchedulerSettings(max_batch_events=2),
        limits=DEFAULT_LIMITS,
        ledger=ledger,
        publisher=publisher,  # type: ignore[arg-type]
    )
    await lane.scheduler.start()
    tracker = ledger.tracker(PARTITION)
    assert tracker
    engine.hold()
    try:
        for offset, text in enumerate(texts):
            ledger.begin(tracker, offset)
            lane.admit([record(PARTITION, offset, text.value(offset))], tracker)
            if text.pauses:
                await asyncio.sleep(0)
        engine.release()
        assert await lane.scheduler.drain(30)
    finally:
        engine.release()
        await lane.scheduler.close()
    results = [decode_result(one.value or b"") for one in publisher.sent("results.transcripts")]
    offsets = Counter(result.source.offset for result in results)
    assert offsets == Counter(range(len(texts)))
    publisher.acknowledge()
    assert ledger.in_flight == 0
    assert ledger.positions() == {PARTITION: len(texts)}
    return {result.source.offset: result for result in results}


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=30), context_segments=st.integers(0, 3))
def test_each_text_has_one_verdict_and_only_interim_ones_are_superseded(
    texts: list[Text], context_segments: int
) -> None:
    """By a text of the same segment that the reason names; what says no segment never is."""
    sources = Sources(transcripts=Transcripts(context_segments=context_segments))
    results = asyncio.run(answered(texts, sources))
    for offset, result in results.items():
        text = texts[offset]
        if result.verdict is not Verdict.SHED:
            assert result.label is not None
            continue
        assert not text.is_final
        assert text.session is not None
        assert text.segment is not None
        assert result.reason is not None
        other = int(result.reason.rpartition("/")[2].rstrip(")"))
        assert (texts[other].session, texts[other].segment) == (text.session, text.segment)
        assert other > offset or texts[other].is_final
