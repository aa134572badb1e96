"""The benchmarks are scripts beside each other; they import one another by their bare names."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "bench"))


@pytest.fixture
def rivals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare the rivals as batch strategies for one test."""
    import overload_rivals  # noqa: PLC0415 - its directory is on the path only now

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    overload_rivals.register()
