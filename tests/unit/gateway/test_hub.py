"""One reader tells all clients, and each gets what follows the place where it stands."""

import asyncio
import itertools
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from schemas import Record, Source, encode_result
from streams import metrics
from streams.connection import Connection
from streams.gateway import hub as hub_module
from streams.gateway.follower import Follower
from streams.gateway.hub import Hub, Room
from streams.gateway.outbox import Outbox
from streams.gateway.wires import ServerSent
from streams.subscription import WantedResults, subscribed_kind
from tests.fakes.read_topic import ReadTopic
from tests.fakes.results import result

TOPIC = "results.test"
ID = re.compile(rb"^id: results.test:0=(\d+)$", re.MULTILINE)
PARTITION = TopicPartition(TOPIC, 0)


def records(first: int, last: int, repeated: int | None = None) -> list[Record]:
    """Return the results of events at offsets, one of them of an event that was there."""
    found = []
    for offset in range(first, last):
        event = repeated if repeated is not None and offset == last - 1 else offset
        source = Source(topic="events.news", partition=0, offset=event)
        sent = encode_result(msgspec.structs.replace(result(), source=source), key=None)
        found.append(Record(topic=TOPIC, offset=offset, value=sent.value))
    return found


def made(failed: Callable[[], None], topic: str = TOPIC, **options: Any) -> Hub:
    """Make a hub, of whatever takes the place of a subscription."""
    given = {"most_a_turn": Room(25, 1_000_000), "failed": failed} | options
    return Hub(Connection("localhost:1"), topic, subscribed_kind(topic), **given)


class Reader:
    """A client that reads whenever it is its turn."""

    def __init__(self, most: int) -> None:
        self.written = b""
        self.cuts = 0
        self.endings: list[str] = []
        self.follower = Follower(
            choosing=WantedResults(),
            outbox=Outbox(most, 100_000_000),
            wire=ServerSent(is_chunked=False),
            opened=lambda _: None,
            missed=lambda _: None,
            cut=self._cut,
            ended=self._end,
            sent=lambda _: None,
        )

    async def read(self) -> None:
        """Read until there is no more."""
        with suppress(ConnectionResetError):
            while True:
                self.written += await self.follower.outbox.take()

    @property
    def ids(self) -> list[int]:
        """The offsets to resume at that its events came with."""
        return [int(found) for found in ID.findall(self.written)]

    def _cut(self) -> None:
        self.cuts += 1

    def _end(self, why: str) -> None:
        self.endings.append(why)


async def told(
    monkeypatch: pytest.MonkeyPatch, topic: ReadTopic, reader: Reader, at: int | None = None
) -> Hub:
    """Run a hub to the end of its topic with a reader that joins at an offset."""
    monkeypatch.setattr(hub_module, "Subscription", topic)
    ended = asyncio.Event()
    hub = made(ended.set)
    await hub.start()
    hub.join(reader.follower, hub.end if at is None else {PARTITION: at})
    reading = asyncio.create_task(reader.read())
    await asyncio.wait_for(ended.wait(), 30)
    await asyncio.sleep(0)
    reader.follower.outbox.end()
    await reading
    await hub.stop()
    return hub


async def test_a_burst_is_no_reason_to_cut_whoever_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as much as may wait is there at once; what waits is written in between."""
    reader = Reader(most=100)
    await told(monkeypatch, ReadTopic(records(0, 1_000)), reader)
    assert reader.cuts == 0
    assert reader.ids == list(range(1, 1_001))


async def test_who_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """And told nothing more."""
    slow, quick = Reader(most=100), Reader(most=100)
    monkeypatch.setattr(hub_module, "Subscription", ReadTopic(records(0, 1_000)))
    ended = asyncio.Event()
    hub = made(ended.set)
    await hub.start()
    for reader in (slow, quick):
        hub.join(reader.follower, hub.end)
    reading = asyncio.create_task(quick.read())
    await asyncio.wait_for(ended.wait(), 30)
    await asyncio.sleep(0)
    quick.follower.outbox.end()
    await reading
    assert (slow.cuts, quick.cuts, len(quick.ids)) == (1, 0, 1_000)
    assert slow.follower.outbox.is_idle
    await hub.stop()


async def test_who_wants_what_is_new_is_not_told_what_the_hub_reads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hub begins before the topic's end, to know repetitions: those are told to nobody."""
    reader = Reader(most=100)
    topic = ReadTopic(records(50, 71, repeated=51), begins=50, end=60)
    await told(monkeypatch, topic, reader)
    assert reader.ids == list(range(61, 71))
    assert reader.follower.token == f"{TOPIC}:0=71"


async def test_who_resumes_is_told_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its place on, each once."""
    first, back = Reader(most=100), Reader(most=100)
    topic = ReadTopic(records(0, 40))
    hub = await told(monkeypatch, topic, first)
    hub.join(back.follower, {PARTITION: 33})
    assert len(ID.findall(await back.follower.outbox.take())) == 7
    assert back.follower.token == f"{TOPIC}:0=40"


@pytest.mark.parametrize(
    ("offset", "room", "covers"),
    [
        (40, Room(10, 1_000_000), True),
        (31, Room(10, 1_000_000), True),
        (29, Room(10, 1_000_000), False),
        (31, Room(10, 1_000), False),
        (9, Room(100, 1_000_000), False),
    ],
)
async def test_who_is_too_far_behind_reads_for_itself(
    monkeypatch: pytest.MonkeyPatch, offset: int, room: Room, covers: bool
) -> None:
    """By events, by bytes, or because that is not kept."""
    monkeypatch.setattr(hub_module, "Subscription", ReadTopic(records(10, 40), begins=10, end=40))
    hub = made(lambda: None, most_a_turn=Room(1_000, 1_000_000))
    await hub.start()
    await asyncio.sleep(0)
    hub._has_ended = False
    assert hub.covers({PARTITION: offset}, room) is covers
    assert not hub.covers({PARTITION: offset}, room, back=31)
    assert hub.is_beyond({PARTITION: 41})
    await hub.stop()


async def test_sending_takes_a_quarter_of_the_time_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes sooner than three times as long as it took waits, and goes with what follows."""
    took_s = 0.01
    clock = itertools.count(0, took_s)
    monkeypatch.setattr(hub_module.time, "thread_time", lambda: next(clock))
    monkeypatch.setattr(hub_module, "Subscription", ReadTopic([]))
    hub, reader = made(lambda: None), Reader(most=100)
    await hub.start()
    hub.join(reader.follower, hub.end)
    loop, took = asyncio.get_running_loop(), []
    for events in ([0], [1, 2]):
        began = loop.time()
        for (record,) in (records(one, one + 1) for one in events):
            hub._take(record, WantedResults().decode(record))
        taken = await reader.follower.outbox.take()
        took.append(loop.time() - began)
        assert len(ID.findall(taken)) == len(events)
    assert took[1] >= 3 * took_s * 0.9
    await hub.stop()


async def test_followers_are_told_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    reader = Reader(most=100)
    await told(monkeypatch, ReadTopic(records(0, 1)), reader)
    assert len(reader.endings) == 1
    assert "resume with the last token" in reader.endings[0]


async def test_how_far_behind_it_is_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what came while it read; what it read again was late for nobody."""
    topic = "results.delayed"
    read = [msgspec.structs.replace(one, timestamp_ms=1_000_000) for one in records(50, 71)]
    monkeypatch.setattr(hub_module, "Subscription", ReadTopic(read, begins=50, end=60))
    ended = asyncio.Event()
    hub = made(ended.set, topic, wall=lambda: 1_000.2)
    await hub.start()
    await asyncio.wait_for(ended.wait(), 30)
    await hub.stop()
    delay = metrics.GATEWAY_DELAY.labels(topic)
    (sample,) = (one for one in delay.collect()[0].samples if one.name.endswith("_sum"))
    assert sample.value == pytest.approx(11 * 0.2)
