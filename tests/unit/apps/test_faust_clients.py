"""Faust's consumer drops no record that it does not go back to; no broker is asked."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from streams.apps.faust_clients import ClientSettings, FaustApp, _Fetched
from tests.fakes.changelog import record

ONE, TWO = (TopicPartition("results.news", number) for number in range(2))


class Member:
    """A consumer whose fetches are told, and whose seeks are noted."""

    def __init__(self) -> None:
        self.next = {ONE: 0, TWO: 7}
        app: Any = FaustApp(
            "app",
            clients=ClientSettings({"bootstrap_servers": "127.0.0.1:1"}),
            allow=lambda: None,
            positions=lambda: self.next,
        )
        self.consumer: Any = app.consumer
        self.consumer._thread.go_to = self._seek
        self.consumer._wait_next_records = self._fetch
        self.consumer.resume_flow()
        self.active = {ONE, TWO}
        self.is_assigned = True
        self.sought: list[Mapping[TopicPartition, int]] = []
        self.since = self.number = 0
        self.is_drained = False

    async def _seek(self, positions: Mapping[TopicPartition, int], number: int) -> None:
        if not self.is_assigned:
            raise IllegalStateError
        self.sought.append(dict(positions))
        self.since, self.number = number, 0

    async def _fetch(self, _: float) -> tuple[_Fetched, Any]:
        if self.is_drained:
            return _Fetched({}, self.since, self.number), self.active
        found = {place: [record(place, at, b"", b"") for at in (0, 1)] for place in (ONE, TWO)}
        self.number += 1
        return _Fetched(found, self.since, self.number - 1), self.active

    async def fetch(self) -> list[tuple[int, int]]:
        """Return partition and offset of what one fetch hands out."""
        found = self.consumer.getmany(timeout=1.0)
        return sorted([(place.partition, message.offset) async for place, message in found])


@pytest.fixture
async def member() -> AsyncIterator[Member]:
    """One member of the group."""
    made = Member()
    yield made
    made.consumer._thread.thread_loop.close()


async def test_what_was_fetched_is_handed_out(member: Member) -> None:
    """And nothing is read again."""
    for _ in range(3):
        assert await member.fetch() == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert member.sought == []


async def test_records_of_paused_partitions_are_read_again(member: Member) -> None:
    """Also where nothing was committed, from the first that was not taken."""
    member.active = {TWO}
    assert await member.fetch() == [(1, 0), (1, 1)]
    assert member.sought == [{ONE: 0, TWO: 7}]


async def test_records_that_come_while_the_flow_is_stopped_are_read_again(member: Member) -> None:
    """As those of a fetch during a rebalance, unless the partitions are gone."""
    member.consumer.stop_flow()
    assert await member.fetch() == []
    assert member.sought == [{ONE: 0, TWO: 7}]
    member.is_assigned = False
    assert await member.fetch() == []


async def test_a_flow_that_stops_half_way_reads_the_rest_again(member: Member) -> None:
    """What was handed out before is known by its offset where it is taken."""
    handed = 0
    async for _ in member.consumer.getmany(timeout=1.0):
        handed += 1
        member.consumer.stop_flow()
    assert (handed, member.sought) == (1, [{ONE: 0, TWO: 7}])


async def test_a_member_that_owns_nothing_seeks_nothing(member: Member) -> None:
    """Before its states are read it is not known where to."""
    member.next = {}
    member.active = set()
    assert await member.fetch() == []
    assert member.sought == []


async def test_a_fetch_that_nobody_waited_for_is_made_again(member: Member) -> None:
    """What comes after it would pass its records over."""
    assert len(await member.fetch()) == 4
    member.number += 1
    assert await member.fetch() == []
    assert member.sought == [{ONE: 0, TWO: 7}]
    assert len(await member.fetch()) == 4
    member.number += 1
    member.is_drained = True
    assert await member.fetch() == await member.fetch() == []
    assert len(member.sought) == 2


async def test_a_fetch_from_before_a_seek_counts_for_nothing(member: Member) -> None:
    """The seek has its records read again."""
    await member.consumer.perform_seek()
    member.since = 0
    assert await member.fetch() == []
    member.since, member.number = 1, 0
    assert len(await member.fetch()) == 4
    assert len(member.sought) == 1
