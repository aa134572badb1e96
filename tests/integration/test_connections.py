"""Whom a worker and webhooks talk to: whom they were given, and nobody else."""

import asyncio
import os
import struct
import uuid
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from streams.broker import RunningBroker
from streams.connection import Connection
from streams.topics import ensure_topics
from tests.conftest import TopicFactory
from tests.fakes.receiver import Reply, receiving
from tests.integration.command import finish, start
from tests.integration.published import publish, result
from tests.integration.worker import LARGEST, RunningWorker, producing, running_worker
from tests.unit.lane.pictures import picture

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]
SITE = Path(__file__).parent / "connections"
ROOT = Path(__file__).parents[2]
LOOPBACK = {"127.0.0.1", "::1"}
LISTENING = "0A"


def sockets_of(pid: int) -> list[tuple[str, str, str]]:
    """Return local and remote address and state of a process's TCP sockets, as the kernel has it.

    What libraries open without Python's knowledge is among them.
    """
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            if rest[5] in inodes:
                found.append((address(local), address(remote), state))
    return found


def address(text: str) -> str:
    """Read the kernel's form of a host, words in the machine's order."""
    words = [text.partition(":")[0][i : i + 8] for i in range(0, len(text.partition(":")[0]), 8)]
    raw = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    if len(raw) == 4:
        return ".".join(map(str, raw))
    mapped = raw[:12] == bytes(10) + b"\xff\xff"
    return ".".join(map(str, raw[12:])) if mapped else ("::1" if raw[-1] == 1 else raw.hex())


async def test_a_worker_connects_to_its_brokers_alone_and_listens_on_loopback(
    broker: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts and images, so with torch and transformers loaded, from the start to the end."""
    servers, notes = broker.bootstrap_servers, tmp_path / "notes"
    names = ("events.news", "events.camera")
    topics = [*names, *(f"results.{name[7:]}" for name in names), *(f"{one}.dlq" for one in names)]
    await ensure_topics(Connection(servers), topics, partitions=4, max_message_bytes=LARGEST)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SITE), str(ROOT)]))
    monkeypatch.setenv("NOTE_CONNECTIONS_IN", str(notes))
    # What would make libraries ask somebody, if the worker left it at that.
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    group = f"test-{uuid.uuid4().hex[:8]}"
    flags = ("--modality", "news", "--modality", "camera", "--group", group)
    async with running_worker(servers, tmp_path / "log", *flags) as worker:
        async with producing(servers) as producer:
            await send(producer)
        await until_answered(worker, 2)
        sockets = sockets_of(worker.process.pid)
        assert await worker.stop() == 0
    host, _, port = servers.rpartition(":")
    noted = {tuple(line.split(" ", 1)) for line in notes.read_text().splitlines()}
    assert noted, "the hook was not there"
    assert {target for _, target in noted} <= {f"{host} {port}", f"127.0.0.1 {port}"}
    assert {remote for _, remote, state in sockets if state != LISTENING} <= LOOPBACK
    listening = {local for local, _, state in sockets if state == LISTENING}
    assert listening == {"127.0.0.1"}


async def test_webhooks_connect_to_their_brokers_and_endpoints_alone(
    broker: RunningBroker, topic_factory: TopicFactory, tmp_path: Path
) -> None:
    """Whatever proxies the environment names, and wherever an endpoint redirects to."""
    servers, topic = broker.bootstrap_servers, await topic_factory(name="results.test")
    await publish(servers, topic, result(0), result(1))
    notes, config = tmp_path / "notes", tmp_path / "headrace.toml"
    async with receiving() as receiver:
        receiver.replies.append(Reply(307, {"Location": "http://127.0.0.1:9/elsewhere"}))
        config.write_text(
            f'bootstrap_servers = "{servers}"\n[[webhooks]]\nname = "test-{uuid.uuid4().hex[:8]}"\n'
            f'url = "{receiver.url}"\ntopics = ["{topic}"]\nstart = "beginning"\nbackoff_ms = 10\n'
        )
        paths = os.pathsep.join([str(SITE), str(ROOT)])
        proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        process = await start(
            *("webhooks", "--config", str(config)),
            PYTHONPATH=paths,
            NOTE_CONNECTIONS_IN=str(notes),
            **proxies,
        )
        try:
            await receiver.until(lambda: len(receiver.accepted) == 2, timeout_s=60)
            remotes = {remote for _, remote, state in sockets_of(process.pid) if state != LISTENING}
        finally:
            process.terminate()
            await finish(process)
    host, _, port = servers.rpartition(":")
    allowed = {f"{host} {port}", f"127.0.0.1 {port}", f"127.0.0.1 {receiver.port}"}
    noted = {line.split(" ", 1)[1] for line in notes.read_text().splitlines()}
    assert f"127.0.0.1 {receiver.port}" in noted
    assert noted <= allowed
    assert remotes <= LOOPBACK


async def send(producer: AIOKafkaProducer) -> None:
    """Send a headline and a picture."""
    value = orjson.dumps({"id": "n", "headline": "Harbour operator raises its forecast"})
    await producer.send_and_wait("events.news", value)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "c",
        "ce_source": "gate",
        "ce_type": "headrace.camera.v1",
        "ce_cameraid": "gate",
        "content-type": "image/jpeg",
    }
    await producer.send_and_wait(
        "events.camera",
        picture(),
        headers=[(name, text.encode()) for name, text in headers.items()],
    )


async def until_answered(worker: RunningWorker, least: int) -> None:
    """Wait until so many events have an end."""
    async with asyncio.timeout(60):
        while True:
            metrics = await worker.metrics()
            ended = ("headrace_results_total", "headrace_dead_letters_total")
            if sum(value for name, value in metrics.items() if name.startswith(ended)) >= least:
                return
            await asyncio.sleep(0.2)
