"""Content that comes again, and second answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from inference.result_cache import Cache
from inference.revisions import Revisions
from inference.settings import SchedulerSettings
from schemas.results import AnsweredFrom, Classification, Verdict
from tests.fakes.clock import ManualClock
from tests.fakes.consumer import record
from tests.fakes.engine import FakeEngine
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of

PARTITION = TopicPartition("events.news", 0)
HEADLINE = "Ferry line keeps its timetable"


class Rig(LaneRig):
    """A lane of headlines; each batch takes 10 ms of the clock's time."""

    def __init__(self, cache: Cache, revisions: Revisions) -> None:
        clock = ManualClock()
        super().__init__(
            route_of(),
            engine=FakeEngine(cost=lambda *_: 0.010, spend=clock.advance),
            clock=clock,
            settings=SchedulerSettings(max_batch_events=1),
            cache=cache,
            revisions=revisions,
        )

    async def run(
        self, text: str = HEADLINE, age_ms: float = 0, policy: str = "degrade"
    ) -> Classification:
        """Admit a headline that entered Kafka so long ago; return its first result."""
        number = self.admitted
        value = orjson.dumps({"id": str(number), "headline": text})
        headers = (("ce_onoverload", policy.encode()),)
        self.admit(value, timestamp=int(self.clock.wall() * 1e3 - age_ms), headers=headers)
        return await self.result(str(number), revision=0)

    async def result(self, event_id: str, *, revision: int) -> Classification:
        """Wait for a result of an event."""
        async with asyncio.timeout(30):
            while True:
                for one in self.results():
                    if (one.event_id, one.revision) == (event_id, revision):
                        return one
                await asyncio.sleep(0.001)


@asynccontextmanager
async def opened(
    cache: Cache = Cache(enabled=False),  # noqa: B008 - frozen
    revisions: Revisions = Revisions(),  # noqa: B008 - frozen
) -> AsyncIterator[Rig]:
    """Start a lane that knows what batches cost, and end its device thread."""
    async with Rig(cache, revisions).started() as rig:
        for _ in range(3):
            await rig.run("What a batch costs is learned from a few")
        yield rig


def count(name: str, outcome: str) -> float:
    """Read a counter."""
    labels = {"topic": "events.news", "modality": "news", "outcome": outcome}
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_the_same_content_is_answered_once_by_the_model() -> None:
    """Then without it, on time, and marked as such."""
    async with opened(Cache()) as rig:
        first = await rig.run()
        ran = len(rig.engine.batches)
        second = await rig.run()
        assert len(rig.engine.batches) == ran
    assert first.answered_from is AnsweredFrom.MODEL
    assert second.answered_from is AnsweredFrom.CACHE
    assert second.verdict is Verdict.ON_TIME
    assert second.scores == first.scores
    assert second.label == first.label
    assert second.effort == first.effort
    assert (second.latency.model_ms, second.reason) == (0.0, None)


async def test_other_content_is_not() -> None:
    """One word makes a difference; what is old is run again."""
    async with opened(Cache(max_age_ms=1_000)) as rig:
        await rig.run()
        assert (await rig.run(HEADLINE + " again")).answered_from is AnsweredFrom.MODEL
        rig.clock.advance(2)
        assert (await rig.run()).answered_from is AnsweredFrom.MODEL


async def test_without_a_cache_everything_is_run() -> None:
    """As to measure a model's speed."""
    async with opened() as rig:
        await rig.run()
        assert (await rig.run()).answered_from is AnsweredFrom.MODEL


async def test_late_repetitions_are_late() -> None:
    """The verdict follows from time, wherever the answer is from."""
    async with opened(Cache()) as rig:
        await rig.run()
        again = await rig.run(age_ms=400)
    assert again.answered_from is AnsweredFrom.CACHE
    assert again.verdict is Verdict.LATE


@pytest.mark.parametrize("policy", ["degrade", "shed"])
async def test_what_would_be_shed_has_an_older_answer(policy: str) -> None:
    """Found at full effort, it is good for any policy."""
    before = count("headrace_cache_lookups_total", "rescue")
    async with opened(Cache(max_age_ms=1_000)) as rig:
        first = await rig.run()
        rig.clock.advance(0.99)
        await rig.run("A batch shows what batches cost now")
        rig.clock.advance(0.2)
        saved = await rig.run(age_ms=149, policy=policy)
        shed = await rig.run("Nobody ever asked about this one", age_ms=149, policy=policy)
    assert saved.answered_from is AnsweredFrom.CACHE
    assert saved.scores == first.scores
    assert saved.verdict is Verdict.ON_TIME
    assert shed.verdict is Verdict.SHED
    assert shed.answered_from is AnsweredFrom.NONE
    assert count("headrace_cache_lookups_total", "rescue") == before + 1


async def test_a_shed_event_is_classified_when_there_is_time() -> None:
    """With an id of its own, at full effort; the offset did not wait for it."""
    before = count("headrace_revisions_total", "published")
    async with opened(revisions=Revisions(enabled=True)) as rig:
        first = await rig.run(age_ms=149)
        rig.publisher.acknowledge()
        assert rig.ledger.in_flight == 0
        second = await rig.result(first.event_id, revision=1)
        await asyncio.sleep(0.05)
        assert sum(one.event_id == first.event_id for one in rig.results()) == 2
        assert rig.engine.batches[-1][2] == "full"
    assert (first.verdict, first.revision) == (Verdict.SHED, 0)
    assert (second.verdict, second.revision) == (Verdict.LATE, 1)
    assert second.label
    assert second.reason == "classified in full after a first answer with the verdict shed"
    assert second.source == first.source
    assert count("headrace_revisions_total", "published") == before + 1


async def test_events_on_time_have_no_second_answer() -> None:
    """Nor has anything while it is off."""
    async with opened(revisions=Revisions(enabled=True)) as rig:
        await rig.run()
        await asyncio.sleep(0.05)
        assert not any(one.revision for one in rig.results())
    async with opened() as rig:
        await rig.run(age_ms=149)
        await asyncio.sleep(0.05)
        assert not any(one.revision for one in rig.results())


async def test_second_answers_wait_until_the_device_rests_and_are_given_up_at_a_rebalance() -> None:
    """A new event comes first; another worker owns the partition afterwards."""
    before = count("headrace_revisions_total", "dropped")
    async with opened(revisions=Revisions(enabled=True)) as rig:
        rig.engine.hold()
        tracker = rig.ledger.tracker(PARTITION)
        assert tracker
        busy = orjson.dumps({"id": "busy", "headline": HEADLINE})
        rig.ledger.begin(tracker, 90)
        stamp = int(rig.clock.wall() * 1e3)
        rig.lane.admit([record(PARTITION, 90, busy, timestamp=stamp)], tracker)
        assert await asyncio.to_thread(rig.engine.wait_until_held)
        await rig.run(age_ms=149)
        await asyncio.sleep(0.06)
        assert not any(one.revision for one in rig.results())
        rig.lane.withdraw_all()
        rig.engine.release()
        assert await rig.lane.scheduler.drain(10)
        await asyncio.sleep(0.06)
        assert not any(one.revision for one in rig.results())
    assert count("headrace_revisions_total", "dropped") == before + 1
