"""Results of no worker, published for whoever subscribes."""

from typing import Any

import msgspec

from schemas.kafka import Outbound, encode_result
from schemas.results import Classification, Source
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
