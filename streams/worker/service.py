"""A worker as a process: signals, readiness told to the parent, exit codes."""

import asyncio
import sys
from multiprocessing.connection import Connection as Pipe

import structlog
from aiokafka.errors import KafkaError

from schemas.errors import ConfigurationError, HeadraceError
from streams.clients import pass_over_client_futures
from streams.security.access import explained
from streams.settings import Settings
from streams.signals import on_stop_signals
from streams.worker.states import EXIT_MISCONFIGURED, State
from streams.worker.worker import Worker

log = structlog.get_logger(__name__)

REPORT_S = 0.2
SWITCH_INTERVAL_S = 0.0005
"""How long the device thread's Python may hold the interpreter while Kafka waits for it."""


async def serve_worker(settings: Settings, parent: Pipe | None = None) -> int:
    """Run a worker until it is told to stop.

    Args:
        settings: Of this one process.
        parent: The supervisor's end is told of health; when it closes, the worker drains.

    Returns:
        The process's exit code: 0 after a drained stop, 1 after a failure that a restart may mend,
        2 after one that it cannot.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    pass_over_client_futures()
    worker = Worker(settings)
    on_stop_signals(worker.stop)
    reporting = asyncio.create_task(_report(worker, parent)) if parent else None
    try:
        await worker.run()
    except (HeadraceError, KafkaError) as error:
        told = explained(error) or str(error) or repr(error)
        log.error("worker_failed", error=told)  # noqa: TRY400 - it names all
        return EXIT_MISCONFIGURED if isinstance(error, ConfigurationError) else 1
    finally:
        if reporting:
            reporting.cancel()
    log.info("worker_stopped")
    return 0


async def _report(worker: Worker, parent: Pipe) -> None:
    told: State | None = None
    while True:
        try:
            if parent.poll():
                parent.recv()
            state = (worker.health.ready, worker.health.problem)
            if told != state:
                parent.send(state)
                told = state
        except (EOFError, OSError):
            log.warning("parent_gone", remedy="draining")
            worker.stop()
            return
        await asyncio.sleep(REPORT_S)
