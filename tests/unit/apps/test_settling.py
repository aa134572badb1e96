"""What is derived is acknowledged before its state, and its state before the position moves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import RecordMetadata

from streams.apps.pulse import AppFailedError
from streams.apps.settling import MOST_WAITING, Outgoing, Settler, Taken
from streams.apps.writing import AtLeastOnce

PARTS = TopicPartition("parts", 0)


class ManualBroker:
    """Acknowledges when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None]] = []
        self.open: list[asyncio.Future[RecordMetadata]] = []

    async def send(self, record: Outgoing) -> Awaitable[RecordMetadata]:
        """Take a record."""
        self.sent.append((record.topic, record.value))
        self.open.append(asyncio.get_running_loop().create_future())
        return self.open[-1]

    async def acknowledge(self) -> None:
        """Acknowledge all that was sent, and let that take effect."""
        for future in self.open:
            future.set_result(RecordMetadata("states", 0, PARTS, 40, None, None, None))
        self.open = []
        await turn()


async def turn() -> None:
    """Let other tasks come as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def settling(settler: Settler) -> AsyncIterator[asyncio.Task[None]]:
    """Run a settler."""
    task = asyncio.create_task(settler.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def taken(offset: int, *, key: bytes = b"K") -> Taken:
    """Return a part that derived something and changed the state."""
    name = str(offset).encode()
    return Taken(
        PARTS, offset, (Outgoing("derived", key, name),), Outgoing("states", key, name, partition=0)
    )


async def test_a_state_is_sent_after_what_was_derived_is_acknowledged() -> None:
    """And nothing may be committed before the state is acknowledged too."""
    broker = ManualBroker()
    settler = Settler(AtLeastOnce(broker.send).write)
    async with settling(settler):
        settler.take(taken(7))
        await turn()
        assert broker.sent == [("derived", b"7")]
        await broker.acknowledge()
        assert broker.sent == [("derived", b"7"), ("states", b"7")]
        assert settler.positions == {}
        await broker.acknowledge()
        assert settler.positions == {PARTS: 8}
        assert (settler.waiting, settler.settled) == (0, 1)


async def test_of_several_states_of_a_key_the_last_is_sent() -> None:
    """What was derived is sent all the same, in order."""
    broker = ManualBroker()
    settler = Settler(AtLeastOnce(broker.send).write)
    for offset in (1, 2):
        settler.take(taken(offset))
    settler.take(taken(3, key=b"other"))
    async with settling(settler):
        await turn()
        await broker.acknowledge()
        assert [value for topic, value in broker.sent if topic == "derived"] == [b"1", b"2", b"3"]
        assert [value for topic, value in broker.sent if topic == "states"] == [b"2", b"3"]


async def test_a_refused_record_ends_it() -> None:
    """The position stays before it."""
    broker = ManualBroker()
    settler = Settler(AtLeastOnce(broker.send).write)
    async with settling(settler) as task:
        settler.take(taken(1))
        await turn()
        broker.open[0].set_exception(KafkaTimeoutError())
        with pytest.raises(KafkaTimeoutError):
            await task
    assert settler.positions == {}


async def test_who_may_not_write_any_more_writes_no_state() -> None:
    """What was derived is on its way by then."""
    broker = ManualBroker()
    answers = [None, AppFailedError("slept")]

    def allow() -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    settler = Settler(AtLeastOnce(broker.send, allow=allow).write)
    async with settling(settler) as task:
        settler.take(taken(1))
        await turn()
        await broker.acknowledge()
        with pytest.raises(AppFailedError):
            await task
    assert broker.sent == [("derived", b"1")]


async def test_draining_waits_for_what_was_taken() -> None:
    """Or says that time ran out."""
    broker = ManualBroker()
    settler = Settler(AtLeastOnce(broker.send).write)
    async with settling(settler):
        settler.take(taken(1))
        assert not await settler.drain(0.001)
        draining = asyncio.create_task(settler.drain(60))
        await turn()
        await broker.acknowledge()
        await broker.acknowledge()
        assert await draining


async def test_too_many_waiting_stop_the_taking() -> None:
    """Until some are settled."""
    broker = ManualBroker()
    settler = Settler(AtLeastOnce(broker.send).write)
    for offset in range(MOST_WAITING):
        settler.take(Taken(PARTS, offset))
    waiting = asyncio.create_task(settler.room())
    await turn()
    assert not waiting.done()
    async with settling(settler):
        await asyncio.wait_for(waiting, 60)
    assert settler.waiting < MOST_WAITING
