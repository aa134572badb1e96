"""How long a headline takes to become a signal: broker, worker and `headrace app signals`.

    python bench/signals.py                              # 50 headlines a second for a minute
    python bench/signals.py --rate 200 --minutes 0.5

Headlines are made up, of one ticker each, and leave at Poisson times whatever becomes of those
before. Times run from the headline's Kafka timestamp to that of its result, to that of its signal,
and to the signal's arrival at a consumer. All processes share the machine. See docs/benchmarks.md.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from end_to_end import broker
from headlines import synthetic
from report import facts

from schemas import NewsEvent, decode_result, decode_signal, encode_event
from streams.connection import Connection
from streams.topics import ensure_topics

ROOT = Path(__file__).parents[1]
EVENTS, RESULTS, SIGNALS = "events.news", "results.news", "signals.news"
LARGEST = 16 * 1024 * 1024
TICKERS = tuple(f"BX{number:02d}" for number in range(40))
READY_S, GRACE_S, QUIET_MS = 90.0, 5.0, 3_000
QUANTILES = (50, 90, 99, 100)


@dataclass
class Seen:
    """What was seen of each headline, by its partition and offset; all in Unix milliseconds."""

    sent: dict[str, float] = field(default_factory=dict)
    result: dict[str, float] = field(default_factory=dict)
    signal: dict[str, float] = field(default_factory=dict)
    receipt: dict[str, float] = field(default_factory=dict)
    slip_ms: list[float] = field(default_factory=list)

    def times(self, name: str, after_ms: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return how long headlines sent after a moment took to a stage."""
        stage: dict[str, float] = getattr(self, name)
        return np.array(
            [stage[one] - at for one, at in self.sent.items() if at >= after_ms and one in stage]
        )


async def measure(options: argparse.Namespace) -> None:
    """Start everything, send, and print what it took."""
    async with broker(options) as (servers, provider):
        topics = (EVENTS, RESULTS, SIGNALS, f"{EVENTS}.dlq")
        await ensure_topics(
            Connection(servers), topics, partitions=options.partitions, max_message_bytes=LARGEST
        )
        run = time.time_ns()
        shared = {
            "HEADRACE_BOOTSTRAP_SERVERS": servers,
            "HEADRACE_PARTITIONS": str(options.partitions),
            "HEADRACE_GROUP": f"bench-{run}",
            "HEADRACE_APPS__PREFIX": f"bench-{run}",
        }
        worker = ("run", "--modality", "news", "--on-overload", "late")
        async with (
            running(*worker, **shared),
            running("app", "signals", **shared),
            consuming(servers) as consumer,
        ):
            while await consumer.getmany(timeout_ms=QUIET_MS):
                pass  # an app that is new on a broker that is not works off what is there
            seen = Seen()
            following = asyncio.create_task(follow(consumer, seen))
            await send(servers, options, seen)
            await asyncio.sleep(GRACE_S)
            following.cancel()
    show(seen, options, provider)


@asynccontextmanager
async def running(*arguments: str, **variables: str) -> AsyncIterator[None]:
    """Run a command of headrace until the end of the block; begin when it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", *arguments, "--metrics-port", str(port)),
        env=kept | {"PYTHONPATH": str(ROOT)} | variables,
    )
    try:
        async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
            while not await is_ready(session, port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    """Ask /readyz."""
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


@asynccontextmanager
async def consuming(servers: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Follow results and signals from now on."""
    consumer = AIOKafkaConsumer(
        RESULTS, SIGNALS, bootstrap_servers=servers, auto_offset_reset="latest"
    )
    await consumer.start()
    await consumer.seek_to_end()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def follow(consumer: AIOKafkaConsumer, seen: Seen) -> None:
    """Note the times of results and signals; of several, the first."""
    async for record in consumer:
        if record.topic == RESULTS:
            source = decode_result(record.value).source
            seen.result.setdefault(f"{source.partition}:{source.offset}", record.timestamp)
        else:
            _, _, event = decode_signal(record.value).id.partition(f":{EVENTS}:")
            seen.signal.setdefault(event, record.timestamp)
            seen.receipt.setdefault(event, time.time() * 1e3)


async def send(servers: str, options: argparse.Namespace, seen: Seen) -> None:
    """Send headlines at their times; the acknowledgement of one holds up no other."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    acknowledgements = []
    try:
        start = time.monotonic()
        for due_s, event in planned(options):
            await asyncio.sleep(max(0.0, start + due_s - time.monotonic()))
            seen.slip_ms.append((time.monotonic() - start - due_s) * 1e3)
            out = encode_event(event, key=event.tickers[0].encode())
            acknowledgements.append(
                await producer.send(EVENTS, out.value, key=out.key, headers=out.headers)
            )
        for metadata in await asyncio.gather(*acknowledgements):
            seen.sent[f"{metadata.partition}:{metadata.offset}"] = metadata.timestamp
    finally:
        await producer.stop()


def planned(options: argparse.Namespace) -> Iterator[tuple[float, NewsEvent]]:
    """Yield when each headline leaves, in seconds from the start, and the headline."""
    chance = random.Random(options.seed)  # noqa: S311 - a load, no secret
    texts, due_s = synthetic(options.seed), 0.0
    while (due_s := due_s + chance.expovariate(options.rate)) < options.minutes * 60:
        ticker = chance.choice(TICKERS)
        yield due_s, NewsEvent(id=f"b-{due_s:.6f}", headline=next(texts), tickers=(ticker,))


def show(seen: Seen, options: argparse.Namespace, provider: str) -> None:
    """Print machine, load and times."""
    after_ms = min(seen.sent.values()) + options.warmup * 1e3
    measured = sum(at >= after_ms for at in seen.sent.values())
    for name, value in (facts() | {"broker": provider}).items():
        print(f"{name}: {value}")
    slip = float(np.percentile(seen.slip_ms, 99))
    print(f"\n{measured:,} headlines at {options.rate:g}/s; they left {slip:.1f} ms late (p99)")
    print(f"{'from the headline to':<24}{'number':>8}" + "".join(f"{q:>9}%" for q in QUANTILES))
    for name, label in (
        ("result", "its result"),
        ("signal", "its signal"),
        ("receipt", "the signal's receipt"),
    ):
        times = seen.times(name, after_ms)
        cells = "".join(f"{np.percentile(times, q):>8.0f}ms" for q in QUANTILES)
        print(f"{label:<24}{len(times):>8}{cells}")
    if options.out:
        stages = {
            name: [float(np.percentile(seen.times(name, after_ms), q)) for q in QUANTILES]
            for name in ("result", "signal", "receipt")
        }
        options.out.write_bytes(msgspec.json.encode({"facts": facts(), "ms": stages}))


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50.0, help="headlines per second")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to send")
    parser.add_argument("--warmup", type=float, default=10.0, help="seconds that do not count")
    parser.add_argument("--partitions", type=int, default=4, help="of topics that are created")
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    parser.add_argument("--seed", type=int, default=1, help="of texts and times")
    parser.add_argument("--out", type=Path, help="write the times here, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(measure(parse()))
