"""Results of no worker, published for whoever subscribes."""

from typing import Any

import msgspec

from schemas.kafka import encode_result
from schemas.results import Classification, Source
from tests.fakes.results import result as made
from tests.integration.worker import producing


def result(offset: int, **fields: Any) -> Classification:
    """Return the result of the event at an offset."""
    source = Source(topic="events.news", partition=0, offset=offset)
    return msgspec.structs.replace(made(), source=source, **fields)


async def publish(servers: str, topic: str, *results: Classification) -> None:
    """Send results, spread over the partitions by their offsets."""
    async with producing(servers) as producer:
        for one in results:
            sent = encode_result(one, key=str(one.source.offset).encode())
            await producer.send(topic, sent.value, key=sent.key, headers=sent.headers)
        await producer.flush()
