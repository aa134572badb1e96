"""One child process: its output in a file, tied to its parent, bound to no event loop."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from schemas.errors import BrokerError

TIED = Path(__file__).with_name("tied.py")
POLL_S = 0.02
STOP_GRACE_S = 15.0
KILL_GRACE_S = 5.0
_FRAME = re.compile(r"\s+(at [\w.$/<>]+\(|\.\.\. \d+ more)")


def last_lines(text: str, lines: int) -> str:
    """Return the last lines of a log but for stack frames: causes, not places, help a reader."""
    return "\n".join([line for line in text.splitlines() if not _FRAME.match(line)][-lines:])


class ChildProcess:
    """A command in a session of its own, so that Ctrl-C reaches only its parent.

    It is killed when the *thread* that started it ends: start it from one that lives on.

    Args:
        command: The program, as an absolute path, and its arguments.
        log: Takes stdout and stderr; emptied by the first start, the next ones append.
        cwd: Working directory.
        env: Variables on top of this process's environment.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self._log = log
        self._cwd = cwd
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended; true also while paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; ``None`` before the start and while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the command, or start it again after it ended."""
        if self.running:
            raise BrokerError(f"{self.command[0]} runs already; stop it first")
        launcher = [sys.executable, "-I", "-S", str(TIED), str(os.getpid())]
        with self._log.open("ab" if self._process else "wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own argument list, no shell
                [*launcher, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=os.environ | self._env,
                start_new_session=True,
            )

    def pause(self) -> None:
        """Freeze it (SIGSTOP): sockets stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it at once (SIGKILL), without a chance to save or to say goodbye."""
        if self.running:
            self._signal(signal.SIGKILL)
            await self.wait(KILL_GRACE_S)

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Ask it to end (SIGTERM); kill it where it has not after ``grace_s`` seconds."""
        if self.running:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            with suppress(TimeoutError):
                await self.wait(grace_s)
        await self.kill()

    async def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return the exit status.

        Raises:
            TimeoutError: It still runs after ``timeout_s`` seconds.
        """
        give_up = None if timeout_s is None else time.monotonic() + timeout_s
        while (status := self.returncode) is None:
            if give_up is not None and time.monotonic() > give_up:
                raise TimeoutError
            await asyncio.sleep(POLL_S)
        return status

    def logs(self, lines: int) -> str:
        """Return the last lines that it wrote, without the frames of Java's stack traces."""
        if not self._log.exists():
            return ""
        return last_lines(self._log.read_text(errors="replace"), lines)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or not self.running:
            raise BrokerError(f"{self.command[0]} does not run (exit status {self.returncode})")
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
