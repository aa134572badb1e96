"""One load through one policy: on the real engine in real time, or on a simulated device."""

import asyncio
import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from overload_loads import Arrival
from overload_texts import Texts, best

from inference.clock import Clock, SystemClock
from inference.curve import Curve, measured
from inference.engine import EffortLevel, Engine
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.simulation import Simulation
from inference.work import Completion, OverloadPolicy, Work

POLL_S = 0.001
"""Events are handed over this often, as a consumer's polls do."""
LEAD_S = 0.02
"""A load begins so long after it was asked for, when its works have been made."""
GRACE_S = 0.1
"""What has not been answered so long after its deadline is late, however late."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is compared.

    Attributes:
        strategy: Batch strategy, by name.
        on_overload: What the events say of it; the rivals take no notice.
    """

    name: str
    strategy: str
    on_overload: OverloadPolicy


POLICIES = {
    policy.name: policy
    for policy in (
        Policy("headrace degrade", "dynamic_priority", OverloadPolicy.DEGRADE),
        Policy("headrace shed", "dynamic_priority", OverloadPolicy.SHED),
        Policy("headrace late", "dynamic_priority", OverloadPolicy.LATE),
        Policy("static FIFO", "static", OverloadPolicy.LATE),
        Policy("Triton style", "bench_triton", OverloadPolicy.LATE),
        Policy("Triton tuned", "bench_triton_tuned", OverloadPolicy.LATE),
        Policy("plain EDF", "bench_edf", OverloadPolicy.LATE),
    )
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one event.

    Attributes:
        latency_s: From when it was due to arrive to its answer, or to the moment when nobody
            waited for one any more; ``None`` where it was shed.
        on_time: It was answered so early that it can be published before its deadline.
        effort: Name of the rung that was run; ``None`` where it was shed or never ran.
        answer: The class that it was given.
    """

    arrival: Arrival
    latency_s: float | None
    on_time: bool
    degraded: bool
    effort: str | None
    answer: int | None


class SimulatedRuns:
    """Runs loads on a simulated device; nothing of the engine runs."""

    def __init__(
        self,
        curve: Curve,
        efforts: Sequence[EffortLevel],
        texts: Texts,
        settings: SchedulerSettings,
    ) -> None:
        self._curve = curve
        self._efforts = efforts
        self._texts = texts
        self._settings = settings

    async def run(self, policy: Policy, load: Sequence[Arrival], seed: int) -> list[Ending]:
        """Return what becomes of each event of a load."""
        settings = replace(self._settings, batch_strategy=policy.strategy)
        cost = self._curve.learned(settings.cost_quantile, self._texts.mean_tokens)
        simulation = Simulation(settings, self._efforts, cost, self._curve.run_times(seed))
        works = (work_of(arrival, self._texts, policy, 0.0) for arrival in load)
        endings = []
        for one in simulation.run(works).outcomes:
            arrival: Arrival = one.work.handle
            known = self._texts.answers.get(one.effort or "")
            endings.append(
                Ending(
                    arrival,
                    one.ended - arrival.at_s if one.effort else None,
                    one.on_time,
                    one.degraded,
                    one.effort,
                    known[arrival.text] if known else None,
                )
            )
        return endings


class LiveRuns:
    """Runs loads on the real engine in real time.

    The load never waits for answers, and latency counts from the moment at which an event was due
    to arrive, so a busy process cannot hide what it does to them.
    """

    def __init__(self, engine: Engine, texts: Texts, settings: SchedulerSettings) -> None:
        self._engine = engine
        self._texts = texts
        self._settings = settings
        self._clock = SystemClock()
        self._device = SharedDevice(self._clock, device_timeout_ms=settings.device_timeout_ms)
        # Keeps the device, and what is known of costs, from one load to the next.
        self._keeper = Scheduler(engine, settings, self._clock, lambda _: None, device=self._device)

    async def start(self) -> None:
        """Measure costs."""
        await self._keeper.start(self._texts.encoded[:: max(1, len(self._texts.encoded) // 64)])

    async def close(self) -> None:
        """End the device's thread."""
        await self._keeper.close()

    async def curve(self) -> Curve:
        """Return what batches take, and how much that varies."""
        cost, _ = self._device.cost_of(self._engine, self._settings.cost_quantile)
        found: list[Curve] = []
        await self._device.run(
            lambda: found.append(measured(self._engine, cost, self._texts.encoded, self._clock))
        )
        return found[0]

    async def run(self, policy: Policy, load: Sequence[Arrival], seed: int) -> list[Ending]:
        """Return what becomes of each event of a load."""
        del seed  # chance is the machine's own
        endings: list[Ending] = []
        settings = replace(self._settings, batch_strategy=policy.strategy)
        start = self._clock.monotonic() + LEAD_S

        def deliver(completions: Sequence[Completion]) -> None:
            now = self._clock.monotonic()
            endings.extend(self._ending(one, now, start) for one in completions)

        scheduler = Scheduler(self._engine, settings, self._clock, deliver, device=self._device)
        await scheduler.start()
        works = [work_of(arrival, self._texts, policy, start) for arrival in load]
        settle_memory()
        try:
            await send(works, self._clock, scheduler.offer)
            last = max(work.deadline for work in works) + GRACE_S
            await scheduler.drain(max(0.0, last - self._clock.monotonic()))
            given_up = scheduler.withdraw(lambda _: True)
            now = self._clock.monotonic()
            await scheduler.drain(self._settings.device_timeout_ms / 1e3)
        finally:
            await scheduler.close()
            gc.unfreeze()
        endings += (
            Ending(
                one.handle,
                now - start - one.handle.at_s,
                on_time=False,
                degraded=False,
                effort=None,
                answer=None,
            )
            for one in given_up
        )
        return endings

    def _ending(self, completion: Completion, now: float, start: float) -> Ending:
        arrival: Arrival = completion.work.handle
        if completion.error is not None:
            raise completion.error
        prediction = completion.prediction
        if prediction is None:
            return Ending(arrival, None, on_time=False, degraded=False, effort=None, answer=None)
        assert completion.effort is not None  # noqa: S101 - it ran
        reserve_s = self._settings.publish_reserve_ms / 1e3
        return Ending(
            arrival,
            now - start - arrival.at_s,
            on_time=now + reserve_s <= completion.work.deadline,
            degraded=completion.degraded,
            effort=completion.effort.name,
            answer=best(prediction),
        )


Runs = SimulatedRuns | LiveRuns


async def capacity(runs: Runs, texts: int, events: int, repeats: int) -> float:
    """Return the events per second at which a backlog is worked off at full effort."""
    policy = Policy("backlog", "fifo", OverloadPolicy.LATE)
    load = [Arrival(0.0, number % texts, 3_600.0, 4) for number in range(events)]
    rates = []
    for seed in range(repeats):
        endings = await runs.run(policy, load, seed)
        rates.append(events / max(one.latency_s or 0.0 for one in endings))
    return statistics.median(rates)


def work_of(arrival: Arrival, texts: Texts, policy: Policy, start: float) -> Work:
    """Make an arrival the scheduler's work, its times counted from ``start``."""
    at = start + arrival.at_s
    return Work(
        handle=arrival,
        encoded=texts.encoded[arrival.text],
        arrival=at,
        deadline=at + arrival.budget_s,
        priority=arrival.priority,
        on_overload=policy.on_overload,
    )


async def send(
    works: Sequence[Work], clock: Clock, offer: Callable[[Sequence[Work]], None]
) -> None:
    """Offer works as they become due, whatever has become of those before."""
    at = 0
    while at < len(works):
        now = clock.monotonic()
        upto = at
        while upto < len(works) and works[upto].arrival <= now:
            upto += 1
        if upto > at:
            offer(works[at:upto])
            at = upto
        if at < len(works):
            await asyncio.sleep(max(POLL_S, works[at].arrival - now))


def settle_memory() -> None:
    """Let the cycle collector pass over all that is there already, as a worker does."""
    gc.collect()
    gc.freeze()
