"""Checkpoints of our own: the sparse encoder, for text and for images."""

import torch

from inference.backends import Request, Source
from inference.checkpoint import load_engine
from inference.engine import Engine
from inference.precision import Precision
from schemas.errors import ConfigurationError

FORMATS = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}


class SparseFamily:
    """Runs a checkpoint that ``headrace`` trained."""

    def accepts(self, source: Source) -> bool:  # noqa: ARG002 - all of its model type
        """Say whether this can run a model."""
        return True

    def load(self, source: Source, request: Request) -> Engine:
        """Load a checkpoint; see :meth:`inference.backends.Backend.load`."""
        if request.precision is not None and request.precision not in FORMATS:
            raise ConfigurationError(
                f"precision {request.precision} is none that a sparse checkpoint runs in; choose "
                f"one of {', '.join(FORMATS)}"
            )
        dtype = FORMATS[request.precision] if request.precision else None
        return load_engine(source.path, threads=request.threads, dtype=dtype)


BACKEND = SparseFamily()
