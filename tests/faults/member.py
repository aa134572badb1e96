"""A worker process of the group, which is started again whenever it ends."""

import asyncio
import contextlib
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from streams.broker.process import TIED
from streams.worker.states import EXIT_MISCONFIGURED

RESTART_S = 0.2
"""From the end of a worker to its next start."""
PATIENCE_S = 40.0
"""A stop that takes longer is no drained one: the drain, a commit and two clients have bounds."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended.

    Attributes:
        at: Wall clock.
        code: Exit code, negative for a signal.
        asked: A signal of ours ended it.
        line: Why it ended, in its own words.
    """

    member: str
    at: float
    code: int
    asked: bool
    line: str


@dataclass
class Member:
    """One worker of the group.

    Attributes:
        name: For people.
        flags: Of ``headrace run``.
        directory: Takes the log and the file that its clock reads.
        told: Hears of every end.
        environment: Further settings of this one alone.
        ends: All of them.
        owned: Partitions that it was given last.
        no_files: From its next start on it can write no file.
        crashes: What no worker may do: die of an error that is not ours, or end for good.
        tracebacks: Lines of its logs that hold one.
    """

    name: str
    flags: list[str]
    directory: Path
    told: Callable[[End], None]
    environment: dict[str, str] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    owned: list[str] = field(default_factory=list)
    no_files: bool = False
    crashes: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._asked = False
        self._log = self.directory / f"{self.name.replace(' ', '-')}.log"
        self._clock = self.directory / f"{self.name.replace(' ', '-')}.clock"
        self._last_error = ""
        self.set_clock(0.0)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    @property
    def log(self) -> Path:
        """Where its standard error goes."""
        return self._log

    def start(self) -> None:
        """Start it, and again whenever it ends, until :meth:`stop`."""
        self._stopping = False
        self._keeper = asyncio.create_task(self._keep(), name=self.name)

    async def stop(self) -> int | None:
        """Ask it to drain and end; return its exit code, ``None`` where it had to be killed."""
        self._stopping = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        assert self._keeper
        done, _ = await asyncio.wait([self._keeper], timeout=PATIENCE_S)
        if not done:
            self.signal(signal.SIGKILL)
        await self._keeper
        return self.ends[-1].code if done and self.ends else None

    async def kill(self) -> None:
        """End it for good at once."""
        self._stopping = True
        self.signal(signal.SIGKILL)
        if self._keeper:
            await self._keeper

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; ``False`` if nothing runs."""
        pid = self.pid
        if pid is None:
            return False
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._asked = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    async def until_ended(self, pid: int | None) -> None:
        """Return when the process of this id has ended."""
        while pid is not None and self.pid == pid:  # noqa: ASYNC110 - its keeper waits for it
            await asyncio.sleep(0.02)

    def set_clock(self, offset_s: float) -> None:
        """Let its wall clock be wrong by so much."""
        if not self._clock.exists():
            self._clock.write_bytes(struct.pack("d", 0.0))
        with self._clock.open("r+b") as file:
            file.write(struct.pack("d", offset_s))

    async def _keep(self) -> None:
        while not self._stopping:
            code = await self._run_once()
            end = End(self.name, time.time(), code, self._asked, self._last_error)
            self.ends.append(end)
            self.told(end)
            if code == EXIT_MISCONFIGURED and not self._asked:
                # A supervisor would stop all workers for good.
                self.crashes.append(f"ended for good: {self._last_error}")
            if not self._stopping:
                await asyncio.sleep(RESTART_S)

    async def _run_once(self) -> int:
        self._asked, self._last_error = False, ""
        entry = [sys.executable, "-m", "tests.faults.worker_entry", str(self._clock)]
        command = [
            *(sys.executable, "-I", "-S", str(TIED), str(os.getpid())),
            *(*entry, "1" if self.no_files else "0", "run", *self.flags),
        ]
        environment = {key: value for key, value in os.environ.items() if "HEADRACE" not in key}
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,  # not a file: a full disk must not silence it
            env=environment
            | self.environment
            | {"PYTHONPATH": str(Path.cwd()), "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
            limit=1 << 22,
        )
        self._process = process
        assert process.stderr
        with self._log.open("ab") as log:
            async for line in process.stderr:
                log.write(line)
                log.flush()
                self._read(line)
        code = await process.wait()
        self.owned = []
        return code

    def _read(self, line: bytes) -> None:
        try:
            told = orjson.loads(line)
        except orjson.JSONDecodeError:
            told = {}
            if line.startswith((b"Traceback", b"Fatal")):
                self.crashes.append(line.decode("utf-8", "replace").rstrip())
        if not isinstance(told, dict):
            return
        event = told.get("event")
        if event == "partitions_assigned":
            self.owned = list(told["partitions"])
        elif event == "partitions_revoked":
            self.owned = []
        if "exception" in told:
            what = str(event).splitlines()[0]
            self.tracebacks.append(f"{what}: {_last_cause(told['exception'])}")
        if event == "worker_failed":
            self._last_error = f"{event}: {told.get('error', '')}"[:300]


def _last_cause(exception: object) -> str:
    if isinstance(exception, list) and exception and isinstance(exception[0], dict):
        return f"{exception[0].get('exc_type')}: {exception[0].get('exc_value')}"
    return str(exception).strip().splitlines()[-1]
