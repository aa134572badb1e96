"""How events, results and dead letters travel in Kafka records: the codecs in one place."""

from schemas.decode import decode_event
from schemas.encode import Mode, decode_result, encode_event, encode_result, result_id
from schemas.letters import (
    decode_dead_letter,
    encode_dead_letter,
    encode_redrive,
    previous_attempts,
)
from schemas.records import Header, Inbound, Outbound, Record

__all__ = [
    "Header",
    "Inbound",
    "Mode",
    "Outbound",
    "Record",
    "decode_dead_letter",
    "decode_event",
    "decode_result",
    "encode_dead_letter",
    "encode_event",
    "encode_redrive",
    "encode_result",
    "previous_attempts",
    "result_id",
]
