"""One step of a measurement: a load at a rate against a running candidate."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from candidates import HEADRACE_OUTPUT, INPUT, NAIVE_OUTPUT
from reader import VERDICTS
from usage import Usage, listening, tree

APPEND_TIME = "message.timestamp.type"
PARTITIONS = 8
MIN_DRAIN_S = 15.0
SLIP_LIMIT_MS = 25.0
"""A load that leaves later than this measures itself."""
DISTURBED_CORES = 0.15
"""Cores used by anything else from which on a failed step proves nothing."""

_HERE = Path(__file__).parent


class Step(msgspec.Struct, kw_only=True):
    """What one load at one rate showed; times in milliseconds, after the warm-up.

    ``latency`` runs from the input's Kafka timestamp to the result's, ``receipt`` to its arrival
    at a subscriber.
    """

    rate: float
    offered: int
    answered: int
    duplicates: int
    verdicts: dict[str, int]
    latency_ms: dict[str, float]
    receipt_ms: dict[str, float]
    slip_p99_ms: float
    cores: dict[str, float]
    cpu_ms_per_event: dict[str, float]
    answers_per_s: float
    passed: bool = False
    why: str = ""


@dataclass(frozen=True)
class Loaded:
    """What went in and what came out.

    Attributes:
        sent: The load's own report.
        due_ms: Kafka timestamp of each event.
        rows: A row per result; see ``reader.Reader.collect``.
        cores: Used, by role.
    """

    sent: dict[str, Any]
    due_ms: Any
    rows: Any
    cores: dict[str, float]


@dataclass
class Peer:
    """A process of ours that takes orders on standard input and answers in lines of JSON."""

    process: asyncio.subprocess.Process

    async def order(self, **fields: Any) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        assert self.process.stdin  # noqa: S101 - made with a pipe
        self.process.stdin.write(json.dumps(fields).encode() + b"\n")
        await self.process.stdin.drain()
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Wait for a line.

        Raises:
            RuntimeError: The process ended.
        """
        assert self.process.stdout  # noqa: S101 - made with a pipe
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark ended; see its error above")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Harness:
    """Load and reader at work on one broker."""

    def __init__(self, load: Peer, reader: Peer, broker: list[psutil.Process], where: Path) -> None:
        self._load = load
        self._reader = reader
        self._broker = broker
        self._where = where
        self._steps = 0
        self._run = f"{os.getpid():x}"

    async def step(
        self,
        workers: list[psutil.Process],
        *,
        rate: float,
        seconds: float,
        warmup_s: float,
        limit_ms: float,
    ) -> Step:
        """Load the candidate and wait until all is answered.

        Args:
            workers: The candidate's processes.
            rate: Events per second.
            seconds: How long to measure, after the warm-up.
            warmup_s: Sent at the same rate, answered, not counted.
            limit_ms: The 99th percentile that is still a pass.
        """
        loaded = await self.load(workers, rate=rate, seconds=seconds + warmup_s)
        sent = loaded.sent
        step = _evaluate(rate, loaded.due_ms, loaded.rows, warmup_s * 1e3)
        step.slip_p99_ms = sent["slip_p99_ms"]
        step.cores = loaded.cores
        events_per_s = sent["sent"] / sent["seconds"]
        step.cpu_ms_per_event = {
            role: used / events_per_s * 1e3 for role, used in step.cores.items()
        }
        step.why = _shortcoming(step, limit_ms)
        step.passed = not step.why
        return step

    async def load(
        self,
        workers: list[psutil.Process],
        *,
        rate: float,
        seconds: float,
        arrivals: str = "poisson",
        settle_s: float = 0.0,
    ) -> Loaded:
        """Send events and wait until all are answered.

        Args:
            workers: The candidate's processes.
            rate: Events per second.
            seconds: How long to send.
            arrivals: See ``load.Load.run``.
            settle_s: How long to go on reading once all are answered.
        """
        self._steps += 1
        prefix = f"{self._run}-{self._steps}"
        usage = Usage(
            {
                "worker": workers,
                "broker": self._broker,
                "load": tree(self._load.process.pid),
                "reader": tree(self._reader.process.pid),
            }
        )
        usage.start()
        sent_to, read_to = self._where / "sent.npy", self._where / "read.npy"
        sent = await self._load.order(
            prefix=prefix,
            rate=rate,
            seconds=seconds,
            seed=self._steps,
            arrivals=arrivals,
            out=str(sent_to),
        )
        cores = usage.cores()
        drain_s = max(MIN_DRAIN_S, 3 * seconds)
        await self._reader.order(
            prefix=prefix,
            expect=sent["sent"],
            timeout_s=drain_s,
            settle_s=settle_s,
            out=str(read_to),
        )
        return Loaded(sent, np.load(sent_to), np.load(read_to), cores)


def _evaluate(rate: float, due_ms: Any, rows: Any, warmup_ms: float) -> Step:
    """Join the results with the events that they answer."""
    numbers = rows[:, 0].astype(np.int64)
    _, first = np.unique(numbers, return_index=True)
    counted = rows[first]
    counted = counted[due_ms[counted[:, 0].astype(np.int64)] >= due_ms[0] + warmup_ms]
    due = due_ms[counted[:, 0].astype(np.int64)]
    verdicts = np.bincount(counted[:, 3].astype(np.int64), minlength=len(VERDICTS))
    spread = float(rows[:, 1].max() - rows[:, 1].min()) if len(rows) > 1 else 0.0
    return Step(
        rate=rate,
        offered=len(due_ms),
        answered=len(first),
        duplicates=len(rows) - len(first),
        verdicts={name: int(n) for name, n in zip(VERDICTS, verdicts, strict=True) if n},
        latency_ms=_percentiles(counted[:, 1] - due),
        receipt_ms=_percentiles(counted[:, 2] - due),
        slip_p99_ms=0.0,
        cores={},
        cpu_ms_per_event={},
        answers_per_s=len(rows) / spread * 1e3 if spread else 0.0,
    )


def _percentiles(values: Any) -> dict[str, float]:
    if not len(values):
        return {"p50": float("inf"), "p95": float("inf"), "p99": float("inf"), "max": float("inf")}
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(values.max())}


def _shortcoming(step: Step, limit_ms: float) -> str:
    """Say why a step does not count as passed, or nothing."""
    if step.answered < step.offered:
        return f"{step.offered - step.answered} of {step.offered} events never answered"
    if step.slip_p99_ms > SLIP_LIMIT_MS:
        return f"the load itself ran late: p99 {step.slip_p99_ms:.0f} ms"
    if step.latency_ms["p99"] > limit_ms:
        return f"p99 {step.latency_ms['p99']:.0f} ms"
    return ""


@contextlib.asynccontextmanager
async def harness(
    bootstrap_servers: str,
    log: Path | None,
    *,
    append_time: bool = False,
    committed: bool = False,
    partitions: int = PARTITIONS,
) -> AsyncIterator[Harness]:
    """Make the topics, start load and reader, and stop them on leaving.

    Args:
        bootstrap_servers: The broker.
        log: Headlines to send.
        append_time: Results get the time at which the broker appends them.
        committed: The reader is one of committed records only.
        partitions: Of topics that are not there yet.
    """
    configs = {APPEND_TIME: "LogAppendTime"} if append_time else {}
    await _make_topics(bootstrap_servers, configs, partitions)
    at = f"--bootstrap-servers={bootstrap_servers}"
    outputs = [f"--topic={topic}" for topic in (HEADRACE_OUTPUT, NAIVE_OUTPUT)]
    async with contextlib.AsyncExitStack() as stack:
        where = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        logs = [f"--log={log}"] if log else []
        load = await stack.enter_async_context(_peer("load.py", at, "--serve", *logs))
        demands = ["--append-time"] if append_time else []
        demands += ["--committed"] if committed else []
        reader = await stack.enter_async_context(_peer("reader.py", at, *outputs, *demands))
        yield Harness(load, reader, listening(bootstrap_servers), where)


@contextlib.asynccontextmanager
async def _peer(script: str, *arguments: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_HERE / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    peer = Peer(process)
    try:
        await peer.answer()
        yield peer
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _make_topics(bootstrap_servers: str, of_results: dict[str, str], partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        existing = await admin.list_topics()
        wanted = [
            NewTopic(
                name=name, num_partitions=partitions, replication_factor=1, topic_configs=configs
            )
            for name, configs in (
                (INPUT, {}),
                (HEADRACE_OUTPUT, of_results),
                (NAIVE_OUTPUT, of_results),
            )
            if name not in existing
        ]
        if wanted:
            await admin.create_topics(wanted)
    finally:
        await admin.close()
