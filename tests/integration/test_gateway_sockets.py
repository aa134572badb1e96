"""Many subscriptions over one WebSocket: each resumable, with filters and errors of its own."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from schemas import encode_alert, encode_signal
from streams import metrics
from streams.broker import RunningBroker
from tests.conftest import TopicFactory
from tests.fakes.derived import alert, signal
from tests.integration.gateway import TOKEN, Served, gateway
from tests.integration.published import publish, result, send, shorten

pytestmark = pytest.mark.broker

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def talking(served: Served, **headers: str) -> AsyncIterator[Socket]:
    """Open a WebSocket."""
    told = headers or {"Authorization": f"Bearer {TOKEN}"}
    async with served.session.ws_connect(f"{served.url}/v1/ws", headers=told) as socket:
        yield socket


async def heard(socket: Socket, *names: str) -> dict[str, Any]:
    """Return the next message of one of these names."""
    async with asyncio.timeout(30):
        while True:
            said: dict[str, Any] = orjson.loads((await socket.receive()).data)
            if said["event"] in names:
                return said


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while True:
        if holds():
            return
        await asyncio.sleep(0.05)


async def subscribe(socket: Socket, name: str, topic: str, **fields: Any) -> dict[str, Any]:
    """Subscribe; return the answer."""
    await socket.send_json({"op": "subscribe", "id": name, "topic": topic, **fields})
    return await heard(socket, "subscribed", "error")


async def test_one_connection_carries_several_subscriptions(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Of different kinds; each event names its subscription, and what is over sends no more."""
    servers = broker.bootstrap_servers
    results, signals = await topic_factory(name="results"), await topic_factory(name="signals")
    alerts = await topic_factory(name="alerts")
    async with gateway(servers) as served, talking(served) as socket:
        asked = {"label": ["negative"], "min_confidence": 0.8}
        assert (await subscribe(socket, "r", results, filters=asked))["token"] == f"{results}:0=0"
        await subscribe(socket, "s", signals, filters={"ticker": "HBR"})
        await subscribe(socket, "a", alerts, start="beginning")
        bad = {"label": "negative", "scores": {"negative": 0.9}}
        await publish(servers, results, result(1), result(2, **bad))
        said = await heard(socket, "result")
        assert (said["id"], said["data"]["source"]["offset"]) == ("r", 2)
        assert said["token"] == f"{results}:0=2"
        await send(servers, signals, encode_signal(signal(id="x", ticker="QRY")))
        await send(servers, signals, encode_signal(signal()))
        said = await heard(socket, "signal")
        assert (said["id"], said["data"]["ticker"]) == ("s", "HBR")
        await send(servers, alerts, encode_alert(alert()))
        assert (await heard(socket, "alert"))["id"] == "a"
        await socket.send_json({"op": "unsubscribe", "id": "r"})
        assert (await heard(socket, "unsubscribed"))["id"] == "r"
        await publish(servers, results, result(3, **bad))
        await send(servers, alerts, encode_alert(alert(id="b")))
        assert (await heard(socket, "result", "alert"))["id"] == "a"
        await socket.send_json({"op": "ping"})
        assert await heard(socket, "pong") == {"event": "pong"}


async def test_twenty_connections_lose_and_double_nothing(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Each goes on after the last token, also at another gateway."""
    servers, topic = broker.bootstrap_servers, await topic_factory(3, name="results.test")
    await publish(servers, topic, *(result(number) for number in range(40)))
    taken: list[int] = []
    begins: dict[str, str] = {"start": "beginning"}
    for restart in range(4):
        async with gateway(servers) as served:
            for turn in range(5):
                number = restart * 5 + turn
                await publish(servers, topic, result(number), result(40 + number))
                async with talking(served) as socket:
                    await subscribe(socket, "a", topic, **begins)
                    for _ in range(3):
                        said = await heard(socket, "result")
                        taken.append(said["data"]["source"]["offset"])
                        begins = {"after": said["token"]}
    assert sorted(taken) == list(range(60))


@pytest.mark.real_kafka
async def test_who_resumes_is_told_what_retention_took(
    real_kafka: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Once, before what is left; over a stream and over a connection of several."""
    servers = real_kafka.bootstrap_servers
    topic = await topic_factory(1, name="results")
    await publish(servers, topic, *(result(number) for number in range(20)))
    await shorten(servers, topic, 15)
    async with gateway(servers) as served:
        async with talking(served) as socket:
            await subscribe(socket, "a", topic, after=f"{topic}:0=3")
            missed = await heard(socket, "missed", "result")
            assert missed == {"id": "a", "event": "missed", "offsets": 12}
            for number in range(15, 20):
                told = await heard(socket, "missed", "result")
                assert told["token"] == f"{topic}:0={number + 1}"
        async with served.stream(topic, last_id=f"{topic}:0=3") as response, asyncio.timeout(30):
            read = await response.content.readuntil(b"event: result")
            assert read.count(b'event: missed\ndata: {"offsets":12}\n\n') == 1
        async with served.stream(topic, last_id=f"{topic}:0=15") as response, asyncio.timeout(30):
            assert b"missed" not in await response.content.readuntil(b"event: result")


async def test_silence_moves_tokens_on(broker: RunningBroker, topic_factory: TopicFactory) -> None:
    """Over what was not asked for."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with gateway(servers, heartbeat_ms=100) as served, talking(served) as socket:
        await subscribe(socket, "a", topic, filters={"label": "negative"})
        await publish(servers, topic, result(1))
        while (await heard(socket, "position"))["token"] != f"{topic}:0=1":
            pass


async def test_mistakes_are_answered_and_end_nothing(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """By field, value and remedy, under the id that was given, if one can be read."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    subscribing = {"op": "subscribe", "id": "b", "topic": topic}
    async with gateway(servers, max_clients_per_token=3) as served, talking(served) as socket:
        await subscribe(socket, "a", topic)
        for said, name, told in (
            ("no json", None, "message: 'no json' is not JSON; send such as"),
            ([], None, "message: Expected `object`"),
            ({"op": "follow", "id": "b"}, "b", "op: Invalid value 'follow'"),
            ({"op": "subscribe", "id": "b"}, "b", "topic: Object missing required field"),
            ({"op": "subscribe", "id": "", "topic": topic}, "", "id: Expected `str` of length"),
            (subscribing | {"labels": []}, "b", "labels: Object contains unknown field"),
            (subscribing | {"id": "a"}, "a", "id: 'a' is a subscription already"),
            (subscribing | {"topic": "events.x"}, "b", "topic: 'events.x' cannot be followed"),
            (subscribing | {"topic": "results.none"}, "b", "'results.none' does not exist"),
            (subscribing | {"filters": {"tone": "x"}}, "b", "tone: is no parameter; there are"),
            (subscribing | {"filters": {"verdict": "soon"}}, "b", "verdicts: 'soon' is unknown"),
            (subscribing | {"filters": {"label": {}}}, "b", "filters[...]: Expected"),
            (subscribing | {"start": "noon"}, "b", "start: 'noon' is none"),
            (subscribing | {"after": "noon"}, "b", "after: 'noon' is no resume token"),
            (subscribing | {"after": "x:0=1"}, "b", "after: the token is of x"),
            (subscribing | {"after": f"{topic}:0=9"}, "b", "is beyond its end"),
            (subscribing | {"start": "end", "after": f"{topic}:0=0"}, "b", "goes without start"),
            ({"op": "unsubscribe", "id": "c"}, "c", "id: 'c' is no subscription; there are a"),
        ):
            await socket.send_str(said if isinstance(said, str) else orjson.dumps(said).decode())
            answer = await heard(socket, "error")
            assert answer.get("id") == name, answer
            assert told in answer["error"]
        assert (await subscribe(socket, "b", topic))["event"] == "subscribed"
        answer = await subscribe(socket, "c", topic)
        assert "max_clients_per_token: 3 streams are open" in answer["error"]
        await socket.send_json({"op": "unsubscribe", "id": "b"})
        await heard(socket, "unsubscribed")
        assert (await subscribe(socket, "c", topic))["event"] == "subscribed"
        await publish(servers, topic, result(1))
        assert {(await heard(socket, "result"))["id"] for _ in range(2)} == {"a", "c"}


async def test_subscriptions_that_come_all_at_once_are_counted_one_by_one(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """No more are let in than there are places, although none waited for an answer."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with gateway(servers, max_clients_per_token=4) as served, talking(served) as socket:
        asked = ({"op": "subscribe", "id": str(number), "topic": topic} for number in range(20))
        frames = b"".join(masked(orjson.dumps(one)) for one in asked)
        assert os.write(socket.get_extra_info("socket").fileno(), frames) == len(frames)
        answers = [(await heard(socket, "subscribed", "error"))["event"] for _ in range(20)]
    assert (answers.count("subscribed"), answers.count("error")) == (3, 17)


def masked(text: bytes) -> bytes:
    """Return a frame as a client sends it, with a mask that changes nothing."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


async def test_who_may_open_one(broker: RunningBroker) -> None:
    """Programs with a token, pages of the gateway's own origin with a session; nobody else."""
    async with gateway(broker.bootstrap_servers, max_clients_per_token=1) as served:
        address = f"{served.url}/v1/ws"
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with served.session.get(address, headers=bearer) as response:
            assert response.status == 426
        for headers, status in (
            ({}, 401),
            ({"Authorization": f"Bearer {TOKEN}x"}, 401),
            (bearer | {"Origin": "https://other.example"}, 403),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await served.session.ws_connect(address, headers=headers)
            assert refused.value.status == status
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            await browser.post(f"{served.url}/v1/session", headers=bearer)
            async with browser.ws_connect(address, headers={"Origin": served.url}) as socket:
                await socket.send_json({"op": "ping"})
                assert await heard(socket, "pong")
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await browser.ws_connect(address)
                assert refused.value.status == 429


async def test_a_slow_client_is_cut_with_all_its_subscriptions(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """By bytes as well as by events; it resumes with the tokens that it has."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    cut = metrics.GATEWAY_CUT.labels(topic)._value
    async with (
        gateway(servers, max_queued_events=1_000_000, max_queued_bytes=1_000_000) as served,
        talking(served) as slow,
    ):
        await subscribe(slow, "a", topic)
        padding = "x" * 20_000
        await publish(servers, topic, *(result(n, reason=padding) for n in range(1_000)))
        async with asyncio.timeout(30):
            await until(lambda: cut.get() == 1)
        texts = [said async for said in slow if said.type is aiohttp.WSMsgType.TEXT]
        assert 0 < len(texts) < 1_000


async def test_a_gateway_that_stops_says_so(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """The client comes back somewhere else."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    async with aiohttp.ClientSession() as session:
        async with gateway(servers) as served:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            socket = await session.ws_connect(f"{served.url}/v1/ws", headers=headers)
            await subscribe(socket, "a", topic)
            reading = asyncio.create_task(socket.receive())
        async with asyncio.timeout(10):
            said = await reading
        assert (said.type, said.data) == (aiohttp.WSMsgType.CLOSE, 1001)
