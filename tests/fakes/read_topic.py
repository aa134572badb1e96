"""A subscription whose records are there at once, as after a pause or a large transaction."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from aiokafka import TopicPartition

from schemas import Record
from streams.subscription import Received, Seen


class ReadTopic:
    """Takes the place of a ``Subscription`` of one partition.

    Args:
        records: What it reads.
        begins: Offset that it begins at.
        end: Where the topic ended when it began.
    """

    def __init__(self, records: Sequence[Record], *, begins: int = 0, end: int = 0) -> None:
        self._records = records
        self._partition = TopicPartition("results.test", 0)
        self.positions = {self._partition: begins}
        self.ends = {self._partition: end}
        self._wanted: Any = None

    def __call__(self, _: Any, __: Any, wanted: Any, *___: Any) -> "ReadTopic":
        """Stand in for the class."""
        self._wanted = wanted
        return self

    async def __aenter__(self) -> Self:
        """Connect to nothing."""
        return self

    async def aclose(self) -> None:
        """Close nothing."""

    async def received(self) -> AsyncIterator[Received[Any]]:
        """Hand out all records without ever waiting."""
        for record in self._records:
            value = self._wanted.pick(record, Seen())
            self.positions[self._partition] = record.offset + 1
            yield Received(value, record)
