"""The replay as a whole, over a sender that keeps what it is given."""

from collections.abc import AsyncIterator

import pytest

from schemas.errors import InvalidEventError, UndecodableError
from schemas.events import Modality
from streams.replay.mapping import Mapper, Prepared
from streams.replay.pacing import NoPace, Pacer
from streams.replay.run import Replay
from streams.replay.source import Line
from tests.fakes.clock import ManualClock

LINES = [b'{"text": "one"}', b"not json", b'{"headline": ""}', b'{"text": "two"}']


class KeepingSender:
    """Keeps records instead of sending them."""

    def __init__(self) -> None:
        self.kept: list[Prepared] = []
        self.drained = False

    async def send(self, prepared: Prepared) -> None:
        """Keep one."""
        self.kept.append(prepared)

    async def drain(self) -> None:
        """Note that this was asked for."""
        self.drained = True


async def lines() -> AsyncIterator[Line]:
    """Go through the log."""
    for number, line in enumerate(LINES, start=1):
        yield number, line


def replay(sender: KeepingSender, *, limit: int | None = None, strict: bool = False) -> Replay:
    """Make a replay of news."""
    clock = ManualClock()
    return Replay(
        mapper=Mapper(Modality.NEWS),
        sender=sender,
        pacer=Pacer(NoPace(), clock),
        clock=clock,
        limit=limit,
        strict=strict,
    )


async def test_good_and_broken_events_are_sent_and_unreadable_lines_are_named() -> None:
    """Each line has one of three fates, and the count tells all of them."""
    sender = KeepingSender()
    progress = await replay(sender).run(lines())
    assert (progress.sent, progress.broken.count, progress.skipped.count) == (3, 1, 1)
    assert progress.skipped.first[0].line == 2
    assert progress.broken.first[0].line == 3
    assert sender.drained


async def test_a_limit_ends_the_replay_in_order() -> None:
    """What was sent is still waited for."""
    sender = KeepingSender()
    progress = await replay(sender, limit=1).run(lines())
    assert progress.sent == 1
    assert sender.drained


async def test_strict_stops_at_the_first_bad_line() -> None:
    """The error names the line."""
    with pytest.raises(UndecodableError, match="line 2"):
        await replay(KeepingSender(), strict=True).run(lines())


async def test_strict_stops_at_a_broken_contract_too() -> None:
    """An empty headline is no good event."""

    async def broken() -> AsyncIterator[Line]:
        yield 5, LINES[2]

    with pytest.raises(InvalidEventError, match="line 5"):
        await replay(KeepingSender(), strict=True).run(broken())


async def test_a_replay_that_is_stopped_before_it_starts_sends_nothing() -> None:
    """Ctrl-C during the connecting is not lost."""
    sender = KeepingSender()
    stopped = replay(sender)
    stopped.stop()
    assert (await stopped.run(lines())).sent == 0
    assert sender.kept == []
