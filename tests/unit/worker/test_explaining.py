"""What ``--explain-schedule`` writes, and what it leaves out when there is too much."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.work import Completion, OverloadPolicy, Work
from streams.worker.explaining import ALIKE_PER_S, TABLE_EVERY_S, UNLIKE_PER_S, ScheduleLog
from tests.fakes.bench import cost
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine, encode_words
from tests.fakes.works import work

EXAMPLES = [encode_words(["word"] * 10)]


def no_time(*_: object) -> float:
    """Run batches in no time, of which nothing is learned."""
    return 0.0


class Rig:
    """A scheduler whose device takes the clock's time, and the lines that explain it."""

    def __init__(self, style: str, settings: SchedulerSettings) -> None:
        self.clock = ManualClock()
        self.clock.drive(asyncio.get_running_loop())
        self.engine = FakeEngine(cost=cost, spend=self.clock.advance)
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.explaining = ScheduleLog(self.clock, style, self._write)
        device = SharedDevice(self.clock, device_timeout_ms=60_000, observer=self.explaining)
        self.scheduler = Scheduler(self.engine, settings, self.clock, self._deliver, device=device)
        self.explaining.watch("news", self.scheduler)

    def _write(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    def _deliver(self, completions: Sequence[Completion]) -> None:
        pass

    def events(self) -> list[str]:
        """Return the lines so far, without fields."""
        return [event for event, _ in self.lines]

    def fields(self, event: str) -> list[dict[str, Any]]:
        """Return the fields of the lines of one kind."""
        return [fields for name, fields in self.lines if name == event]

    async def run(self, *works: Work) -> None:
        """Offer works and let them end."""
        self.scheduler.offer(works)
        assert await self.scheduler.drain(9)

    def arriving(self, **fields: Any) -> Work:
        """Make a work that arrives now."""
        return work(arrival=self.clock.monotonic(), **fields)


@asynccontextmanager
async def opened(style: str = "json", **settings: Any) -> AsyncIterator[Rig]:
    """Start a scheduler that knows what its batches cost."""
    rig = Rig(style, SchedulerSettings(**settings))
    await rig.scheduler.start(warmup=EXAMPLES)
    try:
        yield rig
    finally:
        await rig.scheduler.close()


async def test_a_batch_is_told_with_its_cost_its_slack_and_its_reason() -> None:
    """Two of ten tokens take 30 ms; a second before the deadline that leaves 0.96 s and more."""
    async with opened() as rig:
        await rig.run(rig.arriving(budget=1.0), rig.arriving(budget=2.0))
        (told,) = rig.fields("batch")
        assert (told["topic"], told["model"], told["effort"]) == ("news", "fake", "full")
        assert (told["events"], told["tokens"], told["left_events"]) == (2, 20, 0)
        assert told["took_ms"] == 30.0
        assert 30.0 <= told["predicted_ms"] < 40.0
        assert told["slack_ms"] == round(1000.0 - 5.0 - told["predicted_ms"], 3)
        assert told["why"] == "all that waits fits into one batch"
        assert told["why_this_effort"] is None


async def test_a_lower_effort_says_what_full_effort_would_have_cost() -> None:
    """A work that full effort would finish too late is rescued at a lower one."""
    async with opened("console") as rig:
        await rig.run(rig.arriving(tokens=100, budget=0.07))
        (line,) = rig.events()
        assert line.startswith("news early_exit")
        assert "would finish too late" in line
        assert "full effort would miss the deadline by" in line


async def test_shed_works_are_counted_by_reason_with_the_range_of_its_numbers() -> None:
    """Before the batch that runs in their stead, in one line however many there are."""
    async with opened("console") as rig:
        shed = OverloadPolicy.SHED
        hopeless = [
            rig.arriving(tokens=tokens, budget=0.02, on_overload=shed) for tokens in (20, 30, 40)
        ]
        await rig.run(*hopeless, rig.arriving(budget=1.0))
        told = rig.events()[0]
        assert told.startswith("news: 3 shed: 3 would miss its deadline by ")
        assert "effort full needs " in told
        assert told.count(" to ") == 2  # what they need and by how much it is too long
        assert "15 ms are left" in told


async def test_a_flood_of_batches_is_sampled_and_the_rest_is_summed_up() -> None:
    """Batches like the one before are the first to be left out; all are accounted for."""
    async with opened() as rig:
        rig.engine.cost = no_time
        for _ in range(50):
            await rig.run(rig.arriving(budget=9.0))
        assert len(rig.fields("batch")) == 1 + ALIKE_PER_S
        rig.clock.advance(1.0)
        rig.explaining.tick()
        (rest,) = rig.fields("batches_left_out")
        assert rest["batches"] == rest["events"] == 50 - 1 - ALIKE_PER_S
        await rig.run(rig.arriving(budget=9.0))
        assert len(rig.fields("batch")) == 2 + ALIKE_PER_S


async def test_batches_that_differ_each_time_are_bounded_too() -> None:
    """No load can flood the log."""
    async with opened() as rig:
        rig.engine.cost = no_time
        for number in range(60):
            await rig.run(rig.arriving(tokens=100, budget=0.07 if number % 2 else 9.0))
        assert {told["effort"] for told in rig.fields("batch")} == {"full", "early_exit"}
        assert len(rig.fields("batch")) == UNLIKE_PER_S


async def test_what_batches_cost_and_what_waits_is_told_now_and_then() -> None:
    """While there is work; an idle worker says nothing."""
    async with opened() as rig:
        rig.clock.advance(TABLE_EVERY_S)
        rig.explaining.tick()
        assert rig.lines == []
        await rig.run(rig.arriving(budget=9.0))
        rig.engine.hold()
        rig.scheduler.offer([rig.arriving(budget=9.0)])
        assert await asyncio.to_thread(rig.engine.wait_until_held)
        rig.scheduler.offer([rig.arriving(budget=9.0, priority=7), rig.arriving(budget=8.0)])
        rig.clock.advance(TABLE_EVERY_S)
        rig.explaining.tick()
        rig.engine.release()
        (told,) = rig.fields("schedule")
        full = told["costs"][0]
        assert full["effort"] == "full"
        assert abs(full["fixed_ms"] - 10.0) < 0.1
        assert full["knee_tokens"] > 0
        assert told["tail"] >= 1.0
        assert [one["priority"] for one in told["waiting"]] == [7, 4]
        assert sum(one["share"] for one in told["waiting"]) == 1.0


async def test_the_table_lines_its_columns_up() -> None:
    """For people it is a table, with a line above that says what is in it."""
    async with opened("console") as rig:
        await rig.run(rig.arriving(budget=9.0))
        rig.clock.advance(TABLE_EVERY_S)
        rig.explaining.tick()
        title, head, full, *_ = rig.events()[-1].splitlines()
        assert title.startswith("news: what batches cost")
        assert head.split() == ["effort", "fixed_ms", "us_per_token", "us_per_event", "knee_tokens"]
        assert full.split()[0] == "full"
        assert len(full) == len(head)
