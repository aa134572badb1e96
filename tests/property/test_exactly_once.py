"""Exactly-once delivery under faults, hand-overs, and workers that come back too late."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, NotEnoughReplicasError
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.kafka import Outbound
from streams.connection import Connection
from streams.delivery import exactly_once, patience
from streams.delivery.committed import Committed, GroupOffsets
from streams.delivery.exactly_once import ExactlyOnce
from streams.delivery.finished import decode_finished
from streams.delivery.publisher import Parcel
from streams.offsets import Ledger
from tests.fakes.transactional import FakeCluster

ONE = TopicPartition("events.news", 0)
EVENTS = 12
POINTS = st.sampled_from(["send", "record", "offsets", "commit", "committed", "start", "read"])
FAULTS = st.lists(st.tuples(POINTS, st.sampled_from([KafkaTimeoutError, NotEnoughReplicasError])))
CONSUMER = object()


class Offsets(GroupOffsets):
    """Reads what a cluster in memory has committed, as patiently as from a real one."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__(Connection("localhost:1"), "g")
        self._cluster = cluster

    async def read(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Read the group's offsets."""
        self._cluster.fail("read")
        found = self._cluster.told
        return {one: found[one] for one in partitions if one in found}


class Owner:
    """A worker that believes to own the partition."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._ledger = Ledger()
        self._begun: list[int] = []
        self.delivery = ExactlyOnce(
            group="g",
            ledger=self._ledger,
            make_producer=cluster.producer,  # type: ignore[arg-type]
            offsets=Offsets(cluster),
            interval_s=lambda _topic, _partitions: 0.0,
        )

    async def take_over(self) -> bool:
        """Own the partition and take all of its events in; ``False`` if that failed."""
        if await self.delivery.take_over([ONE]):
            self.delivery.own([ONE])
        tracker = self._ledger.tracker(ONE)
        if tracker is None:
            return False
        start = self.delivery.start_of(ONE) or 0
        self._begun = [n for n in range(start, EVENTS) if self._ledger.begin(tracker, n)]
        return True

    def answer(self, place: int) -> None:
        """Answer one of the events that wait for it."""
        if not self._begun:
            return
        offset = self._begun.pop(place % len(self._begun))
        tracker = self._ledger.tracker(ONE)
        assert tracker is not None
        self.delivery.publish(
            Parcel(
                "results.news",
                lambda: Outbound(key=b"k", value=b"%d" % offset, headers=[]),
                lambda: self._ledger.complete(tracker, offset),
                tracker,
                offset,
            )
        )

    async def hand_over(self) -> None:
        """Give the partition back in good order."""
        self._begun = []
        await self.delivery.hand_over(CONSUMER)  # type: ignore[arg-type]
        self._ledger.close()


@contextmanager
def at_once() -> Iterator[None]:
    """No back-off, and no waiting for a transaction that will not end."""
    with (
        patch.object(patience, "RETRY_BASE_S", 0.0),
        patch.object(exactly_once, "RELEASE_S", 0.1),
    ):
        yield


async def turns(count: int = 40) -> None:
    """Let everybody go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def invariant(cluster: FakeCluster) -> None:
    """No answer twice; what the group has committed is what was answered, to the event."""
    seen = Counter(int(value or b"") for _, value in cluster.records)
    assert not [offset for offset, times in seen.items() if times > 1]
    found = cluster.offsets.get(ONE, Committed())
    position = found.offset or 0
    told = {*range(position), *decode_finished(position, found.metadata)}
    assert told == set(seen)


async def serve(data: st.DataObject, cluster: FakeCluster, owners: list[Owner]) -> None:
    """Answer some events; whoever ever had the partition may go on at any time."""
    for _ in range(data.draw(st.integers(0, EVENTS), "steps")):
        data.draw(st.sampled_from(owners), "who").answer(data.draw(st.integers(0, EVENTS)))
        if data.draw(st.integers(0, 9), "broker starts again") == 0:
            cluster.restart(data.draw(st.integers(0, 3)))
        if data.draw(st.booleans(), "commits wait"):
            cluster.hold.clear()
        else:
            cluster.hold.set()
        await turns(data.draw(st.integers(0, 20)))
        invariant(cluster)
    cluster.hold.set()


async def finish(cluster: FakeCluster, owners: list[Owner]) -> None:
    """Answer what is left; one that repeats a transaction, as it may, fences the owner at first."""
    cluster.faults = []
    for _ in range(len(owners) + 1):
        last = Owner(cluster)
        owners.append(last)
        if await last.take_over():
            for _ in range(EVENTS):
                last.answer(0)
            await last.hand_over()
        invariant(cluster)
        if len(cluster.records) == EVENTS:
            break


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_happens_each_event_is_answered_once(data: st.DataObject) -> None:
    """Owners stall with transactions under way, wake up later, hand over, or meet faults."""

    async def scenario(owners: list[Owner]) -> None:
        cluster = FakeCluster()
        for _ in range(data.draw(st.integers(1, 4), "owners")):
            cluster.faults = [(at, error()) for at, error in data.draw(FAULTS, "faults")]
            cluster.restart(
                data.draw(st.integers(0, 3), "commits that a restart forgets for a while")
            )
            owner = Owner(cluster)
            owners.append(owner)
            if await owner.take_over():
                await serve(data, cluster, owners)
                if data.draw(st.booleans(), "in good order"):
                    await owner.hand_over()
                    invariant(cluster)
        await finish(cluster, owners)
        await turns()
        invariant(cluster)
        assert len(cluster.records) == EVENTS
        assert cluster.offsets[ONE].offset == EVENTS

    async def and_close() -> None:
        owners: list[Owner] = []
        try:
            await scenario(owners)
        finally:
            for owner in owners:
                await owner.delivery.close()

    with at_once():
        asyncio.run(and_close())
