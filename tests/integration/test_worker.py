"""One worker process on a broker: what goes in comes out, once, and bad input harms only itself."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.kafka import decode_result
from schemas.results import Classification
from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    TOPICS,
    RunningWorker,
    ends_of,
    header,
    producing,
    running_worker,
    wait_for_records,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]


@pytest.fixture
async def marks(broker: RunningBroker) -> dict[str, dict[int, int]]:
    """Where each topic ends before the test writes anything."""
    servers = broker.bootstrap_servers
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    return {topic: await ends_of(servers, topic, PARTITIONS) for topic in TOPICS}


@pytest.fixture
async def worker(
    broker: RunningBroker, marks: dict[str, dict[int, int]], tmp_path: Path
) -> AsyncIterator[RunningWorker]:
    """A ready worker, alone in its group."""
    del marks
    group = f"test-{uuid.uuid4().hex[:8]}"
    async with running_worker(
        broker.bootstrap_servers, tmp_path / "worker.log", "--group", group, "--on-overload", "late"
    ) as running:
        yield running


async def send(servers: str, *records: dict[str, Any]) -> None:
    """Send records to the news topic and wait for their acknowledgements."""
    async with producing(servers) as producer:
        await asyncio.gather(*[await producer.send("events.news", **one) for one in records])


def headline(event_id: str, text: str = "Ferry line lifts its profit forecast") -> bytes:
    """A plain JSON event."""
    return orjson.dumps({"id": event_id, "headline": text})


async def results_for(
    broker: RunningBroker, marks: dict[str, dict[int, int]], ids: set[str]
) -> dict[str, list[Classification]]:
    """Wait for the results of ``ids``; others on the topic are not counted."""
    since, servers = marks["results.news"], broker.bootstrap_servers
    found: dict[str, list[Classification]] = {}
    for _ in range(60):
        found = {}
        for record in await wait_for_records(servers, "results.news", since, len(ids)):
            result = decode_result(record.value)
            if result.event_id in ids:
                found.setdefault(result.event_id, []).append(result)
        if set(found) == ids:
            break
        await asyncio.sleep(0.5)
    return found


async def test_every_event_gets_exactly_one_result_of_its_own(
    broker: RunningBroker, worker: RunningWorker, marks: dict[str, dict[int, int]]
) -> None:
    """Identity and source survive batching, and nothing is doubled or lost."""
    run = uuid.uuid4().hex[:6]
    ids = {f"{run}-{number}" for number in range(300)}
    await send(
        broker.bootstrap_servers,
        *({"value": headline(event_id), "key": event_id.encode()} for event_id in ids),
    )
    found = await results_for(broker, marks, ids)
    assert {event_id: len(results) for event_id, results in found.items()} == dict.fromkeys(ids, 1)
    sources = {(r[0].source.partition, r[0].source.offset) for r in found.values()}
    assert len(sources) == len(ids)
    one = found[f"{run}-0"][0]
    assert one.label == max(one.scores, key=one.scores.__getitem__)
    assert sum(one.scores.values()) == pytest.approx(1, abs=1e-3)
    assert 0 < one.effort.active_share <= 1
    assert one.model.digest.startswith("sha256:")
    # A new group begins with the oldest event: what other tests have sent was taken in too.
    taken = (await worker.metrics())['headrace_events_total{modality="news",topic="events.news"}']
    assert taken == sum(marks["events.news"].values()) + len(ids)


async def test_budget_key_and_trace_travel_with_the_event(
    broker: RunningBroker, worker: RunningWorker, marks: dict[str, dict[int, int]]
) -> None:
    """A CloudEvent in binary mode keeps its key and trace, and its own budget is the one judged."""
    del worker
    event_id = uuid.uuid4().hex
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": "desk",
        "ce_type": "headrace.news.v1",
        "ce_budgetms": "30000",
        "content-type": "application/json",
        "traceparent": trace,
    }
    await send(
        broker.bootstrap_servers,
        {
            "value": headline(event_id),
            "key": b"ticker-7",
            "headers": [(name, value.encode()) for name, value in headers.items()],
        },
    )
    found = await results_for(broker, marks, {event_id})
    assert found[event_id][0].latency.budget_ms == 30_000
    assert found[event_id][0].verdict == "on_time"
    records = await wait_for_records(
        broker.bootstrap_servers, "results.news", marks["results.news"], 1
    )
    mine = next(record for record in records if header(record, "ce_subject") == event_id)
    assert mine.key == b"ticker-7"
    assert header(mine, "traceparent") == trace


BAD = {
    "not JSON": {"value": b"<headline/>"},
    "wrong types": {"value": b'{"id": 7, "headline": ["a"]}'},
    "missing headline": {"value": b'{"id": "x"}'},
    "10 MB": {"value": b'{"id": "big", "headline": "' + b"a" * 10_000_000 + b'"}'},
    "tombstone": {"value": None, "key": b"gone"},
    "empty": {"value": b""},
    "invalid UTF-8": {"value": b'{"id": "x", "headline": "\xff\xfe"}'},
    "deep nesting": {"value": b'{"id":"x","headline":"y","z":' + b"[" * 500 + b"]" * 500 + b"}"},
    "NaN": {"value": b'{"id": "x", "headline": NaN}'},
    "unknown content type": {"value": b"a,b", "headers": [("content-type", b"text/csv")]},
    "huge headers": {"value": headline("h"), "headers": [("x", b"a" * 200_000)]},
    "year 9999": {"value": b'{"id": "x", "headline": "y", "published_at": "9999-12-31T00:00:00Z"}'},
    "year 1": {"value": b'{"id": "x", "headline": "y", "published_at": "0001-01-01T00:00:00Z"}'},
}


async def test_bad_input_becomes_dead_letters_and_the_stream_goes_on(
    broker: RunningBroker, worker: RunningWorker, marks: dict[str, dict[int, int]]
) -> None:
    """A bad record is a dead letter with a reason and its bytes; its neighbours are answered."""
    servers = broker.bootstrap_servers
    good = {f"good-{uuid.uuid4().hex[:6]}-{number}" for number in range(len(BAD))}
    records: list[dict[str, Any]] = []
    for event_id, bad in zip(sorted(good), BAD.values(), strict=True):
        records += [{"value": headline(event_id), "partition": 0}, {**bad, "partition": 0}]
    await send(servers, *records)
    found = await results_for(broker, marks, good)
    assert set(found) == good
    letters = await wait_for_records(servers, "events.news.dlq", marks["events.news.dlq"], len(BAD))
    assert sorted(letter.value or b"" for letter in letters) == sorted(
        bad["value"] or b"" for bad in BAD.values()
    )
    for letter in letters:
        assert header(letter, "headrace_error") in ("undecodable", "invalid", "oversized")
        assert header(letter, "headrace_message")
        assert header(letter, "headrace_source_topic") == "events.news"
    assert await worker.status("/healthz") == 200


async def test_duplicate_ids_are_two_events(
    broker: RunningBroker, worker: RunningWorker, marks: dict[str, dict[int, int]]
) -> None:
    """An id that comes twice is answered twice, from two offsets: nothing is swallowed."""
    del worker
    event_id = uuid.uuid4().hex
    await send(broker.bootstrap_servers, *[{"value": headline(event_id), "key": b"k"}] * 2)
    for _ in range(40):
        found = await results_for(broker, marks, {event_id})
        if len(found[event_id]) == 2:
            break
        await asyncio.sleep(0.25)
    assert len({result.source.offset for result in found[event_id]}) == 2


async def test_a_stop_drains_and_the_next_worker_goes_on(
    broker: RunningBroker, marks: dict[str, dict[int, int]], tmp_path: Path
) -> None:
    """SIGTERM under load ends with 0, and two workers in turn answer each event once."""
    servers, group = broker.bootstrap_servers, f"drain-{uuid.uuid4().hex[:8]}"
    run = uuid.uuid4().hex[:6]
    ids = {f"{run}-{number}" for number in range(1500)}
    await send(servers, *({"value": headline(event_id)} for event_id in sorted(ids)))
    for log in ("first", "second"):
        async with running_worker(
            servers, tmp_path / f"{log}.log", "--group", group, "--on-overload", "late"
        ) as running:
            if log == "second":
                await results_for(broker, marks, ids)
            assert await running.stop() == 0
    found = await results_for(broker, marks, ids)
    mine = {event_id: len(results) for event_id, results in found.items()}
    assert mine == dict.fromkeys(ids, 1)
