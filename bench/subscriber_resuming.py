"""One subscriber that is cut again and again, and what it has then. Part of subscribers.py."""

import argparse
import asyncio
import contextlib
import json
import random
from collections import Counter

import aiohttp
import msgspec
from subscriber_parts import STARTED_S, TOKEN, fresh_topic, gateway, program, said

from streams.broker.ports import free_ports
from streams.connection import Connection
from streams.topics import describe_topics


class Resumed(msgspec.Struct, kw_only=True):
    """What one subscriber got over many connections."""

    sent: int
    sent_twice: int
    connections: int
    restarts: int
    lost: int
    doubled: int


class Subscriber:
    """A client that resumes, over HTTP, with the id of the last event that it has.

    Every other time it takes no compression.
    """

    def __init__(self, port: int, topic: str) -> None:
        self._address = f"http://127.0.0.1:{port}/v1/stream/{topic}"
        self._last_id: str | None = None
        self.taken: Counter[int] = Counter()
        self.connections = 0

    async def read(self, seconds: float) -> None:
        """Connect, and read for so long; whatever goes wrong, it comes back with what it has."""
        encoding = ("gzip", "identity")[self.connections % 2]
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": encoding}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(STARTED_S)) as session,
                session.get(self._address, headers=headers) as response,
            ):
                response.raise_for_status()
                self.connections += 1
                async with asyncio.timeout(seconds):
                    await self._take(response)

    async def _take(self, response: aiohttp.ClientResponse) -> None:
        waiting: list[int] = []
        last_id = ""
        # What came whole counts, what the cut leaves in the middle does not.
        async for line in response.content:
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name == b"id":
                last_id = value.decode()
            elif name == b"data":
                waiting.append(json.loads(value)["source"]["offset"])
            elif not name:  # only now is the event complete
                self.taken.update(waiting)
                self._last_id = last_id
                waiting.clear()


async def resume(servers: str, options: argparse.Namespace) -> Resumed:
    """Cut a subscriber again and again, and restart the gateway; then look what it has."""
    topic = await fresh_topic(servers)
    (port,) = free_ports(1)
    chance = random.Random(options.seed)  # noqa: S311 - moments, no secret
    subscriber = Subscriber(port, topic)
    turns, restarts = options.reconnects, 0
    seconds = 3.0 + turns * 0.8
    async with gateway(servers, port):
        await subscriber.read(1.0)
    publishing = await program(
        "subscriber_results.py",
        *("--bootstrap-servers", servers, "--topic", topic, "--rate", "300"),
        *("--seconds", str(seconds), "--repeated", "0.02", "--seed", str(options.seed)),
    )
    for _ in range(5):
        restarts += 1
        async with gateway(servers, port):
            for _ in range(turns // 5):
                await subscriber.read(chance.uniform(0.05, 1.2))
    sent = await said(publishing)
    await publishing.wait()
    async with gateway(servers, port):
        await subscriber.read(10.0)
    expected = int(sent["sent"])
    return Resumed(
        sent=expected,
        sent_twice=await _records(servers, topic) - expected,
        connections=subscriber.connections,
        restarts=restarts,
        lost=sum(number not in subscriber.taken for number in range(expected)),
        doubled=sum(count - 1 for count in subscriber.taken.values()),
    )


async def _records(servers: str, topic: str) -> int:
    (state,) = await describe_topics(Connection(servers), [topic])
    return state.messages
