"""Whoever comes, leaves or is told where it stands: each reads what it was to be sent."""

import asyncio
import zlib
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Record, Source
from streams.gateway.audience import Audience
from streams.gateway.compression import GZIP_HEADER
from streams.gateway.follower import Follower
from streams.gateway.outbox import Outbox
from streams.gateway.told import Told
from streams.gateway.wires import ServerSent
from streams.subscription import Answers, Seen, WantedResults
from tests.fakes.results import result

WIRE = ServerSent(is_chunked=False, is_compressed=True)
CLIENT = st.integers(min_value=0, max_value=9)
SIZES = st.sampled_from([1, 110_000])  # large ones make compressing worth while
STEPS = st.one_of(
    st.tuples(st.just("join"), st.booleans()),
    st.tuples(st.sampled_from(["leave", "position", "read"]), CLIENT),
    st.tuples(st.just("tell"), SIZES),
    st.tuples(st.just("send"), st.none()),
)


def told(number: int, size: int = 0) -> Told:
    """Make an event."""
    source = Source(topic="events.news", partition=0, offset=number)
    value = msgspec.structs.replace(result(), source=source, reason="x" * size)
    return Told("result", Record(topic="t", value=b"{}"), value, tuple(Answers))


class Client:
    """Reads a compressed stream whenever it is its turn."""

    def __init__(self) -> None:
        self.follower = Follower(
            choosing=WantedResults(),
            outbox=Outbox(1_000, 1_000_000_000, WIRE.packed),
            wire=WIRE,
            opened=lambda _: None,
            missed=lambda _: None,
            cut=lambda: None,
            ended=lambda _: None,
            sent=lambda _: None,
        )
        self.expected: list[int] = []
        self._gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._text = self._gzip.decompress(GZIP_HEADER)

    def remember(self, event: Told) -> None:
        """Be told something before joining."""
        self.follower.seen = seen = Seen()
        self.follower.choosing.is_new(event.value, seen)

    def tell_position(self) -> None:
        """Send where it stands, as after a silence."""
        if self.follower.outbox.is_idle:
            self.follower.outbox.put(f": heartbeat\nid: {self.follower.token}\n\n".encode())

    async def read(self) -> None:
        """Read what waits."""
        while not self.follower.outbox.is_idle:
            self._text += self._gzip.decompress(await self.follower.outbox.take())

    def check(self) -> None:
        """All that was expected came once, and no id was ahead of what had come before it."""
        came: list[int] = []
        for one in self._text.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in one.split("\n"))
            stands = int(fields["id"])
            if "data" in fields:
                came.append(stands - 1)
            assert came == [number for number in self.expected if number < stands]
        assert came == self.expected


class Played:
    """A topic with clients, of whom some have left."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.here: list[Client] = []
        self.next = 0
        self.audience = Audience(lambda: str(self.next), lambda _: None)

    async def step(self, name: str, given: Any) -> None:
        """Do one thing."""
        if name == "join":
            self.join(remembers=given)
        elif name == "tell":
            self.tell(given)
        elif name == "send":
            self.audience.send()
        elif given < len(self.here):
            await self.of(name, self.here[given])

    def join(self, *, remembers: bool) -> None:
        """Let a client in; it may have been told what comes next."""
        client = Client()
        if remembers:
            client.remember(told(self.next))
        self.audience.add(client.follower)
        self.clients.append(client)
        self.here.append(client)

    def tell(self, size: int) -> None:
        """Tell all who are here."""
        event = told(self.next, size)
        for client in self.here:
            if not client.follower.knows_any([event]):
                client.expected.append(self.next)
        self.next += 1
        self.audience.tell(event)

    async def of(self, name: str, client: Client) -> None:
        """Do something with one who is here."""
        if name == "read":
            await client.read()
        elif name == "position":
            client.tell_position()
        else:
            self.audience.send()
            self.audience.discard(client.follower)
            self.here.remove(client)


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_each_reads_what_it_was_to_be_sent(steps: list[tuple[str, Any]]) -> None:
    """In order, each once, whatever the others were sent."""

    async def play() -> None:
        played = Played()
        for name, given_ in [("join", False), *steps, ("send", None)]:
            await played.step(name, given_)
        for client in played.clients:
            await client.read()
            client.check()

    asyncio.run(play())
