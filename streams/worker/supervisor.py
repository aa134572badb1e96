"""``--workers N``: one process per core, each a member of the group, started again if it dies."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from streams import metrics
from streams.health import Health, serve
from streams.logs import configure
from streams.settings import Settings, as_flags, load_settings
from streams.worker.states import EXIT_MISCONFIGURED, State

log = structlog.get_logger(__name__)

RESTART_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S = 60.0
"""A worker that lived this long starts its next back-off from the beginning."""
KILL_AFTER_DRAIN_S = 10.0
READY_POLL_S = 0.1


class Supervisor:
    """Keeps N workers running and answers for them on one metrics port.

    Args:
        target: What a worker process runs, with its settings as plain values, its end of a pipe
            that it writes its state to (readiness, and what is wrong with it or ``None``), and
            whose closing tells it that the parent is gone.
    """

    def __init__(
        self, settings: Settings, target: Callable[[dict[str, Any], Pipe], None] | None = None
    ) -> None:
        self._settings = settings
        self._target = target or run_child
        self._context = multiprocessing.get_context("spawn")
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._ready: dict[int, bool] = {}
        self._processes: dict[int, BaseProcess] = {}
        self.health = Health("workers")

    def stop(self) -> None:
        """Ask all workers for a drained stop."""
        self._stopping.set()

    @property
    def pids(self) -> dict[int, int | None]:
        """Process id of each worker, by its number."""
        return {index: process.pid for index, process in self._processes.items()}

    async def run(self) -> int:
        """Serve until stopped; return the exit code when every worker has drained."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            if settings.metrics_port is not None:
                runner, port = await serve(
                    self.health,
                    host=settings.metrics_host,
                    port=settings.metrics_port,
                    registry=_shared_registry,
                )
                stack.push_async_callback(runner.cleanup)
                log.info("metrics_served", host=settings.metrics_host, port=port)
            async with asyncio.TaskGroup() as group:
                for index in range(settings.workers):
                    group.create_task(self._keep(index), name=f"worker-{index}")
        return self._exit_code

    async def _keep(self, index: int) -> None:
        """Run one worker, again and again until the stop."""
        failures = 0
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            exit_code = await self._run_once(index)
            if self._stopping.is_set():
                return
            if exit_code == EXIT_MISCONFIGURED:
                # Starting again would end the same way; the child has said what is wrong.
                self._exit_code = EXIT_MISCONFIGURED
                self.stop()
                return
            lived = asyncio.get_running_loop().time() - started
            failures = 1 if lived > STEADY_S else failures + 1
            delay = RESTART_BACKOFF_S[min(failures, len(RESTART_BACKOFF_S)) - 1]
            metrics.WORKER_RESTARTS.inc()
            log.error("worker_died", worker=index, exit_code=exit_code, restart_in_s=delay)
            try:
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _run_once(self, index: int) -> int | None:
        settings = as_flags(self._settings)
        settings |= {"workers": 1, "metrics_port": None}
        if name := self._settings.group_instance_id:
            settings["group_instance_id"] = f"{name}-{index}"
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=self._target, args=(settings, theirs), name=f"headrace-worker-{index}"
        )
        process.start()
        theirs.close()
        self._processes[index] = process
        try:
            await self._follow(index, process, ours)
        finally:
            ours.close()
            self._note_ready(index, ready=False)
            if process.pid is not None:
                mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
        return process.exitcode

    async def _follow(self, index: int, process: BaseProcess, pipe: Pipe) -> None:
        """Watch one process until it has ended; stop it when all stop, or when it is stuck."""
        terminated_at: float | None = None
        stuck = False
        now = asyncio.get_running_loop().time
        while process.is_alive():
            for ready, problem in _messages(pipe):
                self._note_ready(index, ready=ready)
                if problem is not None and not stuck:
                    stuck = True
                    log.error("worker_stuck", worker=index, reason=problem, remedy="replacing it")
            if (stuck or self._stopping.is_set()) and terminated_at is None:
                terminated_at = now()
                process.terminate()
            patience = self._settings.drain_ms / 1e3 * 2 + KILL_AFTER_DRAIN_S
            if terminated_at is not None and now() - terminated_at > patience:
                log.error("worker_killed", worker=index, reason="it did not drain")
                process.kill()
            await asyncio.sleep(READY_POLL_S)
        process.join()

    def _note_ready(self, index: int, *, ready: bool) -> None:
        self._ready[index] = ready
        all_ready = sum(self._ready.values()) == self._settings.workers
        (self.health.met if all_ready else self.health.unmet)("workers")


def run_child(settings: dict[str, Any], pipe: Pipe) -> None:
    """Be one worker process: serve, report readiness, stop when told or when the parent is gone."""
    from streams.worker.service import serve_worker  # noqa: PLC0415 - torch only where a model runs

    loaded = load_settings(environment={}, flags=settings)
    configure(loaded.log_format, loaded.log_level)
    structlog.contextvars.bind_contextvars(pid=os.getpid())
    raise SystemExit(asyncio.run(serve_worker(loaded, pipe)))


def _messages(pipe: Pipe) -> Iterator[State]:
    """Take what the worker has told so far; a worker that is gone tells nothing."""
    try:
        while pipe.poll():
            yield pipe.recv()
    except (EOFError, OSError):
        return


def _shared_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
