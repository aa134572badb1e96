"""Many cameras on one worker: in how many of their seconds is the newest image answered in time?

    python bench/cameras.py                                      # the worker's lane, no broker
    python bench/cameras.py --bootstrap-servers localhost:9092   # `headrace run`, through Kafka

Each camera sends JPEG files of 64 to 128 pixels, drawn by the project's own generator, at a fixed
rate from a moment of its own on. An image's timestamp is the moment at which it was due. What is
counted is seen from outside the worker's process: a second of a camera is good when the last image
that it sent in that second was answered with a label, and the answer was here within the budget of
when the image was due. See docs/benchmarks.md.
"""

import argparse
import asyncio
import contextlib
import io
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from lane_server import EVENTS, HEAD, RESULTS, SIZE, headers_of, serve
from PIL import Image
from usage import Usage, tree

from inference.processor import processor_name
from streams.connection import Connection
from streams.lane.sources import Keep
from streams.steel import FLAWS, draw_steel
from streams.topics import ensure_topics

TARGET = 0.995
PARTITIONS = 8
SIDES = (64, 80, 96, 112, 128)
SEEDS = 8
"""Pictures of each flaw."""
TICK_S = 0.002
DRAIN_S = 1.0
READY_S = 120.0

Send = Callable[[int, int, float, bytes], Awaitable[None]]
"""Takes camera, number of the image, when it was due in milliseconds, and the file."""


class Result(msgspec.Struct):
    """What is needed of a result."""

    event_id: str
    verdict: str
    label: str | None = None


@dataclass
class Seen:
    """What was sent and what came back.

    Attributes:
        due_ms: When each image was due, by number.
        arrived_ms: When its result was here, by number.
        slip_ms: How late each image was sent.
    """

    due_ms: dict[int, float] = field(default_factory=dict)
    camera: dict[int, int] = field(default_factory=dict)
    arrived_ms: dict[int, float] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)
    slip_ms: list[float] = field(default_factory=list)

    def take(self, value: bytes, decoder: "msgspec.json.Decoder[Result]", run: str) -> None:
        """Note one result; those of other runs are passed over."""
        result = decoder.decode(value)
        owner, _, number = result.event_id.rpartition(".")
        if owner == run:
            self.arrived_ms[int(number)] = time.time() * 1e3
            self.results[int(number)] = result


def draw_files() -> list[bytes]:
    """Draw JPEG files of several sizes."""
    files = []
    for number, (flaw, seed) in enumerate((flaw, seed) for flaw in FLAWS for seed in range(SEEDS)):
        image = Image.open(io.BytesIO(draw_steel(flaw, seed)))
        side = SIDES[number % len(SIDES)]
        file = io.BytesIO()
        image.resize((side, side)).save(file, format="JPEG", quality=85)
        files.append(file.getvalue())
    return files


async def send_all(send: Send, seen: Seen, options: argparse.Namespace) -> None:
    """Send every camera's images when they are due, whatever comes back."""
    files, dice = draw_files(), random.Random(options.seed)  # noqa: S311 - a load, no secret
    started = time.time() + 0.2
    period = 1.0 / options.rate
    plan = sorted(
        (started + phase + step * period, camera)
        for camera in range(options.cameras)
        for phase in (dice.random() * period,)
        for step in range(round((options.warmup + options.seconds) * options.rate))
    )
    for number, (due, camera) in enumerate(plan):
        wait = due - time.time()
        if wait > 0:
            await asyncio.sleep(max(wait, TICK_S))
        seen.due_ms[number], seen.camera[number] = due * 1e3, camera
        seen.slip_ms.append(max(0.0, (time.time() - due) * 1e3))
        await send(camera, number, due * 1e3, files[dice.randrange(len(files))])


@contextlib.asynccontextmanager
async def lane_alone(
    seen: Seen,
    options: argparse.Namespace,  # noqa: ARG001 - the process reads the same flags
) -> AsyncIterator[tuple[Send, asyncio.subprocess.Process]]:
    """Start the lane's process and note what it answers."""
    decoder = msgspec.json.Decoder(Result)
    connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
                if size:
                    seen.take(await reader.readexactly(size), decoder, "run")
                else:
                    connected.set_result(writer)

    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as where:
        path = f"{where}/socket"
        server = await asyncio.start_unix_server(read, path)
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--serve", path, *sys.argv[1:]
        )
        try:
            writer = await asyncio.wait_for(connected, READY_S)

            async def send(camera: int, number: int, due_ms: float, file: bytes) -> None:
                body = camera.to_bytes(4, "big") + file
                writer.write(HEAD.pack(len(body), number, due_ms) + body)
                await writer.drain()

            yield send, process
            writer.close()
            await asyncio.wait_for(process.wait(), 30)
        finally:
            server.close()
            if process.returncode is None:
                process.kill()
                await process.wait()


@contextlib.asynccontextmanager
async def through_kafka(
    seen: Seen, options: argparse.Namespace
) -> AsyncIterator[tuple[Send, asyncio.subprocess.Process]]:
    """Start a worker on a broker, a producer, and a reader of its results."""
    servers, run = options.bootstrap_servers, f"cameras-{time.time_ns():x}"
    await ensure_topics(
        Connection(servers), [EVENTS, RESULTS], partitions=PARTITIONS, max_message_bytes=1 << 24
    )
    async with contextlib.AsyncExitStack() as stack:
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        consumer.assign([TopicPartition(RESULTS, number) for number in range(PARTITIONS)])
        await consumer.seek_to_end()
        producer = AIOKafkaProducer(bootstrap_servers=servers)
        await producer.start()
        stack.push_async_callback(producer.stop)
        process = await stack.enter_async_context(_worker(servers, run, options))
        reading = asyncio.create_task(_read(consumer, seen, run))
        stack.callback(reading.cancel)

        async def send(camera: int, number: int, due_ms: float, file: bytes) -> None:
            await producer.send(
                EVENTS,
                value=file,
                headers=headers_of(run, camera, number),
                partition=camera % PARTITIONS,
                timestamp_ms=int(due_ms),
            )

        yield send, process


async def _read(consumer: AIOKafkaConsumer, seen: Seen, run: str) -> None:
    decoder = msgspec.json.Decoder(Result)
    async for record in consumer:
        seen.take(record.value, decoder, run)


@contextlib.asynccontextmanager
async def _worker(
    servers: str, group: str, options: argparse.Namespace
) -> AsyncIterator[asyncio.subprocess.Process]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "BOOTSTRAP_SERVERS": servers,
        "GROUP": group,
        "MODALITIES": "camera",
        "MODELS__CAMERA": options.model,
        "BUDGETS__CAMERA": str(options.budget_ms),
        "CAMERAS__KEEP": options.keep,
        "CAMERAS__UNCHANGED_BELOW": str(options.unchanged_below),
        "CACHE__ENABLED": "false",  # the pictures repeat
        "METRICS_PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "run"),
        env=os.environ | {f"HEADRACE_{name}": value for name, value in settings.items()},
    )
    try:
        async with aiohttp.ClientSession() as session:
            await asyncio.wait_for(_until_ready(session, port), READY_S)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def _until_ready(session: aiohttp.ClientSession, port: int) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                if response.status == 200:
                    return
        await asyncio.sleep(0.2)


def report(seen: Seen, cores: dict[str, float], options: argparse.Namespace) -> dict[str, Any]:
    """Count seconds, images and verdicts after the warm-up."""
    began = min(seen.due_ms.values()) + options.warmup * 1e3
    newest: dict[tuple[int, int], int] = {}
    in_time: dict[int, bool] = {}
    verdicts: Counter[str] = Counter()
    lateness = []
    by_camera: dict[int, list[bool]] = defaultdict(list)
    for number, due in seen.due_ms.items():
        if due < began:
            continue
        newest[seen.camera[number], int((due - began) / 1e3)] = number
        result = seen.results.get(number)
        verdicts[result.verdict if result else "unanswered"] += 1
        took = seen.arrived_ms.get(number, float("inf")) - due
        answered = result is not None and result.label is not None
        in_time[number] = answered and took <= options.budget_ms
        if answered:
            lateness.append(took)
        by_camera[seen.camera[number]].append(in_time[number])
    good = sum(in_time[number] for number in newest.values())
    p50, p99 = np.percentile(lateness, [50, 99]) if lateness else (float("inf"),) * 2
    return {
        "processor": processor_name(),
        "through": "Kafka" if options.bootstrap_servers else "the lane alone",
        "model": options.model,
        "cameras": options.cameras,
        "images_per_s": options.cameras * options.rate,
        "budget_ms": options.budget_ms,
        "keep": options.keep,
        "unchanged_below": options.unchanged_below,
        "camera_seconds": len(newest),
        "camera_seconds_good": good / max(1, len(newest)),
        "target": TARGET,
        "images_in_time": sum(in_time.values()) / max(1, len(in_time)),
        "worst_camera_in_time": min(sum(each) / len(each) for each in by_camera.values()),
        "verdicts": dict(verdicts),
        "answer_ms": {"p50": round(float(p50), 1), "p99": round(float(p99), 1)},
        "load_slip_ms_p99": round(float(np.percentile(seen.slip_ms, 99)), 1),
        "cores": {name: round(used, 2) for name, used in cores.items()},
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the load once."""
    seen = Seen()
    target = through_kafka if options.bootstrap_servers else lane_alone
    async with target(seen, options) as (send, process):
        usage = Usage({"worker": tree(process.pid), "load": tree(os.getpid())[:1]})
        usage.start()
        await send_all(send, seen, options)
        cores = usage.cores()
        await asyncio.sleep(DRAIN_S)
    return report(seen, cores, options)


def main() -> None:
    """Parse the flags and run."""
    parser = argparse.ArgumentParser(description="Many cameras on one worker.")
    parser.add_argument("--bootstrap-servers", help="a broker; without, the lane runs by itself")
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5.0, help="images a second of each")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--warmup", type=float, default=5.0, help="seconds, not counted")
    parser.add_argument("--budget-ms", type=float, default=100.0)
    parser.add_argument("--model", default="camera-steel-defects")
    parser.add_argument("--keep", choices=[each.value for each in Keep], default="latest")
    parser.add_argument("--unchanged-below", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options))
        return
    figures = asyncio.run(measure(options))
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2).decode()
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    share = figures["camera_seconds_good"]
    print(f"{share:.2%} of camera-seconds; {'met' if share >= TARGET else 'missed'}: {TARGET:.1%}")


if __name__ == "__main__":
    main()
