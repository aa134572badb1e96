"""A subscriber that notes when each result was made and when it arrived.

Started by end_to_end.py. Takes one order per line on standard input: which events to wait for.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

LOG_APPEND_TIME = 1
VERDICTS = ("none", "on_time", "late", "degraded", "shed")
"""``none``: a result of a worker that gives no verdicts."""


class Result(msgspec.Struct):
    """What is needed of a result, headrace's or another's."""

    event_id: str
    verdict: str = "none"


class Reader:
    """Reads all partitions of the result topics from their end on.

    Args:
        bootstrap_servers: The broker.
        topics: What to read.
        append_time: Records must have the broker's time, not their producer's.
        committed: Read only what is committed.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: list[str],
        *,
        append_time: bool = False,
        committed: bool = False,
    ) -> None:
        self._append_time = append_time
        self._isolation_level = "read_committed" if committed else "read_uncommitted"
        self._topics = topics
        self._bootstrap_servers = bootstrap_servers
        self._decoder = msgspec.json.Decoder(Result)
        self._rows: dict[str, list[tuple[int, int, float, int]]] = {}
        self._seen: dict[str, set[int]] = {}
        self._arrived = asyncio.Event()

    async def start(self) -> None:
        """Connect and seek to the end of every partition."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            isolation_level=self._isolation_level,
        )
        await self._consumer.start()
        # Assigned rather than subscribed to, the topics are not yet known to the client.
        self._consumer._client.set_topics(self._topics)  # noqa: SLF001
        for topic in self._topics:
            await self._consumer._client._wait_on_metadata(topic)  # noqa: SLF001
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            await self._consumer.position(partition)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def read(self) -> None:
        """Note results for ever."""
        while True:
            batches = await self._consumer.getmany(timeout_ms=1_000)
            received = time.time() * 1e3
            for records in batches.values():
                for record in records:
                    if self._append_time and record.timestamp_type != LOG_APPEND_TIME:
                        raise SystemExit(
                            f"{record.topic}: records have their producer's time; set "
                            "message.timestamp.type=LogAppendTime on the topic, or let a broker of "
                            "its own be started"
                        )
                    result = self._decoder.decode(record.value)
                    prefix, _, number = result.event_id.rpartition(".")
                    verdict = VERDICTS.index(result.verdict)
                    row = (int(number), record.timestamp, received, verdict)
                    self._rows.setdefault(prefix, []).append(row)
                    self._seen.setdefault(prefix, set()).add(row[0])
            if batches:
                self._arrived.set()

    async def collect(
        self, prefix: str, expect: int, timeout_s: float, settle_s: float = 0.0
    ) -> Any:
        """Wait until ``expect`` different events of ``prefix`` are answered, or for so long.

        Args:
            prefix: Of the events' ids.
            expect: How many were sent.
            timeout_s: The longest wait.
            settle_s: Then goes on for so long, in case some are answered twice.

        Returns:
            One row per result: number, its Kafka timestamp and its receipt in milliseconds,
            verdict.
        """
        give_up = time.monotonic() + timeout_s
        while len(self._seen.get(prefix, ())) < expect and time.monotonic() < give_up:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), give_up - time.monotonic())
            except TimeoutError:
                break
        await asyncio.sleep(settle_s)
        rows = self._rows.pop(prefix, [])
        self._seen.pop(prefix, None)
        return np.array(rows, dtype=np.float64).reshape(-1, 4)


async def serve(reader: Reader) -> None:
    """Carry out one order per line of standard input; answer each with a line of JSON."""
    await reader.start()
    reading = asyncio.create_task(reader.read())
    print(json.dumps({"ready": True}), flush=True)
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            out = Path(order.pop("out"))
            rows = await reader.collect(**order)
            np.save(out, rows)
            print(json.dumps({"results": len(rows)}), flush=True)
            if reading.done():
                reading.result()
    finally:
        reading.cancel()
        await reader.stop()


def main() -> None:
    """Parse the flags and serve."""
    parser = argparse.ArgumentParser(description="Note when results are made and arrive.")
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", action="append", required=True)
    parser.add_argument("--append-time", action="store_true", help="demand the broker's time")
    parser.add_argument("--committed", action="store_true", help="read only what is committed")
    options = parser.parse_args()
    reader = Reader(
        options.bootstrap_servers,
        options.topic,
        append_time=options.append_time,
        committed=options.committed,
    )
    asyncio.run(serve(reader))


if __name__ == "__main__":
    main()
