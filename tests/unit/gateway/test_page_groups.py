"""Which consumer groups the live page shows, and what it says where the broker does not tell."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.gateway.page.groups import LIST_S, MOST_GROUPS, MOST_LISTED, GroupWatch

OURS, OTHER, GONE = (TopicPartition(name, 0) for name in ("events.news", "orders", "events.gone"))


class Broker:
    """Answers as an administration client and as a consumer; no group has members.

    Args:
        committed: Offsets by group.
    """

    def __init__(self, committed: dict[str, dict[TopicPartition, int]]) -> None:
        self.committed = committed
        self.refused: set[str] = set()
        self.asked: list[str] = []

    async def list_consumer_groups(self) -> list[tuple[str, str]]:
        """All of them."""
        return [(name, "consumer") for name in self.committed]

    async def describe_consumer_groups(self, names: list[str]) -> list[Any]:
        """Without members; an answer about several would be misread."""
        assert len(names) == 1
        self.asked += names
        code = GroupAuthorizationFailedError.errno
        rows = [
            (code if name in self.refused else 0, name, "Empty", "consumer", "", [])
            for name in names
        ]
        return [SimpleNamespace(groups=rows)]

    async def list_consumer_group_offsets(
        self, name: str
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """What was committed."""
        return {one: OffsetAndMetadata(at, "") for one, at in self.committed[name].items()}

    async def describe_topics(self) -> list[dict[str, str]]:
        """All but the one that is gone."""
        return [{"topic": one.topic} for one in (OURS, OTHER)]

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Ten events each; a topic that is gone would be waited for."""
        assert GONE not in partitions
        return dict.fromkeys(partitions, 10)


class Silent(Broker):
    """Cannot list groups."""

    async def list_consumer_groups(self) -> list[tuple[str, str]]:
        """As brokers do that know no such request."""
        raise KafkaError("no such request")


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds that it was set to."""
        return self.now


async def look(watch: GroupWatch, broker: Broker) -> Any:
    """Ask as the page does."""
    broker.asked.clear()
    return await watch.look(broker, broker)  # type: ignore[arg-type]


async def test_groups_of_other_topics_are_left_out_and_not_asked_again() -> None:
    """Until the next time that all are listed."""
    clock = Clock()
    broker = Broker({"shop": {OTHER: 1}, "workers": {OURS: 7, OTHER: 2, GONE: 5}})
    watch = GroupWatch(monotonic=clock)
    found = await look(watch, broker)
    assert found.states == {"workers": "Empty"}
    assert [(one.topic, one.lag) for one in found.positions] == [("orders", 8), ("events.news", 3)]
    await look(watch, broker)
    assert broker.asked == ["workers"]
    clock.now += LIST_S
    await look(watch, broker)
    assert broker.asked == ["shop", "workers"]


async def test_a_commit_that_does_not_move_is_told_as_long_as_it_is_behind() -> None:
    """From the first look on; a commit starts it anew."""
    clock = Clock()
    broker = Broker({"workers": {OURS: 7}})
    watch = GroupWatch(monotonic=clock)
    times = []
    for seconds, offset in ((0, 7), (4, 7), (2, 8), (3, 8), (1, 10)):
        clock.now += seconds
        broker.committed["workers"] = {OURS: offset}
        times.append((await look(watch, broker)).positions[0].still_s)
    assert times == [0.0, 4.0, 0.0, 3.0, None]


async def test_named_groups_are_shown_whatever_they_read() -> None:
    """And no others."""
    broker = Broker({"shop": {OTHER: 1}, "workers": {OURS: 7}})
    found = await look(GroupWatch(["shop"]), broker)
    assert found.states == {"shop": "Empty"}


async def test_of_very_many_groups_it_is_told_that_some_are_left_out() -> None:
    """The broker is not asked about more than may be listed."""
    broker = Broker({f"group-{number:04}": {OURS: 1} for number in range(MOST_LISTED + 7)})
    found = await look(GroupWatch(), broker)
    assert len(broker.asked) == MOST_LISTED
    assert (len(found.states), found.left_out) == (MOST_GROUPS, MOST_LISTED + 7 - MOST_GROUPS)


async def test_of_many_groups_those_furthest_behind_are_shown() -> None:
    """Whatever their names; the next looks are at the same."""
    offsets = {f"group-{number:02}": {OURS: 10} for number in range(MOST_GROUPS + 5)}
    broker = Broker(offsets | {"zulu": {OURS: 3}})
    watch = GroupWatch()
    for _ in range(2):
        found = await look(watch, broker)
        assert ("zulu" in found.states, found.left_out) == (True, 6)


@pytest.mark.parametrize(
    ("broker", "told"),
    [
        (Broker({"workers": {OURS: 7}}), "access: lacks Describe on group workers; grant Describe"),
        (Silent({}), "the broker does not tell"),
    ],
)
async def test_what_is_refused_is_said(broker: Broker, told: str) -> None:
    """With what to grant; the page goes on without the table."""
    broker.refused = {"workers"}
    watch = GroupWatch()
    for _ in range(2):
        found = await look(watch, broker)
        assert told in found.problem
        assert found.members == []
