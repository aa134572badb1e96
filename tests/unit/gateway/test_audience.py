"""Whoever wants an event is found, and is told it as anyone else who stands at the same place."""

from typing import Any

import msgspec

from schemas import Record
from streams.gateway.audience import Audience
from streams.gateway.follower import Follower
from streams.gateway.outbox import Outbox
from streams.gateway.told import Told, message, server_sent
from streams.subscription import Answers, Seen, WantedResults
from tests.fakes.clock import ManualClock
from tests.fakes.results import result


def follower(**asked: Any) -> Follower:
    """Make one that wants something."""
    return Follower(
        choosing=WantedResults(**asked),
        outbox=Outbox(10, 1_000_000),
        form=server_sent,
        opened=lambda _: None,
        cut=lambda: None,
        ended=lambda _: None,
    )


def told(key: bytes = b"k", new_to: Any = tuple(Answers), **fields: Any) -> Told:
    """Make an event."""
    value = msgspec.structs.replace(result(), **fields)
    return Told("result", Record(topic="t", key=key, value=b"{}"), value, new_to)


def test_followers_are_found_by_what_they_ask() -> None:
    """By an index where they name what they want, and each once."""
    audience = Audience()
    everything, other = follower(), follower(min_confidence=0.95)
    ticker = follower(tickers={"HBR", "QRY"})
    both, label = follower(tickers={"HBR"}, labels={"negative"}), follower(labels={"negative"})
    for one in (everything, other, ticker, both, label):
        audience.add(one)
    assert set(audience) == {everything, other, ticker, both, label}
    found = list(audience.of(told(tickers=("HBR", "QRY"))))
    assert len(found) == 2
    assert set(found) == {everything, ticker}
    negative = {"label": "negative", "scores": {"negative": 0.99}}
    assert set(audience.of(told(tickers=("HBR",), **negative))) == set(audience)
    assert set(audience.of(told(**negative))) == {everything, other, label}


def test_who_left_is_told_nothing() -> None:
    """Also the last of those who want the same; leaving twice is no fault."""
    audience = Audience()
    one, other = follower(tickers={"HBR"}), follower(tickers={"HBR"})
    for each in (one, other):
        audience.add(each)
    audience.discard(one)
    assert list(audience.of(told(tickers=("HBR",)))) == [other]
    audience.discard(other)
    audience.discard(other)
    assert list(audience.of(told(tickers=("HBR",)))) == []
    audience.add(one)
    assert list(audience.of(told(tickers=("HBR",)))) == [one]


def test_a_repetition_is_told_to_nobody_to_whom_it_is_one() -> None:
    """Second answers are new to those alone who ask for the best."""
    audience = Audience()
    first, best = follower(), follower(answers="best")
    audience.add(first)
    audience.add(best)
    assert list(audience.of(told(new_to=()))) == []
    assert list(audience.of(told(new_to=(Answers.BEST,)))) == [best]


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
    assert b'"token":"t:0=1"' in event.frame(message, "t:0=1")
