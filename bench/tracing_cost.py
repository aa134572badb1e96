"""What following events costs: events by second of processor time, with traces off and on.

    python bench/tracing_cost.py                        # about four minutes
    python bench/tracing_cost.py --before ../older      # beside another working tree of headrace

A worker's lane with its model and publisher, in a process of its own for each kind, works off the
same headlines as fast as it can; the broker's part is left out, for it is the same in all kinds.
The processes take turns, a few hundred events each, so that what others do on the machine meets
all of them alike; a ratio is that of neighbouring turns, and the median of these is told. Batches
are of a fixed size: learned costs would differ between processes. Processor time is that of all of
a process's threads; whoever receives the traces is another process. See docs/benchmarks.md.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

from headlines import synthetic

from inference.processor import processor_name

HERE = Path(__file__).resolve()
EVENTS, RESULTS = "events.news", "results.news"
POLL = 100
BATCH = 32
TRACE = "00-{number:032x}-{number:016x}-{flags}"
SHARES = {"before": None, "no extra": None, "off": None, "1 %": 0.01, "100 %": 1.0}
"""Share of the events whose trace is sampled, by kind; ``None`` without traces."""


class Taker(BaseHTTPRequestHandler):
    """Takes traces and throws them away."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take one request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[str]:
    """Take traces on a port of this process's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Contender:
    """A process of one kind that works a turn off when it is told to.

    Args:
        kind: One of :data:`SHARES`.
        endpoint: Of the receiver.
    """

    def __init__(self, kind: str, options: argparse.Namespace, endpoint: str) -> None:
        tree = options.before if kind == "before" else HERE.parents[1]
        self._process = subprocess.Popen(
            [
                *(sys.executable, str(HERE), "--kind", kind, "--endpoint", endpoint),
                *("--events", str(options.events), "--model", options.model),
            ],
            env={"PYTHONPATH": f"{tree}:{HERE.parent}", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def turn(self) -> float:
        """Return the seconds of processor time that one turn took."""
        assert self._process.stdin  # noqa: S101 - pipes, as asked for
        assert self._process.stdout  # noqa: S101 - likewise
        print("go", file=self._process.stdin, flush=True)
        while not (line := self._process.stdout.readline()).startswith("{"):
            if not line:
                raise SystemExit("a contender has ended")
        seconds: float = json.loads(line)["cpu_s"]
        return seconds

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def compare(options: argparse.Namespace) -> None:
    """Let all kinds take turns, in a new order each time round, and print ratios."""
    kinds = [kind for kind in SHARES if kind != "before" or options.before is not None]
    base = kinds[0]
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = random.Random(options.seed)  # noqa: S311 - an order, no secret
    with receiver() as endpoint:
        contenders = {kind: Contender(kind, options, endpoint) for kind in kinds}
        for contender in contenders.values():
            contender.turn()  # the first is for getting warm
        for _ in range(options.rounds):
            for kind in order.sample(kinds, len(kinds)):
                seconds[kind].append(contenders[kind].turn())
        for contender in contenders.values():
            contender.end()
    print(f"{processor_name()}; load {os.getloadavg()[0]:.1f}; {options.rounds} rounds")
    for kind in kinds:
        ratios = [of / took for took, of in zip(seconds[kind], seconds[base], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        each_us = statistics.median(seconds[kind]) / options.events * 1e6
        print(
            f"{kind:9} {each_us:6,.0f} us of processor time an event; {middle:.3f} of the events "
            f"of {base!r} (quartiles {low:.3f} to {high:.3f})"
        )


class SwallowingProducer:
    """Acknowledges at once whatever the publisher sends."""

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[None]":
        """Take one record."""
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


async def work(options: argparse.Namespace) -> None:
    """Work headlines off with the lane of this process's tree, a turn for each line that comes."""
    from aiokafka import TopicPartition  # noqa: PLC0415 - from here on of the measured tree

    from inference.clock import SystemClock  # noqa: PLC0415
    from inference.optimizer import open_model  # noqa: PLC0415
    from inference.settings import SchedulerSettings  # noqa: PLC0415
    from inference.work import OverloadPolicy  # noqa: PLC0415
    from schemas.events import Modality  # noqa: PLC0415
    from schemas.limits import DEFAULT_LIMITS  # noqa: PLC0415
    from streams.delivery.publisher import Publisher  # noqa: PLC0415
    from streams.lane.lane import Lane  # noqa: PLC0415
    from streams.offsets import Ledger  # noqa: PLC0415
    from streams.routes import routes_of  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415
    from streams.worker.warm_up import warm_up_examples  # noqa: PLC0415

    ledger = Ledger()
    publisher = Publisher(SwallowingProducer())  # type: ignore[arg-type]
    settings = Settings(modalities=(Modality.NEWS,), on_overload=OverloadPolicy.LATE)
    tracing = _tracing(options)
    lane = Lane(
        routes_of(settings)[0],
        engine=open_model(options.model),
        clock=SystemClock(),
        scheduler_settings=SchedulerSettings(batch_strategy="static", max_batch_events=BATCH),
        limits=DEFAULT_LIMITS,
        ledger=ledger,
        publisher=publisher,
        **({} if tracing is None else {"tracing": tracing}),
    )
    partition = TopicPartition(EVENTS, 0)
    ledger.assign([partition])
    tracker = ledger.tracker(partition)
    assert tracker  # noqa: S101 - assigned above
    publisher.start()
    await lane.scheduler.start(warmup=warm_up_examples(lane.engine, Modality.NEWS))
    offset = 0
    for line in sys.stdin:
        assert line.strip() == "go"  # noqa: S101 - nothing else is said
        records = list(_records(options, offset))
        offset += len(records)
        cpu_began = time.process_time()
        await _work_off(lane, ledger, tracker, records)
        assert await publisher.flush(60)  # noqa: S101 - else a kind would have done less
        if tracing is not None:
            # What was followed in this turn is paid for in it.
            await asyncio.to_thread(tracing._processor.force_flush)  # noqa: SLF001 - no other way
        print(json.dumps({"cpu_s": time.process_time() - cpu_began}), flush=True)


async def _work_off(lane: Any, ledger: Any, tracker: Any, records: list[Any]) -> None:
    for first in range(0, len(records), POLL):
        while lane.is_full:  # noqa: ASYNC110 - a lane tells nobody
            await asyncio.sleep(0.001)
        poll = records[first : first + POLL]
        for one in poll:
            ledger.begin(tracker, one.offset)
        lane.admit(poll, tracker)
        await asyncio.sleep(0)
    assert await lane.scheduler.drain(600)  # noqa: S101 - likewise


def _tracing(options: argparse.Namespace) -> Any:
    if SHARES[options.kind] is None:
        return None
    from streams.tracing.opening import open_tracing  # noqa: PLC0415 - not in every tree
    from streams.tracing.settings import TracingSettings  # noqa: PLC0415

    settings = TracingSettings(
        endpoint=options.endpoint, sample_ratio=0.0, max_queued_spans=1_000_000
    )
    return open_tracing(settings, group="bench")


def _records(options: argparse.Namespace, offset: int) -> Iterator[Any]:
    """Make the records of a turn, so many of them sampled as the kind says."""
    from aiokafka import ConsumerRecord  # noqa: PLC0415

    share = SHARES[options.kind] or 0.0
    every = round(1 / share) if share else 0
    now_ms = int(time.time() * 1e3)
    for number, text in enumerate(islice(synthetic(1), options.events), start=offset):
        value = json.dumps({"id": f"n-{number}", "headline": text}).encode()
        flags = "01" if every and number % every == 0 else "00"
        trace = TRACE.format(number=number + 1, flags=flags).encode()
        yield ConsumerRecord(
            topic=EVENTS,
            partition=0,
            offset=number,
            timestamp=now_ms,
            timestamp_type=0,
            key=None,
            value=value,
            checksum=None,
            serialized_key_size=-1,
            serialized_value_size=len(value),
            headers=(("traceparent", trace),),
        )


def main() -> None:
    """Read the flags; compare, or be one of those that are compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another working tree, to compare with")
    parser.add_argument("--events", type=int, default=400, help="of a turn")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--model", default="news-sentiment")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=SHARES, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind is None:
        compare(options)
        return
    if options.kind == "no extra":
        sys.modules["opentelemetry"] = None  # type: ignore[assignment] # as if it were not there
    asyncio.run(work(options))


if __name__ == "__main__":
    main()
