"""What a worker takes for what it does: measured on this machine, or read from one that runs."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from inference.capacity import LoopCost
from inference.clock import SystemClock
from inference.cost import Coefficients
from inference.curve import Curve, measured
from inference.dispatch import Flight
from inference.engine import EffortLevel, Engine
from inference.result_cache import Cache
from inference.shared_device import SharedDevice
from inference.turns import Turn
from inference.work import OverloadPolicy
from schemas.limits import DEFAULT_LIMITS
from streams.delivery.publisher import Publisher
from streams.lane.lane import Lane
from streams.offsets import Ledger
from streams.planning.arrivals import poisson
from streams.planning.events import PlannedEvent, record_of
from streams.routes import Route
from streams.settings import Settings
from streams.worker.warm_up import warm_up_examples

LOADS = (0.05, 0.4)
"""Shares of the device's capacity at which the event loop is measured."""
SECONDS = 2.0
POLL_S = 0.001
DRAIN_S = 60.0
ADMIT_SHARE = 0.4
"""Of what an event takes of the loop, the part on its way in."""
ROUND = 10.0
"""What a round of fetching and its batch take of the loop, in units of what an event does; by
thread, of a worker on a broker at 500 to 4,500 events/s."""
KAFKA = 1.7
"""What a worker's loop takes in all, over what it takes without a Kafka client; likewise."""
IDLE = 0.006
"""Share of a core that an idle worker takes: empty fetches, heartbeats, commits; likewise."""
TRANSIT_S = 0.002
"""From a producer's timestamp until an idle worker has the record; likewise."""
FETCH_S = 0.003
"""Time of a round of fetching; likewise."""


@dataclass(frozen=True)
class WorkerCosts:
    """What a worker takes for what it does.

    Attributes:
        efforts: The engine's ladder, full effort first.
        curve: How long batches take on the device, and how much that varies.
        loop: What the event loop takes.
        device_cpu: Processor time of a batch over how long it takes; below 1 where it has to wait
            for its turn.
        transit_s: From an event's timestamp until an idle worker has it.
        source: Where the figures are from, for people.
    """

    efforts: tuple[EffortLevel, ...]
    curve: Curve
    loop: LoopCost
    device_cpu: float
    transit_s: float
    source: str


@dataclass(frozen=True, slots=True)
class _Spent:
    """What a load took: seconds of the loop's thread, of all threads, and of batches."""

    loop_s: float
    process_s: float
    batches_s: float
    events: int
    batches: int

    @property
    def rounds(self) -> float:
        """Events, and rounds in units of them."""
        return self.events + ROUND * self.batches


class _Batch(NamedTuple):
    tokens: int
    events: int
    seconds: float


class _Nowhere:
    """Implements what the publisher asks of a producer: everything is acknowledged at once."""

    async def send(self, topic: str, **_: Any) -> "asyncio.Future[None]":
        """Take a record and forget it."""
        del topic
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


async def measure(
    route: Route, engine: Engine, settings: Settings, events: Sequence[PlannedEvent]
) -> WorkerCosts:
    """Measure an engine in a lane under live load on this machine; takes some ten seconds.

    Batches are timed beside the lane's own event loop, as they are in a worker. A broker and
    producers on the same cores would slow both down further: to plan for that, read a worker that
    runs there (:func:`streams.planning.running.read_worker`).

    Args:
        route: Whose lane.
        engine: Its model.
        settings: As of the worker to be planned.
        events: Of the load, to measure with.

    Raises:
        EngineError: The engine fails.
    """
    probe = _Probe(route, engine, settings, events)
    await probe.start()
    try:
        curve = await probe.curve()
        full = next(iter(curve.efforts.values()))
        rate = 64 / full.seconds(64 * probe.mean_tokens, 64)
        rare, often = [await probe.run(load * rate) for load in LOADS]
        curve = replace(curve, efforts=probe.under_load(curve))
    finally:
        await probe.close()
    event_s = KAFKA * (rare.loop_s + often.loop_s) / (rare.rounds + often.rounds)
    loop = LoopCost(
        admit_s=ADMIT_SHARE * event_s,
        answer_s=(1.0 - ADMIT_SHARE) * event_s,
        round_s=ROUND * event_s,
        idle=IDLE,
        fetch_s=FETCH_S,
    )
    device_cpu = (often.process_s - often.loop_s) / often.batches_s
    return WorkerCosts(
        engine.efforts, curve, loop, min(1.0, device_cpu), TRANSIT_S, "measured on this machine"
    )


class _Probe:
    """A lane that answers into nowhere, and what it takes."""

    def __init__(
        self, route: Route, engine: Engine, settings: Settings, events: Sequence[PlannedEvent]
    ) -> None:
        self._clock = SystemClock()
        self._ledger = Ledger()
        self._publisher = Publisher(_Nowhere())
        self._events = [one for one in events if one.work.tokens]
        self._partition = TopicPartition(route.topic, 0)
        self._batches: list[_Batch] = []
        self._offset = 0
        self._lane = Lane(
            replace(route, on_overload=OverloadPolicy.LATE),
            engine=engine,
            clock=self._clock,
            scheduler_settings=settings.scheduler,
            limits=DEFAULT_LIMITS,
            ledger=self._ledger,
            publisher=self._publisher,
            cache=Cache(enabled=False),  # every event is to be run
            device=SharedDevice(
                self._clock,
                device_timeout_ms=settings.scheduler.device_timeout_ms,
                observer=self,
            ),
        )
        self.mean_tokens = sum(one.work.tokens for one in self._events) / len(self._events)

    def decided(self, turn: Turn, now: float) -> None:
        """Implements ``inference.explaining.ScheduleObserver``; looks at batches alone."""

    def landed(self, flight: Flight, seconds: float) -> None:
        """Note a batch that ended."""
        self._batches.append(_Batch(flight.batch.tokens, len(flight.works), seconds))

    async def start(self) -> None:
        """Warm up."""
        self._ledger.assign([self._partition])
        self._publisher.start()
        lane = self._lane
        await lane.scheduler.start(warmup=warm_up_examples(lane.engine, lane.modality))

    async def close(self) -> None:
        """End the device's thread."""
        await self._lane.scheduler.close()
        await self._publisher.close()

    async def curve(self) -> Curve:
        """Return what batches take while nothing else runs."""
        encoded = [one.work.encoded for one in self._events[:2_000]]
        scheduler, found = self._lane.scheduler, list[Curve]()
        await scheduler.run_on_device(
            lambda: found.append(measured(self._lane.engine, scheduler.cost, encoded, self._clock))
        )
        return found[0]

    def under_load(self, alone: Curve) -> dict[str, Coefficients]:
        """Return the curves of all efforts, slower by as much as full effort was under load."""
        full = next(iter(alone.efforts.values()))
        alone_s = sum(full.seconds(one.tokens, one.events) for one in self._batches)
        slower = max(1.0, sum(one.seconds for one in self._batches) / alone_s)
        return {name: curve.scaled(slower) for name, curve in alone.efforts.items()}

    async def run(self, rate: float) -> _Spent:
        """Send events at random times for some seconds, whatever becomes of those before."""
        times = poisson(rate, SECONDS, seed=1) or [0.0]
        dice = random.Random(1)  # noqa: S311 - no secret
        chosen = dice.choices(self._events, k=len(times))
        self._batches.clear()
        process, loop = time.process_time(), time.thread_time()
        start, at = time.monotonic(), 0
        while at < len(times):
            upto, now = at, time.monotonic() - start
            while upto < len(times) and times[upto] <= now:
                upto += 1
            self._admit(chosen[at:upto])
            at = upto
            if at < len(times):
                await asyncio.sleep(max(POLL_S, times[at] - now))
        await self._lane.scheduler.drain(DRAIN_S)
        await self._publisher.flush(DRAIN_S)
        return _Spent(
            loop_s=time.thread_time() - loop,
            process_s=time.process_time() - process,
            batches_s=sum(one.seconds for one in self._batches),
            events=len(times),
            batches=len(self._batches),
        )

    def _admit(self, events: Sequence[PlannedEvent]) -> None:
        if not events:
            return
        tracker = self._ledger.tracker(self._partition)
        assert tracker is not None  # noqa: S101 - assigned at the start
        now_ms = int(time.time() * 1e3)
        records = []
        for one in events:
            records.append(record_of(self._partition.topic, self._offset, one.outbound, now_ms))
            self._ledger.begin(tracker, self._offset)
            self._offset += 1
        self._lane.admit(records, tracker)
