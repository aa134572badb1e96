"""The supervisor keeps its workers running and ends with them."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.settings import Settings
from streams.worker import supervisor as supervisor_module
from streams.worker.supervisor import Supervisor
from tests.fakes import workers


@pytest.fixture(autouse=True)
def _shared_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the children a directory for their metrics, and short waits."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(supervisor_module, "RESTART_BACKOFF_S", (0.01,))
    monkeypatch.setattr(supervisor_module, "READY_POLL_S", 0.01)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition on other processes."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process cannot set our events
            await asyncio.sleep(0.01)


async def started(target: Any, **settings: Any) -> tuple[Supervisor, "asyncio.Task[int]"]:
    """Start a supervisor over two workers that run ``target``."""
    supervisor = Supervisor(
        msgspec.structs.replace(Settings(), workers=2, **settings), target=target
    )
    return supervisor, asyncio.create_task(supervisor.run())


async def test_it_is_ready_when_all_workers_are_and_stops_with_them() -> None:
    """Two processes come up, and a stop ends both with exit code 0."""
    supervisor, running = await started(workers.steady)
    await until(lambda: supervisor.health.ready)
    pids = [pid for pid in supervisor.pids.values() if pid]
    assert len(set(pids)) == 2
    supervisor.stop()
    assert await running == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_worker_that_is_killed_is_started_again() -> None:
    """Readiness drops and comes back with a new process."""
    supervisor, running = await started(workers.steady)
    await until(lambda: supervisor.health.ready)
    victim = supervisor.pids[0]
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    await until(lambda: not supervisor.health.ready)
    await until(lambda: supervisor.health.ready)
    assert supervisor.pids[0] != victim
    supervisor.stop()
    assert await running == 0


async def test_a_worker_that_dies_at_its_start_gets_another(tmp_path: Path) -> None:
    """A crash at start-up is not the end of the service."""
    supervisor, running = await started(workers.dies_once, group=str(tmp_path / "died"))
    await until(lambda: supervisor.health.ready)
    supervisor.stop()
    assert await running == 0


async def test_a_worker_that_is_stuck_is_replaced(tmp_path: Path) -> None:
    """Its process lives, but its events never end; nobody but the supervisor can end it."""
    supervisor, running = await started(workers.stuck_once, group=str(tmp_path / "stuck"))
    await until(lambda: len(supervisor.pids) == 2)
    first = supervisor.pids
    await until(lambda: supervisor.pids != first and supervisor.health.ready)
    assert sum(supervisor.pids[index] != first[index] for index in first) == 1
    supervisor.stop()
    assert await running == 0


async def test_settings_that_cannot_be_used_end_the_service() -> None:
    """Starting again would fail the same way: all stop, and the exit code says why."""
    _, running = await started(workers.misconfigured)
    assert await running == 2


async def test_a_worker_that_served_long_is_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The long waits are for workers that die again and again, not for one that dies once."""
    monkeypatch.setattr(supervisor_module, "RESTART_BACKOFF_S", (0.01, 120.0))
    monkeypatch.setattr(supervisor_module, "STEADY_S", 0.0)
    supervisor, running = await started(workers.steady)
    for _ in range(2):
        await until(lambda: supervisor.health.ready)
        victim = supervisor.pids[0]
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        await until(lambda: not supervisor.health.ready)
    await until(lambda: supervisor.health.ready)
    supervisor.stop()
    assert await running == 0
