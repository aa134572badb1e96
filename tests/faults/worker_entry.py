"""``headrace`` as it is, on a wall clock that can be set from outside and a model that can fail.

    python -m tests.faults.worker_entry CLOCK NO_FILES run --bootstrap-servers …

CLOCK is a file of eight bytes: by how many seconds the wall clock is wrong, as a double. NO_FILES
``1`` refuses every write to a file, as a full disk does. What follows are arguments of
``headrace``. Nothing else differs from the command that users run.
"""

import mmap
import resource
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.clock import SystemClock
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from inference.optimizer import open_model
from schemas.events import NewsEvent
from streams import cli
from streams.worker import worker

SECONDS = struct.Struct("d")
POISON = "q u i c k s a n d"
"""The headline that the model raises on."""


class WrongClock(SystemClock):
    """The machine's clocks, the wall's off by what a file says."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._offset = mmap.mmap(file.fileno(), SECONDS.size, access=mmap.ACCESS_READ)

    def wall(self) -> float:
        """Return ``time.time()`` and what the file adds."""
        (offset,) = SECONDS.unpack(self._offset)
        return super().wall() + float(offset)


class Brittle:
    """A real engine that raises on :data:`POISON`; everything else is the engine's own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        event = NewsEvent(id="poison", headline=POISON)
        self._poison = list(engine.encode([event])[0].data)

    def __getattr__(self, name: str) -> Any:
        """Return what the engine has."""
        return getattr(self._engine, name)

    def prepare(self, batch: Sequence[Encoded]) -> tuple[Any, bool]:
        """Pack a batch, and note whether it is poisoned."""
        return self._engine.prepare(batch), any(list(one.data) == self._poison for one in batch)

    def run(self, prepared: tuple[Any, bool], effort: EffortLevel) -> list[Prediction]:
        """Classify a batch, or raise."""
        inner, poisoned = prepared
        if poisoned:
            raise RuntimeError("the model cannot be run on this text")
        return self._engine.run(inner, effort)


def open_brittle(path: str) -> Brittle:
    """Load a model; by a name of the module, for a worker hands it on to a child of its own."""
    return Brittle(open_model(path))


def main() -> None:
    """Replace the two, and be ``headrace``."""
    clock, no_files = Path(sys.argv[1]), sys.argv[2] == "1"
    if no_files:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    replaced = {
        "SystemClock": lambda: WrongClock(clock),
        "open_model": open_brittle,
    }
    for name, made in replaced.items():
        assert hasattr(worker, name), f"streams.worker.worker has no {name} to be replaced"
        setattr(worker, name, made)
    sys.argv = ["headrace", *sys.argv[3:]]
    cli.main()


if __name__ == "__main__":
    main()
