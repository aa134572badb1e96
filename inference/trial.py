"""Tries single events in a process that may die of them.

The child loads the same model. It offers itself first where the kernel runs out of memory, and does
not outlive its parent.
"""

import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated

import msgspec

from inference.engine import Encoded, Engine, Prediction
from inference.runner import checked
from inference.stack_digest import digest_of, stack_digest
from schemas.errors import ContractError, EngineError

Load = Callable[[], Engine]
"""Loads the model; can be pickled."""
Encode = Callable[[Engine], Encoded]
"""Makes the event ready for it; likewise."""

LOAD_S = 300.0
"""Most time that loading the model may take."""
END_S = 5.0
_PR_SET_PDEATHSIG = 1
_FRAME = re.compile(r'^  File "(?P<path>.*)", line \d+ in (?P<name>.*)$', re.MULTILINE)
_READY, _SILENT, _DEAD = "ready", "it says nothing", "it died"


class Isolation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with events that processes died over."""

    enabled: bool = True
    """Note what the model works on, and try apart from the others what a process died over."""
    timeout_ms: Annotated[float, msgspec.Meta(gt=0, le=3_600_000)] = 60_000.0
    """How long such an event may take; then it counts as one that the model dies of."""


class CrashedError(EngineError):
    """The process that tried an event died of it, or never answered.

    Args:
        how: What became of it, such as ``died of SIGSEGV``.
        frames: ``module:function`` of what it was in, the innermost last, where that is known.
        deaths: Processes that died while they worked on the event, this one included.
    """

    def __init__(self, how: str, frames: tuple[str, ...] = (), *, deaths: int) -> None:
        where = f" in {frames[-1]}" if frames else ""
        super().__init__(
            f"a process that tried this event alone {how}{where}, after {deaths - 1} that died "
            "while they ran it; keep the event's bytes, and report it to whoever made the model"
        )
        self.attempts = deaths
        self.stack_digest = digest_of([how, *frames])


class TrialError(EngineError):
    """The child that was to try an event could not load the model; the event is not to blame."""

    retriable = True


@dataclass(frozen=True, slots=True)
class _Child:
    process: BaseProcess
    pipe: Connection
    faults: Connection


class Trials:
    """A child with the model, started when it is needed and again after each death.

    All but :meth:`close` belong to one thread: the kernel ends the child with the thread that
    started it. It alone closes the pipes too, which it may be waiting on.

    Args:
        load: Loads the model.
        timeout_s: How long an event may take.
    """

    def __init__(self, load: Load, *, timeout_s: float) -> None:
        self._load = load
        self._timeout_s = timeout_s
        self._child: _Child | None = None
        self._closed = False
        self._busy = threading.Lock()

    def attempt(self, encode: Encode, *, deaths: int) -> Prediction | Exception:
        """Run one event at full effort; return the answer, or what is wrong with the event.

        Args:
            encode: Makes the event ready.
            deaths: Processes that have died over it before.

        Raises:
            TrialError: The child could not load the model, or was ended by :meth:`close`.
        """
        with self._busy:
            outcome = self._try(encode, deaths)
            if self._closed:
                raise TrialError("the process that tries suspect events was ended")
            return outcome

    def close(self) -> None:
        """End the child, whatever it is doing; nothing is tried afterwards."""
        self._closed = True
        if (child := self._child) is not None:
            child.process.kill()
        # An attempt that is under way hears of it at once.
        with self._busy:
            self._put_away()

    def _try(self, encode: Encode, deaths: int) -> Prediction | Exception:
        child = self._child or self._start()
        with contextlib.suppress(OSError):  # it died between two events; hearing of it is next
            child.pipe.send(encode)
        answer = _hear(child, self._timeout_s)
        if isinstance(answer, Prediction | Exception):
            return answer
        if answer is _SILENT:
            self._put_away()
            return CrashedError(f"gave no answer within {self._timeout_s:g} s", deaths=deaths + 1)
        return CrashedError(*self._buried(child), deaths=deaths + 1)

    def _put_away(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.process.kill()
            child.process.join(END_S)
            child.pipe.close()
            child.faults.close()

    def _start(self) -> _Child:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        faults, dumps = context.Pipe(duplex=False)
        process = context.Process(
            target=_serve,
            args=(theirs, dumps, self._load, os.getpid()),
            name="headrace-trial",
            daemon=True,
        )
        process.start()
        theirs.close()
        dumps.close()
        child = self._child = _Child(process, ours, faults)
        if self._closed:  # while it was started
            process.kill()
        ready = _hear(child, LOAD_S)
        if ready == _READY:
            return child
        why = ready if ready is not _DEAD else self._buried(child)[0]
        self._put_away()
        raise TrialError(f"the process that is to try suspect events could not start: {why}")

    def _buried(self, child: _Child) -> tuple[str, tuple[str, ...]]:
        """Return what a child died of, and what it was in, the innermost call last."""
        child.process.join(END_S)
        how = _named(child.process.exitcode)
        dump = _read(child.faults)
        self._put_away()
        frames = tuple(_place(one["path"], one["name"]) for one in _FRAME.finditer(dump))
        return how, frames[::-1]


def _read(pipe: Connection) -> str:
    """Return what was written to a pipe whose other end is closed."""
    parts = []
    while part := os.read(pipe.fileno(), 65_536):
        parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


def _place(path: str, name: str) -> str:
    file = Path(path)
    return f"{file.parent.name}.{file.stem}:{name}"


def _named(code: int | None) -> str:
    if code is None:
        return "hung up"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"died of {signal.Signals(-code).name}"
    except ValueError:
        return f"died of signal {-code}"


def _hear(child: _Child, timeout_s: float) -> object:
    """Return what a child says, or that it is silent or dead."""
    try:
        return child.pipe.recv() if child.pipe.poll(timeout_s) else _SILENT
    except (EOFError, OSError):
        return _DEAD


def _serve(pipe: Connection, faults: Connection, load: Load, parent: int) -> None:
    """Be the child: answer what is asked until the parent hangs up."""
    _be_expendable(parent)
    faulthandler.enable(faults.fileno(), all_threads=False)
    try:
        engine = load()
    except Exception as error:  # noqa: BLE001 - told to the parent
        pipe.send(EngineError(f"{type(error).__name__}: {error}"))
        return
    pipe.send(_READY)
    with contextlib.suppress(EOFError, OSError):
        while True:
            encode: Encode = pipe.recv()
            pipe.send(_attempt(engine, encode))


def _attempt(engine: Engine, encode: Encode) -> Prediction | Exception:
    try:
        prepared = engine.prepare([encode(engine)])
        (prediction,) = checked(engine, prepared, engine.efforts[0], 1)
    except ContractError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever the model raises
        failure = EngineError(str(error) or repr(error))
        failure.stack_digest = stack_digest(error)  # type: ignore[attr-defined]
        return failure
    return prediction


def _be_expendable(parent: int) -> None:
    """Die with the parent, die first where memory is short, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew of the tie
        os._exit(1)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
