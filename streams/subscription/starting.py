"""From where a subscriber wants to begin to an offset for every partition."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.errors import ConfigurationError
from streams.subscription.positions import Start, from_token

log = logging.getLogger(__name__)

READ_BACK = 1_000
"""Records of a partition before a resume token that are read again, only to know repetitions of
them: an at-least-once worker that recovers sends again what it sent shortly before."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where reading begins.

    Attributes:
        wanted: First offset of each partition that is handed out.
        read: First offset that is read; before ``wanted`` for what is only remembered.
        ends: Where the topics end.
        missed: Offsets that a token wanted and the topic no longer keeps.
    """

    wanted: dict[TopicPartition, int]
    read: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]
    missed: int = 0


async def begin(
    consumer: AIOKafkaConsumer,
    partitions: Collection[TopicPartition],
    start: Start,
    *,
    back: int = 0,
) -> Beginning:
    """Look the offsets up.

    Args:
        consumer: Asks for them.
        partitions: Of which.
        start: Where a subscriber wants to begin.
        back: How many records sooner, of all partitions together, if that is the end.

    Raises:
        ConfigurationError: A token is not of these topics, or ahead of them.
    """
    first = await consumer.beginning_offsets(list(partitions))
    ends = await consumer.end_offsets(list(partitions))
    if start == "beginning":
        return Beginning(first, first, ends)
    if start == "end":
        each = back // max(len(ends), 1)
        wanted = {one: max(end - each, first[one]) for one, end in ends.items()}
        return Beginning(wanted, wanted, ends)
    if isinstance(start, datetime):
        if start.tzinfo is None:
            raise ConfigurationError(
                f"start: {start} has no time zone; give one, such as datetime.now(UTC)"
            )
        moment = max(int(start.timestamp() * 1e3), 0)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, moment))
        wanted = {one: at.offset if (at := found.get(one)) else ends[one] for one in partitions}
        return Beginning(wanted, wanted, ends)
    return _resumed(start, first, ends)


def _resumed(
    token: str, first: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> Beginning:
    named = from_token(token, {one.topic for one in first})
    wanted: dict[TopicPartition, int] = {}
    missed = 0
    for partition, end in ends.items():
        # A partition that the token does not know was added since: all of it is new.
        offset = named.get(partition, first[partition])
        if offset > end:
            raise ConfigurationError(
                f"start: offset {offset} of {partition.topic}/{partition.partition} is beyond its "
                f"end, {end}; the topic was made anew since: start at a time or the beginning"
            )
        if offset < first[partition]:
            missed += first[partition] - offset
        wanted[partition] = max(offset, first[partition])
    if unknown := sorted(set(named) - set(ends)):
        raise ConfigurationError(
            f"start: {unknown[0].topic} has no partition {unknown[0].partition}; the topic was "
            "made anew since: start at a time or the beginning"
        )
    if missed:
        log.warning("%d offsets since the resume token are no longer kept: passed over", missed)
    read = {one: max(offset - READ_BACK, first[one]) for one, offset in wanted.items()}
    return Beginning(wanted, read, ends, missed)


async def beginning_of(consumer: AIOKafkaConsumer, partition: TopicPartition, start: Start) -> int:
    """Return where a group begins that has committed nothing in a partition.

    Args:
        consumer: Is asked.
        partition: Of the group.
        start: ``end`` or ``beginning``.
    """
    ask = consumer.end_offsets if start == "end" else consumer.beginning_offsets
    offset: int = (await ask([partition]))[partition]
    return offset


async def first_kept(
    consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int
) -> tuple[int, int]:
    """Return where reading goes on, and how much was missed, if a partition has no such offset."""
    first: int = (await consumer.beginning_offsets([partition]))[partition]
    missed = max(first - offset, 0)
    where = f"{partition.topic}/{partition.partition}"
    if missed:
        log.warning("%d offsets of %s are no longer kept: passed over", missed, where)
    else:
        log.warning(
            "%s ends before offset %d, so it was made anew: read from its beginning", where, offset
        )
    return first, missed
