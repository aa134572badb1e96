"""Planning a load: reading it, sharing it out over workers, and what is said of it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from inference.capacity import LoopCost
from inference.cost import Coefficients
from inference.curve import Curve
from inference.settings import SchedulerSettings
from schemas.errors import ConfigurationError
from schemas.events import Modality
from streams.planning.arrivals import bursts, poisson
from streams.planning.costs import WorkerCosts
from streams.planning.events import EventLog, made_up, read_log
from streams.planning.report import chart_of, remarks
from streams.planning.running import Observed, fitted_to, read_worker
from streams.planning.simulate import Planner
from streams.replay.mapping import Mapper
from streams.replay.source import LineSource
from tests.fakes.engine import EFFORTS, FakeEngine
from tests.fakes.routes import route_of

CURVE = Curve(
    {
        name: Coefficients(0.0005 * factor, 0.00002 * factor, 0.0001 * factor)
        for name, factor in (("full", 1.0), ("early_exit", 0.6), ("low", 0.35))
    },
    noise=0.05,
)
LOOP = LoopCost(20e-6, 30e-6, round_s=0.0003, idle=0.01, fetch_s=0.003)
COSTS = WorkerCosts(EFFORTS, CURVE, LOOP, 0.9, 0.002, "made up")
PLANNER = Planner(COSTS, SchedulerSettings())


async def read(path: Path, *lines: object, **mapping: str) -> EventLog:
    """Write a log and read it."""
    log = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines)
    await asyncio.to_thread(path.write_text, log)
    source = LineSource(str(path))
    try:
        mapper = Mapper(Modality.NEWS, fields=mapping or None)
        return await read_log(source, mapper, route_of(), FakeEngine())
    finally:
        source.close()


def load(rate: float, seconds: float = 3.0) -> EventLog:
    """Return made-up events at a rate."""
    return made_up(route_of(), FakeEngine(), poisson(rate, seconds, seed=1))


async def test_a_log_is_read_as_a_worker_would_take_it_in(tmp_path: Path) -> None:
    """Budgets and priorities of events' own count; what cannot be an event is counted apart."""
    log = await read(
        tmp_path / "log.jsonl",
        {"ts_ms": 1_700_000_000_000, "headline": "one two three"},
        "no json",
        {"ts_ms": 1_700_000_002_000, "headline": ""},
        {
            "specversion": "1.0",
            "id": "a",
            "source": "/s",
            "type": "headrace.news.v1",
            "time": "2023-11-14T22:13:24Z",
            "budgetms": 40,
            "priority": 8,
            "data": {"id": "a", "headline": "four"},
        },
    )
    assert [one.at_s for one in log.events] == [0.0, 4.0]
    assert [one.work.deadline for one in log.events] == [0.15, 0.04]
    assert [one.work.priority for one in log.events] == [4, 8]
    assert (log.unreadable, log.rejected) == (1, 1)
    assert [one.at_s for one in log.at_speed(8.0)] == [0.0, 0.5]


async def test_a_log_has_the_pace_of_its_replay(tmp_path: Path) -> None:
    """What has no time, or an earlier one, goes with the event before; the first may have none."""
    times = (None, 1_800_000_000_000, 1_800_000_002_000, 1_800_000_001_000, None)
    lines = (
        {"headline": "one"} if at is None else {"headline": "one", "ts_ms": at} for at in times
    )
    log = await read(tmp_path / "log.jsonl", *lines)
    assert [one.at_s for one in log.events] == [0.0, 0.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["no json"], "holds no event"),
        ([{"headline": "one"}, {"headline": "two"}], "say no time"),
    ],
)
async def test_a_log_without_events_or_times_cannot_be_planned(
    lines: Sequence[object], message: str, tmp_path: Path
) -> None:
    """The error says what to look at."""
    with pytest.raises(ConfigurationError, match=message):
        await read(tmp_path / "log.jsonl", *lines)


def test_more_workers_never_miss_more() -> None:
    """And the fewest that miss little enough are found."""
    events = load(12_000, 1.5).events
    shares = [PLANNER.plan(events, workers).worst_missed for workers in (1, 2, 4, 8)]
    assert shares == sorted(shares, reverse=True)
    needed = PLANNER.needed(events, 0.001)
    assert needed is not None
    assert needed.worst_missed <= 0.001
    assert PLANNER.plan(events, needed.workers - 1).worst_missed > 0.001
    assert needed.partitions >= needed.workers


def test_a_faster_log_needs_as_many_workers_or_more() -> None:
    """Never fewer."""
    log = load(2_000)
    needed = [PLANNER.needed(log.at_speed(speed), 0.001) for speed in (0.5, 2.0, 8.0)]
    workers = [plan.workers for plan in needed if plan]
    assert len(workers) == 3
    assert workers == sorted(workers)
    assert workers[0] == 1 < workers[2]


def test_partitions_bound_the_workers() -> None:
    """More of these would have nothing to do."""
    assert PLANNER.needed(load(40_000, 0.5).events, 0.001, partitions=2) is None


def test_events_of_one_key_stay_together() -> None:
    """A key that is too hot is said, as no number of workers helps it."""
    events = [replace(one, key=b"one") for one in load(12_000, 1.5).events]
    plan = PLANNER.plan(events, 4)
    assert plan.hottest_key == 1.0
    assert plan.worst_missed == pytest.approx(PLANNER.plan(events, 1).worst_missed, abs=0.02)
    assert any("finer key" in line for line in remarks({"all": plan}, cores=64))


def test_cores_count_device_loop_and_idling() -> None:
    """At half the load about half of what the whole takes."""
    plan = PLANNER.plan(load(1_000).events, 1)
    assert plan.cores == plan.device_cores + plan.loop_cores
    assert plan.loop_cores > 1_000 * (LOOP.admit_s + LOOP.answer_s)
    assert PLANNER.plan(load(500).events, 2).loop_cores > 2 * LOOP.idle
    assert any("cores" in line for line in remarks({"all": plan}, cores=0))


def test_bursts_are_as_many_but_closer() -> None:
    """The same average; the busiest moments are busier."""
    even, in_bursts = (bursts(1_000, 10, seed=1, factor=factor) for factor in (1.0, 4.0))
    assert len(in_bursts) == len(even)
    assert sum(time % 0.5 < 0.1 for time in in_bursts) == pytest.approx(0.8 * len(even), rel=0.05)
    assert sum(time % 0.5 < 0.1 for time in even) == pytest.approx(0.2 * len(even), rel=0.1)


def test_a_chart_has_a_line_for_each_verdict() -> None:
    """In the order of the loads, whatever order they were asked for in."""
    plans = [(float(rate), PLANNER.plan(load(rate, 1.0).events, 1)) for rate in (4_000, 1_000)]
    chart = chart_of(plans, "events per second", "a load")
    assert chart.startswith("<svg ")
    for name in ("on time at full effort", "degraded", "late", "shed"):
        assert f">{name}</text>" in chart
    assert chart.count("<circle ") == 8


METRICS = """
headrace_events_total{{topic="events.news",modality="news"}} {events}
headrace_batch_seconds_sum{{model="fake",effort="full"}} {batches_s}
headrace_batch_seconds_count{{model="fake",effort="full"}} {batches}
headrace_batch_tokens_total{{model="fake"}} {tokens}
headrace_batch_events_sum{{model="fake"}} {events}
process_cpu_seconds_total {cpu}
"""


class FakeWorker:
    """Answers /metrics with what it did up to then: the same between any two readings."""

    def __init__(self, events: int, cpu: float = 0.006) -> None:
        self._events, self._cpu, self._times = events, cpu, 0

    async def answer(self, _: web.Request) -> web.Response:
        """Write the metrics."""
        self._times += 1
        times = self._times
        text = METRICS.format(
            events=self._events * times,
            batches_s=0.4 * times,
            batches=100 * times,
            tokens=20 * self._events * times,
            cpu=self._cpu * times,
        )
        return web.Response(text=text)


async def read_fake(worker: FakeWorker, model: str = "fake") -> Observed:
    """Read it through a socket, as a worker is read."""
    app = web.Application()
    app.router.add_get("/metrics", worker.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0]
        url = f"http://{host}:{port}/metrics"
        return await read_worker(url, model, seconds=0.01)
    finally:
        await runner.cleanup()


async def test_a_running_worker_says_what_it_did() -> None:
    """Rates, processor time, and what its batches took."""
    found = await read_fake(FakeWorker(events=1_000))
    assert (found.rate, found.cores) == (pytest.approx(100_000), pytest.approx(0.6))
    assert (found.batch_s, found.batch_tokens, found.batch_events) == (
        pytest.approx(0.004),
        pytest.approx(200),
        pytest.approx(10),
    )


def test_costs_measured_alone_are_fitted_to_a_worker_among_others() -> None:
    """Its batches wait, whatever their size; its process takes what it was seen to take."""
    alone_s = CURVE.efforts["full"].seconds(100, 5)
    seen = Observed(500.0, 0.5, alone_s + 0.002, 100.0, 5.0, "read")
    events, settings = load(500).events, SchedulerSettings()
    costs = fitted_to(COSTS, seen, events, settings)
    assert costs.curve.wait_s == pytest.approx(0.002)
    for name, curve in costs.curve.efforts.items():
        before = CURVE.efforts[name]
        assert curve.fixed_s == pytest.approx(before.fixed_s + 0.002)
        assert curve.per_token_s == before.per_token_s
    again = Planner(costs, settings).plan(load(500, 10.0).events, 1)
    assert again.cores == pytest.approx(0.5, rel=0.1)
    times = costs.curve.run_times(1)
    drawn = [times(100, 5, "full") for _ in range(2_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(alone_s + 0.002, rel=0.05)


@pytest.mark.parametrize(
    ("worker", "model", "message"),
    [
        (FakeWorker(events=10), "fake", "too few"),
        (FakeWorker(events=1_000, cpu=0.0), "fake", "--workers 1"),
        (FakeWorker(events=1_000), "other", "runs not other alone"),
    ],
)
async def test_a_worker_that_cannot_be_read_says_why(
    worker: FakeWorker, model: str, message: str
) -> None:
    """With what to do about it."""
    with pytest.raises(ConfigurationError, match=message):
        await read_fake(worker, model)


async def test_a_worker_that_is_not_there_says_so() -> None:
    """The error names the address and the flag."""
    expected = r"--worker http://127\.0\.0\.1:1/metrics.*metrics-port"
    with pytest.raises(ConfigurationError, match=expected):
        await read_worker("http://127.0.0.1:1", "fake", seconds=0.01)
