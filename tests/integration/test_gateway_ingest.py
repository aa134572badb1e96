"""Events sent over HTTP reach their topic once the answer says so, and as a producer sends them."""

import asyncio
import io
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka import ConsumerRecord

from schemas import Modality, decode_event
from streams import metrics
from streams.broker import RunningBroker
from streams.clients import open_consumer
from streams.connection import Connection
from streams.consumed import to_record
from streams.gateway.ingest.settings import IngestSettings
from streams.gateway.server import Gateway, serve
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens
from tests.conftest import BrokerFactory, TopicFactory, topics_of
from tests.integration.gateway import Served, gateway, take
from tests.integration.published import publish, result

pytestmark = pytest.mark.broker

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def news(number: int, **fields: Any) -> dict[str, Any]:
    """Return an event as JSON has it."""
    return {"id": f"n-{number}", "headline": f"Harbour {number}"} | fields


def taking(*topics: str, **settings: Any) -> IngestSettings:
    """Return settings that let events in."""
    return IngestSettings(topics=topics, **settings)


async def records(servers: str, topic: str, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    """Read a topic from its beginning."""
    found: list[ConsumerRecord[bytes, bytes]] = []
    async with open_consumer(Connection(servers)) as consumer, asyncio.timeout(30):
        consumer.subscribe([topic])
        while len(found) < count:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += batch
    return found


async def answered(sending: Any) -> tuple[int, Any]:
    """Return status and document."""
    async with sending as response:
        return response.status, await response.json()


async def test_an_event_is_where_the_answer_says(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """With its attributes, key and trace; whatever the mode it came in."""
    servers, topic = broker.bootstrap_servers, await topic_factory(3, name="events.test")
    ingested = metrics.GATEWAY_INGESTED.labels(topic)._value
    envelope = {"specversion": "1.0", "id": "n-3", "source": "/x", "type": "headrace.news.v1"}
    envelope |= {"partitionkey": "HBR", "data": {"headline": "x"}}
    binary = {"ce_id": "n-2", "ce_budgetms": "80", "ce_specversion": "1.0", "traceparent": TRACE}
    async with gateway(servers, ingest=taking(topic)) as served:
        answers = [
            await answered(served.send(f"{topic}?key=HBR", news(1))),
            await answered(served.send(f"{topic}?key=HBR", {"headline": "x"}, **binary)),
            await answered(served.send(topic, envelope, "application/cloudevents+json")),
        ]
    found = await records(servers, topic, 3)
    assert [status for status, _ in answers] == [202] * 3
    assert len({one.partition for one in found}) == 1
    assert {one.key for one in found} == {b"HBR"}
    assert [document for _, document in answers] == [
        {"id": f"n-{number}", "topic": topic, "partition": one.partition, "offset": one.offset}
        for number, one in enumerate(found, 1)
    ]
    inbound = [decode_event(to_record(one), Modality.NEWS, now_ms=one.timestamp) for one in found]
    assert [one.event.id for one in inbound] == ["n-1", "n-2", "n-3"]
    assert (inbound[1].budget_ms, inbound[1].traceparent) == (80, TRACE)
    assert ingested.get() == 3


async def test_many_events_are_accepted_together_or_not_at_all(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """A bad one among them is named, and what the others say is not half sent."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="events.test")
    async with gateway(servers, ingest=taking(topic, max_batch_events=500)) as served:
        bad = [news(0), {"id": "x"}, news(1, headline=3)]
        status, document = await answered(served.send(f"{topic}:batch", bad))
        assert status == 400
        assert document["error"].startswith("2 of 3 events are not accepted, and none was sent")
        assert [(one["index"], one["field"]) for one in document["errors"]] == [
            (1, "headline"),
            (2, "headline"),
        ]
        many = [news(number) for number in range(500)]
        status, document = await answered(served.send(f"{topic}:batch", many))
        assert status == 202
        found = await records(servers, topic, 500)
        assert [one["offset"] for one in document["events"]] == [one.offset for one in found]
        assert [one["id"] for one in document["events"]] == [f"n-{n}" for n in range(500)]
        structured = {"specversion": "1.0", "id": "s", "source": "/x", "type": "headrace.news.v1"}
        batch = [structured | {"data": {"headline": "x"}}]
        kind = "application/cloudevents-batch+json"
        status, document = await answered(served.send(topic, batch, kind))
        assert (status, document["events"][0]["id"]) == (202, "s")
    assert len(await records(servers, topic, 501)) == 501


async def test_what_is_not_accepted_is_told_by_status_and_field(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """And nothing of it reaches the topic."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="events.test")
    absent = "events.absent"
    async with gateway(servers, ingest=taking(topic, absent, max_batch_bytes=1_048_576)) as served:
        for path, body, kind, status, told in (
            (topic, {"id": "x"}, "application/json", 400, "headline: "),
            (topic, b"{", "application/json", 400, "is not JSON"),
            (topic, news(1), "text/plain", 415, "content-type: 'text/plain' is not accepted"),
            (topic, news(1, body="x" * 200_001), "application/json", 413, "body: "),
            (topic, b"x" * 2_097_153, "application/json", 413, "value: 2,097,153 bytes or more"),
            (f"{topic}:batch", b"x" * 1_048_577, "application/json", 413, "send at most 1,048,576"),
            (f"{topic}:batch", [news(n) for n in range(1_001)], "application/json", 413, "1,001"),
            (f"{topic}?key={'x' * 1_025}", news(1), "application/json", 413, "key: has 1,025"),
            ("events.other", news(1), "application/json", 404, "takes no events over HTTP"),
            (absent, news(1), "application/json", 503, "does not exist"),
        ):
            answer = await answered(served.send(path, body, kind))
            assert (answer[0], told in answer[1]["error"]) == (status, True), answer
        assert (await answered(served.send(topic, news(7))))[1]["offset"] == 0


async def test_what_is_larger_than_its_topic_takes_is_refused_and_holds_up_nothing(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """It must not be sent again, unlike what the brokers are late with; others go on."""
    servers = broker.bootstrap_servers
    topic = await topic_factory(name="events.test", max_message_bytes="20000")
    large = news(1, body="".join(f"{number:x}" for number in range(20_000)))
    async with gateway(servers, ingest=taking(topic)) as served:
        for offset in (0, 1):
            status, document = await answered(served.send(topic, large))
            assert status == 413
            assert "max.message.bytes" in document["error"]
            status, document = await answered(served.send(topic, news(2)))
            assert (status, document["offset"]) == (202, offset)
        status, document = await answered(served.send(f"{topic}:batch", [news(3), large, news(4)]))
        assert status == 413
        assert document["error"].startswith(
            f"1 of 3 events are not acknowledged: value: is larger than topic {topic} takes"
        )
        assert [one.get("offset") for one in document["events"]] == [2, None, 3]


async def test_a_gateway_that_stops_answers_what_it_was_sent(
    broker: RunningBroker, topic_factory: TopicFactory
) -> None:
    """Events that are on their way when it is told to stop arrive, and their sender hears of it."""
    topic = await topic_factory(name="events.test")
    served = Gateway(
        Connection(broker.bootstrap_servers),
        GatewaySettings(ingest=taking(topic)),
        Tokens(()),
        senders=Tokens(()),
        modalities={topic: Modality.NEWS},
    )
    runner, port = await serve(served, "127.0.0.1", 0)
    arrived = metrics.GATEWAY_INGESTED.labels(topic)._value
    many = [news(number, body="x" * 2_000) for number in range(1_000)]
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        url = f"http://127.0.0.1:{port}/v1/events/{topic}:batch"
        body, headers = io.BytesIO(orjson.dumps(many)), {"Content-Type": "application/json"}
        sending = asyncio.create_task(answered(session.post(url, data=body, headers=headers)))
        while not arrived.get():  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.001)
        await runner.cleanup()
        status, document = await sending
    assert (status, len(document["events"])) == (202, 1_000)
    assert len(await records(broker.bootstrap_servers, topic, 1_000)) == 1_000


@pytest.mark.slow
@pytest.mark.real_kafka
async def test_a_broker_that_dies_loses_no_event_and_no_stream(
    kafka_factory: BrokerFactory,
) -> None:
    """Senders are told to come again, and how much waits is bounded; streams go on afterwards."""
    async with kafka_factory() as broker:
        servers = broker.bootstrap_servers
        async with topics_of(servers) as create:
            topic = await create(name="events.test")
            results = await create(name="results.test")
            await _through_a_restart(broker, servers, topic, results)


async def _through_a_restart(broker: RunningBroker, servers: str, topic: str, results: str) -> None:
    settings = taking(topic, timeout_ms=800, max_unacknowledged_events=3)
    async with gateway(servers, ingest=settings) as served, served.stream(results) as response:
        assert response.status == 200
        await publish(servers, results, result(1))
        assert (await answered(served.send(topic, news(1))))[0] == 202
        await broker.kill()
        statuses = []
        for number in range(2, 7):
            async with served.send(topic, news(number)) as refused:
                statuses.append(refused.status)
                assert refused.headers["Retry-After"] == "1"
        assert statuses == [503, 503, 503, 429, 429]
        await broker.restart()
        await until_taken(served, topic, 7)
        await publish(servers, results, result(2), result(3))
        assert (await take(response, 3))[0] == [1, 2, 3]
    found = await records(servers, topic, 2)
    decoded = [decode_event(to_record(one), Modality.NEWS, now_ms=one.timestamp) for one in found]
    assert {one.event.id for one in decoded} >= {"n-1", "n-7"}


async def until_taken(served: Served, topic: str, number: int) -> None:
    """Send an event as often as it takes."""
    async with asyncio.timeout(60):
        while True:
            if (await answered(served.send(topic, news(number))))[0] == 202:
                return
            await asyncio.sleep(0.2)
