"""A model is data: loading one runs no code of it, in no package and by no library."""

import ast
import contextlib
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from inference.optimizer import open_model
from schemas.errors import ConfigurationError, EngineError
from tests.fakes.hub_models import write_image_model, write_text_model

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "inference/checkpoints"
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EVALUATORS = {"eval", "exec", "compile"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with what is called, dots included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    """Return a call's keyword argument as a constant, or nothing."""
    for given in call.keywords:
        if given.arg == name:
            return ast.literal_eval(given.value)
    return None


def imports(tree: ast.AST) -> set[str]:
    """Return the top names of what a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("package", ["schemas", "inference", "streams"])
def test_no_source_unpickles_or_runs_code_of_a_model(package: str) -> None:
    """Neither by itself nor by asking a library to."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert len(paths) > 10
    for path in paths:
        tree = ast.parse(path.read_text())
        assert not imports(tree) & UNPICKLERS, path
        for called, call in calls(tree):
            assert is_safe(called, call), f"{path}:{call.lineno}: {called}"


def is_safe(called: str, call: ast.Call) -> bool:
    """Whether a call reads nothing but data."""
    trusts = keyword(call, "trust_remote_code") or keyword(call, "allow_pickle")
    if trusts or called in EVALUATORS:
        return False
    if called in {"torch.load", "torch.jit.load"}:
        return keyword(call, "weights_only") is True
    if "Auto" in called and called.endswith("from_pretrained"):
        local = keyword(call, "local_files_only") is True
        return local and keyword(call, "trust_remote_code") is False
    return True


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(path, local_files_only=True)",
        "auto.from_pretrained(path, trust_remote_code=True)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_what_would_not_be_safe_is_found(line: str) -> None:
    """By the test above."""
    assert not all(is_safe(called, call) for called, call in calls(ast.parse(line)))


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._mark),)


def bomb(mark: Path) -> bytes:
    """Return a pickle that goes off, and see that it does."""
    content = pickle.dumps(Bomb(mark))
    pickle.loads(content)  # noqa: S301 - our own
    mark.rmdir()
    return content


def code(mark: Path) -> str:
    """Return a module that leaves a mark when it is imported."""
    return f"import os\nos.mkdir({str(mark)!r})\nclass Model: pass\nclass Config: pass\n"


@pytest.mark.parametrize("kind", ["text", "image", "shipped"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "training_args.bin"])
def test_a_pickle_among_a_models_files_does_not_go_off(
    kind: str, name: str, tmp_path: Path
) -> None:
    """In the place of the weights it is refused; beside them it is not looked at."""
    directory, mark = tmp_path / "model", tmp_path / "mark"
    write(kind, directory)
    if name == "pytorch_model.bin":
        (directory / "model.safetensors").unlink()
    (directory / name).write_bytes(bomb(mark))
    if name == "training_args.bin":
        open_model(str(directory))
    else:
        with pytest.raises((ConfigurationError, EngineError)):
            open_model(str(directory))
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["text", "image", "shipped"])
def test_code_among_a_models_files_is_not_run(kind: str, tmp_path: Path) -> None:
    """What the configuration says about it is not followed."""
    directory, mark = tmp_path / "model", tmp_path / "mark"
    write(kind, directory)
    (directory / "own.py").write_text(code(mark))
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        path = directory / name
        config = orjson.loads(path.read_bytes()) if path.exists() else {}
        config["auto_map"] = dict.fromkeys(
            ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoImageProcessor"), "own.Model"
        )
        path.write_bytes(orjson.dumps(config))
    with contextlib.suppress(ConfigurationError, EngineError):
        open_model(str(directory))
    assert not mark.exists()


def write(kind: str, directory: Path) -> None:
    """Write a model of a kind."""
    if kind == "text":
        write_text_model(directory)
    elif kind == "image":
        write_image_model(directory)
    else:
        shutil.copytree(SHIPPED / "news-sentiment", directory)
