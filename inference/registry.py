"""Parts that any installed package can add: batch strategies, backends and families of models.

A part is an entry point: a name in one of the groups below, in the metadata of whatever package
brings it. Those that come with headrace are declared in its ``pyproject.toml`` in the same way.
"""

from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from schemas.errors import ConfigurationError


class Group(StrEnum):
    """Where parts of a kind are declared."""

    BATCH_STRATEGIES = "headrace.batch_strategies"
    """What runs next: an ``inference.strategies.MakeStrategy``."""
    BACKENDS = "headrace.backends"
    """What runs a model: an ``inference.backends.Backend``."""
    MODELS = "headrace.models"
    """How a ``model_type`` of ``config.json`` runs: an ``inference.backends.Backend``, too."""

    @property
    def noun(self) -> str:
        """What a part is called in messages."""
        return {
            Group.BATCH_STRATEGIES: "batch strategy",
            Group.BACKENDS: "backend",
            Group.MODELS: "model family",
        }[self]


def names(group: Group) -> list[str]:
    """Return the names of all parts of a group, sorted."""
    return sorted(entry_points(group=group).names)


@cache
def load(group: Group, name: str) -> Any:
    """Import a part and return it; later calls return the same.

    Raises:
        ConfigurationError: No installed package has it, two have it, or it cannot be imported.
    """
    found = _found(group, name)
    if not found:
        raise ConfigurationError(
            f"{group.noun} {name!r} is not known; known are: {', '.join(names(group)) or 'none'} "
            f"(a package adds one as an entry point of the group {group.value})"
        )
    if len(found) > 1:
        packages = ", ".join(sorted(each.dist.name if each.dist else "?" for each in found))
        raise ConfigurationError(
            f"{group.noun} {name!r} is declared by several packages: {packages}; "
            "uninstall all but one of them"
        )
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{group.noun} {name!r}: {found[0].value} cannot be imported: {error}; "
            "install its package again"
        ) from error


def _found(group: Group, name: str) -> list[EntryPoint]:
    # A package that is seen twice, as in a checkout that is installed, declares the same twice.
    same = {each.value: each for each in entry_points(group=group, name=name)}
    return list(same.values())
