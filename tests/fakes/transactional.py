"""A broker's side of transactions, in memory: who may commit, what was committed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from streams.delivery.committed import Committed


class FakeCluster:
    """Holds what committed transactions wrote.

    Attributes:
        records: Topic and value, in the order of their transactions.
        offsets: What each group has committed.
        faults: Raised at the next points of the same name (``send``, ``record``, ``offsets``,
            ``commit``, ``committed``); ``committed`` comes after the commit has taken effect.
        hold: While it is not set, commits wait.
    """

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None]] = []
        self.offsets: dict[TopicPartition, Committed] = {}
        self.epochs: dict[str, int] = {}
        self.transactions = 0
        self.faults: list[tuple[str, BaseException]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self._history: list[dict[TopicPartition, Committed]] = [{}]
        self._stale: dict[TopicPartition, Committed] | None = None

    def producer(self, identity: str) -> "FakeTransactionalProducer":
        """Make a producer of that transactional id, not started."""
        return FakeTransactionalProducer(self, identity)

    def restart(self, back: int) -> None:
        """Start the broker again: it tells so many commits too few, until it has written once."""
        self._stale = self._history[max(0, len(self._history) - 1 - back)]

    @property
    def told(self) -> dict[TopicPartition, Committed]:
        """What the broker says that the group has committed."""
        return self.offsets if self._stale is None else self._stale

    def wrote(self) -> None:
        """Take note of a write to the log of offsets."""
        self._stale = None

    def commit(
        self,
        records: list[tuple[str, bytes | None]],
        moved: dict[TopicPartition, Committed],
    ) -> None:
        """Let a transaction count."""
        self.transactions += 1
        self.records += records
        self.offsets |= moved
        self._history.append(dict(self.offsets))

    def fail(self, point: str) -> None:
        """Raise what is scripted for this point."""
        if self.faults and self.faults[0][0] == point:
            raise self.faults.pop(0)[1]


class FakeTransactionalProducer:
    """What :class:`streams.delivery.transactions.Transactions` asks of an ``AIOKafkaProducer``."""

    def __init__(self, cluster: FakeCluster, identity: str) -> None:
        self._cluster = cluster
        self._identity = identity
        self._epoch = 0
        self._written: list[tuple[str, bytes | None]] = []
        self._moved: dict[TopicPartition, Committed] = {}
        self._in_transaction = False
        self.stopped = False
        self.aborted = 0

    async def start(self) -> None:
        """Fence whoever had the id before."""
        self._cluster.fail("start")
        self._epoch = self._cluster.epochs.get(self._identity, 0) + 1
        self._cluster.epochs[self._identity] = self._epoch

    async def stop(self) -> None:
        """Leave."""
        self.stopped = True

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the partitions of any topic."""
        del topic
        return {0, 1, 2, 3}

    async def begin_transaction(self) -> None:
        """Begin; the last one must have ended."""
        assert not self._in_transaction
        self._in_transaction = True
        self._written, self._moved = [], {}

    async def send(
        self, topic: str, *, value: bytes | None, **others: Any
    ) -> "asyncio.Future[object]":
        """Write within the transaction."""
        del others
        assert self._in_transaction
        self._cluster.fail("send")
        self._owned()
        written: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        try:
            self._cluster.fail("record")
        except Exception as error:  # noqa: BLE001 - as the broker's answer
            written.set_exception(error)
        else:
            written.set_result(None)
            self._written.append((topic, value))
        return written

    async def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, tuple[int, str]], group: str
    ) -> None:
        """Add offsets to the transaction."""
        assert group
        self._cluster.fail("offsets")
        self._owned()
        self._cluster.wrote()
        self._moved = {one: Committed(*found) for one, found in offsets.items()}

    async def commit_transaction(self) -> None:
        """Let all of it count."""
        await self._cluster.hold.wait()
        self._cluster.fail("commit")
        self._owned()
        self._in_transaction = False
        self._cluster.commit(self._written, self._moved)
        self._cluster.fail("committed")

    async def abort_transaction(self) -> None:
        """Let none of it count."""
        self._in_transaction = False
        self.aborted += 1

    def _owned(self) -> None:
        if self._cluster.epochs[self._identity] != self._epoch:
            raise ProducerFenced
