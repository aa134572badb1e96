"""What a group has committed for a partition, metadata included."""

import asyncio
import time
from collections.abc import Collection
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.clients import open_admin
from streams.connection import Connection

LOADING_S = 30.0
"""How long a broker may load a group after a restart; it usually takes a moment."""
RETRY_S = 0.1


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

    async def read(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return what is committed for each of the partitions.

        Raises:
            BrokerError: No broker answers.
            KafkaError: The broker refuses.
        """
        if not partitions:
            return {}
        async with open_admin(self._connection) as admin:
            found = await self._loaded(admin, list(partitions))
        return {
            partition: Committed(one.offset, one.metadata or "")
            for partition in partitions
            if (one := found.get(partition)) is not None and one.offset >= 0
        }

    async def _loaded(
        self, admin: AIOKafkaAdminClient, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Ask until the broker has loaded the group."""
        give_up = time.monotonic() + LOADING_S
        while True:
            try:
                return dict(
                    await admin.list_consumer_group_offsets(self._group, partitions=partitions)
                )
            except KafkaError as error:
                if not error.retriable or time.monotonic() > give_up:
                    raise
            await asyncio.sleep(RETRY_S)
