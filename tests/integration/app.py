"""A real ``headrace app`` process, the results that it reads, and what it should make of them."""

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import msgspec
from aiokafka import ConsumerRecord
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas import Classification, Outbound, Source, encode_result
from streams.apps.keyed import KeyedApp
from streams.clients import open_admin
from streams.connection import Connection
from tests.conftest import topics_of
from tests.fakes.results import MOMENT, result
from tests.integration.worker import producing, read_all

READY_S = 60.0
SESSION_MS = 6_000
"""Kafka's least."""
PARTITIONS = 4


@dataclass
class AppProcess:
    """An app's process.

    Attributes:
        port: Of its /metrics, /healthz and /readyz.
        log: Where its standard error goes.
    """

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def until_ready(self) -> None:
        """Wait until partitions are assigned and the table is restored."""
        async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
            while True:
                assert self.process.returncode is None, self.log.read_text()
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)

    async def counted(self, outcome: str) -> float:
        """Return how many records of an outcome it has counted."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            lines = (await response.text()).splitlines()
        wanted = f'outcome="{outcome}"}}'
        found = [line for line in lines if "headrace_app_records_total{" in line and wanted in line]
        return float(found[0].rsplit(" ", 1)[1]) if found else 0.0

    async def end(self, number: int) -> int:
        """Send a signal and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)


@dataclass
class AppRun:
    """Topics of one app, and the processes that were started for it."""

    servers: str
    folder: Path
    name: str
    inputs: str
    output: str
    prefix: str
    processes: list[AppProcess] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    """Of the environment of all of them."""

    async def start(self, *, script: str | None = None, **variables: str) -> AppProcess:
        """Start one more member of the group, by a script if one is given."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
        table = f"HEADRACE_APPS__{self.name.upper()}__"
        settings = {
            "HEADRACE_BOOTSTRAP_SERVERS": self.servers,
            "HEADRACE_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "HEADRACE_PARTITIONS": str(PARTITIONS),
            "HEADRACE_METRICS_PORT": str(port),
            "HEADRACE_APPS__PREFIX": self.prefix,
            f"{table}INPUTS": self.inputs,
            f"{table}OUTPUT": self.output,
        }
        log = self.folder / f"app-{len(self.processes)}.log"
        command = ("-m", "streams.cli", "app", self.name) if script is None else ("-c", script)
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *command),
                stderr=errors,
                env=kept | settings | self.variables | variables,
            )
        self.processes.append(AppProcess(process, port, log))
        return self.processes[-1]

    def logs(self) -> str:
        """Return what all processes have said."""
        return "\n".join(f"--- {one.log.name}\n{one.log.read_text()}" for one in self.processes)

    async def derived(self) -> list[ConsumerRecord]:
        """Read all that was derived so far."""
        return await read_all(self.servers, self.output, dict.fromkeys(range(PARTITIONS), 0))


@asynccontextmanager
async def app_run(servers: str, folder: Path, name: str, **of_output: str) -> AsyncIterator[AppRun]:
    """Create an app's input and output topic; kill what is left of it afterwards.

    Args:
        servers: The broker.
        folder: Takes the logs.
        name: Of the app.
        of_output: Settings of the output topic, with underscores for dots.
    """
    async with topics_of(servers) as create:
        inputs = await create(PARTITIONS, name="results")
        output = await create(PARTITIONS, name="derived", **of_output)
        run = AppRun(servers, folder, name, inputs, output, inputs.replace("results", "app"))
        try:
            yield run
        finally:
            for one in run.processes:
                if one.process.returncode is None:
                    one.process.send_signal(signal.SIGCONT)
                    one.process.kill()
                    await one.process.wait()


async def allow(servers: str, topic: str, **configs: str) -> None:
    """Change settings of a topic, named with underscores for dots."""
    wanted = {name.replace("_", "."): value for name, value in configs.items()}
    async with open_admin(Connection(servers)) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])


def headlines(count: int, seed: int) -> list[tuple[bytes, Classification]]:
    """Make results, each with its key; those of one ticker have the same, so they stay in order."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    made = []
    for number in range(count):
        ticker = f"T{chance.randrange(24):02d}"
        positive = round(chance.random(), 3)
        one = msgspec.structs.replace(
            result(),
            source=Source(topic="events.news", partition=0, offset=number),
            event_time=MOMENT + timedelta(seconds=number),
            tickers=(ticker, f"{ticker}.X"),
            scores={"positive": positive, "negative": round(1 - positive, 3)},
        )
        made.append((ticker.encode(), one))
    return made


async def publish(
    servers: str, topic: str, results: Iterable[tuple[bytes, Classification]], *, per_s: float
) -> None:
    """Publish results at a steady pace."""
    async with producing(servers) as producer:
        start = time.monotonic()
        for number, (key, one) in enumerate(results):
            sent = encode_result(one, key=key)
            await producer.send(topic, sent.value, key=sent.key, headers=sent.headers)
            await asyncio.sleep(max(0.0, start + number / per_s - time.monotonic()))
        await producer.flush()


def replayed(app: KeyedApp, results: Iterable[Classification]) -> dict[str, Outbound]:
    """Return what the pure functions derive, the latest by CloudEvents id."""
    states: dict[str, bytes] = {}
    found: dict[str, Outbound] = {}
    for one in results:
        for key, part in app.spread(one):
            step = app.step(key, states.get(key), part)
            if step is not None:
                states[key] = step.state
                found.update((name_of(each.headers), each) for each in step.derived)
    return found


def latest(records: Iterable[ConsumerRecord]) -> dict[str, ConsumerRecord]:
    """Return the latest record by CloudEvents id; those of one key are in one partition."""
    return {name_of(one.headers): one for one in records}


def name_of(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Return a record's CloudEvents id."""
    values: Mapping[str, bytes | None] = dict(headers)
    return (values["ce_id"] or b"").decode()
