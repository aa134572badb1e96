"""Finding a checkpoint, refusing what is none, and citing exactly which one answered."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from inference.checkpoint import CHECKPOINTS, digest, find_checkpoint, load_engine
from inference.engine import EffortLevel
from schemas.errors import ConfigurationError, EngineError
from tests.fakes.small_model import LABELS, write_small_checkpoint

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a small checkpoint of the test's own."""
    return write_small_checkpoint(tmp_path / "small")


def _change_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changes))


def test_a_packaged_checkpoint_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From whatever directory, even if that has a directory of the same name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "news-sentiment").mkdir()
    assert find_checkpoint("news-sentiment") == CHECKPOINTS / "news-sentiment"


@pytest.mark.parametrize("name", ["small", "./small", "../{}/small"])
def test_a_directory_is_found_by_its_path(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """Relative to where the command runs, or absolute."""
    monkeypatch.chdir(checkpoint.parent)
    found = find_checkpoint(name.format(checkpoint.parent.name))
    assert found.resolve() == checkpoint.resolve()
    assert find_checkpoint(checkpoint) == checkpoint


def test_the_current_directory_is_a_checkpoint_too(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    """A dot means where the command runs, not where the package keeps its checkpoints."""
    monkeypatch.chdir(checkpoint)
    assert find_checkpoint(".").resolve() == checkpoint.resolve()


def test_an_unknown_model_is_refused_with_the_known_ones():
    """So that a slip in the name is seen at once."""
    message = r"model 'news-sentimnt' is neither a directory nor one of \[.*'news-sentiment'.*\]"
    with pytest.raises(ConfigurationError, match=message):
        find_checkpoint("news-sentimnt")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(checkpoint: Path, name: str):
    """Alone, with what makes checkpoints."""
    (checkpoint / name).unlink()
    with pytest.raises(ConfigurationError, match=rf"lacks {name}; a checkpoint is made by"):
        load_engine(checkpoint)


def test_all_missing_files_are_named_at_once(tmp_path: Path):
    """Nobody has to find out one after the other."""
    with pytest.raises(ConfigurationError, match="lacks " + ", ".join(FILES)):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize("kind", ["bert", None, 7])
def test_another_kind_of_model_is_refused(checkpoint: Path, kind: object):
    """The message says which kind it is and which one runs."""
    _change_config(checkpoint, model_type=kind)
    message = rf"config\.json: model_type is {kind!r}; this engine runs 'sparse_encoder'"
    with pytest.raises(ConfigurationError, match=message):
        load_engine(checkpoint)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"model_type": "sparse_encoder"'])
def test_a_damaged_configuration_is_named(checkpoint: Path, content: bytes):
    """What is no JSON cannot be read."""
    (checkpoint / "config.json").write_bytes(content)
    with pytest.raises(EngineError, match=r"config\.json cannot be read"):
        load_engine(checkpoint)


def test_a_configuration_that_is_no_object_is_refused(checkpoint: Path):
    """It names no kind of model."""
    (checkpoint / "config.json").write_bytes(b"[1, 2]")
    with pytest.raises(ConfigurationError, match="model_type is None"):
        load_engine(checkpoint)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_experts": 0},
        {"num_experts": 3},
        {"hidden_size": "32"},
        {"efforts": [{"name": "full", "expert": 2}]},
        {"efforts": [3]},
        {"id2label": {"0": "a", "2": "b"}},
        {"exit_thresholds": 0.5},
        {"exit_temperatures": [0.0] * 4},
        {"storage_bits": {"experts": 3}},
    ],
    ids=str,
)
def test_a_configuration_that_cannot_run_is_named(checkpoint: Path, changes: dict[str, Any]):
    """Before any weight is read."""
    _change_config(checkpoint, **changes)
    (checkpoint / "model.safetensors").write_bytes(b"never looked at")
    with pytest.raises(EngineError, match=r"config\.json: "):
        load_engine(checkpoint)


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 3}, {"hidden_size": 64}], ids=str)
def test_weights_of_another_shape_are_named(checkpoint: Path, changes: dict[str, Any]):
    """Both files, as either may be the wrong one."""
    layers = changes.get("num_hidden_layers", 4)
    exits = {"exit_thresholds": [0.5] * layers, "exit_temperatures": [1.0] * layers}
    _change_config(checkpoint, **changes | exits)
    with pytest.raises(EngineError, match=r"model\.safetensors does not fit config\.json"):
        load_engine(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"model": 3', b"\xff"])
def test_a_damaged_tokenizer_is_named(checkpoint: Path, content: bytes):
    """With the path of the file."""
    (checkpoint / "tokenizer.json").write_bytes(content)
    with pytest.raises(EngineError, match=r"small/tokenizer\.json cannot be read"):
        load_engine(checkpoint)


def test_a_tokenizer_with_more_pieces_than_the_model_is_refused(checkpoint: Path):
    """Its ids would reach beyond the embedding."""
    path = checkpoint / "tokenizer.json"
    state = orjson.loads(path.read_bytes())
    state["model"]["vocab"]["##tion"] = 1 + max(state["model"]["vocab"].values())
    path.write_bytes(orjson.dumps(state))
    with pytest.raises(EngineError, match=r"pieces and the model .* of different checkpoints"):
        load_engine(checkpoint)


def test_a_tokenizer_with_ids_beyond_the_model_is_refused(checkpoint: Path):
    """Also if it has no more pieces: what counts is the highest id."""
    path = checkpoint / "tokenizer.json"
    state = orjson.loads(path.read_bytes())
    state["model"]["vocab"]["##s"] = 1_000
    path.write_bytes(orjson.dumps(state))
    with pytest.raises(EngineError, match="of different checkpoints"):
        load_engine(checkpoint)


@pytest.mark.parametrize("threads", [0, -1])
def test_at_least_one_thread_is_needed(checkpoint: Path, threads: int):
    """Zero is no way to ask for all."""
    with pytest.raises(ConfigurationError, match=f"threads is {threads}; it must be at least 1"):
        load_engine(checkpoint, threads=threads)


@pytest.mark.parametrize("name", FILES)
def test_any_byte_of_any_file_changes_the_digest(checkpoint: Path, name: str):
    """The first, the last, and some between."""
    path = checkpoint / name
    content = path.read_bytes()
    seen = {digest(checkpoint)}
    places = [0, len(content) // 3, len(content) // 2, len(content) - 1]
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        seen.add(digest(checkpoint))
    path.write_bytes(content + b"\n")
    seen.add(digest(checkpoint))
    assert len(seen) == 2 + len(places)
    path.write_bytes(content)
    assert digest(checkpoint) in seen


def test_bytes_that_move_from_file_to_file_change_the_digest(checkpoint: Path):
    """The digest knows where each file ends."""
    before = digest(checkpoint)
    config, weights = checkpoint / "config.json", checkpoint / "model.safetensors"
    content = weights.read_bytes()
    config.write_bytes(config.read_bytes() + content[:1])
    weights.write_bytes(content[1:])
    assert digest(checkpoint) != before


def test_the_digest_is_of_what_answers_alone(checkpoint: Path):
    """The card may be corrected, and the directory moved, without a new digest."""
    before = digest(checkpoint)
    (checkpoint / "README.md").write_text("# a card\n", encoding="utf-8")
    assert digest(checkpoint.rename(checkpoint.parent / "moved")) == before
    assert before.startswith("sha256:")
    assert len(before) == len("sha256:") + 64


def test_an_engine_says_what_it_was_loaded_from(checkpoint: Path):
    """Name, version, digest, labels, ladder and longest event, as the files have them."""
    engine = load_engine(checkpoint, precision="fp32")
    assert (engine.model.name, engine.model.version) == ("small", "7")
    assert engine.model.digest == digest(checkpoint)
    assert engine.labels == LABELS
    assert engine.max_tokens == 24
    assert engine.efforts == (
        EffortLevel("full"),
        EffortLevel("single_expert", experts=1, exit_threshold=0.5),
        EffortLevel("first_exit", experts=1, exit_threshold=0.0),
    )
