"""The front door for a model of one's own: from files to an engine that runs them well.

    model = Optimizer(model_path="./my-classifier", device_map="auto").compile(precision="int8")
    predictions = model.run(model.prepare(model.encode(events)), model.efforts[0])

``model_path`` may be a checkpoint that ``headrace`` trained (by path, or by the name of one that
comes with the package), a directory with a Hugging Face classifier of text or images, or an ONNX
file with ``tokenizer.json`` and ``config.json`` beside it. Nothing is fetched; weights are read
from safetensors or ONNX alone, and no code that comes with a model is run.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.backends import Backend, Request, Source
from inference.backends.source import read_source, settle_threads
from inference.engine import EffortLevel, Encoded, Engine, Prediction
from inference.log import Log
from inference.precision import AUTO, parse_precision
from inference.registry import Group, load, names
from inference.strategies import DYNAMIC_PRIORITY
from schemas.errors import ConfigurationError
from schemas.events import Event

log = Log(__name__)

DEVICE = re.compile(r"(?P<kind>cpu|cuda)(:(?P<number>\d+))?")
DRIVERS = ("nvidia*", "nvhost*", "nvmap", "kfd", "dxg")
"""What lies in Linux's ``/dev`` where the driver of a GPU is loaded that torch can use: NVIDIA's
(embedded boards' too), AMD's, and that of a Windows beneath."""

OURS = ("packed", "transformers", "onnxruntime")
"""The backends that are asked first, in this order; those of other packages follow by name."""


class CompiledModel:
    """An engine, and what was decided in making it.

    Implements :class:`inference.engine.Engine`.

    Attributes:
        engine: What runs the model.
        batch_strategy: How a scheduler over it chooses batches, unless its settings say otherwise.
        backend: The name of the backend that made the engine.
        device: Where it runs, as torch calls it: ``cpu`` or ``cuda:N``.
        precision: What was asked for, by its name; ``auto`` where the backend chose.
        threads: Threads per product on a CPU.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        batch_strategy: str,
        backend: str,
        device: str,
        precision: str = AUTO,
        threads: int = 1,
    ) -> None:
        self.engine = engine
        self.batch_strategy = batch_strategy
        self.backend = backend
        self.device = device
        self.precision = precision
        self.threads = threads
        self.model = engine.model
        self.modalities = engine.modalities
        self.labels = engine.labels
        self.efforts = engine.efforts
        self.max_tokens = engine.max_tokens

    @property
    def path(self) -> str:
        """What multiplies, where the engine tells: an instruction set, or ``torch``."""
        return getattr(self.engine, "path", "")

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Make events ready; see :meth:`inference.engine.Engine.encode`."""
        return self.engine.encode(events)

    def prepare(self, batch: Sequence[Encoded]) -> Any:
        """Pack a batch; see :meth:`inference.engine.Engine.prepare`."""
        return self.engine.prepare(batch)

    def run(self, prepared: Any, effort: EffortLevel) -> list[Prediction]:
        """Classify a prepared batch; see :meth:`inference.engine.Engine.run`."""
        return self.engine.run(prepared, effort)


class Optimizer:
    """Chooses how to run a model.

    Args:
        model_path: What to run; see above.
        batch_strategy: How batches are chosen from what waits: ``dynamic_priority``, ``fifo``,
            ``static``, or what another package adds.
        device_map: ``auto`` for a GPU where there is one, ``cpu``, ``cuda`` or ``cuda:N``.
        backend: What runs it: ``packed``, ``transformers``, ``onnxruntime``, or what another
            package adds; ``auto`` for the first of these that can.
        threads: Threads per product on a CPU. One is right where a process runs per core.

    Raises:
        ConfigurationError: There is no such model, strategy, device or backend.
    """

    def __init__(
        self,
        model_path: str | Path,
        batch_strategy: str = DYNAMIC_PRIORITY,
        device_map: str = AUTO,
        *,
        backend: str = AUTO,
        threads: int = 1,
    ) -> None:
        if threads < 1:
            raise ConfigurationError(f"threads is {threads}; it must be at least 1")
        load(Group.BATCH_STRATEGIES, batch_strategy)
        self.source = read_source(model_path)
        self.device = choose_device(device_map)
        self.batch_strategy = batch_strategy
        self.backend = choose_backend(self.source, backend)
        self._threads = threads

    def compile(self, precision: str | None = AUTO) -> CompiledModel:
        """Load the model.

        Args:
            precision: A name of ``inference.precision.Precision``; ``auto`` for the quickest of
                this machine.

        Raises:
            ConfigurationError: The precision is not known, or the model cannot run in it.
            EngineError: A file of the model is damaged.
        """
        wanted = parse_precision(precision)
        backend: Backend = load(Group.BACKENDS, self.backend)
        settle_threads(self._threads)
        engine = backend.load(self.source, Request(wanted, self.device, self._threads))
        log.info(
            "model_compiled",
            model=engine.model.name,
            backend=self.backend,
            precision=wanted.value if wanted else AUTO,
            device=self.device,
            batch_strategy=self.batch_strategy,
        )
        return CompiledModel(
            engine,
            batch_strategy=self.batch_strategy,
            backend=self.backend,
            device=self.device,
            precision=wanted.value if wanted else AUTO,
            threads=self._threads,
        )


def open_model(model_path: str | Path) -> CompiledModel:
    """Compile a model as it runs best on this machine; one thread, as a worker is to have.

    Raises:
        ConfigurationError: There is no such model, or it is none that can be run.
        EngineError: A file of the model is damaged.
    """
    return Optimizer(model_path).compile()


def choose_device(device_map: str) -> str:
    """Return the device of a name: ``cpu``, or a card as torch calls it.

    Raises:
        ConfigurationError: The name is none, or this machine has no such device.
    """
    if device_map == AUTO:
        return "cuda:0" if _cards() else "cpu"
    found = DEVICE.fullmatch(device_map)
    if not found:
        raise ConfigurationError(
            f"device_map is {device_map!r}; give auto, cpu, cuda or cuda:N with a card's number"
        )
    kind, number = found["kind"], int(found["number"] or 0)
    if kind == "cuda" and number >= (cards := _cards()):
        raise ConfigurationError(
            f"device_map is {device_map!r}, and torch sees {cards} CUDA devices; give auto or cpu"
        )
    return device_map


def _cards() -> int:
    """Count the GPUs that torch sees; without importing it where no driver of any is loaded."""
    if sys.platform == "linux" and not any(next(Path("/dev").glob(each), None) for each in DRIVERS):
        return 0
    import torch  # noqa: PLC0415 - seconds, and hundreds of MiB

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def choose_backend(source: Source, name: str) -> str:
    """Return the name of the backend that is to run a model.

    Raises:
        ConfigurationError: None can, or the one that is named cannot.
    """
    known = names(Group.BACKENDS)
    if name != AUTO:
        chosen: Backend = load(Group.BACKENDS, name)
        if chosen.accepts(source):
            return name
    else:
        others = [each for each in known if each not in OURS]
        for each in (*OURS, *others):
            if load(Group.BACKENDS, each).accepts(source):
                return each
    what = source.architecture or source.model_type or "a model of no known architecture"
    who = "no backend" if name == AUTO else f"backend {name!r}"
    raise ConfigurationError(
        f"{source.path} holds {what}, which {who} can run; known are: {', '.join(known)}. They run "
        "checkpoints of headrace, Hugging Face classifiers of sequences or images, and ONNX files"
    )
