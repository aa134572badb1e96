"""Every record admitted ends as exactly one parcel: a result or a dead letter."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition

from inference.engine import Encoded
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from schemas.events import Event
from schemas.kafka import Outbound
from schemas.results import Classification, Verdict
from streams.lane.lane import MOST_UNSENT
from tests.fakes.engine import FakeEngine
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of

PARTITION = TopicPartition("events.news", 1)
RESULTS, LETTERS = "results.news", "events.news.dlq"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Rig(LaneRig):
    """A lane of headlines."""

    def __init__(self, engine: FakeEngine, policy: OverloadPolicy, **settings: Any) -> None:
        super().__init__(
            route_of(on_overload=policy),
            engine=engine,
            partition=PARTITION.partition,
            settings=SchedulerSettings(**settings),
        )

    def letters(self) -> list[dict[str, str]]:
        """Read the headers of the dead letters that were published."""
        return [_headers(one) for one in self.publisher.sent(LETTERS)]


def _headers(outbound: Outbound) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in outbound.headers}


@asynccontextmanager
async def opened(
    policy: OverloadPolicy = OverloadPolicy.LATE, engine: FakeEngine | None = None, **settings: Any
) -> AsyncIterator[Rig]:
    """Start a lane, and end its device thread."""
    async with Rig(engine or FakeEngine(), policy, **settings).started() as rig:
        yield rig


def headline(event_id: str, text: str = "Ferry line keeps its timetable") -> bytes:
    """A plain JSON event."""
    return orjson.dumps({"id": event_id, "headline": text})


async def test_good_bad_and_poisonous_records_end_once_each() -> None:
    """Results for the good, dead letters for the rest, and nothing stays in flight."""
    async with opened() as rig:
        rig.admit(
            headline("a"),
            b"not JSON",
            headline("b", "Mill with poison reopens"),
            headline("c", " "),
            headline("d", "Harbour operator lifts its forecast"),
        )
        await rig.drained()
        assert sorted(result.event_id for result in rig.results()) == ["a", "d"]
        assert sorted(letter["headrace_error"] for letter in rig.letters()) == [
            "invalid",
            "poison",
            "undecodable",
        ]
        assert rig.ledger.in_flight == 5
        rig.publisher.acknowledge()
        assert rig.ledger.in_flight == 0
        assert rig.ledger.positions() == {PARTITION: 5}


async def test_a_poisonous_event_becomes_a_letter_with_its_bytes() -> None:
    """Value, key and headers are the original's; what the model said is told beside them."""
    async with opened() as rig:
        value = headline("sick", "Mill with poison reopens")
        rig.admit(value, headers=(("desk", b"north"),))
        await rig.drained()
        (outbound,) = rig.publisher.sent(LETTERS)
        letter = _headers(outbound)
        assert outbound.value == value
        assert letter["desk"] == "north"
        assert letter["headrace_error"] == "poison"
        assert letter["headrace_message"] == "poison"
        assert letter["headrace_event_id"] == "sick"
        assert letter["headrace_source_offset"] == "0"
        assert rig.results() == []


async def test_a_letter_too_large_for_the_broker_goes_without_its_value() -> None:
    """It says how much is missing, and keeps the rest."""
    async with opened() as rig:
        rig.admit(b"not JSON")
        (parcel,) = rig.publisher.parcels
        assert parcel.fallback
        smaller = parcel.fallback()
        assert smaller.value == b""
        assert _headers(smaller)["headrace_error"] == "undecodable"
        assert _headers(smaller)["headrace_value_omitted"].startswith("8 bytes")


async def test_an_offset_completes_with_the_acknowledgement_not_before() -> None:
    """A result that is only on its way may still be lost; its offset must not be committed."""
    async with opened() as rig:
        rig.admit(headline("a"), headline("b"))
        await rig.drained()
        assert rig.ledger.positions() == {PARTITION: 0}
        first, second = rig.publisher.parcels
        second.make()
        second.acknowledged()
        assert rig.ledger.positions() == {PARTITION: 0}
        first.make()
        first.acknowledged()
        assert rig.ledger.positions() == {PARTITION: 2}


async def test_events_of_a_partition_that_is_gone_produce_nothing() -> None:
    """The batch that ran when the partition was taken away is the next owner's to answer."""
    async with opened() as rig:
        rig.engine.hold()
        rig.admit(headline("a"), headline("b", "Mill with poison reopens"))
        await held(rig)
        rig.ledger.close()
        rig.engine.release()
        await rig.drained()
        assert rig.publisher.parcels == []


async def test_what_is_withdrawn_does_not_run() -> None:
    """Queued events are forgotten; the running batch ends, for a tracker that is closed."""
    async with opened(max_batch_events=1) as rig:
        rig.engine.hold()
        rig.admit(headline("a"))
        await held(rig)
        rig.admit(*(headline(f"later-{number}") for number in range(10)))
        rig.lane.withdraw_all()
        rig.ledger.close()
        rig.engine.release()
        await rig.drained()
        assert rig.publisher.parcels == []
        assert len(rig.engine.batches) <= 2


async def test_an_acknowledgement_after_the_partition_is_gone_changes_nothing() -> None:
    """The new owner's position is not moved by the old one's answer."""
    async with opened() as rig:
        rig.admit(headline("a"))
        await rig.drained()
        rig.ledger.assign([PARTITION])
        rig.publisher.acknowledge()
        assert rig.ledger.positions() == {}
        assert rig.ledger.completions == 0


async def test_a_result_carries_key_trace_and_receipt() -> None:
    """The time in it is that of sending, not that of the model's end."""
    async with opened() as rig:
        rig.admit(headline("a"), headers=(("traceparent", TRACE),))
        await rig.drained()
        rig.clock.advance(0.09)
        (result,) = rig.results()
        assert result.latency.total_ms == pytest.approx(90)
        assert result.verdict is Verdict.ON_TIME
        assert result.source.offset == 0
        assert _headers(rig.publisher.sent(RESULTS)[0])["traceparent"] == TRACE.decode()
        rig.clock.advance(0.09)
        assert rig.results()[0].verdict is Verdict.LATE


async def test_an_event_without_hope_is_answered_as_shed() -> None:
    """Under a policy that sheds, the subscriber is told so, with the reason."""
    async with opened(OverloadPolicy.SHED) as rig:
        long_ago = int(rig.clock.wall() * 1e3) - 60_000
        rig.admit(*(headline(f"old-{number}") for number in range(5)), timestamp=long_ago)
        await rig.drained()
        results = rig.results()
        assert len(results) == 5
        shed = [result for result in results if result.verdict is Verdict.SHED]
        assert shed
        assert all(result.reason and result.label is None for result in shed)


async def test_a_lane_is_full_of_answers_that_are_not_sent() -> None:
    """Shedding is quicker than sending: without a bound the answers would wait for seconds."""
    async with opened(OverloadPolicy.SHED) as rig:
        for number in range(MOST_UNSENT):
            assert not rig.lane.is_full
            rig.admit(headline(f"e-{number}"), b"not JSON")
            if rig.lane.is_full:
                break
        await rig.drained()
        assert rig.lane.is_full
        assert not rig.lane.has_room_again
        rig.publisher.acknowledge()
        assert not rig.lane.is_full
        assert rig.lane.has_room_again


async def test_a_lane_is_full_by_tokens_and_has_room_at_half() -> None:
    """The loop pauses at the mark and resumes when half of it is free."""
    async with opened(max_queue_tokens=20, max_batch_events=1) as rig:
        rig.engine.hold()
        rig.admit(headline("running"), headline("prepared"))
        await held(rig)
        rig.admit(*(headline(f"n-{number}", "one two three four") for number in range(4)))
        assert not rig.lane.is_full
        rig.admit(headline("last", "one two three four"))
        assert rig.lane.is_full
        assert not rig.lane.has_room_again
        rig.engine.release()
        await rig.drained()
        assert not rig.lane.is_full
        assert rig.lane.has_room_again


async def held(rig: Rig) -> None:
    """Let the scheduler hand a batch to the device, and wait until it is there."""
    assert await asyncio.to_thread(rig.engine.wait_until_held)


class CountingEngine(FakeEngine):
    """Counts what it encodes.

    Attributes:
        read: Events so far.
    """

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.read = 0

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Encode, and count."""
        self.read += len(events)
        return super().encode(events)


async def admit_old(rig: Rig, number: int, age_ms: int = 200) -> list[Classification]:
    """Admit so many headlines that entered Kafka so long ago; return their results."""
    stamp = int(rig.clock.wall() * 1e3) - age_ms
    rig.admit(*(headline(str(one)) for one in range(number)), timestamp=stamp)
    await rig.drained()
    return rig.results()


@pytest.mark.parametrize("policy", [OverloadPolicy.SHED, OverloadPolicy.DEGRADE])
async def test_a_worker_that_is_behind_does_not_read_what_is_over(policy: OverloadPolicy) -> None:
    """Each is answered all the same, as shed, with how late it came."""
    engine = CountingEngine()
    async with opened(policy, engine) as rig:
        results = await admit_old(rig, 20)
        assert {one.verdict for one in results} == {Verdict.SHED}
        assert len(results) == 20
        assert engine.read == 0
        assert "it came with 0.0 ms left" in (results[0].reason or "")
        rig.publisher.acknowledge()
        assert rig.ledger.in_flight == 0


@pytest.mark.parametrize(
    ("policy", "number", "age_ms"),
    [
        (OverloadPolicy.LATE, 20, 200),
        (OverloadPolicy.SHED, 3, 200),
        (OverloadPolicy.SHED, 20, 20),
    ],
    ids=["late ones are run", "a few may be known", "in time"],
)
async def test_else_everything_is_read(policy: OverloadPolicy, number: int, age_ms: int) -> None:
    """For what is known of it, or because it can be answered."""
    engine = CountingEngine()
    async with opened(policy, engine) as rig:
        assert len(await admit_old(rig, number, age_ms)) == number
        assert engine.read == number
