"""Results of no worker, published for whoever subscribes."""

from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas.kafka import Outbound, encode_result
from schemas.results import Classification, Source
from streams.clients import open_admin
from streams.connection import Connection
from tests.fakes.results import result as made
from tests.integration.worker import producing


def result(offset: int, **fields: Any) -> Classification:
    """Return the result of the event at an offset."""
    source = Source(topic="events.news", partition=0, offset=offset)
    return msgspec.structs.replace(made(), source=source, **fields)


async def publish(servers: str, topic: str, *results: Classification) -> None:
    """Send results, spread over the partitions by their offsets."""
    sent = (encode_result(one, key=str(one.source.offset).encode()) for one in results)
    await send(servers, topic, *sent)


async def send(servers: str, topic: str, *records: Outbound) -> None:
    """Send records as they are."""
    async with producing(servers) as producer:
        for one in records:
            await producer.send(topic, one.value, key=one.key, headers=one.headers)
        await producer.flush()


async def shorten(servers: str, topic: str, offset: int) -> None:
    """Delete what is before an offset, as Kafka does with what is too old."""
    async with open_admin(Connection(servers)) as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(offset)})
