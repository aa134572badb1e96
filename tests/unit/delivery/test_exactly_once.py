"""Partitions of exactly-once delivery: taken over where the last owner stopped, and let go."""

import asyncio
from collections.abc import Collection

import pytest
from aiokafka import TopicPartition

from schemas.errors import BrokerError
from schemas.kafka import Outbound
from streams.delivery.committed import Committed
from streams.delivery.exactly_once import ExactlyOnce
from streams.delivery.finished import encode_finished
from streams.delivery.publisher import Parcel
from streams.offsets import Ledger
from tests.fakes.transactional import FakeCluster

ONE, TWO = (TopicPartition("events.news", number) for number in range(2))
CONSUMER = object()
"""Whom exactly-once delivery asks nothing."""


class Offsets:
    """Reads what a cluster has committed.

    Attributes:
        epochs_seen: Of transactional ids, at the time of each reading.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.epochs_seen: list[dict[str, int]] = []

    async def read_patiently(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return what is there."""
        self.epochs_seen.append(dict(self._cluster.epochs))
        found = self._cluster.told
        return {partition: found[partition] for partition in partitions if partition in found}


def delivery_on(cluster: FakeCluster, ledger: Ledger) -> tuple[ExactlyOnce, Offsets]:
    """A worker's delivery."""
    offsets = Offsets(cluster)
    delivery = ExactlyOnce(
        group="g",
        ledger=ledger,
        make_producer=cluster.producer,  # type: ignore[arg-type]
        offsets=offsets,  # type: ignore[arg-type]
        interval_s=lambda _topic, _partitions: 0.0,
    )
    return delivery, offsets


def answer(ledger: Ledger, partition: TopicPartition, offset: int) -> Parcel:
    """What answers an event that has begun."""
    tracker = ledger.tracker(partition)
    assert tracker is not None
    return Parcel(
        "results.news",
        lambda: Outbound(key=None, value=b"%d" % offset, headers=[]),
        lambda: ledger.complete(tracker, offset),
        tracker,
        offset,
    )


async def test_offsets_are_read_after_earlier_owners_are_fenced() -> None:
    """Before, an earlier owner could still move them."""
    cluster, ledger = FakeCluster(), Ledger()
    delivery, offsets = delivery_on(cluster, ledger)
    if await delivery.take_over([ONE, TWO]):
        delivery.own([ONE, TWO])
    assert offsets.epochs_seen == [{"g/events.news/0": 1, "g/events.news/1": 1}]
    assert set(ledger.partitions) == {ONE, TWO}
    await delivery.close()


async def test_a_partition_goes_on_where_the_last_owner_stopped() -> None:
    """What it had finished beyond the committed offset does not begin again."""
    cluster, ledger = FakeCluster(), Ledger()
    cluster.offsets[ONE] = Committed(5, encode_finished(5, [6, 8]))
    delivery, _ = delivery_on(cluster, ledger)
    if await delivery.take_over([ONE]):
        delivery.own([ONE])
    assert delivery.start_of(ONE) == 5
    assert delivery.start_of(TWO) is None
    tracker = ledger.tracker(ONE)
    assert tracker is not None
    assert [ledger.begin(tracker, offset) for offset in range(5, 10)] == [
        True, False, True, False, True,
    ]  # fmt: skip
    await delivery.close()


async def test_what_is_ready_is_committed_before_a_partition_is_let_go() -> None:
    """What comes afterwards, of a partition that is no longer owned, goes nowhere."""
    cluster, ledger = FakeCluster(), Ledger()
    delivery, _ = delivery_on(cluster, ledger)
    if await delivery.take_over([ONE]):
        delivery.own([ONE])
    tracker = ledger.tracker(ONE)
    assert tracker is not None
    for offset in (0, 1):
        ledger.begin(tracker, offset)
    late = answer(ledger, ONE, 1)
    delivery.publish(answer(ledger, ONE, 0))
    assert delivery.waiting("results.news") == 1
    await delivery.hand_over(CONSUMER)  # type: ignore[arg-type]
    delivery.publish(late)
    await asyncio.sleep(0)
    assert cluster.records == [("results.news", b"0")]
    assert cluster.offsets[ONE].offset == 1
    await delivery.close()


async def test_damaged_metadata_stops_the_worker() -> None:
    """It cannot know what was answered."""
    cluster, ledger = FakeCluster(), Ledger()
    cluster.offsets[ONE] = Committed(5, "headrace1:%%%")
    delivery, _ = delivery_on(cluster, ledger)
    if await delivery.take_over([ONE]):
        delivery.own([ONE])
    with pytest.raises(BrokerError, match="finished offsets"):
        await delivery.failure
    await delivery.close()


async def test_a_second_owner_makes_the_first_fail() -> None:
    """Two workers that both believe to own a partition: the later one is right."""
    cluster = FakeCluster()
    ledgers = Ledger(), Ledger()
    first, second = (delivery_on(cluster, ledger)[0] for ledger in ledgers)
    if await first.take_over([ONE]):
        first.own([ONE])
    if await second.take_over([ONE]):
        second.own([ONE])
    for ledger in ledgers:
        tracker = ledger.tracker(ONE)
        assert tracker is not None
        ledger.begin(tracker, 0)
    first.publish(answer(ledgers[0], ONE, 0))
    with pytest.raises(BrokerError, match="taken this partition over"):
        await asyncio.wait_for(first.failure, 30)
    second.publish(answer(ledgers[1], ONE, 0))
    await second.hand_over(CONSUMER)  # type: ignore[arg-type]
    assert cluster.records == [("results.news", b"0")]
    await first.close()
    await second.close()


async def test_a_broker_that_was_just_started_again_is_not_believed_at_once() -> None:
    """It tells offsets of some seconds ago, until it has written once."""
    cluster, ledger = FakeCluster(), Ledger()
    cluster.commit([], {ONE: Committed(5)})
    cluster.commit([], {ONE: Committed(9)})
    cluster.restart(back=1)
    assert cluster.told[ONE].offset == 5
    delivery, _ = delivery_on(cluster, ledger)
    assert await delivery.take_over([ONE])
    delivery.own([ONE])
    assert delivery.start_of(ONE) == 9
    assert cluster.offsets == {ONE: Committed(9)}
    await delivery.close()
