"""A run takes up what the same run left, and nothing else; nobody's files are overwritten."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.training.progress import Lines
from inference.training.settings import TrainingSettings
from inference.training.workspace import Workspace, check_writable, digest_of, usable_cores
from schemas.errors import ConfigurationError

RUN: dict[str, Any] = {"seed": 0, "data_digest": "abc", "epochs": None}


def _begin(out: Path, run: dict[str, Any] = RUN, *, resume: bool | None = None) -> list[str]:
    said: list[str] = []
    Workspace(out, run).begin(Lines(said.append), resume=resume)
    return said


def _state(out: Path) -> Path:
    """Leave the state of a stage behind, as a stopped run does."""
    state = out / ".training" / "teacher.safetensors"
    Workspace(out, RUN).state("teacher").save(
        1, torch.nn.Linear(1, 1), *_optimiser(), generators={}
    )
    return state


def _optimiser() -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.SGD(torch.nn.Linear(1, 1).parameters())
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _step: 1.0)


def test_a_new_directory_is_made_and_nothing_said(tmp_path: Path):
    """With those above it."""
    out = tmp_path / "deep" / "model"
    assert _begin(out) == []
    assert {path.name for path in out.iterdir()} == {".training"}


@pytest.mark.parametrize("resume", [None, True])
def test_the_same_run_is_taken_up(tmp_path: Path, resume: bool | None):
    """Its states stay."""
    _begin(tmp_path)
    state = _state(tmp_path)
    assert _begin(tmp_path, resume=resume) == [f"taking up the run that was stopped in {tmp_path}"]
    assert state.exists()


@pytest.mark.parametrize(
    ("run", "named"),
    [
        (RUN | {"seed": 1}, "seed"),
        (RUN | {"data_digest": "x", "epochs": 3}, "data_digest, epochs"),
        (RUN | {"new": 1}, "new"),
    ],
)
def test_another_run_begins_anew_and_says_why(tmp_path: Path, run: dict[str, Any], named: str):
    """Its states would be of something else; with --resume it is an error."""
    _begin(tmp_path)
    state = _state(tmp_path)
    with pytest.raises(ConfigurationError, match=f"to resume was of other {named}; leave --resume"):
        _begin(tmp_path, run, resume=True)
    assert state.exists()
    (said,) = _begin(tmp_path, run)
    assert said == f"{tmp_path} holds a stopped run of other {named}: beginning anew"
    assert not state.exists()


def test_a_run_can_be_begun_anew(tmp_path: Path):
    """With --no-resume."""
    _begin(tmp_path)
    state = _state(tmp_path)
    assert _begin(tmp_path, resume=False) == []
    assert not state.exists()


def test_a_damaged_note_of_the_run_counts_as_none(tmp_path: Path):
    """A power cut may leave half of it."""
    _begin(tmp_path)
    (tmp_path / ".training" / "run.json").write_bytes(b'{"seed": ')
    assert _begin(tmp_path) == []


def test_a_checkpoint_is_there_until_the_next_one_is_complete(tmp_path: Path):
    """That it will be replaced is said."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert _begin(tmp_path) == [f"{tmp_path} holds a checkpoint, which will be replaced at the end"]
    assert (tmp_path / "config.json").exists()


def test_what_only_a_stopped_run_needs_is_cleared_away(tmp_path: Path):
    """Once the checkpoint is written."""
    work = Workspace(tmp_path, RUN)
    work.begin(Lines(lambda _line: None), resume=None)
    _state(tmp_path)
    (tmp_path / ".new-x").mkdir()
    work.finish()
    assert not list(tmp_path.iterdir())


def test_a_directory_of_other_things_is_refused(tmp_path: Path):
    """Somebody's README would be lost."""
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"holds other files \(README\.md\) and no check"):
        check_writable(tmp_path)


def test_a_directory_that_cannot_be_written_is_refused_at_once():
    """Not after an hour."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        check_writable(Path("/proc/nowhere"))


def test_settings_that_change_no_weight_do_not_end_a_run():
    """Names, notices, the number of threads; everything else does."""
    plain = TrainingSettings(data=Path("a.csv"), out=Path("b"))
    names = {"name": "n", "data_notice": "x", "threads": 2, "resume": True}
    other = TrainingSettings(data=Path("/moved/a.csv"), out=Path("c"), **names)
    assert plain.what_matters() == other.what_matters()
    for change in ({"seed": 1}, {"epochs": 3}, {"max_tokens": 64}, {"flips": False}):
        assert plain.what_matters() != replace(plain, **change).what_matters()


def test_a_digest_tells_where_strings_and_parts_end():
    """Moving a text from one part to another makes other data."""
    digests = {
        digest_of(parts)
        for parts in ([["a", "b"]], [["ab"]], [["a"], ["b"]], [["b", "a"]], [["a", "b"], []])
    }
    assert len(digests) == 5


def test_at_least_one_core_is_usable():
    """Those that this process may run on."""
    assert usable_cores() >= 1
