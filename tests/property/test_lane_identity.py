"""Whatever is batched with whatever, each record's parcel is its own."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from schemas.kafka import Record, decode_dead_letter, decode_result
from schemas.limits import DEFAULT_LIMITS
from streams.lane.lane import Lane
from streams.offsets import Ledger
from tests.fakes.clock import ManualClock
from tests.fakes.consumer import record
from tests.fakes.engine import EFFORTS, LABELS, FakeEngine, Poison, encode_words
from tests.fakes.publisher import KeepingPublisher
from tests.fakes.routes import route_of

PARTITIONS = [TopicPartition("events.news", number) for number in range(3)]
RESULTS, LETTERS = "results.news", "events.news.dlq"
NOT_JSON = b"not JSON"
WORDS = st.sampled_from(["mill", "dock", "ferry", "loss", "profit", "warns", "reopens", "poison"])


@dataclass(frozen=True)
class Sent:
    """One record that goes in: a headline, or ``None`` for what is no event."""

    partition: TopicPartition
    text: str | None

    def value(self, event_id: str) -> bytes:
        """Write it."""
        if self.text is None:
            return NOT_JSON
        return orjson.dumps({"id": event_id, "headline": self.text})

    @property
    def is_good(self) -> bool:
        """Whether a result is due, not a dead letter."""
        return self.text is not None and "poison" not in self.text.split()


TEXTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
POLLS = st.lists(
    st.lists(
        st.builds(Sent, st.sampled_from(PARTITIONS), st.one_of(TEXTS, st.none())), max_size=12
    ),
    min_size=1,
    max_size=5,
)


def lane_of(engine: FakeEngine, ledger: Ledger, publisher: KeepingPublisher, **limits: Any) -> Lane:
    """Make a lane that answers everything at full effort, so that answers can be foretold."""
    return Lane(
        route_of(on_overload=OverloadPolicy.LATE),
        engine=engine,
        clock=ManualClock(),
        scheduler_settings=SchedulerSettings(**limits),
        limits=DEFAULT_LIMITS,
        ledger=ledger,
        publisher=publisher,  # type: ignore[arg-type]
    )


async def answered(
    polls: list[list[Sent]], poison: Poison, **limits: Any
) -> tuple[dict[tuple[int, int], Sent], KeepingPublisher, Ledger]:
    """Take the polls in, one after the other, and wait for the end of all."""
    engine, ledger, publisher = FakeEngine(poison=poison), Ledger(), KeepingPublisher()
    ledger.assign(PARTITIONS)
    lane = lane_of(engine, ledger, publisher, **limits)
    await lane.scheduler.start()
    sent: dict[tuple[int, int], Sent] = {}
    ends = Counter[TopicPartition]()
    try:
        for poll in polls:
            for partition in PARTITIONS:
                tracker, records = ledger.tracker(partition), []
                assert tracker
                for one in (each for each in poll if each.partition == partition):
                    offset = ends[partition]
                    ends[partition] += 1
                    sent[partition.partition, offset] = one
                    ledger.begin(tracker, offset)
                    event_id = f"{partition.partition}:{offset}"
                    records.append(record(partition, offset, one.value(event_id)))
                lane.admit(records, tracker)
            await asyncio.sleep(0)
        assert await lane.scheduler.drain(30)
    finally:
        await lane.scheduler.close()
    return sent, publisher, ledger


@settings(max_examples=60, deadline=None)
@given(
    polls=POLLS,
    poison=st.sampled_from([Poison(), Poison(in_prepare=True), Poison("nan"), Poison("short")]),
    max_batch_events=st.integers(1, 9),
    max_batch_tokens=st.integers(1, 40),
)
def test_every_record_ends_once_with_its_own_answer(
    polls: list[list[Sent]], poison: Poison, max_batch_events: int, max_batch_tokens: int
) -> None:
    """Id, source and scores of a result, and the bytes of a letter, are those of one record."""
    sent, publisher, ledger = asyncio.run(
        answered(
            polls, poison, max_batch_events=max_batch_events, max_batch_tokens=max_batch_tokens
        )
    )
    ended: list[tuple[int, int]] = []
    engine = FakeEngine()
    for outbound in publisher.sent(RESULTS):
        result = decode_result(outbound.value or b"")
        origin = (result.source.partition, result.source.offset)
        ended.append(origin)
        assert sent[origin].is_good
        assert result.event_id == f"{origin[0]}:{origin[1]}"
        ids = encode_words((sent[origin].text or "").split()).data
        own = engine.answer(ids, EFFORTS[0]).scores
        assert result.scores == {
            label: round(score, 6) for label, score in zip(LABELS, own, strict=True)
        }
    for outbound in publisher.sent(LETTERS):
        letter = decode_dead_letter(Record(topic=LETTERS, headers=outbound.headers))
        origin = (letter.source.partition, letter.source.offset)
        ended.append(origin)
        assert not sent[origin].is_good
        assert outbound.value == sent[origin].value(f"{origin[0]}:{origin[1]}")
    assert sorted(ended) == sorted(sent)
    publisher.acknowledge()
    assert ledger.in_flight == 0
