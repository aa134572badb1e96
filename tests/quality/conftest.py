"""What tests of a committed checkpoint begin with; each file says by ``name`` of which ones."""

from typing import Any

import orjson
import pytest

from inference.checkpoint import CHECKPOINTS, load_engine
from inference.engine import Engine


@pytest.fixture(scope="module")
def engine(name: str) -> Engine:
    """Return the checkpoint as a worker runs it here."""
    return load_engine(name)


@pytest.fixture(scope="module")
def figures(name: str) -> dict[str, Any]:
    """Return what was measured of it when it was made."""
    found: dict[str, Any] = orjson.loads((CHECKPOINTS / name / "evaluation.json").read_bytes())
    return found
