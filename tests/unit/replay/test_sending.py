"""Records leave in order, so many at once, and a refusal ends the replay."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from schemas.errors import BrokerError, OversizedError
from schemas.events import Modality
from schemas.kafka import Outbound
from streams.replay.mapping import Prepared
from streams.replay.sending import Sender


class SlowBroker:
    """Acknowledges when a test says so.

    Attributes:
        sent: Values, in order.
        refuses: Raised by the next send.
    """

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.refuses: Exception | None = None
        self._pending: list[asyncio.Future[object]] = []

    async def send(self, topic: str, **record: Any) -> asyncio.Future[object]:
        """Take a record."""
        del topic
        if self.refuses is not None:
            raise self.refuses
        self.sent.append(record["value"])
        self._pending.append(asyncio.get_running_loop().create_future())
        return self._pending[-1]

    def answer(self, error: Exception | None = None) -> None:
        """Acknowledge the oldest record, or refuse it."""
        acknowledgement = self._pending.pop(0)
        if error is None:
            acknowledgement.set_result(None)
        else:
            acknowledgement.set_exception(error)


def prepared(number: int) -> Prepared:
    """A record with a number in it."""
    return Prepared(Modality.NEWS, None, Outbound(key=None, value=b"%d" % number, headers=[]))


async def turns() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_slow_broker_holds_the_log_up() -> None:
    """The record beyond the bound leaves when an earlier one has arrived, and order is kept."""
    broker = SlowBroker()
    sender = Sender(broker, "t", max_in_flight=2)  # type: ignore[arg-type]
    await sender.send(prepared(0))
    await sender.send(prepared(1))
    third = asyncio.create_task(sender.send(prepared(2)))
    await turns()
    assert broker.sent == [b"0", b"1"]
    broker.answer()
    await third
    assert broker.sent == [b"0", b"1", b"2"]


async def test_draining_waits_for_the_last_acknowledgement() -> None:
    """What is on its way is not yet safe."""
    broker = SlowBroker()
    sender = Sender(broker, "t")  # type: ignore[arg-type]
    for number in range(3):
        await sender.send(prepared(number))
    draining = asyncio.create_task(sender.drain())
    broker.answer()
    broker.answer()
    await turns()
    assert not draining.done()
    broker.answer()
    await draining
    assert sender.acknowledged == 3


async def test_a_refused_record_ends_the_replay_and_tells_how_many_are_safe() -> None:
    """Also for whoever waits for room, and for every later record."""
    broker = SlowBroker()
    sender = Sender(broker, "t", max_in_flight=2)  # type: ignore[arg-type]
    await sender.send(prepared(0))
    await sender.send(prepared(1))
    broker.answer()
    broker.answer(TopicAuthorizationFailedError("t"))
    with pytest.raises(BrokerError, match=r"topic t: .*; 1 before it are safe"):
        await sender.drain()
    with pytest.raises(BrokerError, match="topic t"):
        await sender.send(prepared(2))
    assert broker.sent == [b"0", b"1"]


async def test_a_record_too_large_is_the_lines_fault_not_the_brokers() -> None:
    """The line is passed over; the next one leaves."""
    broker = SlowBroker()
    sender = Sender(broker, "t")  # type: ignore[arg-type]
    broker.refuses = MessageSizeTooLargeError("too large")
    with pytest.raises(OversizedError):
        await sender.send(prepared(0))
    broker.refuses = None
    await sender.send(prepared(1))
    assert broker.sent == [b"1"]


async def test_a_producer_that_has_lost_its_broker_is_put_into_words() -> None:
    """The error is one of ours, with the topic."""
    broker = SlowBroker()
    broker.refuses = KafkaConnectionError()
    with pytest.raises(BrokerError, match="topic t"):
        await Sender(broker, "t").send(prepared(0))  # type: ignore[arg-type]
