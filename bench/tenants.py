"""What one tenant's flood does to another on the same worker, and what many topics cost.

    python bench/tenants.py            # about two minutes

The real engine and scheduler in real time, in one process, without a broker. First a quiet tenant
(a tenth of the capacity, a budget of 60 ms) beside one that floods at three times the capacity:
alone, in a queue of its own beside the flood, and in one queue with it. Then the same load, half
of the capacity, over 1 to 64 topics of one model, each with its own queue.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from overload_loads import Arrival, arrivals
from overload_runs import LEAD_S, LiveRuns, Policy, capacity, send, settle_memory, work_of
from overload_texts import Texts, read_texts
from report import facts
from rich.console import Console
from rich.table import Table

from inference.checkpoint import load_engine
from inference.clock import Clock, SystemClock
from inference.engine import Engine
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.shares import Share, Tenant
from inference.work import Completion, OverloadPolicy, Work
from streams.planning.arrivals import poisson

QUIET_LOAD, QUIET_BUDGET_S = 0.1, 0.06
FLOOD_LOAD, BUDGET_S = 3.0, 0.15
TOPICS = (1, 4, 16, 64)
TOPICS_LOAD = 0.5
GRACE_S = 0.5
SWITCH_INTERVAL_S = 0.0005
"""The interpreter changes hands as often as in a worker."""


@dataclass(frozen=True)
class Row:
    """What became of one queue's events.

    Attributes:
        on_time: Share of the events; ``p99_ms`` is of those that were answered.
        cpu: Cores that the whole process kept busy.
    """

    name: str
    events: int
    on_time: float
    p99_ms: float
    cpu: float


class Queues:
    """Several queues of one engine on one device, and what came out of each."""

    def __init__(self, engine: Engine, clock: Clock, shares: Sequence[Share | None]) -> None:
        settings = SchedulerSettings()
        self._device = SharedDevice(clock, device_timeout_ms=settings.device_timeout_ms)
        self._clock = clock
        self.ended: list[list[tuple[Completion, float]]] = [[] for _ in shares]
        self._schedulers = [
            Scheduler(
                engine,
                settings,
                clock,
                lambda completions, ended=ended: ended.extend(
                    (one, clock.monotonic()) for one in completions
                ),
                device=self._device,
                share=share,
            )
            for share, ended in zip(shares, self.ended, strict=True)
        ]

    async def start(self, texts: Texts) -> None:
        """Warm up."""
        for each in self._schedulers:
            await each.start(texts.encoded[:64])

    async def run(self, loads: Sequence[Sequence[Work]]) -> float:
        """Offer each queue its works as they become due; return the processor time spent."""
        whose = {id(work): number for number, works in enumerate(loads) for work in works}

        def offer(works: Sequence[Work]) -> None:
            parts: dict[int, list[Work]] = {}
            for work in works:
                parts.setdefault(whose[id(work)], []).append(work)
            for number, part in parts.items():
                self._schedulers[number].offer(part)

        spent = time.process_time()
        due = sorted((work for works in loads for work in works), key=lambda work: work.arrival)
        await send(due, self._clock, offer)
        for each in self._schedulers:
            await each.drain(GRACE_S)
        return time.process_time() - spent

    async def close(self) -> None:
        """End the device's thread."""
        for each in self._schedulers:
            each.withdraw(lambda _: True)
        for each in self._schedulers:
            await each.close()


def works_of(load: Sequence[Arrival], texts: Texts, start: float) -> list[Work]:
    """Make works of arrivals; what cannot be on time is shed."""
    policy = Policy("tenants", "dynamic_priority", OverloadPolicy.SHED)
    return [work_of(arrival, texts, policy, start) for arrival in load]


def row(name: str, ended: Sequence[tuple[Completion, float]], events: int, cpu: float) -> Row:
    """Sum up what became of a queue's events."""
    reserve_s = SchedulerSettings().publish_reserve_ms / 1e3
    answered = [(one, at) for one, at in ended if one.prediction is not None]
    met = sum(at + reserve_s <= one.work.deadline for one, at in answered)
    latencies = sorted((at - one.work.arrival) * 1e3 for one, at in answered)
    p99 = latencies[int(0.99 * len(latencies))] if latencies else 0.0
    return Row(name, events, met / events, p99, cpu)


async def isolation(engine: Engine, texts: Texts, rate: float, seconds: float) -> list[Row]:
    """Return what becomes of the quiet tenant: alone, beside a flood, in one queue with it."""
    clock = SystemClock()
    quiet_times = poisson(QUIET_LOAD * rate, seconds, 2)
    quiet = arrivals(quiet_times, len(texts.encoded), [QUIET_BUDGET_S], seed=2)
    flood = arrivals(poisson(FLOOD_LOAD * rate, seconds, 1), len(texts.encoded), [BUDGET_S], seed=1)
    rows = []
    for name, shares, together in (
        ("alone", (None,), False),
        ("beside a flood, queue and claim of its own", (Share(Tenant()), Share(Tenant())), False),
        ("in one queue with the flood", (None,), True),
    ):
        queues = Queues(engine, clock, shares)
        await queues.start(texts)
        settle_memory()
        start = clock.monotonic() + LEAD_S
        of_quiet = works_of(quiet, texts, start)
        loads = [of_quiet, works_of(flood, texts, start)] if len(shares) > 1 else [of_quiet]
        if together:
            loads = [sorted([*of_quiet, *works_of(flood, texts, start)], key=lambda w: w.arrival)]
        spent = await queues.run(loads)
        await queues.close()
        mine = {id(work) for work in of_quiet}
        ended = [pair for each in queues.ended for pair in each if id(pair[0].work) in mine]
        rows.append(row(name, ended, len(quiet), spent / seconds))
        if len(shares) > 1:
            rows.append(row("  the flood itself", queues.ended[1], len(flood), spent / seconds))
    return rows


async def many(engine: Engine, texts: Texts, rate: float, seconds: float) -> list[Row]:
    """Return what becomes of one load that is spread over more and more topics."""
    clock, rows = SystemClock(), []
    load = arrivals(poisson(TOPICS_LOAD * rate, seconds, 1), len(texts.encoded), [BUDGET_S], seed=1)
    for topics in TOPICS:
        queues = Queues(engine, clock, [Share(Tenant(str(one))) for one in range(topics)])
        await queues.start(texts)
        settle_memory()
        works = works_of(load, texts, clock.monotonic() + LEAD_S)
        spent = await queues.run([works[number::topics] for number in range(topics)])
        await queues.close()
        ended = [pair for each in queues.ended for pair in each]
        rows.append(row(f"{topics} topics", ended, len(load), spent / seconds))
    return rows


async def measure(options: argparse.Namespace) -> dict[str, list[Row]]:
    """Run both."""
    engine = load_engine(options.model)
    texts = read_texts(engine, None, labelled=False, seed=1)
    runs = LiveRuns(engine, texts, SchedulerSettings())
    await runs.start()
    rate = await capacity(runs, len(texts.encoded), 8_000, 3)
    await runs.close()
    print(
        f"{facts()['cpu']}: works off a backlog at {rate:,.0f}/s, "
        f"{texts.mean_tokens:.1f} tokens an event"
    )
    return {
        f"a quiet tenant ({QUIET_LOAD:.0%} of the capacity, {QUIET_BUDGET_S * 1e3:g} ms) and a "
        f"flood ({FLOOD_LOAD:g} times the capacity)": await isolation(
            engine, texts, rate, options.seconds
        ),
        f"{TOPICS_LOAD:.0%} of the capacity over topics of one model": await many(
            engine, texts, rate, options.seconds
        ),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="news-sentiment", help="name or directory")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    found = asyncio.run(measure(options))
    for title, rows in found.items():
        table = Table(title, box=None, pad_edge=False, header_style="bold")
        for name in ("events", "on time", "p99 ms", "cores"):
            table.add_column(name, justify="right")
        for one in rows:
            table.add_row(
                one.name, f"{one.events:,}", f"{one.on_time:.2%}", f"{one.p99_ms:.1f}",
                f"{one.cpu:.2f}",
            )  # fmt: skip
        Console(highlight=False, width=120).print(table)
        print()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"tenants-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_bytes(
        msgspec.json.format(msgspec.json.encode({"facts": facts(), **found}), indent=1)
    )
    print(f"written to {path}")


if __name__ == "__main__":
    main()
