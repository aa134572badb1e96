"""Whoever wants an event is found, and is told it as anyone else who stands at the same place."""

from typing import Any

import msgspec

from schemas import Record
from streams.gateway.audience import Audience
from streams.gateway.follower import Follower
from streams.gateway.outbox import Outbox
from streams.gateway.told import Told, server_sent
from streams.gateway.wires import Messages, ServerSent, Wire
from streams.subscription import Answers, Seen, WantedResults
from tests.fakes.clock import ManualClock
from tests.fakes.results import result


def follower(wire: Wire | None = None, **asked: Any) -> Follower:
    """Make one that wants something."""
    return Follower(
        choosing=WantedResults(**asked),
        outbox=Outbox(10, 1_000_000),
        wire=wire or ServerSent(is_chunked=False),
        opened=lambda _: None,
        missed=lambda _: None,
        cut=lambda: None,
        ended=lambda _: None,
        sent=lambda _: None,
    )


class Place:
    """An audience at a place, and how much it was sent."""

    def __init__(self) -> None:
        self.token = "t:0=1"  # noqa: S105 - says where it is
        self.sent = 0
        self.audience = Audience(lambda: self.token, self._count)

    def told(self, event: Told) -> set[Follower]:
        """Tell an event; return who was sent something."""
        before = {one for one in self.audience if not one.outbox.is_idle}
        assert not before
        self.audience.tell(event)
        self.audience.send()
        found = {one for one in self.audience if not one.outbox.is_idle}
        for one in found:
            one.outbox.end()
            one.outbox = Outbox(10, 1_000_000)
        return found

    def _count(self, events: int) -> None:
        self.sent += events


def told(key: bytes = b"k", new_to: Any = tuple(Answers), **fields: Any) -> Told:
    """Make an event."""
    value = msgspec.structs.replace(result(), **fields)
    return Told("result", Record(topic="t", key=key, value=b"{}"), value, new_to)


def test_followers_are_found_by_what_they_ask() -> None:
    """By an index where they name what they want, and each once."""
    place = Place()
    everything, other = follower(), follower(min_confidence=0.95)
    ticker = follower(tickers={"HBR", "QRY"})
    both, label = follower(tickers={"HBR"}, labels={"negative"}), follower(labels={"negative"})
    for one in (everything, other, ticker, both, label):
        place.audience.add(one)
    assert set(place.audience) == {everything, other, ticker, both, label}
    assert place.told(told(tickers=("HBR", "QRY"))) == {everything, ticker}
    assert place.sent == 2
    negative = {"label": "negative", "scores": {"negative": 0.99}}
    assert place.told(told(tickers=("HBR",), **negative)) == set(place.audience)
    assert place.told(told(**negative)) == {everything, other, label}


def test_who_left_is_told_nothing() -> None:
    """Also the last of those who want the same; leaving twice is no fault."""
    place = Place()
    audience = place.audience
    one, other = follower(tickers={"HBR"}), follower(tickers={"HBR"})
    for each in (one, other):
        audience.add(each)
    audience.discard(one)
    assert place.told(told(tickers=("HBR",))) == {other}
    audience.discard(other)
    audience.discard(other)
    assert place.told(told(tickers=("HBR",))) == set()
    audience.add(one)
    assert place.told(told(tickers=("HBR",))) == {one}


def test_a_repetition_is_told_to_nobody_to_whom_it_is_one() -> None:
    """Second answers are new to those alone who ask for the best."""
    place = Place()
    first, best = follower(), follower(answers="best")
    place.audience.add(first)
    place.audience.add(best)
    assert place.told(told(new_to=())) == set()
    assert place.told(told(new_to=(Answers.BEST,))) == {best}


async def test_who_stands_at_the_same_place_is_sent_the_same_bytes() -> None:
    """Made once; who joins, or asks where it is, has them sent first."""
    place = Place()
    one, other, late = follower(), follower(), follower()
    for each in (one, other):
        place.audience.add(each)
    place.audience.tell(told())
    assert one.outbox.is_idle
    place.audience.add(late)
    taken = await one.outbox.take()
    assert taken.count(b"event: result\nid: t:0=1\n") == 1
    assert await other.outbox.take() is taken
    assert late.outbox.is_idle
    place.audience.tell(told())
    place.token = "t:0=2"  # noqa: S105
    assert late.token == "t:0=2"  # noqa: S105
    assert not late.outbox.is_idle


async def test_who_was_told_before_joining_is_not_told_again() -> None:
    """What it read for itself may lie farther back than what the others know."""
    one = follower()
    clock = ManualClock()
    one.seen = Seen(seconds=60, monotonic=clock.monotonic)
    event = told()
    one.choosing.is_new(event.value, one.seen)
    one.tell(event, "t:0=1")
    assert one.outbox.is_idle
    clock.advance(61)  # repetitions come sooner; what is remembered for each client costs memory
    one.tell(event, "t:0=2")
    assert not one.outbox.is_idle
    assert one.seen is None


def test_an_event_is_written_once_for_all_at_the_same_place() -> None:
    """And again for who stands elsewhere, or speaks another protocol."""
    event = told()
    frame = event.frame(server_sent, "t:0=1")
    assert frame.startswith(b"event: result\nid: t:0=1\ndata: {")
    assert frame.endswith(b"}\n\n")
    assert event.frame(server_sent, "t:0=1") is frame
    assert b"id: t:0=2\n" in event.frame(server_sent, "t:0=2")
    assert b'{"id":"a","event":"result","token":"t:0=1"' in Messages.of("a").frame(event, "t:0=1")
