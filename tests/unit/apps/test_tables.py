"""Tables are what the changelog holds below their positions."""

import pytest

from streams.apps.tables import Tables
from tests.fakes.changelog import MARK, FakeChangelog

TOPIC = "changelog"


def always() -> bool:
    """Nobody else wants the partitions."""
    return True


async def test_the_last_state_of_each_key_is_read_past_marks_at_the_end() -> None:
    """Tombstones take keys out."""
    log = FakeChangelog(p0=[(b"a", b"1"), (b"b", b"1"), MARK, (b"a", b"2"), (b"b", None), MARK])
    tables = Tables(TOPIC, log)
    assert await tables.restore([0], may_go_on=always)
    assert dict(tables.items()) == {b"a": b"2"}
    assert (len(tables), tables.read) == (1, 4)


async def test_only_what_is_new_is_read_of_a_partition_that_comes_back() -> None:
    """What was written by this member counts as known; what others wrote meanwhile does not."""
    log = FakeChangelog(p0=[(b"a", b"1")], p1=[(b"c", b"1")])
    tables = Tables(TOPIC, log)
    assert await tables.restore([0, 1], may_go_on=always)
    tables.states(0)[b"b"] = b"2"
    log.logs[0] += [(b"b", b"2"), (b"a", b"3")]
    tables.wrote(0, 1)
    log.read.clear()
    assert await tables.restore([0], may_go_on=always)
    assert log.read == [(0, 2)]
    assert dict(tables.items()) == {b"a": b"3", b"b": b"2"}
    assert await tables.restore([0, 1], may_go_on=always)
    assert log.read == [(0, 2), (1, 0)]


async def test_reading_stops_when_the_partitions_are_wanted_elsewhere() -> None:
    """And goes on there when they come back."""
    log = FakeChangelog(p0=[(b"%d" % number, b"1") for number in range(6)])
    tables = Tables(TOPIC, log)
    owned = [True, True, False]
    assert not await tables.restore([0], may_go_on=lambda: owned.pop(0))
    assert log.read == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert await tables.restore([0], may_go_on=always)
    assert log.read == [(0, number) for number in range(6)]
    assert len(tables) == 6


@pytest.mark.parametrize("begin", [0, 7])
async def test_a_changelog_that_was_made_anew_is_read_from_its_beginning(begin: int) -> None:
    """Likewise one that has lost what was not read."""
    log = FakeChangelog(p0=[(b"a", b"1"), (b"b", b"1")])
    tables = Tables(TOPIC, log)
    assert await tables.restore([0], may_go_on=always)
    log.logs[0], log.begin = [(b"c", b"1")], begin
    assert await tables.restore([0], may_go_on=always)
    assert dict(tables.items()) == {b"c": b"1"}
