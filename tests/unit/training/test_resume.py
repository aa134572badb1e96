"""A loop that was stopped and taken up again ends where it would have ended."""

from pathlib import Path

import pytest
import torch

from inference.training.augment import Corruptor
from inference.training.data import TokenSet
from inference.training.distil import distil
from inference.training.learning import Schedule
from inference.training.progress import Lines
from inference.training.resume import State, Store
from schemas.errors import ConfigurationError
from tests.fakes.small_model import drawn_ids, small_network

SCHEDULE = Schedule(epochs=4, rate=1e-3, fresh_rate=5e-3, batch_size=8, seed=3)


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


class Impatient(Lines):
    """A report that stops the run at one of its steps."""

    def __init__(self, last: int) -> None:
        self.lines: list[str] = []
        super().__init__(self.lines.append)
        self.left = last

    def step(self) -> None:
        """Count down."""
        self.left -= 1
        if self.left == 0:
            raise StoppedError


@pytest.fixture(scope="module")
def texts() -> TokenSet:
    """Return forty texts, five steps of eight."""
    lengths = [2 + n % 7 for n in range(40)]
    ids = [part.tolist() for part in drawn_ids(lengths).split(lengths)]
    return TokenSet(ids, torch.arange(40) % 3)


@pytest.fixture(scope="module")
def whole(texts: TokenSet) -> dict[str, torch.Tensor]:
    """Return what a loop ends with that nobody stopped."""
    return _distil(texts, State(), Lines(lambda _line: None))


def _distil(texts: TokenSet, state: State, report: Lines) -> dict[str, torch.Tensor]:
    student = small_network()
    teacher = small_network(seed=5)
    distil(student, teacher, texts, Corruptor(texts, mask=4), SCHEDULE, report, state=state)
    return student.state_dict()


@pytest.mark.parametrize("last", [5, 7, 13, 19])
def test_a_loop_taken_up_again_ends_bit_for_bit_the_same(
    texts: TokenSet, whole: dict[str, torch.Tensor], tmp_path: Path, last: int
):
    """Wherever it was stopped; order, dropout, moments and learning rate go on."""
    state = State(tmp_path / "student.safetensors")
    with pytest.raises(StoppedError):
        _distil(texts, state, Impatient(last))
    torch.rand(7)  # another process has another history
    second = Impatient(0)
    resumed = _distil(texts, state, second)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    again = 5 * ((last - 1) // 5)  # a stop at an epoch's last step is one before it is saved
    taken_up = [line for line in second.lines if "taken up again" in line]
    assert taken_up == ([f"student: taken up again after step {again} of 20"] if again else [])


def test_a_stage_that_is_done_is_not_run_again(texts: TokenSet, tmp_path: Path):
    """Its result is there at once."""
    state = State(tmp_path / "student.safetensors")
    first = _distil(texts, state, Lines(lambda _line: None))
    again = Impatient(1)
    second = _distil(texts, state, again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any("epoch" in line for line in again.lines)


def test_a_store_gives_back_what_it_was_given(tmp_path: Path):
    """Trees of plain values and tensors, numbers as keys with them; no file is left half done."""
    store = Store(tmp_path / "deep" / "some.safetensors")
    assert store.load() is None
    one = torch.arange(6).view(2, 3)
    tree = {"a": [1, 2.5, None, "x", True], "b": {0: {"m": one, "n": one[:, 1]}}, "c": {}, "d": []}
    store.save({"old": 1})
    store.save(tree)
    back = store.load()
    assert back is not None
    assert torch.equal(back["b"][0].pop("m"), one)
    assert torch.equal(back["b"][0].pop("n"), one[:, 1])
    assert back == {"a": [1, 2.5, None, "x", True], "b": {0: {}}, "c": {}, "d": []}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["some.safetensors"]


def test_a_damaged_state_is_named_with_its_remedy(texts: TokenSet, tmp_path: Path):
    """Cut short, or of another loop."""
    path = tmp_path / "student.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    refused = r"student\.safetensors: cannot be resumed from \(.*\); delete it to begin"
    with pytest.raises(ConfigurationError, match=refused):
        _distil(texts, State(path), Lines(lambda _line: None))
    Store(path).save({"epoch": 1, "model": {}})
    with pytest.raises(ConfigurationError, match=refused):
        _distil(texts, State(path), Lines(lambda _line: None))


def test_a_store_without_a_path_keeps_nothing():
    """For runs that are not to be resumed."""
    store = Store()
    store.save({"a": torch.zeros(1)})
    assert store.load() is None
