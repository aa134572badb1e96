"""One consumer group as the broker knows it: members, partitions, and how far behind they are."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from schemas.errors import BrokerError
from streams.clients import open_admin, open_consumer
from streams.connection import Connection
from streams.group_members import Member, members_of
from streams.security.access import explained

SETTLE_S = 5.0
"""How long a broker that has just started may need to find out who keeps the group."""
RETRY_S = 0.3
NOBODY = frozenset({"Dead", "Empty"})
"""States of a group that has no members."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition of an input topic.

    Attributes:
        end: Offset of the next event.
        committed: How far the group is; ``None`` before its first commit.
        lag: Events that it has not committed.
        member: Id of the member that has it; ``None`` if nobody does.
    """

    end: int
    committed: int | None
    lag: int
    member: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """A group at one moment.

    Attributes:
        state: In the broker's words.
        standings: Of every partition of the input topics that the group reads, or would read.
        letters: Where dead-letter topics end, summed over their partitions.
    """

    state: str
    members: tuple[Member, ...] = ()
    standings: Mapping[TopicPartition, Standing] = field(default_factory=dict)
    letters: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_absent(self) -> bool:
        """Whether the broker has never heard of such a group."""
        committed = any(one.committed is not None for one in self.standings.values())
        return self.state in NOBODY and not self.members and not committed


class GroupReader:
    """Looks at a group; see :func:`reading`.

    Args:
        topics: Input topics, with their numbers of partitions.
        optional: Those of them that are shown only if the group reads them, or reads nothing.
        letters: Dead-letter topics, with their numbers of partitions.
    """

    def __init__(
        self,
        admin: AIOKafkaAdminClient,
        consumer: AIOKafkaConsumer,
        group: str,
        *,
        topics: Mapping[str, int],
        optional: Collection[str],
        letters: Mapping[str, int],
    ) -> None:
        self._admin = admin
        self._consumer = consumer
        self._group = group
        self._topics = topics
        self._optional = frozenset(optional)
        self._letters = letters

    async def look(self) -> Look:
        """Ask the broker.

        Raises:
            BrokerError: It does not answer, or may not be asked.
        """
        try:
            return await self._look()
        except (KafkaError, OSError, TimeoutError) as error:
            why = explained(error, doing="Describe", on=self._group) or repr(error)
            raise BrokerError(f"group {self._group}: the broker does not tell: {why}") from error

    async def first_look(self) -> Look:
        """Ask with patience for a broker that has just started."""
        async with asyncio.timeout(SETTLE_S) as patience:
            while True:
                try:
                    return await self.look()
                except BrokerError:
                    when = patience.when() or 0.0
                    if asyncio.get_running_loop().time() + RETRY_S > when:
                        raise
                    await asyncio.sleep(RETRY_S)

    async def _look(self) -> Look:
        (answer, *_) = await self._admin.describe_consumer_groups([self._group])
        described = answer.groups[0]
        if described[0]:
            raise for_code(described[0])(self._group)
        members = tuple(members_of(described))
        found = await self._admin.list_consumer_group_offsets(self._group)
        committed = {one: at.offset for one, at in found.items() if at.offset >= 0}
        owners = {
            TopicPartition(topic, number): member.id
            for member in members
            for topic, numbers in member.partitions.items()
            for number in numbers
        }
        read = owners.keys() | committed.keys()
        shown = self._shown({one.topic for one in read})
        partitions = sorted(_partitions(shown) | read)
        letters = _partitions(self._letters)
        ends = await self._offsets({*partitions, *letters})
        fresh = [one for one in partitions if one not in committed]
        first = await self._consumer.beginning_offsets(fresh) if fresh else {}
        return Look(
            state=described[2],
            members=members,
            standings={
                one: Standing(
                    end=ends[one],
                    committed=committed.get(one),
                    lag=max(0, ends[one] - committed.get(one, first.get(one, 0))),
                    member=owners.get(one),
                )
                for one in partitions
            },
            letters={
                topic: sum(ends[one] for one in letters if one.topic == topic)
                for topic in self._letters
            },
        )

    def _shown(self, read: Collection[str]) -> dict[str, int]:
        """Return the input topics of which every partition is shown.

        Without settings of its own, a worker reads the topics of some modalities or all: where it
        reads any, the others are not waiting for it.
        """
        return {
            topic: count
            for topic, count in self._topics.items()
            if not read or topic in read or topic not in self._optional
        }

    async def _offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = {}
        if partitions:
            ends = await self._consumer.end_offsets(sorted(partitions))
        return ends


@asynccontextmanager
async def reading(
    connection: Connection,
    group: str,
    *,
    topics: Mapping[str, int],
    optional: Collection[str],
    letters: Mapping[str, int],
) -> AsyncIterator[GroupReader]:
    """Connect what looks at a group; the arguments are those of :class:`GroupReader`.

    Raises:
        BrokerError: No broker answers.
    """
    async with open_admin(connection) as admin, open_consumer(connection) as consumer:
        yield GroupReader(admin, consumer, group, topics=topics, optional=optional, letters=letters)


def _partitions(counts: Mapping[str, int]) -> set[TopicPartition]:
    return {
        TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)
    }
