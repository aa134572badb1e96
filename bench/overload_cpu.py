"""What the scheduler itself takes of a processor core, with an engine that takes none."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from overload_loads import Arrival
from overload_runs import Policy, Texts, send, settle_memory, work_of

from inference.clock import SystemClock
from inference.cost import Coefficients
from inference.engine import EffortLevel, Encoded, Prediction
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.work import Work
from schemas.events import Event, Modality
from schemas.results import Model


class SleepingEngine:
    """Implements ``inference.engine.Engine``: batches take their time, but no processor's.

    Args:
        curves: Typical cost by effort, full effort first.
    """

    def __init__(self, curves: dict[str, Coefficients], efforts: Sequence[EffortLevel]) -> None:
        self.model = Model(name="sleeping", version="1", digest="sha256:" + "0" * 64)
        self.modalities = frozenset(Modality)
        self.labels = ("any",)
        self.efforts = tuple(efforts)
        self.max_tokens = 512
        self._curves = curves
        self._answer = Prediction((1.0,), 1.0, 1, 1)

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Say nothing about events."""
        return [Encoded(1, None) for _ in events]

    def prepare(self, batch: Sequence[Encoded]) -> tuple[int, int]:
        """Count tokens and events."""
        return sum(one.tokens for one in batch), len(batch)

    def run(self, prepared: tuple[int, int], effort: EffortLevel) -> list[Prediction]:
        """Sleep for as long as the batch would take."""
        tokens, events = prepared
        time.sleep(self._curves[effort.name].seconds(tokens, events))
        return [self._answer] * events


async def cpu_per_event(
    policy: Policy,
    load: Sequence[Arrival],
    texts: Texts,
    settings: SchedulerSettings,
    engine: SleepingEngine,
) -> float:
    """Return the seconds of processor time that scheduling takes per event.

    It is the process's own, both threads, less what the same load takes that nobody receives:
    queueing, deciding, handing batches over and results back are what is left.
    """
    clock = SystemClock()
    ended: list[Any] = []
    scheduler = Scheduler(engine, settings, clock, ended.extend)
    await scheduler.start([texts.encoded[0]])
    start = clock.monotonic() + 0.02
    works = [work_of(arrival, texts, policy, start) for arrival in load]
    spent = await _spent(works, clock, scheduler.offer, lambda: scheduler.drain(1.0))
    await scheduler.close()
    start = clock.monotonic() + 0.02
    works = [work_of(arrival, texts, policy, start) for arrival in load]
    idle = await _spent(works, clock, lambda _: None, lambda: asyncio.sleep(0))
    return max(0.0, spent - idle) / len(load)


async def _spent(
    works: Sequence[Work],
    clock: SystemClock,
    offer: Callable[[Sequence[Work]], None],
    end: Callable[[], Any],
) -> float:
    settle_memory()
    before = time.process_time()
    await send(works, clock, offer)
    await end()
    return time.process_time() - before
