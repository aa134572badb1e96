"""The workers that are compared, and how each is started and stopped."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from usage import tree

INPUT = "events.news"
HEADRACE_OUTPUT = "results.news"
NAIVE_OUTPUT = "results.naive"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
SETTLE_S = 1.0

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Candidate:
    """One way to serve the input topic.

    Attributes:
        label: For the table.
        members: Kafka clients that it brings to its consumer group.
        command: Makes the command line from the broker's address and the group.
    """

    name: str
    label: str
    members: int
    command: Callable[[str, str], list[str]]


def _headrace(
    workers: int, policy: str = "late", model: str | None = None, *, once: bool = False
) -> Candidate:
    def command(bootstrap_servers: str, group: str) -> list[str]:
        return [
            str(Path(sys.executable).with_name("headrace")),
            "run",
            "--modality=news",
            f"--bootstrap-servers={bootstrap_servers}",
            f"--group={group}",
            f"--workers={workers}",
            f"--on-overload={policy}",
            "--log-level=warning",
            *([f"--model={model}"] if model else []),
            *(["--delivery=exactly_once"] if once else []),
        ]

    label = f"headrace, {workers} worker{'s' if workers > 1 else ''}"
    if policy != "late":
        label += f", {policy}"
    name = f"headrace-{workers}" + ("" if policy == "late" else f"-{policy}")
    if once:
        label, name = f"{label}, exactly once", f"{name}-once"
    return Candidate(name, label, workers, command)


def _naive(mode: str, threads: int | None = None) -> Candidate:
    def command(bootstrap_servers: str, group: str) -> list[str]:
        return [
            sys.executable,
            "-W",
            "ignore",
            str(_HERE / "naive_faust.py"),
            f"--bootstrap-servers={bootstrap_servers}",
            f"--group={group}",
            f"--mode={mode}",
            *([f"--threads={threads}"] if threads else []),
        ]

    label = "naive Faust, one by one" if mode == "one" else "naive Faust, take(32, 20 ms)"
    if threads:
        label += f", {threads} thread{'s' if threads > 1 else ''}"
    return Candidate(f"naive-{mode}" + (f"-{threads}t" if threads else ""), label, 1, command)


def known(model: str | None = None) -> dict[str, Candidate]:
    """Return every candidate by name; ``model`` is headrace's checkpoint if not its default."""
    candidates = (
        _naive("one"),
        _naive("one", 1),
        _naive("take"),
        _naive("take", 1),
        _headrace(1, model=model),
        _headrace(2, model=model),
        _headrace(1, "degrade", model),
        _headrace(1, "shed", model),
        _headrace(2, "degrade", model),
        _headrace(1, model=model, once=True),
        _headrace(2, model=model, once=True),
    )
    return {candidate.name: candidate for candidate in candidates}


@contextlib.asynccontextmanager
async def running(
    candidate: Candidate, bootstrap_servers: str, group: str, log: Path
) -> AsyncIterator[list[psutil.Process]]:
    """Start a candidate at the end of the input topic; stop it on leaving.

    Yields:
        Its processes, once all members have joined the group.

    Raises:
        RuntimeError: It ended, or did not join in time; the message has the end of its log.
    """
    await _commit_end(bootstrap_servers, group)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *candidate.command(bootstrap_servers, group),
            # Texts that come again would be answered without the model.
            env=os.environ | {"HEADRACE_CACHE__ENABLED": "false"},
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await _joined(candidate, process, bootstrap_servers, group, log)
        await asyncio.sleep(SETTLE_S)
        yield tree(process.pid)
    finally:
        await _stop(process)


async def _commit_end(bootstrap_servers: str, group: str) -> None:
    """Commit the topic's end for the group, so that it begins with what is sent from now on."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        await consumer._client._wait_on_metadata(INPUT)  # noqa: SLF001 - assigned, not subscribed
        numbers = consumer.partitions_for_topic(INPUT) or set()
        partitions = [TopicPartition(INPUT, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))
    finally:
        await consumer.stop()


async def _joined(
    candidate: Candidate,
    process: asyncio.subprocess.Process,
    bootstrap_servers: str,
    group: str,
    log: Path,
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        give_up = time.monotonic() + START_TIMEOUT_S
        while process.returncode is None and time.monotonic() < give_up:
            responses = await admin.describe_consumer_groups([group])
            _, _, state, _, _, members, *_ = responses[0].groups[0]
            if state == "Stable" and len(members) == candidate.members:
                return
            await asyncio.sleep(0.25)
    finally:
        await admin.close()
    raise RuntimeError(f"{candidate.name} did not join its group:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2_000:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask to stop, then insist; all that the candidate started is in its own session."""
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
