"""Publishes results at a rate, as workers would; the id of each says when it was handed over.

Answers one line of JSON on standard output when all are acknowledged. Part of subscribers.py.
"""

import argparse
import asyncio
import json
import random
import time
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import Classification, Effort, Latency, Modality, Model, Source, Verdict, encode_result

LABELS = ("negative", "neutral", "positive")
MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TICK_S = 0.002


def result(number: int, ticker: str, label: str) -> Classification:
    """Make the result of an event; its source numbers it."""
    rest = {name: 0.05 for name in LABELS if name != label}
    return Classification(
        event_id=str(time.time_ns()),
        modality=Modality.NEWS,
        label=label,
        scores={label: 0.9, **rest},
        verdict=Verdict.ON_TIME,
        model=Model(name="news", version="1", digest="sha256:" + "0" * 64),
        effort=Effort(active_share=0.25, layers=4, experts=2),
        latency=Latency(budget_ms=150, queue_ms=1, model_ms=6, total_ms=9),
        source=Source(topic="events.news", partition=0, offset=number),
        event_time=MOMENT,
        result_time=MOMENT,
        tickers=(ticker,),
    )


async def publish(options: argparse.Namespace) -> dict[str, Any]:
    """Send all; return how many, of which instruments, and how far behind its schedule it fell."""
    by_ticker = [0] * options.tickers
    chance = random.Random(options.seed)  # noqa: S311 - a load, no secret
    producer = AIOKafkaProducer(
        bootstrap_servers=options.bootstrap_servers, acks="all", enable_idempotence=True
    )
    await producer.start()
    try:
        count, sent, behind_s = int(options.rate * options.seconds), 0, 0.0
        began = time.monotonic()
        while sent < count:
            due = min(int((time.monotonic() - began) * options.rate) + 1, count)
            while sent < due:
                behind_s = max(behind_s, time.monotonic() - began - sent / options.rate)
                by_ticker[await _send(producer, options, chance, sent)] += 1
                sent += 1
            await asyncio.sleep(TICK_S)
        await producer.flush()
    finally:
        await producer.stop()
    return {
        "sent": sent,
        "by_ticker": by_ticker,
        "seconds": time.monotonic() - began,
        "behind_ms": behind_s * 1e3,
    }


async def _send(
    producer: AIOKafkaProducer, options: argparse.Namespace, chance: random.Random, number: int
) -> int:
    chosen = chance.randrange(options.tickers)
    ticker = f"T{chosen:03}"
    sent = encode_result(result(number, ticker, chance.choice(LABELS)), key=ticker.encode())
    again = 2 if chance.random() < options.repeated else 1
    for _ in range(again):
        await producer.send(options.topic, sent.value, key=sent.key, headers=sent.headers)
    return chosen


def main() -> None:
    """Publish what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--rate", type=float, required=True, help="results a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--tickers", type=int, default=500, help="instruments that there are")
    parser.add_argument("--repeated", type=float, default=0.0, help="share that is sent twice")
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(asyncio.run(publish(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
