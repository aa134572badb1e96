"""An app that stands still ends its process; one that has nothing to do does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from streams.app_host.watch import AppWatch, Unread
from streams.apps.pulse import AppFailedError
from tests.fakes.clock import ManualClock

PARTS = TopicPartition("parts", 0)
STALL_S = 30.0


@dataclass
class StandingRuntime:
    """Does what a test sets."""

    is_open: bool = True
    progress: int = 0
    in_flight: int = 0
    positions: Mapping[TopicPartition, int] = field(default_factory=lambda: {PARTS: 5})


@dataclass
class HeldLog:
    """The broker as a consumer without a group sees it."""

    end: int = 5
    records: tuple[int, ...] = ()
    answers: bool = True
    position: int = 0

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the end of every partition."""
        if not self.answers:
            raise KafkaConnectionError
        return dict.fromkeys(partitions, self.end)

    async def topics(self) -> set[str]:
        """Return the topics that there are."""
        if not self.answers:
            raise KafkaConnectionError
        return {PARTS.topic}

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Take partitions."""
        assert partitions == [PARTS]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on from an offset."""
        assert partition == PARTS
        self.position = offset

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[int]]:
        """Return records from there on."""
        assert timeout_ms > 0
        found = [offset for offset in self.records if offset >= self.position][:max_records]
        return {PARTS: found} if found else {}


async def observed(runtime: StandingRuntime, log: HeldLog, seconds: int = 90) -> str | None:
    """Look every five seconds; return the complaint, if there was one."""
    clock = ManualClock()
    watch = AppWatch(runtime, Unread(log), clock=clock, stall_s=STALL_S)  # type: ignore[arg-type]
    try:
        for _ in range(0, seconds, 5):
            await watch.observe()
            clock.advance(5)
    except AppFailedError as error:
        return str(error)
    return None


async def test_records_that_nobody_takes_end_the_app() -> None:
    """The complaint says how many there are and for how long nothing moved."""
    said = await observed(StandingRuntime(), HeldLog(end=9, records=(5, 6, 7, 8)))
    assert said is not None
    assert "30 s" in said
    assert "4 records unread" in said


async def test_a_quiet_topic_is_no_stall() -> None:
    """It may stay quiet for ever."""
    assert await observed(StandingRuntime(), HeldLog()) is None


async def test_marks_of_transactions_are_no_records() -> None:
    """The end is beyond the position, and nothing is there to be read."""
    assert await observed(StandingRuntime(), HeldLog(end=7)) is None


async def test_taken_records_that_are_not_settled_end_the_app() -> None:
    """Although nothing more is unread."""
    assert await observed(StandingRuntime(in_flight=3), HeldLog()) is not None


async def test_a_rebalance_that_does_not_end_ends_the_app() -> None:
    """Nobody takes what comes meanwhile."""
    said = await observed(StandingRuntime(is_open=False, positions={}), HeldLog())
    assert said is not None
    assert "no partitions taken over" in said


async def test_a_broker_that_is_away_is_not_the_apps_fault() -> None:
    """It is waited for."""
    log = HeldLog(end=9, records=(5, 6, 7, 8), answers=False)
    assert await observed(StandingRuntime(in_flight=1), log) is None
    assert await observed(StandingRuntime(is_open=False, positions={}), log) is None
    with pytest.raises(KafkaConnectionError):
        await Unread(log).count({PARTS: 5})  # type: ignore[arg-type]
