"""What is published is acknowledged, sent again, or stops the worker; it is never dropped."""

import asyncio
from functools import partial
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from schemas.errors import BrokerError
from schemas.kafka import Outbound
from streams.delivery import publisher as publisher_module
from streams.delivery.publisher import Parcel, Publisher
from streams.delivery.underway import WINDOW
from streams.offsets import OffsetTracker

TRACKER = OffsetTracker()


class ScriptedProducer:
    """Answers each send with the next outcome of its script, then with success."""

    def __init__(self, *outcomes: KafkaError | None) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[Outbound] = []

    async def send(self, topic: str, **record: Any) -> asyncio.Future[object]:
        """Take a record as aiokafka does: the returned future is the acknowledgement."""
        del topic
        self.sent.append(Outbound(**record))
        acknowledgement: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is None:
            acknowledgement.set_result(None)
        else:
            acknowledgement.set_exception(outcome)
        return acknowledgement


class SilentProducer:
    """Acknowledges nothing until a test says so."""

    def __init__(self) -> None:
        self._open: list[asyncio.Future[object]] = []

    async def send(self, topic: str, **record: Any) -> asyncio.Future[object]:
        """Take a record."""
        del topic, record
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._open.append(sent)
        return sent

    def acknowledge(self) -> None:
        """Acknowledge what was sent so far."""
        for sent in self._open:
            sent.set_result(None)
        self._open = []


def outbound(value: bytes) -> Outbound:
    """A record with nothing but a value."""
    return Outbound(key=b"k", value=value, headers=[])


async def run(producer: ScriptedProducer, *parcels: Parcel) -> Publisher:
    """Publish and wait for acknowledgement or failure."""
    publisher = Publisher(producer)  # type: ignore[arg-type]
    publisher.start()
    for parcel in parcels:
        publisher.publish(parcel)
    flushing = asyncio.ensure_future(publisher.flush(10))
    await asyncio.wait([flushing, publisher.failure], return_when=asyncio.FIRST_COMPLETED)
    flushing.cancel()
    return publisher


async def test_topics_are_sent_in_turns_each_in_its_order() -> None:
    """Thousands of answers to a flooded topic do not hold up those of another."""
    producer = ScriptedProducer()
    publisher = Publisher(producer)  # type: ignore[arg-type]
    for topic, name in (*(("news", f"n{number}") for number in range(4)), ("camera", "c0")):
        parcel = Parcel(topic, lambda name=name: outbound(name.encode()), lambda: None, TRACKER)
        publisher.publish(parcel)
    assert (publisher.waiting("news"), publisher.waiting("camera")) == (4, 1)
    assert publisher.waiting("other") == 0
    publisher.start()
    assert await publisher.flush(10)
    assert [one.value for one in producer.sent] == [b"n0", b"c0", b"n1", b"n2", b"n3"]
    assert publisher.waiting("news") == 0
    await publisher.close()


async def test_answers_in_time_do_not_wait_behind_what_has_no_deadline() -> None:
    """Where most is shed, what is shed and what is answered take turns."""
    producer = ScriptedProducer()
    publisher = Publisher(producer)  # type: ignore[arg-type]
    for name in ("shed 0", "shed 1", "shed 2", "answer"):
        made = partial(outbound, name.encode())
        patient = name.startswith("shed")
        publisher.publish(Parcel("news", made, lambda: None, TRACKER, patient=patient))
    assert publisher.waiting("news") == 4
    publisher.start()
    assert await publisher.flush(10)
    assert [one.value for one in producer.sent] == [b"shed 0", b"answer", b"shed 1", b"shed 2"]
    await publisher.close()


async def test_no_more_is_made_than_can_be_sent_soon() -> None:
    """A record's verdict is given when it is made: what waits is made later."""
    producer = SilentProducer()
    made: list[Outbound] = []

    def make() -> Outbound:
        made.append(outbound(b"x"))
        return made[-1]

    publisher = Publisher(producer)  # type: ignore[arg-type]
    for _ in range(2 * WINDOW):
        publisher.publish(Parcel("t", make, lambda: None, TRACKER))
    publisher.start()
    for _ in range(4 * WINDOW):
        await asyncio.sleep(0)
    assert len(made) == WINDOW
    producer.acknowledge()
    for _ in range(4 * WINDOW):
        await asyncio.sleep(0)
    assert len(made) == 2 * WINDOW
    producer.acknowledge()
    assert await publisher.flush(10)
    assert publisher.lead_s >= publisher.margin_s > 0
    await publisher.close()


async def test_records_leave_in_order_and_are_acknowledged() -> None:
    """Each parcel's callback runs once."""
    producer, acknowledged = ScriptedProducer(), []
    parcels = [
        Parcel("t", lambda n=n: outbound(b"%d" % n), lambda n=n: acknowledged.append(n), TRACKER)
        for n in range(5)
    ]
    publisher = await run(producer, *parcels)
    await publisher.close()
    assert [record.value for record in producer.sent] == [b"0", b"1", b"2", b"3", b"4"]
    assert acknowledged == [0, 1, 2, 3, 4]


async def test_a_passing_fault_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One acknowledgement follows, after the second send."""
    monkeypatch.setattr(publisher_module, "RETRY_BASE_S", 0.0)
    producer, acknowledged = ScriptedProducer(KafkaTimeoutError()), []
    publisher = await run(
        producer, Parcel("t", lambda: outbound(b"x"), lambda: acknowledged.append(1), TRACKER)
    )
    await publisher.close()
    assert len(producer.sent) == 2
    assert acknowledged == [1]


async def test_a_lasting_fault_stops_the_worker_without_an_acknowledgement() -> None:
    """The event stays uncommitted, so that its next owner answers it."""
    producer, acknowledged = ScriptedProducer(TopicAuthorizationFailedError()), []
    publisher = await run(
        producer, Parcel("secret", lambda: outbound(b"x"), lambda: acknowledged.append(1), TRACKER)
    )
    with pytest.raises(BrokerError, match="topic secret"):
        await publisher.failure
    await publisher.close()
    assert acknowledged == []


async def test_a_record_too_large_leaves_in_its_smaller_form() -> None:
    """A dead letter that the broker refuses for its size goes without its value."""
    producer, acknowledged = ScriptedProducer(MessageSizeTooLargeError()), []
    parcel = Parcel(
        "t",
        lambda: outbound(b"large"),
        lambda: acknowledged.append(1),
        TRACKER,
        fallback=lambda: outbound(b""),
    )
    publisher = await run(producer, parcel)
    await publisher.close()
    assert [record.value for record in producer.sent] == [b"large", b""]
    assert acknowledged == [1]


async def test_an_event_with_two_ends_stops_the_worker() -> None:
    """A broken promise must be heard, not only logged by the event loop."""

    def acknowledged() -> None:
        raise ValueError("offset 4 is not in flight")

    publisher = await run(
        ScriptedProducer(), Parcel("t", lambda: outbound(b"x"), acknowledged, TRACKER)
    )
    with pytest.raises(ValueError, match="offset 4"):
        await asyncio.wait_for(publisher.failure, 30)
    await publisher.close()
