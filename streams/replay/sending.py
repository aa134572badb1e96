"""A producer with a bounded number of records on their way."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.errors import BrokerError, OversizedError
from streams.replay.mapping import Prepared
from streams.security.access import explained

MAX_IN_FLIGHT = 2_000
"""Records sent and not yet acknowledged; a broker that is slower than the log holds the log up."""


class Sender:
    """Sends records to one topic in order.

    Args:
        producer: Idempotent and started.
        topic: Where the records go.
        max_in_flight: Records on their way before :meth:`send` waits.
    """

    def __init__(
        self, producer: AIOKafkaProducer, topic: str, *, max_in_flight: int = MAX_IN_FLIGHT
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self.acknowledged = 0
        """Records that the broker has."""

    async def send(self, prepared: Prepared) -> None:
        """Hand one record to the producer, waiting while too many are on their way.

        Its Kafka timestamp is this moment.

        Raises:
            OversizedError: The record is too large to be sent.
            BrokerError: The broker refused an earlier record.
        """
        await self._until(self._max_in_flight - 1)
        outbound = prepared.outbound
        try:
            sent = await self._producer.send(
                self._topic, value=outbound.value, key=outbound.key, headers=outbound.headers
            )
        except MessageSizeTooLargeError as error:
            raise OversizedError(f"is too large for the broker: {error}") from error
        except KafkaError as error:
            raise self._refused(error) from error
        self._in_flight += 1
        sent.add_done_callback(self._settled)

    async def drain(self) -> None:
        """Wait until the broker has everything.

        Raises:
            BrokerError: It refused a record.
        """
        await self._until(0)

    async def _until(self, most: int) -> None:
        while self._in_flight > most and self._failure is None:
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise self._refused(self._failure) from self._failure

    def _settled(self, sent: asyncio.Future[object]) -> None:
        self._in_flight -= 1
        if not sent.cancelled() and (error := sent.exception()):
            self._failure = self._failure or error
        elif not sent.cancelled():
            self.acknowledged += 1
        self._changed.set()

    def _refused(self, error: BaseException) -> BrokerError:
        why = explained(error, doing="Write", on=self._topic) or repr(error)
        return BrokerError(
            f"topic {self._topic}: the broker did not take a record: {why}; "
            f"{self.acknowledged:,} before it are safe"
        )
