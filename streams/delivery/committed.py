"""What a group has committed for a partition, metadata included."""

from collections.abc import Collection
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, GroupLoadInProgressError, KafkaError

from schemas.errors import BrokerError
from streams.clients import open_admin
from streams.connection import Connection
from streams.delivery.patience import Patience


class Committed(NamedTuple):
    """Offset and metadata; an offset of ``None`` means that nothing was committed yet."""

    offset: int | None = None
    metadata: str = ""


class GroupOffsets:
    """Reads the offsets of one group.

    aiokafka's consumer tells offsets without their metadata, hence an administration client. The
    broker is not asked for stable offsets, which aiokafka (0.14) cannot: read only what no open
    transaction can change, that is, after the partition's producer has been initialised.
    """

    def __init__(self, connection: Connection, group: str) -> None:
        self._connection = connection
        self._group = group

    async def read_patiently(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return the same, asking again while the broker is gone or does not know yet.

        Raises:
            BrokerError: For too long.
            GroupAuthorizationFailedError: This client may not know.
        """
        patience = Patience(f"group {self._group}")
        while True:
            try:
                return await self.read(partitions)
            except GroupAuthorizationFailedError:
                raise
            except (KafkaError, BrokerError) as error:
                await patience.after("offsets_retried", error)

    async def read(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return what is committed for each of the partitions.

        Raises:
            BrokerError: No broker answers.
            KafkaError: The broker refuses, or does not know yet.
        """
        if not partitions:
            return {}
        async with open_admin(self._connection) as admin:
            found = await admin.list_consumer_group_offsets(
                self._group, partitions=list(partitions)
            )
        if any(partition not in found for partition in partitions):
            # A broker that knows of no offset says so for each partition. To take one that says
            # nothing for one that knows of none would answer a whole topic again.
            raise GroupLoadInProgressError
        return {
            partition: Committed(one.offset, one.metadata or "")
            for partition, one in found.items()
            if one.offset >= 0
        }
