"""Where a webhook begins that is new: settled once, before anything is delivered.

A group that has committed nothing would begin at the end of its topics each time that it starts,
and pass over what came between a crash and its first commit. So its beginning is committed before
its members join; from then on what was not committed counts as not delivered. Where the group is at
work already, and a topic is new to it, only its members may commit: whoever gets a partition does.
"""

from collections.abc import Collection, Mapping

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from schemas.errors import BrokerError
from streams.clients import open_consumer
from streams.connection import Connection
from streams.delivery.committed import GroupOffsets
from streams.topics import partition_counts
from streams.webhooks.settings import Webhook

log = structlog.get_logger(__name__)


async def place(connection: Connection, webhook: Webhook) -> Mapping[TopicPartition, int]:
    """Commit the ends of topics that are new to the group, if it is to begin there.

    A partition that was added to a topic since is not among them: all of it is new.

    Returns:
        What is left for members to commit.

    Raises:
        BrokerError: The broker cannot be reached, or refuses.
    """
    if webhook.start == "beginning":
        return {}
    counts = await partition_counts(connection)
    partitions = [
        TopicPartition(topic, number)
        for topic in webhook.topics
        for number in range(counts.get(topic, 0))
    ]
    committed = await GroupOffsets(connection, webhook.group).read_patiently(partitions)
    known = {partition.topic for partition in committed}
    new = [partition for partition in partitions if partition.topic not in known]
    return await _commit_ends(connection, webhook, new) if new else {}


async def _commit_ends(
    connection: Connection, webhook: Webhook, partitions: Collection[TopicPartition]
) -> Mapping[TopicPartition, int]:
    async with open_consumer(connection, group_id=webhook.group) as consumer:
        try:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(list(partitions))
            consumer.assign(list(partitions))
            await consumer.commit(ends)
        except CommitFailedError:
            return ends
        except KafkaError as error:
            raise BrokerError(
                f"webhooks.{webhook.name}: the group's beginning was not committed: {error!r}"
            ) from error
    log.info("webhook_begins_at_the_end", webhook=webhook.name, partitions=len(partitions))
    return {}
