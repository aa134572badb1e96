"""Progress is judged by positions, at the observer's pace; what is stuck is replaced or told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from streams.offsets import Ledger
from streams.stalls import Stall, StallDetector
from streams.worker.watchdog import Apart, Watchdog
from tests.fakes.clock import ManualClock
from tests.fakes.loop import IdleLoop

PARTITION = TopicPartition("events.news", 0)
STALL_S = 30.0


def test_no_work_is_no_stall() -> None:
    """A quiet topic may stay quiet for ever."""
    detector = StallDetector(10)
    verdicts = [
        detector.observe(now=now, lag=0, in_flight=0, progress=5) for now in range(0, 100, 10)
    ]
    assert verdicts == [None] * 10


def test_lag_that_shrinks_is_no_stall() -> None:
    """Every completion starts the clock again."""
    detector = StallDetector(10)
    verdicts = [
        detector.observe(now=now, lag=50, in_flight=1, progress=now) for now in range(0, 100, 9)
    ]
    assert set(verdicts) == {None}


def test_lag_without_arrivals_is_the_consumers_stall() -> None:
    """The broker has events and none comes in: the consumer must be replaced."""
    detector = StallDetector(10)
    assert detector.observe(now=0, lag=5, in_flight=0, progress=3) is None
    assert detector.observe(now=9, lag=5, in_flight=0, progress=3) is None
    assert detector.observe(now=10, lag=5, in_flight=0, progress=3) is Stall.CONSUMER


def test_events_that_never_end_are_the_pipelines_stall() -> None:
    """Replacing the consumer would not help what hangs behind it."""
    detector = StallDetector(10)
    detector.observe(now=0, lag=5, in_flight=2, progress=3)
    assert detector.observe(now=11, lag=5, in_flight=2, progress=3) is Stall.PIPELINE


def test_the_remedy_gets_time_to_show_an_effect() -> None:
    """A stall is reported once per waiting time, not at every look."""
    detector = StallDetector(10)
    detector.observe(now=0, lag=5, in_flight=0, progress=3)
    assert detector.observe(now=10, lag=5, in_flight=0, progress=3) is Stall.CONSUMER
    assert detector.observe(now=12, lag=5, in_flight=0, progress=3) is None
    assert detector.observe(now=20, lag=5, in_flight=0, progress=3) is Stall.CONSUMER


@dataclass
class Watch:
    """A watchdog that runs, and what it has told."""

    loop: IdleLoop
    ledger: Ledger
    clock: ManualClock
    told: list[str | None] = field(default_factory=list)
    apart: Apart = field(default_factory=Apart)

    async def pass_time(self, seconds: float) -> None:
        """Let the watchdog look as often as it does in such a time."""
        for _ in range(round(seconds / (STALL_S / 6))):
            self.clock.advance(STALL_S / 6)
            for _ in range(10):
                await asyncio.sleep(0)


@asynccontextmanager
async def watching() -> AsyncIterator[Watch]:
    """Run a watchdog over a loop that does nothing and a ledger of one partition."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())
    watch = Watch(IdleLoop(), Ledger(), clock)
    watch.ledger.assign([PARTITION])
    watchdog = Watchdog(
        loop=watch.loop,  # type: ignore[arg-type]
        ledger=watch.ledger,
        clock=clock,
        stall_s=STALL_S,
        report=watch.told.append,
        apart=lambda: watch.apart,
    )
    running = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0)
    try:
        yield watch
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_consumer_that_brings_nothing_is_replaced_and_the_process_stays_well() -> None:
    """The broker holds events and none is in flight: that is the remedy, once per waiting time."""
    async with watching() as watch:
        watch.loop.lags = {PARTITION: 7}
        await watch.pass_time(STALL_S)
        assert watch.loop.rebuilds == 0
        await watch.pass_time(STALL_S)
        assert watch.loop.rebuilds == 1
        assert watch.told == []


async def test_a_stuck_pipeline_stays_unwell_until_an_event_ends() -> None:
    """A probe that asks now and then must find the problem whenever it asks."""
    async with watching() as watch:
        tracker = watch.ledger.tracker(PARTITION)
        assert tracker
        watch.ledger.begin(tracker, 0)
        await watch.pass_time(STALL_S * 3)
        assert watch.told
        assert all(told and "1 events in flight" in told for told in watch.told)
        assert watch.loop.rebuilds == 0
        watch.ledger.complete(tracker, 0)
        await watch.pass_time(STALL_S / 6)
        assert watch.told[-1] is None


async def test_what_stands_still_on_purpose_is_no_stall() -> None:
    """Events that wait for something else, and topics that are not taken in."""
    async with watching() as watch:
        other = TopicPartition("events.camera", 0)
        watch.loop.lags = {PARTITION: 7, other: 3}
        tracker = watch.ledger.tracker(PARTITION)
        assert tracker
        watch.ledger.begin(tracker, 0)
        watch.apart = Apart(1, frozenset([PARTITION]), frozenset([other.topic]))
        await watch.pass_time(STALL_S * 3)
        assert watch.loop.rebuilds == 0
        assert watch.told == []
        watch.apart = Apart(1, frozenset([PARTITION]))
        await watch.pass_time(STALL_S * 2)
        assert watch.loop.rebuilds >= 1
        assert watch.told == []


async def test_a_broker_that_is_gone_is_not_the_consumers_fault() -> None:
    """The client connects again by itself; a new one could do no better."""
    async with watching() as watch:
        watch.loop.lag_error = KafkaConnectionError()
        await watch.pass_time(STALL_S * 3)
        assert watch.loop.rebuilds == 0
        assert watch.told == []


async def test_lag_is_shown_by_topic_and_ends_with_the_partitions() -> None:
    """What another worker owns now must not be counted here for ever."""
    async with watching() as watch:
        watch.loop.lags = {PARTITION: 7, TopicPartition("events.news", 1): 3}
        await watch.pass_time(STALL_S / 6)
        assert shown_lag() == 10
        watch.loop.lags = {}
        await watch.pass_time(STALL_S / 6)
        assert shown_lag() == 0


def shown_lag() -> float | None:
    """Read the lag as it is exposed."""
    return REGISTRY.get_sample_value("headrace_lag_events", {"topic": "events.news"})
