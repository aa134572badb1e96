"""A scheduler on a clock that the test moves, with its engine and what it delivered."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from inference.engine import EffortLevel
from inference.scheduler import BatchRun, Scheduler
from inference.settings import SchedulerSettings
from inference.work import Completion, Work
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine, Poison, encode_words
from tests.fakes.works import work

FACTORS = {"full": 1.0, "early_exit": 0.5, "low": 0.25}
POISON = encode_words(["poison"]).data
EXAMPLES = [encode_words(["word"] * 10)]


def cost(tokens: int, events: int, effort: EffortLevel) -> float:
    """Return 10 ms and one for each token; less at lower efforts."""
    del events
    return FACTORS[effort.name] * (0.010 + 0.001 * tokens)


class Bench:
    """A scheduler on a clock that the test moves; timers of the loop follow it.

    The device takes no time unless it is ``timed``; then it moves the clock itself.
    """

    def __init__(
        self,
        *,
        settings: SchedulerSettings | None = None,
        poison: Poison | None = None,
        timed: bool = False,
    ) -> None:
        self.clock = ManualClock()
        self.clock.drive(asyncio.get_running_loop())
        self.engine = (
            FakeEngine(cost=cost, spend=self.clock.advance, poison=poison)
            if timed
            else FakeEngine(poison=poison)
        )
        self.completions: list[Completion] = []
        self.batches: list[BatchRun] = []
        self._news = asyncio.Event()
        self.scheduler = Scheduler(
            self.engine,
            settings or SchedulerSettings(),
            self.clock,
            self._deliver,
            observe_batch=self.batches.append,
        )

    def work(self, *, budget: float = 9.0, **fields: Any) -> Work:
        """Make a work that arrives now."""
        return work(arrival=self.clock.monotonic(), budget=budget, **fields)

    def offer(self, *works: Work) -> list[Work]:
        """Offer works together, and return them."""
        self.scheduler.offer(works)
        return list(works)

    async def completed(self, number: int) -> list[Completion]:
        """Wait until so many works have completed."""
        while len(self.completions) < number:
            self._news.clear()
            await self._news.wait()
        return self.completions

    async def hold_device(self) -> Work:
        """Offer a work and keep the device busy with it."""
        self.engine.hold()
        (held,) = self.offer(self.work(handle="held"))
        await turns()
        assert self.engine.wait_until_held()
        return held

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and the loop's timers fire."""
        self.clock.advance(seconds)
        await turns()

    def _deliver(self, completions: Sequence[Completion]) -> None:
        self.completions.extend(completions)
        self._news.set()


async def turns(number: int = 5) -> None:
    """Let the event loop turn some times."""
    for _ in range(number):
        await asyncio.sleep(0)


@asynccontextmanager
async def bench(
    *,
    settings: SchedulerSettings | None = None,
    poison: Poison | None = None,
    timed: bool = False,
    started: bool = True,
) -> AsyncIterator[Bench]:
    """Yield a bench and close its scheduler; a timed device is warmed up."""
    opened = Bench(settings=settings, poison=poison, timed=timed)
    if started:
        await opened.scheduler.start(EXAMPLES if timed else ())
        opened.engine.batches.clear()
    try:
        yield opened
    finally:
        opened.engine.release()
        await opened.scheduler.close()


def handles(completions: Sequence[Completion]) -> list[object]:
    """Return the works' handles in order."""
    return [completion.work.handle for completion in completions]
