"""A broker that dies under a worker: the worker waits, and can still be stopped."""

import time
from pathlib import Path

import orjson
import pytest

from streams.connection import Connection
from streams.topics import ensure_topics
from tests.conftest import BrokerFactory
from tests.integration.worker import producing, running_worker

pytestmark = [pytest.mark.real_kafka, pytest.mark.slow, pytest.mark.timeout(240)]

TOPICS = ("events.news", "results.news", "events.news.dlq")
DRAIN_MS = 1_000
PATIENCE_S = 30.0
"""The drain, a commit and two clients' stops, each with its bound, and a slow machine."""


async def test_a_worker_whose_broker_is_gone_can_be_stopped(
    kafka_factory: BrokerFactory, tmp_path: Path
) -> None:
    """SIGTERM ends it within bounds, with an error that says what was not acknowledged."""
    config = tmp_path / "headrace.toml"
    config.write_text(f"drain_ms = {DRAIN_MS}\n", "utf-8")
    async with kafka_factory() as broker:
        servers = broker.bootstrap_servers
        await ensure_topics(Connection(servers), TOPICS, partitions=2)
        async with running_worker(
            servers, tmp_path / "worker.log", "--on-overload", "late", "--config", str(config)
        ) as worker:
            async with producing(servers) as producer:
                for number in range(2_000):
                    value = orjson.dumps({"id": f"n-{number}", "headline": f"Dock {number} opens"})
                    await producer.send("events.news", value=value)
                await producer.flush()
            await broker.kill()
            started = time.monotonic()
            assert await worker.stop() == 1
            assert time.monotonic() - started < PATIENCE_S
            log = worker.log.read_text()
    assert "answered again" in log
    assert "Traceback" not in log
