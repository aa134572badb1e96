"""The backend for all model types that a family is known for: no product runs on padding."""

from inference.backends import Backend, Request, Source
from inference.engine import Engine
from inference.registry import Group, load, names


class PackedBackend:
    """Hands a model to the family of its ``model_type``, from the group ``headrace.models``."""

    def accepts(self, source: Source) -> bool:
        """Say whether the model's family is known and takes it."""
        return (
            not source.is_onnx
            and source.model_type in names(Group.MODELS)
            and self._family(source).accepts(source)
        )

    def load(self, source: Source, request: Request) -> Engine:
        """Load a model; see :meth:`inference.backends.Backend.load`."""
        return self._family(source).load(source, request)

    def _family(self, source: Source) -> Backend:
        family: Backend = load(Group.MODELS, source.model_type)
        return family


BACKEND = PackedBackend()
