"""Consumer groups as the broker knows them: members, partitions, and how far behind they are."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, for_code

from streams.group_members import Member, members_of
from streams.security.access import explained
from streams.topics import TopicKind, kind_of

MOST_LISTED = 200
"""Groups of a cluster that are looked at to find those that read our topics."""
LIST_S = 10.0
"""Between two of those looks."""
MOST_GROUPS = 20
MOST_PARTITIONS = 500
"""Lines of the table; those furthest behind first."""
REMEDY = "grant Describe on groups and topics to the gateway, see docs/security.md"


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group is in one partition."""

    group: str
    topic: str
    partition: int
    member: str | None
    """Id of the member that has it."""
    committed: int | None
    end: int
    lag: int | None
    """Events behind; ``None`` where nothing was committed."""
    still_s: float | None
    """Seconds since the commit last moved, as long as this has been watched; ``None`` where the
    group is not behind."""


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at one moment."""

    members: list[Member]
    positions: list[Position]
    states: dict[str, str]
    left_out: int = 0
    """Partitions and groups beyond the bounds."""
    problem: str | None = None


class GroupWatch:
    """Looks at the groups again and again, and remembers when commits moved.

    Args:
        named: Which groups; none for those that read topics named like ours.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self, named: Collection[str] = (), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._named = tuple(named)
        self._chosen: list[str] = []
        self._listed_at = -math.inf
        self._left_out = 0
        self._monotonic = monotonic
        self._moved: dict[tuple[str, TopicPartition], tuple[int, float]] = {}
        self._last = Groups(members=[], positions=[], states={})

    async def look(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Groups:
        """Ask the broker; what it refuses is told in ``problem``, beside what was known last."""
        try:
            self._last = await self._look(admin, consumer)
        except (KafkaError, OSError, TimeoutError, NotImplementedError, AttributeError) as error:
            return msgspec.structs.replace(self._last, problem=_told(error))
        return self._last

    async def _look(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Groups:
        names = await self._names(admin)
        # One by one: aiokafka (0.14) misreads an answer about several from brokers since 2.3.
        described = [one for name in names for one in await admin.describe_consumer_groups([name])]
        answered = [one for answer in described for one in answer.groups]
        refused = {one[1]: for_code(one[0])(one[1]) for one in answered if one[0]}
        states = {one[1]: one[2] for one in answered if not one[0]}
        members = [member for one in answered if not one[0] for member in members_of(one)]
        committed = {name: await _committed(admin, name) for name in states}
        there = {topic["topic"] for topic in await admin.describe_topics()}
        positions = await self._positions(members, committed, consumer, there)
        positions = self._ours(positions, refused)
        groups = {one.group for one in positions}
        return Groups(
            members=[_with_lag(one, positions) for one in members if one.group in groups],
            positions=positions[:MOST_PARTITIONS],
            states={name: state for name, state in states.items() if name in groups},
            left_out=self._left_out + max(0, len(positions) - MOST_PARTITIONS),
            problem=next(map(_told, refused.values()), None),
        )

    async def _names(self, admin: AIOKafkaAdminClient) -> list[str]:
        """Return the groups to look at: now and then all, else those that were ours then."""
        if self._named:
            return list(self._named)
        if self._monotonic() - self._listed_at >= LIST_S:
            listed = await admin.list_consumer_groups()
            names = sorted(name for name, kind, *_ in listed if kind in ("consumer", ""))
            self._chosen, self._left_out = names[:MOST_LISTED], max(0, len(names) - MOST_LISTED)
            self._listed_at = self._monotonic()
        return self._chosen

    def _ours(self, positions: list[Position], refused: Iterable[str]) -> list[Position]:
        """Choose the groups that read our topics, or may not be seen, to be looked at from now on.

        Returns:
            Where those stand that read our topics, those furthest behind first.
        """
        if not self._named:
            ours = {one.group for one in positions if kind_of(one.topic) is not TopicKind.OTHER}
            alive = {one.group for one in positions if one.member is not None}
            lag = Counter[str]()
            for one in positions:
                lag[one.group] += one.lag or 0
            # Those that somebody reads for come first, then those furthest behind.
            ranked = sorted(ours, key=lambda name: (name not in alive, -lag[name], name))
            chosen = ranked[:MOST_GROUPS]
            self._left_out += len(ranked) - len(chosen)
            self._chosen = [*chosen, *refused]
            positions = [one for one in positions if one.group in chosen]
        return sorted(positions, key=lambda one: (-(one.lag or 0), one.topic, one.partition))

    async def _positions(
        self,
        members: Iterable[Member],
        committed: Mapping[str, Mapping[TopicPartition, int]],
        consumer: AIOKafkaConsumer,
        there: Collection[str],
    ) -> list[Position]:
        owners = {
            (member.group, TopicPartition(topic, number)): member.id
            for member in members
            for topic, numbers in member.partitions.items()
            for number in numbers
        }
        known = {(group, one) for group, offsets in committed.items() for one in offsets}
        # A group may have offsets of topics that are gone, whose ends would be waited for.
        wanted = {(group, one) for group, one in known | owners.keys() if one.topic in there}
        partitions = sorted({one for _, one in wanted})
        ends = await consumer.end_offsets(partitions) if partitions else {}
        now = self._monotonic()
        self._moved = {one: moved for one, moved in self._moved.items() if one in wanted}
        return [
            Position(
                group=group,
                topic=one.topic,
                partition=one.partition,
                member=owners.get((group, one)),
                committed=(offset := committed[group].get(one)),
                end=end,
                lag=(lag := None if offset is None else max(0, end - offset)),
                still_s=self._still_s(group, one, offset, now)
                if lag or (offset is None and end)
                else None,
            )
            for group, one in sorted(wanted)
            if (end := ends.get(one)) is not None
        ]

    def _still_s(
        self, group: str, partition: TopicPartition, offset: int | None, now: float
    ) -> float:
        """Return for how long a group that is behind has been at an offset."""
        at = -1 if offset is None else offset
        before, since = self._moved.get((group, partition), (None, now))
        if before != at:
            since = now
        self._moved[group, partition] = (at, since)
        return round(now - since, 1)


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    found = await admin.list_consumer_group_offsets(group)
    return {partition: at.offset for partition, at in found.items() if at.offset >= 0}


def _told(error: BaseException) -> str:
    if isinstance(error, GroupAuthorizationFailedError):
        return f"groups: access: lacks Describe on group {error.args[0]}; {REMEDY}"
    why = explained(error, doing="Describe")
    return f"groups: {why}; {REMEDY}" if why else f"groups: the broker does not tell: {error!r}"


def _with_lag(member: Member, positions: Iterable[Position]) -> Member:
    behind = [
        one.lag
        for one in positions
        if (one.group, one.member) == (member.group, member.id) and one.lag is not None
    ]
    return msgspec.structs.replace(member, lag=sum(behind) if behind else None)
