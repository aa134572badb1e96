"""A lane that keeps what it is given until a test ends it, and a real one over fakes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import TopicPartition

from inference.settings import SchedulerSettings
from schemas.kafka import decode_result
from schemas.limits import DEFAULT_LIMITS
from schemas.results import Classification
from streams.lane.lane import Lane
from streams.offsets import Ledger, OffsetTracker
from streams.routes import Route
from tests.fakes.clock import ManualClock
from tests.fakes.consumer import record
from tests.fakes.engine import FakeEngine
from tests.fakes.publisher import KeepingPublisher


class HoldingLane:
    """Implements what :class:`streams.consumer.loop.ConsumeLoop` asks of a lane.

    Attributes:
        is_full: What the loop is told of the lane's queue; likewise ``has_room_again``.
        admitted: Partition and offset of every record, in the order in which they came.
        withdrawals: How often the lane was told to forget what it holds.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.is_full = False
        self.has_room_again = True
        self.admitted: list[tuple[int, int]] = []
        self.withdrawals = 0
        self._ledger = ledger
        self._held: list[tuple[OffsetTracker, int]] = []

    def admit(self, records: Sequence[Any], tracker: OffsetTracker) -> None:
        """Hold records."""
        for one in records:
            self.admitted.append((one.partition, one.offset))
            self._held.append((tracker, one.offset))

    def withdraw_all(self) -> None:
        """Forget everything."""
        self.withdrawals += 1
        self._held = []

    def finish(self, *offsets: int) -> None:
        """End held records of these offsets, or all of them when none is named."""
        ending = [one for one in self._held if not offsets or one[1] in offsets]
        self._held = [one for one in self._held if one not in ending]
        for tracker, offset in ending:
            self._ledger.complete(tracker, offset)


class LaneRig:
    """A lane over fakes that owns one partition of its topic.

    Args:
        route: What the lane serves, and how.
        partition: Its number.
        settings: Of the scheduler.
        parts: Whatever else a lane takes.
    """

    def __init__(
        self,
        route: Route,
        *,
        engine: FakeEngine | None = None,
        clock: ManualClock | None = None,
        partition: int = 0,
        settings: SchedulerSettings | None = None,
        **parts: Any,
    ) -> None:
        self.engine = engine or FakeEngine()
        self.clock = clock or ManualClock()
        self.ledger = Ledger()
        self.publisher = KeepingPublisher()
        self.partition = TopicPartition(route.topic, partition)
        self.lane = Lane(
            route,
            engine=self.engine,
            clock=self.clock,
            scheduler_settings=settings or SchedulerSettings(),
            limits=DEFAULT_LIMITS,
            ledger=self.ledger,
            publisher=self.publisher,  # type: ignore[arg-type]
            **parts,
        )
        self.ledger.assign([self.partition])
        self.admitted = 0
        self._results = route.results

    def admit(self, *values: bytes, timestamp: int | None = None, **fields: Any) -> None:
        """Begin and admit a record for each value."""
        tracker = self.ledger.tracker(self.partition)
        assert tracker
        stamp = int(self.clock.wall() * 1e3) if timestamp is None else timestamp
        records = []
        for value in values:
            records.append(record(self.partition, self.admitted, value, timestamp=stamp, **fields))
            self.ledger.begin(tracker, self.admitted)
            self.admitted += 1
        self.lane.admit(records, tracker)

    async def drained(self) -> None:
        """Wait until the scheduler holds nothing."""
        assert await self.lane.scheduler.drain(10)

    def results(self) -> list[Classification]:
        """Read the results that were published."""
        return [decode_result(one.value or b"") for one in self.publisher.sent(self._results)]

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Self]:
        """Start the lane, and end its device thread."""
        await self.lane.scheduler.start()
        try:
            yield self
        finally:
            self.engine.release()
            self.lane.withdraw_all()
            await self.lane.scheduler.close()
