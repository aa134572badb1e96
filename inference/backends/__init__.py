"""What runs models: the seam between the optimizer and the ways of running a model.

A backend looks at what lies at a path and says whether it can run it; asked to, it loads it as an
engine. Families of models (the group ``headrace.models``) are backends for one ``model_type``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from inference.engine import Engine
from inference.precision import Precision

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Source:
    """What a model path holds, before any of its weights are read.

    Attributes:
        path: A directory, or an ONNX file.
        config: Its ``config.json``, or the one beside the file; empty where there is none.
    """

    path: Path
    config: Mapping[str, Any]

    @property
    def directory(self) -> Path:
        """Where everything but the weights lies."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def is_onnx(self) -> bool:
        """Whether the model is an ONNX file."""
        return not self.path.is_dir()

    @property
    def model_type(self) -> str:
        """The architecture as Hugging Face names it; empty where it is not said."""
        return str(self.config.get("model_type", ""))

    @property
    def architecture(self) -> str:
        """The class that wrote the weights, such as ``BertForSequenceClassification``."""
        return str((self.config.get("architectures") or [""])[0])


@dataclass(frozen=True, slots=True)
class Request:
    """How a model is to run.

    Attributes:
        precision: ``None`` for the quickest of the machine.
        device_name: Where: ``cpu``, or ``cuda:N``.
        threads: Threads per product, on a CPU.
    """

    precision: Precision | None
    device_name: str
    threads: int

    @property
    def device(self) -> "torch.device":
        """Where, for torch, which is imported only if this is asked for."""
        import torch  # noqa: PLC0415 - seconds, and hundreds of MiB

        return torch.device(self.device_name)


class Backend(Protocol):
    """A way of running models; holds no state of its own."""

    def accepts(self, source: Source) -> bool:
        """Say whether this can run a model, from its configuration alone."""
        ...

    def load(self, source: Source, request: Request) -> Engine:
        """Load a model.

        Raises:
            ConfigurationError: The model, the precision or the device is none that this can run.
            EngineError: A file of the model is damaged.
        """
        ...
