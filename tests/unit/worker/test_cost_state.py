"""Costs are kept between starts of a worker, for the same model on the same machine alone."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference.optimizer import CompiledModel
from streams.worker import cost_state
from streams.worker.cost_state import CostStates
from tests.fakes.engine import FakeEngine

COSTS = {"log_speed": 0.1, "log_tail": 0.1, "efforts": {}}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """In a directory that did not exist, by another worker, and nothing else lies there."""
    CostStates(str(tmp_path / "kept")).save(FakeEngine(), COSTS)
    assert CostStates(str(tmp_path / "kept")).load(FakeEngine()) == COSTS
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_nothing_is_kept_without_a_directory() -> None:
    """And nothing found."""
    states = CostStates(None)
    states.save(FakeEngine(), COSTS)
    assert states.load(FakeEngine()) is None


def test_other_weights_and_other_processors_have_costs_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory may be shared by machines."""
    states = CostStates(str(tmp_path))
    states.save(FakeEngine(), COSTS)
    other = FakeEngine()
    other.model = msgspec.structs.replace(other.model, digest="sha256:" + "1" * 64)
    assert states.load(other) is None
    monkeypatch.setattr(cost_state, "processor_name", lambda: "another")
    assert states.load(FakeEngine()) is None


@pytest.mark.parametrize("differs", [{"precision": "fp32"}, {"threads": 2}, {"backend": "other"}])
def test_another_way_of_computing_has_costs_of_its_own(
    tmp_path: Path, differs: dict[str, Any]
) -> None:
    """One model in two precisions takes two different times."""

    def compiled(**fields: Any) -> CompiledModel:
        known = {"backend": "fake", "device": "cpu", "precision": "int8", "threads": 1} | fields
        return CompiledModel(FakeEngine(), batch_strategy="fifo", **known)

    states = CostStates(str(tmp_path))
    states.save(compiled(), COSTS)
    assert states.load(compiled()) == COSTS
    assert states.load(compiled(**differs)) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 1}', b"\xff"])
def test_a_damaged_file_is_done_without(tmp_path: Path, damage: bytes) -> None:
    """The worker measures anew, and writes it anew."""
    states = CostStates(str(tmp_path))
    states.save(FakeEngine(), COSTS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert states.load(FakeEngine()) is None
    states.save(FakeEngine(), COSTS)
    assert states.load(FakeEngine()) == COSTS


def test_a_directory_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    """As on a read-only file system."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    states = CostStates(str(blocked))
    states.save(FakeEngine(), COSTS)
    assert states.load(FakeEngine()) is None
