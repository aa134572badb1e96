"""Records as aiokafka hands them out, as the contracts take them."""

from aiokafka import ConsumerRecord

from schemas.kafka import Record


def to_record(consumed: ConsumerRecord) -> Record:
    """Take from aiokafka's record what the contracts need."""
    return Record(
        topic=consumed.topic,
        partition=consumed.partition,
        offset=consumed.offset,
        timestamp_ms=consumed.timestamp,
        key=consumed.key,
        value=consumed.value,
        headers=consumed.headers,
    )
