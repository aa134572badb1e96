"""What a stopped run leaves behind, so that the next one goes on as if nothing had happened.

Every state is one safetensors file: tensors as they are, the tree around them as JSON in the
metadata. It is replaced as a whole: a run that is stopped while it writes leaves the one before.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from schemas.errors import ConfigurationError

Generators = Mapping[str, torch.Generator]

TREE = "tree"
_DICT, _LIST, _TENSOR = "dict", "list", "tensor"


class Store:
    """One state on disk: dictionaries, lists, numbers, strings and tensors, nested.

    Args:
        path: The file; ``None`` keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """Return what was saved last; ``None`` where there is nothing.

        Raises:
            ConfigurationError: The file is damaged.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                tree = orjson.loads((file.metadata() or {})[TREE])
                state: dict[str, Any] = _unfold(tree, file.get_tensor)
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise self.unusable(error) from error
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state in place of the one before.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        if self.path is None:
            return
        tensors: dict[str, Tensor] = {}
        tree = orjson.dumps(_fold(state, tensors)).decode()
        draft = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, draft, metadata={TREE: tree})
            draft.replace(self.path)
        except (OSError, SafetensorError) as error:
            raise ConfigurationError(f"{self.path}: cannot be written: {error}") from error

    def unusable(self, error: Exception) -> ConfigurationError:
        """Return the error that says what to do about a file that cannot be used."""
        reason = str(error).partition("\n")[0].rstrip(": ")  # torch lists every weight below
        return ConfigurationError(
            f"{self.path}: cannot be resumed from ({reason}); delete it to begin this stage anew"
        )


class State:
    """Where a training loop stands after its last whole epoch.

    Args:
        path: The file that it is kept in; ``None`` keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._store = Store(path)

    def load(
        self, model: nn.Module, optimiser: Optimizer, pace: LRScheduler, generators: Generators
    ) -> int:
        """Bring a loop to where it was left; everything given is changed in place.

        Args:
            model: Of the same shape as the one that was saved, as are the others.
            optimiser: Steps the model's parameters.
            pace: Sets the optimiser's learning rates.
            generators: Whatever the loop draws from besides torch's own generator, by name.

        Returns:
            Epochs that are done; 0 where nothing was saved.

        Raises:
            ConfigurationError: The file is damaged or of another loop.
        """
        state = self._store.load()
        if state is None:
            return 0
        try:
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            pace.load_state_dict(state["pace"])
            torch.set_rng_state(state["chance"])
            for name, generator in generators.items():
                generator.set_state(state["generators"][name])
            return int(state["epoch"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self._store.unusable(error) from error

    def save(
        self,
        epoch: int,
        model: nn.Module,
        optimiser: Optimizer,
        pace: LRScheduler,
        generators: Generators,
    ) -> None:
        """Keep where a loop stands after ``epoch`` epochs.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        self._store.save(
            {
                "epoch": epoch,
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "pace": pace.state_dict(),
                "chance": torch.get_rng_state(),
                "generators": {name: each.get_state() for name, each in generators.items()},
            }
        )


def _fold(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a tree that JSON can hold; its tensors go to ``tensors``."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {_DICT: [[key, _fold(each, tensors)] for key, each in value.items()]}
    if isinstance(value, (list, tuple)):
        return {_LIST: [_fold(each, tensors) for each in value]}
    return value


def _unfold(tree: Any, tensor_of: Any) -> Any:
    """Return what ``_fold`` folded; tuples come back as lists."""
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == _TENSOR:
        return tensor_of(value)
    if kind == _DICT:
        return {key: _unfold(each, tensor_of) for key, each in value}
    return [_unfold(each, tensor_of) for each in value]
