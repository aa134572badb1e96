"""Checkpoints of our own: the sparse encoder, for text and for images."""

from inference.backends import Request, Source
from inference.checkpoint import load_engine
from inference.engine import Engine


class SparseFamily:
    """Runs a checkpoint that ``headrace`` trained."""

    def accepts(self, source: Source) -> bool:  # noqa: ARG002 - all of its model type
        """Say whether this can run a model."""
        return True

    def load(self, source: Source, request: Request) -> Engine:
        """Load a checkpoint; see :meth:`inference.backends.Backend.load`."""
        return load_engine(
            source.path,
            threads=request.threads,
            precision=request.precision,
            device=request.device_name,
        )


BACKEND = SparseFamily()
