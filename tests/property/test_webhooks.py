"""Whatever endpoints answer and the group does: no offset is committed before its record's end."""

import asyncio
import operator
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.kafka import encode_result
from streams.delivery.prefix import CommittedPrefix
from streams.offsets import Ledger
from streams.webhooks.delivering import Deliveries, Times
from streams.webhooks.letters import Undelivered
from streams.webhooks.message import Message
from streams.webhooks.picking import Picked, Picker
from streams.webhooks.retrying import Answer
from streams.webhooks.service import BOUNDS, Prepared, consume_loop
from streams.webhooks.settings import Webhook
from tests.fakes.consumer import FakeConsumer, FakeLog, FakeOffsets, record
from tests.integration.published import result

TOPIC = "results.test"
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(2)]
KEYS = (b"a", b"b", None)
WEBHOOK = Webhook(
    name="desk",
    url="https://desk.example",
    topics=(TOPIC,),
    max_in_flight=3,
    max_attempts=3,
    backoff_ms=0.001,
    max_backoff_ms=0.001,
)


@dataclass
class Endpoint:
    """Answers when it is told to, in any order; keeps dead letters too.

    Attributes:
        ended: Places of records that were accepted, or kept as dead letters.
        begun: Places in the order of their first request.
    """

    open: list[tuple[Message, asyncio.Future[Answer]]] = field(default_factory=list)
    writing: list[tuple[Picked, asyncio.Future[None]]] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    accepted: list[int] = field(default_factory=list)

    async def post(self, message: Message) -> Answer:
        """Wait for an answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        entry = (message, future)
        self.open.append(entry)
        try:
            return await future
        finally:
            if entry in self.open:
                self.open.remove(entry)

    async def write(self, picked: Picked, why: Undelivered, message: str, attempts: int) -> None:
        """Wait for the acknowledgement."""
        del why, message, attempts
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (picked, future)
        self.writing.append(entry)
        try:
            await future
        finally:
            if entry in self.writing:
                self.writing.remove(entry)

    def answer(self, which: int, status: int) -> None:
        """Answer one of those that wait, or acknowledge a letter."""
        if status == 0:
            if self.writing:
                picked, done = self.writing[which % len(self.writing)]
                if not done.done():
                    self.ended.add(picked.value.source.offset)
                    done.set_result(None)
        elif self.open:
            message, future = self.open[which % len(self.open)]
            if not future.done():
                if status < 300:
                    place = int(message.id.split(":")[2])
                    self.ended.add(place)
                    self.accepted.append(place)
                future.set_result(Answer(status, str(status)))


class World:
    """A loop over a log in memory; every record's place is its number over all partitions."""

    def __init__(self) -> None:
        self.log = FakeLog(PARTITIONS)
        self.consumers: list[FakeConsumer] = []
        self.endpoint = Endpoint()
        self.failures: list[BaseException] = []
        self.places: dict[TopicPartition, list[int]] = {one: [] for one in PARTITIONS}
        self.keys: dict[int, bytes | None] = {}
        deliveries = Deliveries(
            WEBHOOK,
            self.endpoint,
            self.endpoint,
            times=Times(),
            draw=random.Random(1),  # noqa: S311 - of a test
            failed=self.failures.append,
        )
        ledger, offsets = Ledger(BOUNDS), FakeOffsets(self.log)
        self.loop = consume_loop(
            Prepared(WEBHOOK, Picker(WEBHOOK), None),  # type: ignore[arg-type]
            deliveries,
            ledger,
            CommittedPrefix(ledger, offsets, self.failures.append),  # type: ignore[arg-type]
            make_consumer=self._consumer,
            drain_s=0.002,
            commit_interval_s=0.0,
        )

    def _consumer(self) -> FakeConsumer:
        self.consumers.append(FakeConsumer(self.log))
        return self.consumers[-1]

    def append(self, partition: TopicPartition, key: bytes | None) -> None:
        """Add a result."""
        place = len(self.keys)
        self.keys[place] = key
        self.places[partition].append(place)
        sent = encode_result(result(place), key=b"k")
        held = self.log.records[partition]
        held.append(
            record(partition, len(held), sent.value, key=key, headers=tuple(sent.headers))  # type: ignore[arg-type]
        )

    @property
    def is_done(self) -> bool:
        """Whether all has ended and is committed."""
        offsets = {one: len(places) for one, places in self.places.items() if places}
        return self.endpoint.ended == set(self.keys) and self.log.committed == offsets

    def check(self) -> None:
        """All that lies below a committed offset has ended."""
        for partition, offset in self.log.committed.items():
            assert set(self.places[partition][:offset]) <= self.endpoint.ended
        assert not self.failures


async def turns(count: int = 12) -> None:
    """Let the member poll, deliver and commit."""
    for _ in range(count):
        await asyncio.sleep(0)


appends = st.tuples(st.just("append"), st.sampled_from(PARTITIONS), st.sampled_from(KEYS))
answers = st.tuples(
    st.just("answer"), st.integers(0, 5), st.sampled_from([0, 200, 200, 200, 422, 422, 500])
)
rebalances = st.tuples(
    st.just("rebalance"),
    st.sampled_from([PARTITIONS, PARTITIONS, PARTITIONS[:1], []]),
    st.sampled_from([None, 200, 422, 500]),
)
rebuilds = st.tuples(st.just("rebuild"), st.none(), st.none())
scripts = st.builds(
    operator.add,
    st.lists(appends, min_size=4, max_size=10),
    st.lists(st.one_of(answers, answers, answers, rebalances, appends, rebuilds), max_size=30),
)


async def play(script: list[tuple[str, Any, Any]]) -> None:
    """Run a script, and then let everything end well."""
    world = World()
    running = asyncio.create_task(world.loop.run())
    await turns()
    for name, first, second in script:
        if name == "append":
            world.append(first, second)
        elif name == "answer":
            world.endpoint.answer(first, second)
        elif name == "rebalance":
            rebalancing = asyncio.create_task(world.consumers[-1].rebalance(first))
            await turns()
            if second is not None:
                world.endpoint.answer(0, second)  # while requests under way may still end
            await rebalancing
        else:
            world.loop.rebuild()
        await turns()
        world.check()
    async with asyncio.timeout(20):
        while not world.is_done:
            await world.consumers[-1].rebalance(PARTITIONS)
            for _ in range(50):
                world.endpoint.answer(0, 200)
                world.endpoint.answer(0, 0)
                await turns()
                await asyncio.sleep(0.0001)
    world.loop.stop()
    async with asyncio.timeout(5):
        await running
    world.check()
    for key in KEYS[:2]:
        for partition in PARTITIONS:
            own = [one for one in world.places[partition] if world.keys[one] == key]
            first = [
                world.endpoint.accepted.index(one) for one in own if one in world.endpoint.accepted
            ]
            assert first == sorted(first)


@settings(max_examples=50, deadline=None)
@given(script=scripts)
def test_no_offset_is_committed_before_its_record_has_ended(
    script: list[tuple[str, Any, Any]],
) -> None:
    """In the end all are, each record ended at least once, those of a key in their order."""
    asyncio.run(play(script))


@pytest.mark.parametrize("marks", [0, 1])
async def test_marks_of_transactions_are_no_lag(marks: int) -> None:
    """Or a consumer that has read everything would be taken for one that stands still."""
    world = World()
    running = asyncio.create_task(world.loop.run())
    await turns()
    world.consumers[-1].marks = marks
    world.append(PARTITIONS[0], b"a")
    await turns()
    assert sum((await world.loop.lag()).values()) == 1 + marks
    world.endpoint.answer(0, 200)
    await turns()
    assert sum((await world.loop.lag()).values()) == 0
    world.loop.stop()
    await running
