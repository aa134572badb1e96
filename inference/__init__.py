"""The sparse model, its engine and the deadline scheduler. Knows no Kafka and no environment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.optimizer import Optimizer as Optimizer

__all__ = ["Optimizer"]


def __getattr__(name: str) -> Any:
    """Import the optimizer, and torch with it, only when it is asked for."""
    if name != "Optimizer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inference.optimizer import Optimizer  # noqa: PLC0415 - see above

    return Optimizer
