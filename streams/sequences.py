"""An idempotent producer that goes on after a record was refused.

The broker counts the records of a producer in each partition, and takes none but the next. aiokafka
(0.14) counts a batch when it is first sent, and does not take that back when the broker refuses it,
such as for its size: everything after it would be out of order, for as long as the producer lives.
Of one partition only one batch is under way, so what follows has no number yet.
"""

from functools import partial
from typing import Any

from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber, ProducerFenced

_UNCERTAIN = (OutOfOrderSequenceNumber, ProducerFenced)
"""After these the numbers of producer and broker have parted, however they are set."""


def take_back_refused(producer: Any) -> None:
    """Give the number of a batch that the broker has refused to the next one.

    Args:
        producer: An idempotent ``AIOKafkaProducer`` before it is started.
    """
    accumulator, numbers = producer._message_accumulator, producer._txn_manager  # noqa: SLF001
    pop = accumulator._pop_batch  # noqa: SLF001

    def popped(partition: Any) -> Any:
        before = numbers.sequence_number(partition)
        batch = pop(partition)
        if batch.retry_count == 1:  # first sent now; what is sent again keeps its number
            batch.failure = partial(_failed, batch, numbers, before)
        return batch

    accumulator._pop_batch = popped  # noqa: SLF001


def _failed(batch: Any, numbers: Any, before: int, exception: BaseException) -> None:
    if _is_refusal(exception):
        numbers._sequence_numbers[batch.tp] = before  # noqa: SLF001
    type(batch).failure(batch, exception)


def _is_refusal(error: BaseException) -> bool:
    """Say whether the broker has answered, and has not taken the batch."""
    is_final = isinstance(error, KafkaError) and not error.retriable
    return is_final and not isinstance(error, _UNCERTAIN)
