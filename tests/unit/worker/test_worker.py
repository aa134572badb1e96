"""The worker's state before it consumes and while it stops."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from schemas.errors import BrokerError, ConfigurationError, EngineError
from streams.lane.gate import Gates
from streams.offsets import Ledger
from streams.settings import Settings
from streams.topics import TopicRefusedError
from streams.worker import connecting, service, worker
from streams.worker.worker import Worker
from tests.fakes.engine import FakeEngine
from tests.fakes.loop import IdleLoop
from tests.fakes.routes import route_of

NOWHERE = "127.0.0.1:1"
UNREACHABLE = msgspec.structs.replace(
    Settings(), bootstrap_servers=NOWHERE, connect_timeout_ms=3_600_000.0
)


@asynccontextmanager
async def watched(started: Worker, loop: IdleLoop) -> AsyncIterator[None]:
    """Keep a worker's state up to date over a loop that does nothing."""
    task = asyncio.create_task(started._watch_state(loop, Ledger(), Gates((), started.health)))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_is_not_ready_from_the_moment_of_a_stop() -> None:
    """It still owns its partitions while it drains; nobody should count on it."""
    stopping, loop = Worker(Settings()), IdleLoop()
    for condition in ("model", "broker"):
        stopping.health.met(condition)
    async with watched(stopping, loop):
        assert stopping.health.ready
        stopping.stop()
        assert not stopping.health.ready
        await asyncio.sleep(0.15)
        assert not stopping.health.ready


async def test_a_worker_without_partitions_yet_is_not_ready() -> None:
    """Readiness comes with the group's answer."""
    joining, loop = Worker(Settings()), IdleLoop()
    loop.owning = False
    async with watched(joining, loop):
        assert joining.health.waiting_for == ["assignment", "broker", "model"]


async def test_a_stop_ends_the_wait_for_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was taken in, so that there is nothing to wait for; it is a stop like any other."""
    monkeypatch.setattr(worker, "load_models", lambda *_: [(route_of(), FakeEngine())])
    waiting = Worker(UNREACHABLE)
    running = asyncio.create_task(waiting.run())
    await asyncio.sleep(0.05)
    assert not running.done()
    waiting.stop()
    await asyncio.wait_for(running, 30)


async def test_an_unreachable_broker_is_tried_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names address and remedy."""
    monkeypatch.setattr(worker, "load_models", lambda *_: [(route_of(), FakeEngine())])
    monkeypatch.setattr(connecting, "CONNECT_RETRY_S", 0.01)
    patient = Worker(msgspec.structs.replace(UNREACHABLE, connect_timeout_ms=50.0))
    with pytest.raises(BrokerError, match=f"{NOWHERE}.*headrace broker"):
        await patient.run()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 0),
        (BrokerError("the broker is gone"), 1),
        (TopicRefusedError("topic events.news: does not exist"), 1),
        (EngineError("the device thread ended"), 1),
        (ConfigurationError("metrics_port 1: cannot listen"), 2),
    ],
)
async def test_the_exit_code_says_whether_a_restart_may_help(
    error: Exception | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 for a drained stop, 1 for what may pass, 2 for what somebody has to mend."""

    async def run(_: Worker) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(service.sys, "setswitchinterval", lambda _: None)
    assert await service.serve_worker(Settings()) == status


async def test_a_worker_whose_supervisor_is_gone_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipe closes; nobody else would ever tell it to."""

    async def run(running: Worker) -> None:
        await running._stopping.wait()

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(service.sys, "setswitchinterval", lambda _: None)
    parent, child = multiprocessing.Pipe()
    with child:
        serving = asyncio.create_task(service.serve_worker(Settings(), child))
        await asyncio.sleep(0.05)
        assert parent.recv() == (False, None)
        assert not serving.done()
        parent.close()
        assert await asyncio.wait_for(serving, 30) == 0
