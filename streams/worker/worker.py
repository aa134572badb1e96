"""The worker service: where Kafka and the engine meet."""

import asyncio
import contextlib
import dataclasses
import gc
from functools import partial

import structlog
from aiohttp import web
from aiokafka import TopicPartition

from inference.clock import SystemClock
from inference.engine import Engine
from inference.optimizer import open_model
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from schemas.events import Modality
from schemas.limits import DEFAULT_LIMITS
from streams import metrics
from streams.consumer.loop import ConsumeLoop
from streams.delivery.opening import make_consumer, open_delivery, outlet_to
from streams.delivery.protocol import Delivery
from streams.entities.linker import Linker
from streams.entities.loading import Reloader, open_linker
from streams.health import Health, serve
from streams.lane.gate import Gates
from streams.lane.lane import Lane
from streams.lane.quarantine import Quarantine, open_quarantine
from streams.offsets import Ledger
from streams.redaction.redactor import redactor_of
from streams.routes import Route, routes_of
from streams.settings import Settings
from streams.tracing.opening import open_tracing
from streams.tracing.traced import Tracing
from streams.worker.connecting import connect
from streams.worker.cost_keeping import CostKeeping
from streams.worker.cost_state import CostStates
from streams.worker.explaining import ScheduleLog
from streams.worker.loading import load_models
from streams.worker.reach import Reach
from streams.worker.warm_up import warm_up_examples
from streams.worker.watchdog import Apart, Watchdog

log = structlog.get_logger(__name__)

LEAST_FLUSH_S = 0.5
"""What traces get to be sent even if the drain has taken all of its time."""


class Worker:
    """One process's share of the consumer group, from start to drained stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._stopped_at: float | None = None
        self._explaining = (
            ScheduleLog(self._clock, settings.log_format) if settings.explain_schedule else None
        )
        self._linker: Linker | None = None
        self.health = Health("model", "broker", "assignment")

    def stop(self) -> None:
        """Ask for a drained stop; safe to call more than once."""
        if self._stopped_at is None:
            self._stopped_at = self._clock.monotonic()
        self._stopping.set()
        self.health.unmet("assignment")

    async def run(self) -> None:
        """Serve until stopped.

        Raises:
            ConfigurationError: A setting cannot be used, or there is no model for it.
            BrokerError: The broker cannot be reached or refuses this worker.
            EngineError: The model cannot be loaded, or its thread died.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._serve_health(stack)
            tracing = self._open_tracing(stack)
            routes = routes_of(self._settings)
            if any(route.modality is Modality.NEWS for route in routes):
                self._linker = open_linker(self._settings.entities)
            served = load_models(routes, open_model)
            self.health.met("model")
            if not await self._connected([route for route, _ in served]):
                return
            self.health.met("broker")
            ledger = Ledger(self._settings.bounds)
            delivery = await open_delivery(
                self._settings, ledger, [route for route, _ in served], stack
            )
            quarantine = open_quarantine(self._settings, self._clock, open_model, stack)
            lanes = self._lanes(served, ledger, delivery, quarantine, tracing)
            states = CostStates(self._settings.cost_state)
            for lane in lanes.values():
                await lane.scheduler.start(
                    warmup=warm_up_examples(lane.engine, lane.modality),
                    remembered=states.load(lane.engine),
                )
                stack.push_async_callback(lane.scheduler.close)
            costs = CostKeeping(lanes.values(), states)
            # Before they close, for which it waits; and now, in case there is no orderly end.
            stack.callback(costs.keep)
            costs.keep()
            _settle_memory()
            await self._consume(lanes, ledger, delivery, costs, quarantine)

    async def _serve_health(self, stack: contextlib.AsyncExitStack) -> None:
        settings = self._settings
        if settings.metrics_port is None:
            return
        runner: web.AppRunner
        runner, port = await serve(
            self.health, host=settings.metrics_host, port=settings.metrics_port
        )
        stack.push_async_callback(runner.cleanup)
        log.info("metrics_served", host=settings.metrics_host, port=port)

    def _open_tracing(self, stack: contextlib.AsyncExitStack) -> Tracing | None:
        """Follow events, if that is wanted; what is left to send is sent within the drain."""
        tracing = open_tracing(self._settings.tracing, group=self._settings.group)
        if tracing is not None:
            stack.push_async_callback(self._close_tracing, tracing)
        return tracing

    async def _close_tracing(self, tracing: Tracing) -> None:
        now = self._clock.monotonic()
        since = now if self._stopped_at is None else self._stopped_at
        left_s = since + self._settings.drain_ms / 1e3 - now
        await tracing.close(max(LEAST_FLUSH_S, left_s))

    async def _connected(self, routes: list[Route]) -> bool:
        """Connect, unless a stop comes first: there is nothing to drain yet."""
        connecting = asyncio.create_task(connect(self._settings, routes, self._clock))
        stopped = asyncio.create_task(self._wait_for_stop())
        try:
            await asyncio.wait([connecting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                return False
            connecting.result()
            return True
        finally:
            for task in (connecting, stopped):
                task.cancel()
            await asyncio.gather(connecting, stopped, return_exceptions=True)

    def _lanes(
        self,
        served: list[tuple[Route, Engine]],
        ledger: Ledger,
        delivery: Delivery,
        quarantine: Quarantine | None,
        tracing: Tracing | None,
    ) -> dict[str, Lane]:
        settings = self._settings
        device = SharedDevice(
            self._clock,
            device_timeout_ms=settings.scheduler.device_timeout_ms,
            observer=self._explaining,
            journal=quarantine.journal if quarantine else None,
        )
        outlet = outlet_to(delivery, settings)
        lanes = (
            Lane(
                route,
                engine=engine,
                clock=self._clock,
                scheduler_settings=_part_of_queue(settings.scheduler, len(served)),
                limits=DEFAULT_LIMITS,
                ledger=ledger,
                publisher=outlet,
                device=device,
                cache=settings.cache,
                revisions=settings.revisions,
                quarantine=quarantine,
                breaker=settings.breaker,
                redactor=redactor_of(settings.redaction, route.modality),
                tracing=tracing,
                linker=self._linker,
            )
            for route, engine in served
        )
        found = {lane.topic: lane for lane in lanes}
        if self._explaining is not None:
            for lane in found.values():
                self._explaining.watch(lane.topic, lane.scheduler)
        return found

    async def _consume(
        self,
        lanes: dict[str, Lane],
        ledger: Ledger,
        delivery: Delivery,
        costs: CostKeeping,
        quarantine: Quarantine | None,
    ) -> None:
        loop = self._loop(lanes, ledger, delivery, quarantine)
        gates = Gates((lane.gate for lane in lanes.values()), self.health)
        watchdog = Watchdog(
            loop=loop,
            ledger=ledger,
            clock=self._clock,
            stall_s=self._settings.stall_ms / 1e3,
            report=self._report,
            apart=partial(_apart, gates, quarantine),
        )
        consuming = asyncio.create_task(loop.run(), name="consume")
        side = [
            asyncio.create_task(watchdog.run(), name="watchdog"),
            asyncio.create_task(Reach(loop, self.health).run(), name="reach"),
            asyncio.create_task(self._watch_state(loop, ledger, gates), name="state"),
            asyncio.create_task(costs.watch(), name="costs"),
        ]
        if self._linker is not None and self._settings.entities.file is not None:
            reloader = Reloader(self._linker, self._settings.entities)
            side.append(asyncio.create_task(reloader.run(), name="gazetteer"))
        stopped = asyncio.create_task(self._wait_for_stop())
        failures: list[asyncio.Future[None]] = [
            delivery.failure,
            *([quarantine.failure] if quarantine else []),
            *{lane.scheduler.failure for lane in lanes.values()},
            *side,
        ]
        try:
            await asyncio.wait(
                [consuming, stopped, *failures],
                return_when=asyncio.FIRST_COMPLETED,
            )
            if quarantine and any(lane.scheduler.failure.done() for lane in lanes.values()):
                quarantine.accuse()
            _raise_first(failures)
            loop.stop()
            await consuming
            log.info("left_group")
        finally:
            for task in (consuming, stopped, *side):
                task.cancel()
            await asyncio.gather(consuming, stopped, *side, return_exceptions=True)

    def _loop(
        self,
        lanes: dict[str, Lane],
        ledger: Ledger,
        delivery: Delivery,
        quarantine: Quarantine | None,
    ) -> ConsumeLoop:
        settings = self._settings
        return ConsumeLoop(
            make_consumer=partial(make_consumer, settings),
            intakes=lanes,
            ledger=ledger,
            keeping=delivery,
            max_poll_records=settings.max_poll_records,
            drain_s=settings.drain_ms / 1e3,
            commit_interval_s=settings.commit_interval_ms / 1e3,
            idle_pause_s=settings.idle_pause_ms / 1e3,
            expect=quarantine.look if quarantine else lambda: None,
            # A batch that began before the drain did, and has not ended, hangs.
            unfinished=partial(quarantine.accuse, settings.drain_ms / 1e3)
            if quarantine
            else lambda: None,
        )

    async def _wait_for_stop(self) -> None:
        await self._stopping.wait()

    def _report(self, problem: str | None) -> None:
        self.health.problem = problem

    async def _watch_state(self, loop: ConsumeLoop, ledger: Ledger, gates: Gates) -> None:
        while True:
            gates.look()
            metrics.IN_FLIGHT.set(ledger.in_flight)
            metrics.IN_FLIGHT_BYTES.set(ledger.bytes_in_flight)
            # From the moment of a stop on, not only when the last partition is given back.
            serving = loop.owning and not self._stopping.is_set()
            (self.health.met if serving else self.health.unmet)("assignment")
            (self.health.unmet if loop.refused else self.health.met)("access")
            metrics.READY.set(self.health.ready)
            if self._explaining is not None:
                self._explaining.tick()
            await asyncio.sleep(0.1)


def _apart(gates: Gates, quarantine: Quarantine | None) -> Apart:
    """Say what stands still on purpose: it is no sign that the worker does."""
    waiting = quarantine.waiting if quarantine else []
    return Apart(
        events=gates.held + len(waiting),
        partitions=frozenset(TopicPartition(one.topic, one.partition) for one in waiting),
        topics=frozenset(gates.topics),
    )


def _part_of_queue(settings: SchedulerSettings, parts: int) -> SchedulerSettings:
    """Divide the queue's bound, so that a flooded topic leaves the others their part.

    Each still holds a batch, or the device would wait for the next poll.
    """
    tokens = max(settings.max_queue_tokens // parts, settings.max_batch_tokens)
    return dataclasses.replace(settings, max_queue_tokens=min(tokens, settings.max_queue_tokens))


def _settle_memory() -> None:
    """Take what was loaded out of the cycle collector's sight.

    Modules, model and clients stay until the end; to look through them again and again would take
    a tenth of the event loop's time, in pauses.
    """
    gc.collect()
    gc.freeze()


def _raise_first(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if future.done() and not future.cancelled() and (error := future.exception()):
            raise error
