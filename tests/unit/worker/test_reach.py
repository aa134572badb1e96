"""A worker whose broker does not answer says so, and is ready again once it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from streams.health import Health
from streams.settings import Settings
from streams.worker.reach import EVERY_S, PATIENCE_S, Reach
from tests.fakes.clock import ManualClock
from tests.unit.consumer.consuming import turns


class Broker:
    """Answers, refuses or says nothing, as a test wants."""

    def __init__(self) -> None:
        self.answers = True
        self.silent = False
        self.asked = 0

    async def ask(self) -> None:
        """Be asked."""
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if not self.answers:
            raise KafkaConnectionError("refused")


@dataclass
class Rig:
    """A broker that is asked on a clock that a test moves."""

    broker: Broker
    health: Health
    clock: ManualClock

    async def pass_time(self, seconds: float) -> None:
        """Move the clock and let what is due happen."""
        self.clock.advance(seconds)
        await turns()

    @property
    def gauge(self) -> float | None:
        """What the metric says."""
        return REGISTRY.get_sample_value("headrace_broker_reachable")


@asynccontextmanager
async def asking() -> AsyncIterator[Rig]:
    """Ask a broker that was there at the start."""
    clock, broker, health = ManualClock(), Broker(), Health("broker")
    clock.drive(asyncio.get_running_loop())
    health.met("broker")
    running = asyncio.create_task(Reach(broker, health).run())
    await turns()
    try:
        yield Rig(broker, health, clock)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_broker_that_refuses_makes_the_worker_unready_until_it_is_back() -> None:
    """Nothing has to be started again."""
    async with asking() as rig:
        await rig.pass_time(EVERY_S)
        assert (rig.broker.asked, rig.health.ready, rig.gauge) == (1, True, 1)
        rig.broker.answers = False
        await rig.pass_time(EVERY_S)
        assert (rig.health.waiting_for, rig.health.problem, rig.gauge) == (["broker"], None, 0)
        rig.broker.answers = True
        await rig.pass_time(EVERY_S)
        assert (rig.health.ready, rig.gauge) == (True, 1)


async def test_a_broker_that_says_nothing_is_not_reached() -> None:
    """Its connection may be open all the time."""
    async with asking() as rig:
        rig.broker.silent = True
        await rig.pass_time(EVERY_S)
        assert rig.health.ready
        await rig.pass_time(PATIENCE_S)
        assert not rig.health.ready


def test_a_probe_is_over_before_a_stall_is_seen() -> None:
    """Who is called for a stall should know whether the broker is there."""
    assert Settings().stall_ms / 1e3 / 2 > EVERY_S + PATIENCE_S
