"""What a group has committed: an answer that says nothing is none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupLoadInProgressError
from aiokafka.structs import OffsetAndMetadata

from streams.connection import Connection
from streams.delivery import committed
from streams.delivery.committed import Committed, GroupOffsets

ONE, TWO = (TopicPartition("events.news", number) for number in range(2))


class Admin:
    """Answers as a broker does."""

    def __init__(self, answer: dict[TopicPartition, OffsetAndMetadata]) -> None:
        self._answer = answer

    async def list_consumer_group_offsets(
        self, group: str, *, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return what it was made with."""
        assert (group, partitions) == ("g", [ONE, TWO])
        return self._answer


def offsets(
    monkeypatch: pytest.MonkeyPatch, answer: dict[TopicPartition, OffsetAndMetadata]
) -> GroupOffsets:
    """Offsets of a broker that gives this answer."""

    @asynccontextmanager
    async def opened(connection: Connection) -> AsyncIterator[Admin]:
        del connection
        yield Admin(answer)

    monkeypatch.setattr(committed, "open_admin", opened)
    return GroupOffsets(Connection("localhost:1"), "g")


async def test_a_partition_without_an_offset_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker says -1 of it."""
    answer = {ONE: OffsetAndMetadata(5, "note"), TWO: OffsetAndMetadata(-1, "")}
    read = await offsets(monkeypatch, answer).read([ONE, TWO])
    assert read == {ONE: Committed(5, "note")}


async def test_a_partition_that_is_missing_from_the_answer_is_not_without_offset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A coordinator that loads names none: to begin at the start would answer all again."""
    for answer in ({}, {ONE: OffsetAndMetadata(5, "")}):
        with pytest.raises(GroupLoadInProgressError):
            await offsets(monkeypatch, answer).read([ONE, TWO])
