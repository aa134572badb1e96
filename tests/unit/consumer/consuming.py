"""A consume loop over fakes, on a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiokafka import TopicPartition

from schemas.errors import BrokerError
from streams.consumer.loop import ConsumeLoop
from streams.delivery.at_least_once import AtLeastOnce
from streams.offsets import Bounds, Ledger
from tests.fakes.clock import ManualClock
from tests.fakes.consumer import FakeConsumer, FakeLog, FakeOffsets
from tests.fakes.lane import HoldingLane

ONE, TWO = (TopicPartition("events.news", number) for number in range(2))
DRAIN_S = 5.0
COMMIT_INTERVAL_S = 0.2


@dataclass
class Rig:
    """A loop that runs over fakes, on a clock that a test moves.

    Attributes:
        lane: That of headlines.
        lanes: One of each topic of the partitions.
        consumers: Every one that the loop has made, the newest last.
    """

    log: FakeLog
    ledger: Ledger
    lane: HoldingLane
    lanes: dict[str, HoldingLane]
    clock: ManualClock
    loop: ConsumeLoop
    consumers: list[FakeConsumer]
    running: "asyncio.Task[None]"

    @property
    def consumer(self) -> FakeConsumer:
        """The newest consumer."""
        return self.consumers[-1]

    async def admitted(self, count: int) -> None:
        """Wait for that many records."""
        await until(lambda: len(self.lane.admitted) == count)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock and let what is due happen."""
        self.clock.advance(seconds)
        await turns()


async def turns(count: int = 30) -> None:
    """Let every task run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let tasks run until a condition holds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it has not come to that")


@asynccontextmanager
async def consuming(
    *,
    records: int = 0,
    partitions: tuple[TopicPartition, ...] = (ONE,),
    prepare: Callable[[FakeConsumer], None] = lambda _: None,
    committed: dict[TopicPartition, int] | None = None,
    idle_pause_s: float = 0.0,
    reading_turns: int = 1,
    bounds: Bounds | None = None,
) -> AsyncIterator[Rig]:
    """Run a loop over as many records in each partition; ``prepare`` sees each new consumer."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())
    log, ledger, consumers = FakeLog(partitions), Ledger(bounds), []
    log.committed.update(committed or {})
    for partition in partitions:
        log.append(partition, records)
    lanes = {one.topic: HoldingLane(ledger) for one in partitions}

    def make() -> FakeConsumer:
        consumers.append(FakeConsumer(log))
        prepare(consumers[-1])
        return consumers[-1]

    loop = ConsumeLoop(
        make_consumer=make,
        intakes=lanes,
        ledger=ledger,
        keeping=AtLeastOnce(None, ledger, FakeOffsets(log, reading_turns)),  # type: ignore[arg-type]
        max_poll_records=100,
        drain_s=DRAIN_S,
        commit_interval_s=COMMIT_INTERVAL_S,
        idle_pause_s=idle_pause_s,
    )
    running = asyncio.create_task(loop.run())
    await until(lambda: bool(consumers))
    try:
        yield Rig(log, ledger, lanes[ONE.topic], lanes, clock, loop, consumers, running)
    finally:
        for lane in lanes.values():
            lane.finish()
        loop.stop()
        running.cancel()
        with suppress(asyncio.CancelledError, BrokerError):
            await running
