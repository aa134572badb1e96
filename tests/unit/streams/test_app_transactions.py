"""What steps of apps lead to is committed whole, once, and only by the owner of the partition."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, ProducerFenced

from schemas.errors import BrokerError
from streams.app_host.transactions import StepTransactions
from streams.apps.settling import Outgoing, Taken
from streams.delivery.committed import Committed
from streams.delivery.partition_producer import FencedError
from tests.fakes.clock import ManualClock
from tests.fakes.transactional import FakeCluster

ONE, TWO = (TopicPartition("app-parts", number) for number in range(2))


class Offsets:
    """Reads what a cluster has committed."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    async def read(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return what is there."""
        found = self._cluster.told
        return {partition: found[partition] for partition in partitions if partition in found}

    read_patiently = read


@pytest.fixture
def cluster() -> FakeCluster:
    """A broker."""
    return FakeCluster()


@pytest.fixture(autouse=True)
async def clock() -> AsyncIterator[None]:
    """Time that goes on by itself while others wait."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())

    async def go_on() -> None:
        while True:
            await asyncio.sleep(0)
            clock.advance(0.01)

    going = asyncio.create_task(go_on())
    yield
    going.cancel()


def member(cluster: FakeCluster) -> StepTransactions:
    """One process of an app."""
    return StepTransactions(
        group="app",
        make_producer=cluster.producer,  # type: ignore[arg-type]
        offsets=Offsets(cluster),  # type: ignore[arg-type]
    )


def part(offset: int, *, at: TopicPartition = ONE, key: bytes = b"K") -> Taken:
    """Return a part that derived something and changed the state."""
    name = b"%d" % offset
    state = Outgoing("states", key, name, partition=at.partition)
    return Taken(at, offset, (Outgoing("derived", key, name),), state)


async def test_derived_states_and_offset_are_one_transaction(cluster: FakeCluster) -> None:
    """Of several states of a key the last; of each partition one transaction."""
    one = member(cluster)
    assert await one.take_over([ONE, TWO]) == {}
    await one.write([part(7), part(3, at=TWO, key=b"L"), part(8), Taken(ONE, 9)])
    assert cluster.transactions == 2
    assert cluster.offsets == {ONE: Committed(10), TWO: Committed(4)}
    of_one = [("derived", b"7"), ("derived", b"8"), ("states", b"8")]
    assert [written for written in cluster.records if written[1] != b"3"] == of_one
    await one.give_up()


async def test_who_lost_a_partition_writes_nothing(cluster: FakeCluster) -> None:
    """Neither a state nor a position, whatever the group believes; the new owner goes on."""
    frozen, other = member(cluster), member(cluster)
    await frozen.take_over([ONE])
    await frozen.write([part(7)])
    assert await other.take_over([ONE]) == {ONE: 8}
    await other.write([part(8)])
    written = list(cluster.records)
    with pytest.raises(FencedError, match="app-parts-0: another worker"):
        await frozen.write([part(8), part(9)])
    assert (cluster.records, cluster.offsets) == (written, {ONE: Committed(9)})
    await other.write([part(9)])
    assert cluster.offsets == {ONE: Committed(10)}


@pytest.mark.parametrize("point", ["commit", "committed"])
async def test_a_commit_of_unknown_outcome_is_looked_up(cluster: FakeCluster, point: str) -> None:
    """It is made again if it was not made, and only then."""
    one = member(cluster)
    await one.take_over([ONE])
    await one.write([part(6)])
    cluster.faults = [(point, KafkaTimeoutError())]
    await one.write([part(7)])
    assert cluster.records == [
        *(("derived", b"6"), ("states", b"6")),
        *(("derived", b"7"), ("states", b"7")),
    ]
    assert (cluster.offsets, cluster.transactions) == ({ONE: Committed(8)}, 2)
    assert cluster.epochs == {"app/app-parts/0": 2}


async def test_an_offset_that_somebody_else_moved_ends_it(cluster: FakeCluster) -> None:
    """What was derived from the state before is worth nothing then."""
    one = member(cluster)
    await one.take_over([ONE])
    await one.write([part(6)])
    cluster.faults = [("commit", KafkaTimeoutError())]
    cluster.offsets[ONE] = Committed(20)
    with pytest.raises(FencedError, match="moved from 7 to 20"):
        await one.write([part(7)])
    assert cluster.offsets == {ONE: Committed(20)}


async def test_a_record_that_is_too_large_ends_it(cluster: FakeCluster) -> None:
    """The topic and the remedy are named, and nothing is committed."""
    one = member(cluster)
    await one.take_over([ONE])
    cluster.faults = [("record", MessageSizeTooLargeError())]
    with pytest.raises(BrokerError, match=r"topic derived: a record is too large .* raise max"):
        await one.write([part(6)])
    assert cluster.offsets == {}


async def test_a_producer_that_the_broker_fences_ends_it(cluster: FakeCluster) -> None:
    """At whichever step of the transaction."""
    one = member(cluster)
    await one.take_over([ONE])
    cluster.faults = [("offsets", ProducerFenced())]
    with pytest.raises(FencedError):
        await one.write([part(6)])
    assert cluster.offsets == {}
