"""A worker process whose events are followed: what a receiver gets, and when there is none."""

import asyncio
import socket
import uuid
from pathlib import Path

import orjson
import pytest
from aiokafka import ConsumerRecord

from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.fakes.otlp_receiver import Receiver, attributes_of, receiving
from tests.integration.worker import (
    LARGEST,
    PARTITIONS,
    TOPICS,
    RunningWorker,
    ends_of,
    header,
    producing,
    read_all,
    running_worker,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-01"
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


async def send(servers: str, run: str, traces: dict[str, str | None]) -> None:
    """Send a headline for each trace; it is the run's own, for the cache answers known ones."""
    async with producing(servers) as producer:
        for name, trace in traces.items():
            text = f"Ferry line {name} of {run} opens"
            value = orjson.dumps({"id": f"{run}-{name}", "headline": text})
            headers = [("traceparent", trace.encode())] if trace else []
            await producer.send_and_wait("events.news", value, headers=headers)


async def results_of(
    servers: str, run: str, marks: dict[int, int], count: int
) -> dict[str, ConsumerRecord]:
    """Wait for a run's results, by the names of its events; a new group answers older ones too."""
    found: dict[str, ConsumerRecord] = {}
    async with asyncio.timeout(60):
        while len(found) < count:
            await asyncio.sleep(0.2)
            records = await read_all(servers, "results.news", marks)
            named = {header(record, "ce_subject") or "": record for record in records}
            found = {
                name.removeprefix(f"{run}-"): one for name, one in named.items() if run in name
            }
    return found


@pytest.fixture
async def marks(broker: RunningBroker) -> dict[int, int]:
    """Where the results end before the test."""
    servers = broker.bootstrap_servers
    await ensure_topics(
        Connection(servers), TOPICS, partitions=PARTITIONS, max_message_bytes=LARGEST
    )
    return await ends_of(servers, "results.news", PARTITIONS)


async def test_a_receiver_gets_the_way_of_sampled_events_and_results_carry_it_on(
    broker: RunningBroker,
    marks: dict[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the producer's span to the result's record; the stop sends what waits."""
    run, servers = uuid.uuid4().hex[:8], broker.bootstrap_servers
    (tmp_path / "headers").write_text("X-Token: of-the-desk\n")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    async with receiving() as receiver:
        flags = flags_of(tmp_path, receiver, f'headers_file = "{tmp_path / "headers"}"')
        log = tmp_path / "worker.log"
        async with running_worker(servers, log, "--group", run, *flags) as worker:
            await send(servers, run, {"a": SAMPLED, "b": SAMPLED, "c": UNSAMPLED, "d": None})
            found = await results_of(servers, run, marks, 4)
            assert receiver.spans == [], "spans wait for a minute here"
            assert await worker.stop() == 0
    mine = spans_of(receiver, run)
    assert set(mine) == {"a", "b"}
    sends = {span.span_id.hex(): span for span in receiver.named("send results.news")}
    batches = {span.span_id: span for span in receiver.named("run news-sentiment")}
    for name, span in mine.items():
        assert span.trace_id.hex() == TRACE_ID
        assert span.parent_span_id.hex() == "b7ad6b7169203331"
        carried = header(found[name], "traceparent") or ""
        assert sends[carried.split("-")[2]].parent_span_id == span.span_id
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60e9
        (model,) = [
            one
            for one in receiver.named("model news-sentiment")
            if one.parent_span_id == span.span_id
        ]
        batch = batches[model.links[0].span_id]
        assert span.span_id in {link.span_id for link in batch.links}
    assert header(found["c"], "traceparent") == UNSAMPLED
    assert header(found["d"], "traceparent") is None
    assert receiver.resources[0]["service.name"] == "headrace"
    assert {one["x-token"] for one in receiver.headers} == {"of-the-desk"}


async def test_a_receiver_that_is_gone_neither_holds_events_up_nor_ends_the_worker(
    broker: RunningBroker, marks: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results come, the loss is counted, and the stop is a drained one."""
    run, servers = uuid.uuid4().hex[:8], broker.bootstrap_servers
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        flags = flags_of(tmp_path, Receiver(port=taken.getsockname()[1]))
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
        log = tmp_path / "worker.log"
        async with running_worker(servers, log, "--group", run, *flags) as worker:
            await send(servers, run, {"a": SAMPLED, "b": None})
            assert set(await results_of(servers, run, marks, 2)) == {"a", "b"}
            await until_failed(worker)
            assert await worker.status("/readyz") == 200
            assert await worker.stop() == 0
    assert "Failed to export" in log.read_text()


async def until_failed(worker: RunningWorker) -> None:
    """Wait until spans are counted as not taken."""
    async with asyncio.timeout(20):
        while not (await worker.metrics()).get('headrace_trace_spans_total{outcome="failed"}'):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


def flags_of(tmp_path: Path, receiver: Receiver, *more: str) -> tuple[str, ...]:
    """Have the worker send its traces, of events alone that come with one."""
    file = tmp_path / "headrace.toml"
    lines = ("[tracing]", f'endpoint = "{receiver.endpoint}"', "sample_ratio = 0", *more)
    file.write_text("\n".join(lines) + "\n")
    return ("--config", str(file), "--on-overload", "late")


def spans_of(receiver: Receiver, run: str) -> dict[str, object]:
    """Return the spans of a run's events, by the events' names."""
    named = {
        str(attributes_of(span.attributes).get("messaging.message.id")): span
        for span in receiver.named("process events.news")
    }
    return {name.removeprefix(f"{run}-"): one for name, one in named.items() if run in name}
