"""A group as the broker and its workers would show it."""

from collections import Counter

import msgspec
from aiokafka import TopicPartition

from schemas.results import Classification, Source, Verdict
from streams.group_members import Member
from streams.top.board import Board
from streams.top.group import Look, Standing
from streams.top.scrape import Scraped
from tests.fakes.results import result
from tests.fakes.routes import route_of

NEWS = "events.news"
URL = "http://localhost:9464/metrics"


def member(name: str, *partitions: int) -> Member:
    """A worker with partitions of headlines."""
    return Member(
        group="desk",
        id=f"headrace-desk-{name}",
        client="headrace-desk",
        host="10.0.0.7",
        partitions={NEWS: list(partitions)} if partitions else {},
    )


def look(
    *members: Member,
    ends: tuple[int, ...] = (100, 100),
    committed: tuple[int | None, ...] = (90, 100),
    letters: int = 0,
    state: str = "Stable",
) -> Look:
    """A look at partitions 0, 1, … of headlines."""
    owners = {number: one.id for one in members for number in one.partitions.get(NEWS, ())}
    standings = {
        TopicPartition(NEWS, number): Standing(
            end=end, committed=at, lag=end - (at or 0), member=owners.get(number)
        )
        for number, (end, at) in enumerate(zip(ends, committed, strict=True))
    }
    return Look(state, members, standings, {"events.news.dlq": letters})


def board(*members: Member, window_s: float = 10.0) -> Board:
    """A board that has looked once, at second 100."""
    made = Board("desk", [route_of()], window_s=window_s, started=100.0)
    made.looked(look(*members), 100.0)
    return made


def answer(
    partition: int = 0,
    *,
    total_ms: float = 30.0,
    verdict: Verdict = Verdict.ON_TIME,
    label: str | None = "positive",
    revision: int = 0,
) -> Classification:
    """A result of an event from a partition of headlines."""
    made = result(total_ms=total_ms, verdict=verdict, label=label)
    source = Source(topic=NEWS, partition=partition, offset=0)
    return msgspec.structs.replace(made, source=source, revision=revision)


def scraped(events: int, *, late: int = 0, on_time: int = 0, **sums: int) -> Scraped:
    """What a worker says of itself."""
    return Scraped(
        URL,
        sums=Counter({"ready": 1, "events": events, **sums}),
        verdicts=Counter({"late": late, "on_time": on_time}),
    )
