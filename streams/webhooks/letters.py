"""Dead letters of webhooks: the record as it was, and beside it why it could not be delivered."""

from datetime import UTC, datetime
from enum import StrEnum

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from schemas.letters import VALUE_OMITTED, encode_dead_letter
from schemas.records import Outbound
from schemas.results import DeadLetter, Source
from streams.delivery.patience import Patience
from streams.webhooks.picking import Picked, event_id_of, modality_of


class Undelivered(StrEnum):
    """Why a record became a dead letter."""

    REFUSED = "refused"
    """The endpoint will never take it."""
    EXHAUSTED = "exhausted"
    """It was tried as often, or for as long, as it may be."""


class Letters:
    """Writes the dead letters of one webhook.

    Args:
        producer: An idempotent one that is started.
        topic: Where to.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def write(self, picked: Picked, why: Undelivered, message: str, attempts: int) -> None:
        """Return once the broker has acknowledged a letter.

        Raises:
            BrokerError: It does not, however long it is asked.
            KafkaError: It refuses.
        """
        record = picked.record
        letter = DeadLetter(
            error=why,
            message=message,
            event_id=event_id_of(picked.value),
            source=Source(topic=record.topic, partition=record.partition, offset=record.offset),
            modality=modality_of(picked.value),
            content_type="application/json",
            failed_at=datetime.now(UTC),
            attempts=attempts,
        )
        outbound = encode_dead_letter(letter, record)
        try:
            await self._send(outbound)
        except MessageSizeTooLargeError:
            await self._send(_without_value(outbound))

    async def _send(self, outbound: Outbound) -> None:
        patience = Patience(self._topic)
        while True:
            try:
                await self._producer.send_and_wait(
                    self._topic, outbound.value, key=outbound.key, headers=outbound.headers
                )
            except KafkaError as error:
                if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                    raise
                await patience.after("letter_retried", error)
            else:
                return


def _without_value(outbound: Outbound) -> Outbound:
    """Keep the letter of a record that the topic has no room for, and say what is missing."""
    note = (VALUE_OMITTED, f"{len(outbound.value or b'')} bytes, refused by the broker".encode())
    return Outbound(key=outbound.key, value=b"", headers=[*outbound.headers, note])
