"""At least once: an idempotent producer, and offsets committed after acknowledgements."""

from aiokafka import AIOKafkaProducer

from streams.delivery.committed import GroupOffsets
from streams.delivery.prefix import CommittedPrefix
from streams.delivery.publisher import Publisher
from streams.offsets import Ledger


class AtLeastOnce(Publisher, CommittedPrefix):
    """Commits the completed prefix of each partition; what lies beyond is answered again."""

    def __init__(self, producer: AIOKafkaProducer, ledger: Ledger, offsets: GroupOffsets) -> None:
        Publisher.__init__(self, producer)
        CommittedPrefix.__init__(self, ledger, offsets, self._failure.fail)

    @property
    def refused(self) -> bool:
        """Never: what is refused ends the worker, for the producer's numbers have a gap then."""
        return False
