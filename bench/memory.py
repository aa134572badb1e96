"""Does a worker's memory grow with the events that it has answered?

    python bench/memory.py                         # two million events, twice; about half an hour
    python bench/memory.py --events 300000

Events go through a worker's own lane, from records to parcels: decoded, tokenised, scheduled, run
by the model, written as results, their offsets completed. In place of the broker there are a
generator that offers what there is room for and a sink that acknowledges at once. Each run, with
the cache of known answers and without, is a process of its own; ends with 1 if one grew by more
than it may between the first look and the last.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson
import psutil
from aiokafka import ConsumerRecord, TopicPartition
from rich.console import Console
from rich.table import Table

from inference.clock import SystemClock
from inference.optimizer import open_model
from inference.result_cache import Cache
from inference.settings import SchedulerSettings
from inference.work import OverloadPolicy
from schemas.events import Modality
from schemas.limits import DEFAULT_LIMITS
from streams.delivery.publisher import Publisher
from streams.lane.lane import Lane
from streams.offsets import Ledger
from streams.routes import routes_of
from streams.settings import Settings
from streams.worker.warm_up import warm_up_examples

FIRST_LOOK = 100_000
LOOKS = 8
MOST_GROWTH = 0.05
POLL = 100
"""Records that are taken at once, as a worker does."""
REPEATED = 0.2
"""Share of the events whose text is one of the last :data:`RECENT`."""
RECENT = 2_000
SPOILED = 0.001
"""Share of the events that become dead letters."""
DRAIN_S = 60.0
MEBIBYTE = 1024 * 1024
SUBJECTS = "Harbour Mill Steel Bank Court Port Rail Grain Copper Ferry".split()  # noqa: SIM905
VERBS = "rises falls stalls closes reopens merges sues hires cuts gains".split()  # noqa: SIM905


@dataclass(frozen=True)
class Look:
    """What there was after so many events.

    Attributes:
        rss: Resident bytes, once nothing is in flight.
        peak: The most so far, with a full queue.
        objects: That Python's collector follows.
    """

    events: int
    rss: int
    peak: int
    objects: int
    seconds: float


class Sink:
    """Implements what the publisher asks of a producer: everything is acknowledged at once."""

    def __init__(self) -> None:
        self.taken = 0

    async def send(self, topic: str, **_: Any) -> "asyncio.Future[None]":
        """Take a record and forget it."""
        del topic
        self.taken += 1
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


class Feed:
    """Makes records up: short texts, mostly new, some said again, a few spoiled."""

    def __init__(self, topic: str, seed: int) -> None:
        self._topic = topic
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._recent = [self._text(number) for number in range(RECENT)]
        self.offset = 0

    def take(self, count: int) -> list[ConsumerRecord]:
        """Return the next records."""
        return [self._record() for _ in range(count)]

    def _text(self, number: int) -> str:
        chance = self._chance
        return f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {number}"

    def _record(self) -> ConsumerRecord:
        chance, number = self._chance, self.offset
        self.offset += 1
        if chance.random() < REPEATED:
            text = chance.choice(self._recent)
        else:
            text = self._recent[number % RECENT] = self._text(number)
        value = orjson.dumps({"id": f"n-{number}", "headline": text})
        if chance.random() < SPOILED:
            value = value[:-1]
        return ConsumerRecord(
            topic=self._topic,
            partition=0,
            offset=number,
            timestamp=int(time.time() * 1e3),
            timestamp_type=0,
            key=f"k-{number % 5_000}".encode(),
            value=value,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=len(value),
            headers=(),
        )


async def run(events: int, model: str, *, cached: bool) -> list[Look]:
    """Stream events through a lane, looking at the process now and then."""
    settings = Settings(modalities=(Modality.NEWS,))
    (route,) = routes_of(settings)
    ledger, sink = Ledger(), Sink()
    publisher = Publisher(sink)
    lane = Lane(
        replace(route, on_overload=OverloadPolicy.LATE),
        engine=open_model(model),
        clock=SystemClock(),
        scheduler_settings=SchedulerSettings(),
        limits=DEFAULT_LIMITS,
        ledger=ledger,
        publisher=publisher,
        cache=Cache(enabled=cached),
    )
    partition = TopicPartition(route.topic, 0)
    ledger.assign([partition])
    publisher.start()
    await lane.scheduler.start(warmup=warm_up_examples(lane.engine, lane.modality))
    tracker = ledger.tracker(partition)
    assert tracker  # noqa: S101 - assigned above
    feed, looks, started = Feed(route.topic, seed=1), list[Look](), time.monotonic()

    def admit(count: int) -> None:
        records = feed.take(count)
        for record in records:
            ledger.begin(tracker, record.offset)
        lane.admit(records, tracker)

    # As full as it gets, first of all: what that takes is the C library's from then on, whenever
    # it comes to it.
    while not lane.is_full:
        admit(POLL)
    step = max(1, (events - FIRST_LOOK) // LOOKS)
    for goal in [FIRST_LOOK, *range(FIRST_LOOK + step, events + 1, step)]:
        while feed.offset < goal:
            if lane.is_full:
                await asyncio.sleep(0.001)
                continue
            admit(min(POLL, goal - feed.offset))
            await asyncio.sleep(0)
        if not await ledger.drain(DRAIN_S) or sink.taken != feed.offset:
            raise RuntimeError(f"{feed.offset:,} events, {sink.taken:,} answers")
        looks.append(_look(feed.offset, time.monotonic() - started))
        print(json.dumps(asdict(looks[-1])), flush=True)
    await lane.scheduler.close()
    await publisher.close()
    return looks


def _look(events: int, seconds: float) -> Look:
    gc.collect()
    rss = psutil.Process().memory_info().rss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Look(events, rss, peak, len(gc.get_objects()), seconds)


def measured(options: argparse.Namespace, cached: str) -> list[Look]:
    """Run in a process of its own, and read what it saw."""
    command = [sys.executable, __file__, "--events", str(options.events), "--model", options.model]
    told = subprocess.run(
        [*command, "--cache", cached],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    ).stdout
    lines = [line for line in told.splitlines() if line.startswith("{")]
    return [Look(**json.loads(line)) for line in lines]


def growth(looks: list[Look]) -> float:
    """Return by what share memory grew from the first look to the last."""
    return looks[-1].rss / looks[0].rss - 1.0


def main() -> None:
    """Measure both, print, and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--model", default="news-sentiment", help="name or directory")
    parser.add_argument("--cache", choices=["on", "off"], help="one run, here")
    options = parser.parse_args()
    if options.events < 2 * FIRST_LOOK:
        parser.error(f"--events {options.events}: give at least {2 * FIRST_LOOK}")
    if options.cache:
        asyncio.run(run(options.events, options.model, cached=options.cache == "on"))
        return
    grown = 0.0
    for cached in ("off", "on"):
        looks = measured(options, cached)
        table = Table(
            *(f"cache {cached}: events", "RSS, MiB", "peak, MiB", "objects", "events/s"),
            box=None,
            title_style="",
        )
        for column in table.columns:
            column.justify = "right"
        for look in looks:
            rate = look.events / look.seconds
            table.add_row(
                f"{look.events:,}",
                f"{look.rss / MEBIBYTE:.1f}",
                f"{look.peak / MEBIBYTE:.1f}",
                f"{look.objects:,}",
                f"{rate:,.0f}",
            )
        Console(highlight=False).print(table)
        print(f"grew by {growth(looks):+.1%} from {looks[0].events:,} to {looks[-1].events:,}\n")
        grown = max(grown, growth(looks))
    sys.exit(1 if grown > MOST_GROWTH else 0)


if __name__ == "__main__":
    main()
