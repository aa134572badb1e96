"""The demo's workers: the same command that a user would run."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from schemas.errors import EngineError
from streams.broker.process import ChildProcess

READY_S = 180.0
"""A first start reads torch from a cold disk."""
POLL_S = 0.1
STOP_S = 30.0
LOG_LINES = 12


class WorkerProcess:
    """A ``headrace run`` process that ends with the demo, however that ends."""

    def __init__(self, process: ChildProcess, port: int) -> None:
        self._process = process
        self._port = port

    async def until_ready(self) -> None:
        """Wait for /readyz.

        Raises:
            EngineError: The worker ended, or is not ready in time; with its last log lines.
        """
        url = f"http://127.0.0.1:{self._port}/readyz"
        give_up = time.monotonic() + READY_S
        async with aiohttp.ClientSession() as session:
            while self._process.running and time.monotonic() < give_up:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(url) as response:
                        if response.ok:
                            return
                await asyncio.sleep(POLL_S)
        raise self._failure("did not become ready")

    async def watch(self) -> None:
        """Return never; raise when the worker ends.

        Raises:
            EngineError: The worker ended; with its last log lines.
        """
        await self._process.wait()
        raise self._failure("ended")

    def _failure(self, what: str) -> EngineError:
        status = self._process.returncode
        detail = "" if status is None else f" (exit status {status})"
        return EngineError(
            f"the worker {what}{detail}; its last lines:\n{self._process.logs(LOG_LINES)}"
        )


@asynccontextmanager
async def running_worker(
    bootstrap_servers: str, directory: Path, flags: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[WorkerProcess]:
    """Start a worker and stop it, drained, at the end.

    Args:
        bootstrap_servers: Where its events are.
        directory: Takes its log.
        flags: Of ``headrace run``.
        environment: Further settings of it.
    """
    port = _free_port()
    command = [
        *(sys.executable, "-m", "streams.cli", "run"),
        *("--bootstrap-servers", bootstrap_servers, "--metrics-port", str(port), *flags),
    ]
    process = ChildProcess(command, log=directory / "worker.log", cwd=Path.cwd(), env=environment)
    process.start()
    try:
        yield WorkerProcess(process, port)
    finally:
        await process.stop(STOP_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
