"""Consumer groups as the broker knows them: members, partitions, and how far behind they are."""

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, for_code

from streams.access import explained
from streams.group_members import Member, members_of

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
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._moved: dict[tuple[str, TopicPartition], tuple[int, float]] = {}

    async def look(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Groups:
        """Ask the broker; what it refuses is told in ``problem``."""
        try:
            return await self._look(admin, consumer)
        except (KafkaError, OSError, TimeoutError, NotImplementedError, AttributeError) as error:
            return Groups(members=[], positions=[], states={}, problem=_told(error))

    async def _look(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Groups:
        listed = await admin.list_consumer_groups()
        names = sorted(name for name, kind, *_ in listed if kind in ("consumer", ""))
        described = await admin.describe_consumer_groups(names[:MOST_GROUPS]) if names else []
        answered = [one for answer in described for one in answer.groups]
        groups = {one[1]: one for one in answered if not one[0]}
        refused = [for_code(one[0])(one[1]) for one in answered if one[0]]
        members = [member for group in groups.values() for member in members_of(group)]
        committed = {
            name: {
                partition: found.offset
                for partition, found in (await admin.list_consumer_group_offsets(name)).items()
                if found.offset >= 0
            }
            for name in groups
        }
        positions = await self._positions(members, committed, consumer)
        behind = sorted(positions, key=lambda one: (-(one.lag or 0), one.topic, one.partition))
        return Groups(
            members=[_with_lag(member, positions) for member in members],
            positions=behind[:MOST_PARTITIONS],
            states={
                name: group[2] for name, group in groups.items() if committed[name] or group[5]
            },
            left_out=max(0, len(names) - MOST_GROUPS) + max(0, len(behind) - MOST_PARTITIONS),
            problem=_told(refused[0]) if refused else None,
        )

    async def _positions(
        self,
        members: Iterable[Member],
        committed: Mapping[str, Mapping[TopicPartition, int]],
        consumer: AIOKafkaConsumer,
    ) -> list[Position]:
        owners = {
            (member.group, TopicPartition(topic, number)): member.id
            for member in members
            for topic, numbers in member.partitions.items()
            for number in numbers
        }
        known = {(group, one) for group, offsets in committed.items() for one in offsets}
        wanted = known | owners.keys()
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


def _told(error: BaseException) -> str:
    if isinstance(error, GroupAuthorizationFailedError):
        return f"groups: access: lacks Describe on group {error}; {REMEDY}"
    why = explained(error, doing="Describe")
    return f"groups: {why}; {REMEDY}" if why else f"groups: the broker does not tell: {error!r}"


def _with_lag(member: Member, positions: Iterable[Position]) -> Member:
    behind = [
        one.lag
        for one in positions
        if (one.group, one.member) == (member.group, member.id) and one.lag is not None
    ]
    return msgspec.structs.replace(member, lag=sum(behind) if behind else None)
