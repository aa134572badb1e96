"""Streams over real HTTP: nothing lost, nothing doubled, whoever restarts; slow clients are cut."""

import asyncio
import os
import random
import re
import sys
import zlib
from typing import Any

import aiohttp
import orjson
import pytest

from schemas import AlertState, encode_alert, encode_signal
from streams import metrics
from streams.broker import RunningBroker
from streams.gateway.settings import TOKENS_VARIABLE
from tests.conftest import TopicFactory
from tests.fakes.derived import alert, signal
from tests.integration.gateway import TOKEN, Served, events, gateway, take
from tests.integration.published import publish, result, send

pytestmark = pytest.mark.broker


async def names(response: aiohttp.ClientResponse, count: int, field: str) -> list[tuple[str, Any]]:
    """Return the names of the next events, with a field of each."""
    found: list[tuple[str, Any]] = []
    assert response.status == 200, await response.text()
    name = ""
    while len(found) < count:
        part, _, value = (await response.content.readline()).decode().rstrip("\n").partition(": ")
        name = value if part == "event" else name
        if part == "data":
            found.append((name, orjson.loads(value)[field]))
    return found


async def test_fifty_reconnections_lose_and_double_nothing(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Also when another gateway answers, which knows nothing of the first, and over repetitions."""
    servers, topic = broker.bootstrap_servers, await topic_factory(3, name="results.test")
    taken: list[int] = []
    last_id: str | None = None
    await publish(servers, topic, *(result(number) for number in range(100)))
    for restart, limit in enumerate((10, 2_000, 10, 2_000, 10)):
        async with gateway(servers, max_queued_events=limit) as served:
            for turn in range(10):
                number = restart * 10 + turn
                await publish(servers, topic, result(number), result(100 + number))
                async with served.stream(topic, last_id, start="beginning") as response:
                    more, last_id = await take(response, 3)
                taken += more
    assert sorted(taken) == list(range(150))


async def test_all_clients_share_one_live_tail_with_filters_of_their_own(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Each gets what it asked for; the first id comes at once, before any event."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with (
        gateway(servers) as served,
        served.stream(topic) as every,
        served.stream(topic, label="negative", min_confidence="0.8") as some,
    ):
        for response in (every, some):
            _, offset = await anext(events(response))
            assert offset is None
        bad = {"label": "negative", "scores": {"negative": 0.9}}
        await publish(servers, topic, result(1), result(2, **bad), result(2, **bad), result(3))
        assert (await take(every, 3))[0] == [1, 2, 3]
        assert (await take(some, 1))[0] == [2]


async def test_signals_and_alerts_are_streamed_by_what_is_asked(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Under event names and with parameters of their own."""
    servers = broker.bootstrap_servers
    signals, alerts = await topic_factory(name="signals"), await topic_factory(name="alerts")
    await send(servers, signals, encode_signal(signal(id="a", ticker="QRY")))
    await send(servers, signals, *(encode_signal(signal(revision=one)) for one in (0, 1)))
    states = [AlertState.RAISED, AlertState.CLEARED]
    await send(servers, alerts, *(encode_alert(alert(state=one)) for one in states))
    async with gateway(servers) as served:
        query = {"ticker": "HBR", "direction": "negative", "min_strength": "0.5"}
        async with served.stream(signals, start="beginning", **query) as response:
            assert await names(response, 2, "revision") == [("signal", 0), ("signal", 1)]
        query = {"scope": "camera", "state": "cleared"}
        async with served.stream(alerts, start="beginning", **query) as response:
            assert await names(response, 1, "state") == [("alert", "cleared")]
        async with served.stream(alerts, label="negative") as response:
            assert response.status == 400
            told = "label: is no parameter; there are rule, scope, start, state, subject"
            assert told in await response.text()


async def test_a_client_that_was_sent_no_event_resumes_where_it_began(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """What came while it was away is not lost."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with gateway(servers) as served, served.stream(topic) as response:
        first_id, _ = await anext(events(response))
    await publish(servers, topic, result(1))
    async with gateway(servers) as served, served.stream(topic, first_id) as response:
        assert (await take(response, 1))[0] == [1]


async def test_silence_is_filled_with_heartbeats(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Their ids move on over what the client did not ask for."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with (
        gateway(servers, heartbeat_ms=50) as served,
        served.stream(topic, label="negative") as response,
    ):
        await publish(servers, topic, result(1))
        async for event_id, offset in events(response):
            assert offset is None
            if event_id == f"{topic}:0=1":
                break


async def test_a_slow_client_is_cut_and_the_others_are_not(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """It gets the rest when it comes back with the last id that it has."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    count, padding = 6_000, "x" * 4_000
    cut = metrics.GATEWAY_CUT.labels(topic)._value
    async with (
        gateway(servers, max_queued_events=500) as served,
        aiohttp.ClientSession(headers={"Accept-Encoding": "identity"}) as session,
    ):
        async with (
            Served(served.url, session).stream(topic) as slow,
            served.stream(topic) as quick,
        ):
            reading = asyncio.create_task(take(quick, count))
            await publish(
                servers, topic, *(result(number, reason=padding) for number in range(count))
            )
            assert (await reading)[0] == list(range(count))
            taken, last_id = [], ""
            try:
                async for event_id, offset in events(slow):
                    last_id = event_id
                    taken += [] if offset is None else [offset]
            except aiohttp.ClientError:
                pass
            assert cut.get() == 1
            assert len(taken) < count
        async with served.stream(topic, last_id) as again:
            taken += (await take(again, count - len(taken)))[0]
    assert taken == list(range(count))


class Compressed:
    """A client that reads a compressed stream by the byte, and resumes.

    Attributes:
        offsets: Of the events that came whole.
        last_id: Of the last of them, or of a heartbeat.
    """

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.last_id: str | None = None
        self.read_bytes = 0
        self.text_bytes = 0

    async def read(self, response: aiohttp.ClientResponse, most_bytes: int, events: int) -> None:
        """Read so many bytes, or events in all, and forget what came in part."""
        assert response.headers["Content-Encoding"] == "gzip"
        gzip, rest = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS), b""
        while most_bytes and len(self.offsets) < events:
            part = await response.content.read(most_bytes)
            most_bytes -= len(part)
            text = gzip.decompress(part)
            self.read_bytes, self.text_bytes = (
                self.read_bytes + len(part),
                self.text_bytes + len(text),
            )
            *whole, rest = (rest + text).split(b"\n\n")
            for one in whole:
                fields = dict(line.split(b": ", 1) for line in one.split(b"\n"))
                self.last_id = fields[b"id"].decode()
                if data := fields.get(b"data"):
                    self.offsets.append(orjson.loads(data)["source"]["offset"])


async def test_a_compressed_stream_that_is_cut_anywhere_resumes(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Also within an event; who reads on is not disturbed by those who come, nor by heartbeats."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    chance, turns, each = random.Random(1), 10, 80  # noqa: S311 - moments, no secret
    cut = Compressed()
    async with (
        gateway(servers, heartbeat_ms=20) as served,
        aiohttp.ClientSession(auto_decompress=False) as session,
        aiohttp.ClientSession() as patient,
        Served(served.url, patient).stream(topic) as steady,
    ):
        raw = Served(served.url, session)
        reading = asyncio.create_task(take(steady, turns * each))
        for turn in range(turns):
            published = (turn + 1) * each
            await publish(
                servers, topic, *(result(number) for number in range(turn * each, published))
            )
            async with raw.stream(topic, cut.last_id, start="beginning") as response:
                await cut.read(response, chance.randrange(1, 12_000), published)
        async with raw.stream(topic, cut.last_id) as response:
            await cut.read(response, 1_000_000_000, turns * each)
        assert (await reading)[0] == list(range(turns * each))
    assert cut.offsets == list(range(turns * each))
    assert cut.read_bytes < cut.text_bytes / 2


async def test_compression_is_for_those_who_take_it(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Where the settings allow it; proxies are told that it depends."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    await publish(servers, topic, result(1))
    for compress, accepted, encoding in (
        (True, "gzip, deflate", "gzip"),
        (True, "identity", None),
        (False, "gzip", None),
    ):
        async with (
            aiohttp.ClientSession(headers={"Accept-Encoding": accepted}) as session,
            gateway(servers, compress=compress) as served,
            Served(served.url, session).stream(topic, start="beginning") as response,
        ):
            assert response.headers.get("Content-Encoding") == encoding
            assert response.headers["Vary"] == "Accept-Encoding"
            assert (await take(response, 1))[0] == [1]


async def test_a_client_of_http_1_0_gets_no_chunks(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """As proxies ask that are not told otherwise."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    await publish(servers, topic, result(1))
    async with gateway(servers) as served:
        port = int(served.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = f"/v1/stream/{topic}?start=beginning"
        writer.write(f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        assert b"chunked" not in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readuntil(b"\n\n") == f": heartbeat\nid: {topic}:0=0\n\n".encode()
        assert (await reader.readuntil(b"\n\n")).startswith(b"event: result\n")
        writer.close()


async def test_strangers_and_mistakes_are_told_what_to_do(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """By status and by a message that names field, value and remedy."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with gateway(servers, max_clients_per_token=1) as served:
        for header in ({}, {"Authorization": f"Bearer {TOKEN}0"}, {"Authorization": TOKEN}):
            for path in (f"/v1/stream/{topic}", "/metrics"):
                async with served.session.get(served.url + path, headers=header) as response:
                    assert response.status == 401
        async with served.session.get(f"{served.url}/healthz") as response:
            assert response.status == 200
        for name, query, status, told in (
            ("events.news", {}, 404, "topic: 'events.news' cannot be followed"),
            ("results.none", {}, 400, "'results.none' does not exist"),
            (
                topic,
                {"labels": "x"},
                400,
                "labels: is no parameter; there are answers, camera, key",
            ),
            (topic, {"verdict": "soon"}, 400, "verdicts: 'soon' is unknown"),
            (topic, {"min_confidence": "high"}, 400, "min_confidence: 'high' is no number"),
            (topic, {"start": "noon"}, 400, "start: 'noon' is none"),
            (topic, {"start": "other:0=1"}, 400, "the token is of other"),
            (topic, {"start": f"{topic}:0=9"}, 400, "beyond its end"),
        ):
            async with served.stream(name, **query) as response:
                assert (response.status, told in await response.text()) == (status, True), query
        async with served.stream(topic), served.stream(topic) as second:
            assert second.status == 429
            assert second.headers["Retry-After"] == "1"
            assert "max_clients_per_token: 1" in await second.text()
        async with asyncio.timeout(10):  # a client that left makes room
            while True:
                async with served.stream(topic) as response:
                    if response.status == 200:
                        break
                await asyncio.sleep(0.05)


async def test_the_command_serves_and_stops(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """A process of its own; SIGTERM ends it in order although a stream is open."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    await publish(servers, topic, result(1))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "gateway", "--port", "0"),
        *("--bootstrap-servers", servers),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1", TOKENS_VARIABLE: TOKEN},
    )
    try:
        assert process.stderr
        line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        async with aiohttp.ClientSession() as session:
            served = Served(found[0], session)
            async with served.stream(topic, start="beginning") as response:
                assert (await take(response, 1))[0] == [1]
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
