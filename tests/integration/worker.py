"""A real ``headrace run`` process, and reading what it published."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

READY_S = 90.0
# All tests share the run's broker: whichever comes first makes the topics as all expect them.
TOPICS = ("events.news", "results.news", "events.news.dlq")
PARTITIONS = 4
LARGEST = 16_000_000


@dataclass
class RunningWorker:
    """A worker process that was ready.

    Attributes:
        port: Of its /metrics, /healthz and /readyz.
        log: Where its standard error goes.
    """

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def metrics(self) -> dict[str, float]:
        """Read the metrics, by name and labels as they are exposed."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in ("#", ""))
        return {name: float(value) for name, value in lines}

    async def status(self, path: str) -> int:
        """Return the HTTP status of an endpoint."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def running_worker(
    bootstrap_servers: str, log: Path, *flags: str, ready: bool = True
) -> AsyncIterator[RunningWorker]:
    """Start a worker, wait until it is ready, and end it if the test has not.

    It serves headlines alone unless the flags name modalities.
    """
    if "--modality" not in flags:
        flags = ("--modality", "news", *flags)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streams.cli",
        "run",
        "--bootstrap-servers",
        bootstrap_servers,
        "--metrics-port",
        str(port),
        *flags,
    ]
    environment = {key: value for key, value in os.environ.items() if "HEADRACE" not in key}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(*command, stderr=output, env=environment)
    worker = RunningWorker(process, port, log)
    try:
        if ready:
            await until_ready(worker)
        yield worker
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_ready(worker: RunningWorker) -> None:
    """Wait for /readyz; a worker that died shows its log."""
    give_up = time.monotonic() + READY_S
    while time.monotonic() < give_up:
        if worker.process.returncode is not None:
            break
        with contextlib.suppress(aiohttp.ClientError):
            if await worker.status("/readyz") == 200:
                return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the worker did not become ready:\n{worker.log.read_text()[-3000:]}")


@asynccontextmanager
async def producing(
    bootstrap_servers: str, *, max_request_size: int = 20_000_000
) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of events."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, max_request_size=max_request_size
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def read_all(
    bootstrap_servers: str, topic: str, since: dict[int, int]
) -> list[ConsumerRecord]:
    """Read what a topic holds now, from the offsets in ``since`` on."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in since]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, since[partition.partition])
        records: list[ConsumerRecord] = []
        left = {one: end for one, end in ends.items() if since[one.partition] < end}
        while left:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(batch)
            left = {one: end for one, end in left.items() if await consumer.position(one) < end}
        return records
    finally:
        await consumer.stop()


async def ends_of(bootstrap_servers: str, topic: str, partitions: int) -> dict[int, int]:
    """Return the end offset of each partition, where a later read should begin."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(
            [TopicPartition(topic, number) for number in range(partitions)]
        )
        return {partition.partition: end for partition, end in ends.items()}
    finally:
        await consumer.stop()


async def wait_for_records(
    bootstrap_servers: str, topic: str, since: dict[int, int], count: int, *, timeout_s: float = 60
) -> list[ConsumerRecord]:
    """Read until ``count`` records are there; return what is there when time is over."""
    give_up = time.monotonic() + timeout_s
    while True:
        records = await read_all(bootstrap_servers, topic, since)
        if len(records) >= count or time.monotonic() > give_up:
            return records
        await asyncio.sleep(0.3)


def header(record: ConsumerRecord, name: str) -> str | None:
    """Return a header as text."""
    values: Sequence[str] = [
        value.decode() for key, value in record.headers if key == name and value is not None
    ]
    return values[0] if values else None
