"""Transactions of one partition: all of a result and its offset, or nothing of either."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from schemas.errors import BrokerError
from schemas.kafka import Outbound
from streams.delivery import patience
from streams.delivery import transactions as module
from streams.delivery.committed import Committed
from streams.delivery.finished import decode_finished
from streams.delivery.partition_producer import FencedError
from streams.delivery.publisher import Parcel
from streams.delivery.tail import Tail
from streams.delivery.transactions import Times, Transactions
from streams.offsets import Ledger
from tests.fakes.transactional import FakeCluster

ONE = TopicPartition("events.news", 0)


@dataclass
class Rig:
    """One partition's transactions against a cluster in memory."""

    cluster: FakeCluster
    ledger: Ledger
    transactions: Transactions
    acknowledged: list[int] = field(default_factory=list)
    ended: list["asyncio.Task[None]"] = field(default_factory=list)

    def begin(self, *offsets: int) -> None:
        """Take in events."""
        tracker = self.ledger.tracker(ONE)
        assert tracker is not None
        for offset in offsets:
            assert self.ledger.begin(tracker, offset)

    def finish(self, *offsets: int, fallback: bool = False) -> None:
        """Hand in what answers events."""
        tracker = self.ledger.tracker(ONE)
        assert tracker is not None
        for offset in offsets:

            def acknowledged(offset: int = offset) -> None:
                self.acknowledged.append(offset)
                self.ledger.complete(tracker, offset)

            value = b"%d" % offset
            self.transactions.publish(
                Parcel(
                    "results.news",
                    lambda value=value: Outbound(key=None, value=value, headers=[]),
                    acknowledged,
                    tracker,
                    offset,
                    fallback=(lambda: Outbound(key=None, value=b"", headers=[]))
                    if fallback
                    else None,
                )
            )

    async def until_acknowledged(self, count: int) -> None:
        """Wait for so many."""
        async with asyncio.timeout(30):
            while len(self.acknowledged) < count:  # noqa: ASYNC110 - no event is theirs
                await asyncio.sleep(0)

    async def until_failed(self) -> None:
        """Wait for the end of its task, and raise what ended it."""
        async with asyncio.timeout(30):
            while not self.ended:  # noqa: ASYNC110 - no event is theirs
                await asyncio.sleep(0)
        self.ended[0].result()

    @property
    def committed(self) -> tuple[int | None, list[int]]:
        """The group's offset, and the finished ones beyond it."""
        found = self.cluster.offsets.get(ONE, Committed())
        return found.offset, decode_finished(found.offset or 0, found.metadata)

    @property
    def values(self) -> list[bytes | None]:
        """What committed readers see."""
        return [value for _, value in self.cluster.records]


@asynccontextmanager
async def rigged(cluster: FakeCluster | None = None) -> AsyncIterator[Rig]:
    """A partition that is owned and open."""
    cluster, ledger = cluster or FakeCluster(), Ledger()
    ledger.assign([ONE])

    async def read() -> Committed:
        cluster.fail("read")
        return cluster.told.get(ONE, Committed())

    transactions = Transactions(
        ONE,
        group="g",
        make_producer=lambda: cluster.producer("g/events.news/0"),  # type: ignore[arg-type,return-value]
        read_committed=read,
        turns=asyncio.Semaphore(2),
        times=Times(Tail(0.0), Tail(0.0)),
    )
    rig = Rig(cluster, ledger, transactions)
    await transactions.producer.open()
    transactions.committed = await read()
    tracker = ledger.tracker(ONE)
    assert tracker is not None
    transactions.start(tracker, interval_s=0.0).add_done_callback(rig.ended.append)
    try:
        yield rig
    finally:
        await transactions.close(0.0)


@pytest.fixture(autouse=True)
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once."""
    monkeypatch.setattr(patience, "RETRY_BASE_S", 0.0)


async def test_results_and_offsets_are_committed_together() -> None:
    """And acknowledged only then."""
    async with rigged() as rig:
        rig.begin(10, 11, 12)
        rig.cluster.hold.clear()
        rig.finish(10, 11)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (rig.acknowledged, rig.values, rig.committed) == ([], [], (None, []))
        rig.cluster.hold.set()
        await rig.until_acknowledged(2)
        assert (rig.values, rig.committed) == ([b"10", b"11"], (12, []))


async def test_what_comes_during_a_transaction_goes_into_the_next() -> None:
    """All of it into one."""
    async with rigged() as rig:
        rig.begin(*range(50))
        rig.cluster.hold.clear()
        rig.finish(0)
        for _ in range(20):
            await asyncio.sleep(0)
        rig.finish(*range(1, 50))
        rig.cluster.hold.set()
        await rig.until_acknowledged(50)
        assert rig.cluster.transactions == 2


async def test_what_overtakes_is_committed_at_once_and_told_in_the_metadata() -> None:
    """An event that takes its time holds nobody up, and the offset does not pass it."""
    async with rigged() as rig:
        rig.begin(4, 5, 6, 9)
        rig.finish(5, 9)
        await rig.until_acknowledged(2)
        assert rig.committed == (4, [5, 9])
        rig.finish(4)
        await rig.until_acknowledged(3)
        assert rig.committed == (6, [9])
        rig.finish(6)
        await rig.until_acknowledged(4)
        assert rig.committed == (10, [])


@pytest.mark.parametrize("point", ["send", "record", "offsets", "commit"])
async def test_a_passing_fault_repeats_the_whole_transaction(point: str) -> None:
    """Nothing of the first try is seen."""
    async with rigged() as rig:
        rig.cluster.faults = [(point, KafkaTimeoutError())]
        rig.begin(1, 2)
        rig.finish(1, 2)
        await rig.until_acknowledged(2)
        assert (rig.values, rig.committed) == ([b"1", b"2"], (3, []))
        assert rig.cluster.epochs == {"g/events.news/0": 2}


async def test_a_commit_whose_answer_was_lost_is_not_repeated() -> None:
    """What the group has committed tells that it took effect."""
    async with rigged() as rig:
        rig.cluster.faults = [("committed", KafkaTimeoutError())]
        rig.begin(1)
        rig.finish(1)
        await rig.until_acknowledged(1)
        assert (rig.values, rig.committed) == ([b"1"], (2, []))


async def test_who_was_fenced_commits_nothing_and_fails() -> None:
    """The new owner answers."""
    async with rigged() as rig:
        rig.begin(1)
        successor = rig.cluster.producer("g/events.news/0")
        await successor.start()
        rig.finish(1)
        with pytest.raises(FencedError, match=r"events\.news-0: another worker has taken"):
            await rig.until_failed()
        assert (rig.values, rig.acknowledged) == ([], [])


async def test_who_finds_the_offset_moved_after_a_fault_fails() -> None:
    """Somebody had the partition meanwhile: what this one has of it may be answered."""
    async with rigged() as rig:
        rig.begin(1)
        rig.cluster.faults = [("send", KafkaTimeoutError())]
        rig.cluster.offsets[ONE] = Committed(7)
        rig.finish(1)
        with pytest.raises(FencedError, match="moved from None to 7"):
            await rig.until_failed()
        assert rig.values == []


async def test_a_lasting_fault_fails_without_acknowledgement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a time that is bounded."""
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    async with rigged() as rig:
        rig.cluster.faults = [("send", TopicAuthorizationFailedError())] * 100_000
        rig.begin(1)
        rig.finish(1)
        with pytest.raises(BrokerError, match=r"for 0.05 s.*nothing of it is committed"):
            await rig.until_failed()
        assert rig.acknowledged == []
        assert len(rig.cluster.faults) < 99_999


@pytest.mark.parametrize("point", ["send", "record"])
async def test_a_record_too_large_goes_in_its_smaller_form(point: str) -> None:
    """The others of its transaction go with it."""
    async with rigged() as rig:
        rig.cluster.faults = [(point, MessageSizeTooLargeError())]
        rig.begin(1, 2)
        rig.finish(1, fallback=True)
        rig.finish(2)
        await rig.until_acknowledged(2)
        assert rig.values == [b"", b"2"]


async def test_who_may_not_use_transactional_ids_is_told_so() -> None:
    """No attempt will change that."""
    cluster = FakeCluster()
    cluster.faults = [("start", TransactionalIdAuthorizationFailed())]
    with pytest.raises(BrokerError, match=r"write and describe on those that begin with g/"):
        async with rigged(cluster):
            pass


async def test_an_open_transaction_is_aborted_at_the_end() -> None:
    """Readers would wait for it otherwise."""
    async with rigged() as rig:
        rig.begin(1)
        rig.cluster.hold.clear()
        rig.finish(1)
        for _ in range(20):
            await asyncio.sleep(0)
        await rig.transactions.close(0.0)
        assert (rig.values, rig.acknowledged) == ([], [])
    assert rig.cluster.transactions == 0


async def test_fencing_during_the_commit_counts_nothing() -> None:
    """Not even the records that were already written."""
    async with rigged() as rig:
        rig.cluster.faults = [("commit", ProducerFenced())]
        rig.begin(1)
        rig.finish(1)
        with pytest.raises(FencedError):
            await rig.until_failed()
        assert rig.values == []


async def test_a_transaction_that_the_broker_ended_for_its_length_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody else had the partition: its offset is where this worker left it."""
    monkeypatch.setattr(module, "TRANSACTION_S", 0.0)
    async with rigged() as rig:
        rig.cluster.faults = [("commit", ProducerFenced())]
        rig.begin(1)
        rig.finish(1)
        await rig.until_acknowledged(1)
        assert (rig.values, rig.committed) == ([b"1"], (2, []))


async def test_offsets_that_cannot_be_read_at_once_are_asked_for_again() -> None:
    """The broker has just come back."""
    async with rigged() as rig:
        rig.cluster.faults = [("send", KafkaTimeoutError()), ("read", KafkaTimeoutError())]
        rig.begin(1)
        rig.finish(1)
        await rig.until_acknowledged(1)
        assert (rig.values, rig.committed) == ([b"1"], (2, []))


async def test_what_has_overtaken_by_too_much_waits_for_the_event_that_it_overtook(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The commit's metadata has room for so many; others go on, and nothing is given up."""
    monkeypatch.setattr(module, "SPAN", 4)
    monkeypatch.setattr(module, "HELD_S", 0.0)
    async with rigged() as rig:
        rig.begin(*range(8))
        rig.finish(6, 7)
        rig.finish(2)
        await rig.until_acknowledged(1)
        for _ in range(50):
            await asyncio.sleep(0)
        assert (rig.acknowledged, rig.committed) == ([2], (0, [2]))
        assert rig.transactions.waiting("results.news") == 2
        rig.finish(0, 1, 3)
        await rig.until_acknowledged(6)
        assert rig.committed == (4, [6, 7])
        rig.finish(4, 5)
        await rig.until_acknowledged(8)
        assert rig.committed == (8, [])
