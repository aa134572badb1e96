"""A dead letter is written until the broker has it, or it is clear that it never will."""

from typing import Any

import pytest
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from schemas.kafka import Record, decode_dead_letter, encode_redrive, encode_result
from schemas.letters import VALUE_OMITTED
from streams.delivery import patience
from streams.subscription.seen import Seen
from streams.webhooks.letters import Letters, Undelivered
from streams.webhooks.picking import Picked, Picker
from streams.webhooks.settings import Webhook
from tests.fakes.results import result


class FakeProducer:
    """Keeps what is sent; refuses as it is told.

    Attributes:
        errors: Raised by the next sends, in their order.
        sent: Topic and record of what was taken.
    """

    def __init__(self, *errors: KafkaError) -> None:
        self.errors = list(errors)
        self.sent: list[tuple[str, Record]] = []

    async def send_and_wait(
        self, topic: str, value: bytes, *, key: bytes | None, headers: Any
    ) -> None:
        """Take a record."""
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append((topic, Record(topic=topic, key=key, value=value, headers=headers)))


def picked() -> Picked:
    """Return a result that was not delivered."""
    webhook = Webhook(name="desk", url="https://desk.example", topics=("results.news",))
    sent = encode_result(result(), key=b"k")
    record = Record(
        topic="results.news",
        partition=3,
        offset=42,
        key=sent.key,
        value=sent.value,
        headers=sent.headers,
    )
    found = Picker(webhook).pick(record, Seen())
    assert found is not None
    return found


async def write(producer: FakeProducer) -> None:
    """Write one letter."""
    letters = Letters(producer, "webhooks.desk.dlq")  # type: ignore[arg-type]
    await letters.write(picked(), Undelivered.REFUSED, "url: 422 no such desk; mend it", 2)


async def test_it_has_the_record_and_why() -> None:
    """From it the record can be made again as it was."""
    producer = FakeProducer()
    await write(producer)
    ((topic, letter),) = producer.sent
    assert topic == "webhooks.desk.dlq"
    told = decode_dead_letter(letter)
    assert (told.error, told.attempts, told.event_id) == ("refused", 2, "n-1")
    assert (told.source.topic, told.source.partition, told.source.offset) == ("results.news", 3, 42)
    again, original = encode_redrive(letter), picked().record
    assert (again.key, again.value) == (original.key, original.value)
    assert again.headers[: len(original.headers)] == list(original.headers)


async def test_a_broker_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wait, since the offset must not be committed without the letter."""
    monkeypatch.setattr(patience, "RETRY_BASE_S", 0.0)
    producer = FakeProducer(RequestTimedOutError(), KafkaTimeoutError())
    await write(producer)
    assert len(producer.sent) == 1


async def test_a_record_that_is_too_large_is_kept_without_its_value() -> None:
    """The letter says how much is missing."""
    producer = FakeProducer(MessageSizeTooLargeError())
    await write(producer)
    ((_, letter),) = producer.sent
    assert letter.value == b""
    assert VALUE_OMITTED in dict(letter.headers)


async def test_a_broker_that_refuses_ends_it() -> None:
    """So that nothing is committed that is neither delivered nor kept."""
    producer = FakeProducer(TopicAuthorizationFailedError())
    with pytest.raises(TopicAuthorizationFailedError):
        await write(producer)
    assert producer.sent == []
