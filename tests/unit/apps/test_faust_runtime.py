"""What becomes of records, and what the runtime does not put up with; Faust is not started."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from aiokafka import TopicPartition

from schemas import Classification, Outbound, encode_result
from streams.apps.faust_clients import ClientSettings
from streams.apps.faust_runtime import Runtime
from streams.apps.keyed import KeyedApp, Step, Wake
from streams.apps.pulse import AppFailedError
from streams.apps.settling import Taken
from streams.apps.taking import own_topics
from tests.fakes.changelog import FakeChangelog
from tests.fakes.results import result

NAME = "test-sums"
PARTS, CHANGELOG = own_topics(NAME)
PARTITION = TopicPartition(PARTS, 2)
INPUT = TopicPartition("results.news", 0)


def spread(_: Classification) -> Iterator[tuple[str, bytes]]:
    """Each result concerns two keys."""
    yield from (("first", b"1"), ("second", b"2"))


def step(_: str, state: bytes | None, part: bytes) -> Step | None:
    """Add a number up; nought changes nothing, and what is no number forgets the key."""
    if part == b"0":
        return None
    if part == b"over":
        return Step(b"")
    total = str(int(state or b"0") + int(part)).encode()
    return Step(total, (Outbound(key=b"out", value=total, headers=[]),))


def wake(_: str, state: bytes) -> Wake | None:
    """Wake sums of three."""
    return Wake(9.0, b"0") if state == b"3" else None


@dataclass(frozen=True)
class Fetched:
    """A message as Faust hands it out."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def part(offset: int, value: bytes, *, key: bytes = b"first") -> Fetched:
    """Return a part of the inner topic."""
    return Fetched(PARTS, 2, offset, key, value)


@pytest.fixture
async def counts() -> Counter[str]:
    """What was told of."""
    return Counter()


@pytest.fixture
async def runtime(counts: Counter[str]) -> Runtime:
    """A runtime that owns a partition of the inner topic from offset 5 on."""

    def count(outcome: str, more: int) -> None:
        counts[outcome] += more

    made = Runtime(
        KeyedApp("sums", ("results.news",), "sums", spread, step, wake),
        name=NAME,
        clients=ClientSettings({"bootstrap_servers": "127.0.0.1:1"}),
        reader=FakeChangelog(),
        count=count,
    )
    made._taking.next |= {PARTITION: 5, INPUT: 0}
    return made


def test_an_apps_own_topics_begin_with_its_groups_name() -> None:
    """A changelog of an earlier version is found under the same name."""
    assert own_topics("a-b") == ("a-b-parts", "a-b-state-changelog")


async def test_a_result_becomes_its_parts(runtime: Runtime, counts: Counter[str]) -> None:
    """In order, to the inner topic."""
    value = encode_result(result(), key=None).value
    taken = runtime._taking.result(Fetched("results.news", 0, 0, None, value))
    assert taken is not None
    assert [(one.topic, one.key, one.value) for one in taken.first] == [
        (PARTS, b"first", b"1"),
        (PARTS, b"second", b"2"),
    ]
    assert counts == {"result": 1}


@pytest.mark.parametrize("value", [b"no result", b"{}", None])
async def test_what_is_no_result_is_passed_over(
    runtime: Runtime, counts: Counter[str], value: bytes | None
) -> None:
    """Its offset is settled like any other's."""
    taken = runtime._taking.result(Fetched("results.news", 0, 7, None, value))
    assert taken == Taken(INPUT, 7)
    assert counts == {"no_result": 1}


async def test_a_part_becomes_a_step(runtime: Runtime, counts: Counter[str]) -> None:
    """The state goes to the changelog's partition of the part, and is the next step's."""
    first, nothing, last = (
        runtime._taking.part(part(offset, value))
        for offset, value in ((5, b"2"), (6, b"0"), (7, b"1"))
    )
    assert first is not None
    assert [(one.topic, one.value) for one in first.first] == [("sums", b"2")]
    assert nothing == Taken(PARTITION, 6)
    assert last is not None
    assert last.state is not None
    assert (last.state.topic, last.state.partition) == (CHANGELOG, 2)
    assert (last.state.key, last.state.value) == (b"first", b"3")
    assert runtime._waker._alarms.due(9.0) == [(b"first", b"0")]
    assert counts == {"part": 2, "repeated": 1, "derived": 2}


async def test_a_key_that_is_forgotten_leaves_nothing(
    runtime: Runtime, counts: Counter[str]
) -> None:
    """Neither in memory nor, once it is compacted, in the changelog; nobody wakes it."""
    taken = [runtime._taking.part(part(at, value)) for at, value in ((5, b"3"), (6, b"over"))]
    assert [one and one.state and one.state.value for one in taken] == [b"3", None]
    assert taken[1] is not None
    assert taken[1].state is not None
    assert (taken[1].state.key, taken[1].state.partition) == (b"first", 2)
    assert (runtime._tables.states(2), runtime._waker._alarms.next_at) == ({}, None)
    assert counts == {"part": 2, "derived": 1, "forgotten": 1}


async def test_a_part_that_comes_again_in_one_assignment_is_not_taken(runtime: Runtime) -> None:
    """Its step was made, and is being settled."""
    taken = [runtime._taking.part(part(offset, b"1")) for offset in (5, 6, 5, 6)]
    assert [one and one.offset for one in taken] == [5, 6, None, None]
    assert runtime._tables.states(2) == {b"first": b"2"}


async def test_a_part_that_is_missing_ends_the_run(runtime: Runtime) -> None:
    """Before the one after it is taken."""
    runtime._taking.part(part(5, b"1"))
    with pytest.raises(AppFailedError, match="offset 6 was passed over, 7 came"):
        runtime._taking.part(part(7, b"1"))
    assert runtime._tables.states(2) == {b"first": b"1"}


async def test_what_is_not_owned_is_not_taken(runtime: Runtime) -> None:
    """It may have waited in a buffer when its partition was given up."""
    elsewhere = Fetched(PARTS, 3, 5, b"first", b"1")
    assert runtime._taking.part(elsewhere) is None
    assert runtime._taking.result(Fetched("results.news", 1, 0, None, None)) is None
    assert len(runtime._tables) == 0
