"""Open-loop load: events at times of their own that do not wait for any answer.

    python bench/load.py --bootstrap-servers localhost:9092 --rate 500 --seconds 20

Times are a Poisson process, come in bursts, or are those of ``--log`` at another speed.

Each record's Kafka timestamp is the moment at which it was due, not the moment at which this
process came round to sending it, so a busy machine cannot hide latency by slowing the load down.
With ``--serve`` it takes one order per line on standard input, as end_to_end.py uses it.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from aiokafka import AIOKafkaProducer
from headlines import from_log, synthetic
from overload_loads import read_log

from streams.planning.arrivals import bursts

TICK_S = 0.002
"""Least time between two sends; what became due within it goes into one Kafka batch."""
PARTITION_STRIDE = 3
"""Coprime to the partitions, so that each worker of two gets every other batch or so."""
DISTINCT_TEXTS = 5_000


class Load:
    """One producer and the texts that it sends."""

    def __init__(self, bootstrap_servers: str, topic: str, log: Path | None, seed: int) -> None:
        # An explicit generator of texts: the same headlines in each run of the same seed.
        texts = from_log(log) if log else list(itertools.islice(synthetic(seed), DISTINCT_TEXTS))
        self._texts = [orjson.dumps(text) for text in texts]
        self._log = log
        self._topic = topic
        self._bootstrap_servers = bootstrap_servers
        self._ticks = 0

    async def start(self) -> int:
        """Connect; return the topic's number of partitions."""
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap_servers)
        await self._producer.start()
        self._partitions = len(await self._producer.partitions_for(self._topic))
        return self._partitions

    async def stop(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()

    async def run(
        self, prefix: str, rate: float, seconds: float, seed: int, arrivals: str = "poisson"
    ) -> dict[str, Any]:
        """Send ``rate * seconds`` events or so, numbered ``prefix.0`` and on.

        Args:
            prefix: Of their ids.
            rate: Events per second, on average.
            seconds: How long.
            seed: Draws times and the first text.
            arrivals: When they come: ``poisson``, ``bursts`` (see overload_loads.py), or ``log``
                for the times of the log at such a speed.

        Returns:
            How many, how late they left (``slip``) and were acknowledged, and ``due_ms``, the
            Kafka timestamp of each.
        """
        offsets = self._offsets(arrivals, rate, seconds, seed)
        count = len(offsets)
        values = self._values(prefix, count, seed)
        started, cpu = time.time() + 0.05, time.process_time()
        due = started + offsets
        due_ms = (due * 1e3).astype(np.int64)
        slips, acks = np.zeros(count), np.zeros(count)
        sends: list[asyncio.Task[None]] = []
        sent = 0
        while sent < count:
            now = time.time()
            upto = int(np.searchsorted(due, now, side="right"))
            if upto > sent:
                slips[sent:upto] = now - due[sent:upto]
                sends.append(asyncio.create_task(self._send(values, due_ms, acks, sent, upto)))
                sent = upto
            if sent < count:
                await asyncio.sleep(max(due[sent] - time.time(), TICK_S))
        await asyncio.gather(*sends)
        return {
            "sent": count,
            "seconds": float(due[-1] - started),
            "slip_p99_ms": float(np.percentile(slips, 99) * 1e3),
            "ack_p99_ms": float(np.percentile(acks - due, 99) * 1e3),
            "cpu_s": time.process_time() - cpu,
            "due_ms": due_ms,
        }

    def _offsets(self, arrivals: str, rate: float, seconds: float, seed: int) -> Any:
        """Return when events are due, in seconds from the start."""
        if arrivals == "bursts":
            return np.array(bursts(rate, seconds, seed))
        if arrivals == "log":
            assert self._log  # noqa: S101 - asked for with a log alone
            return np.array(read_log(self._log).at(rate, seconds))
        count = max(1, round(rate * seconds))
        return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))

    def _values(self, prefix: str, count: int, seed: int) -> list[bytes]:
        """Encode all events beforehand, so that the paced loop does as little as it can."""
        first = random.Random(seed).randrange(len(self._texts))  # noqa: S311 - a load, no secret
        texts = itertools.islice(itertools.cycle(self._texts), first, first + count)
        return [
            b'{"id":"%s.%d","headline":%s,"source":"bench"}' % (prefix.encode(), number, text)
            for number, text in enumerate(texts)
        ]

    async def _send(
        self, values: list[bytes], due_ms: Any, acks: Any, first: int, last: int
    ) -> None:
        """Send what became due in one tick as one Kafka batch, partitions taking turns."""
        while first < last:
            self._ticks += 1
            batch = self._producer.create_batch()
            upto = first
            while upto < last and (
                batch.append(key=None, value=values[upto], timestamp=int(due_ms[upto])) is not None
            ):
                upto += 1
            partition = self._ticks * PARTITION_STRIDE % self._partitions
            sent = await self._producer.send_batch(batch, self._topic, partition=partition)
            await sent
            acks[first:upto] = time.time()
            first = upto


async def serve(load: Load) -> None:
    """Carry out one order per line of standard input; answer each with a line of JSON."""
    print(json.dumps({"partitions": await load.start()}), flush=True)
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            out = Path(order.pop("out"))
            report = await load.run(**order)
            np.save(out, report.pop("due_ms"))
            print(json.dumps(report), flush=True)
    finally:
        await load.stop()


async def once(load: Load, rate: float, seconds: float, seed: int) -> None:
    """Run one load and print its report."""
    await load.start()
    try:
        report = await load.run(f"load-{time.time_ns():x}", rate, seconds, seed)
    finally:
        await load.stop()
    del report["due_ms"]
    print(json.dumps(report, indent=2))


def main() -> None:
    """Parse the flags and run."""
    parser = argparse.ArgumentParser(description="Send events at a fixed rate, open loop.")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", default="events.news")
    parser.add_argument("--rate", type=float, default=100.0, help="events per second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="JSON lines with headline or text fields")
    parser.add_argument("--serve", action="store_true", help="take orders on standard input")
    options = parser.parse_args()
    load = Load(options.bootstrap_servers, options.topic, options.log, options.seed)
    asyncio.run(
        serve(load) if options.serve else once(load, options.rate, options.seconds, options.seed)
    )


if __name__ == "__main__":
    main()
