"""An engine that takes its process along, as a package of its own would bring it.

As a model family it runs what lies beside a ``config.json`` with this ``model_type``.
"""

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from inference.backends import Request, Source
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from schemas.events import Event
from tests.fakes.engine import FakeEngine, encode_words, token_of

MODEL_TYPE = "crashing"
ENDLESS_S = 600.0


class CrashingEngine(FakeEngine):
    """Dies of events whose text holds ``segfault``, ``killed``, or ``unreadable`` for tokenisers.

    ``endless`` hangs. Everything else is answered as by :class:`FakeEngine`.

    Args:
        sick: It fails on whatever holds ``ferry``, which the examples of a start do not.
    """

    def __init__(self, *, sick: bool = False) -> None:
        super().__init__()
        self.sick = sick

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Die of what cannot be read."""
        encoded = super().encode(events)
        for one in encoded:
            if token_of("unreadable") in one.data:
                os.kill(os.getpid(), signal.SIGKILL)
        return encoded

    def run(self, prepared: tuple[tuple[int, ...], ...], effort: EffortLevel) -> list[Prediction]:
        """Die of what cannot be run."""
        if self.sick and any(token_of("ferry") in ids for ids in prepared):
            raise RuntimeError("the wrong weights")
        for ids in prepared:
            if token_of("segfault") in ids:
                ctypes.string_at(0)
            if token_of("killed") in ids:
                os.kill(os.getpid(), signal.SIGKILL)
            if token_of("endless") in ids:
                time.sleep(ENDLESS_S)
        return super().run(prepared, effort)


class CrashingFamily:
    """The backend of models of the type ``crashing``."""

    def accepts(self, source: Source) -> bool:
        """Say whether this can run a model."""
        return source.model_type == MODEL_TYPE

    def load(self, source: Source, request: Request) -> Engine:
        """Return a new engine, as its configuration says."""
        del request
        return CrashingEngine(sick=bool(source.config.get("sick")))


BACKEND = CrashingFamily()


class Text:
    """Encodes some words; can be pickled."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, engine: Engine) -> Encoded:
        """Return the words' tokens."""
        del engine
        return encode_words(self.text.split())


def write_model(directory: Path, *, sick: bool = False) -> Path:
    """Write what makes a directory a model of this type."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {"model_type": MODEL_TYPE, "sick": sick}
    (directory / "config.json").write_bytes(orjson.dumps(config))
    return directory


def install(where: Path) -> Path:
    """Write the metadata of a package with this family; return what to put on the import path."""
    metadata = where / "crashing_engine-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: crashing-engine\nVersion: 0.1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        f"[headrace.models]\n{MODEL_TYPE} = {__name__}:BACKEND\n"
    )
    return where
