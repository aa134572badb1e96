"""Reading what a model path holds; shared by all backends."""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from safetensors import SafetensorError
from tokenizers import Tokenizer

from inference.backends import Source
from inference.checkpoint import CONFIG_FILE, find_directory
from inference.text import TOKENIZER_FILE, TextEncoder
from inference.weights import WEIGHTS_FILE
from schemas.errors import ConfigurationError, EngineError
from schemas.results import Model

if TYPE_CHECKING:
    from torch import Tensor

INDEX_FILE = f"{WEIGHTS_FILE}.index.json"
"""Where large models say which file holds which weight."""
ONNX_SUFFIX = ".onnx"
POSITIONS = ("max_position_embeddings", "n_positions", "seq_length")
"""What configurations call the number of a model's positions."""
POSITIONS_AFTER_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "longformer",
        "mpnet",
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
    }
)
"""Model types whose texts begin at the position behind the padding's number."""
UNBOUNDED_TOKENS = 512
"""Longest text of a model whose files do not say."""
VERSION_CHARACTERS = 12
DIGEST_BYTES = 2**20


def read_source(model_path: str | Path) -> Source:
    """Find a model and read its configuration.

    Args:
        model_path: The name of a checkpoint that comes with the package, a directory, or an ONNX
            file.

    Raises:
        ConfigurationError: There is no model, or it does not say what it is.
    """
    path = Path(model_path)
    if path.suffix == ONNX_SUFFIX:
        if not path.is_file():
            raise ConfigurationError(f"model_path {str(path)!r}: there is no such file")
        beside = path.parent / CONFIG_FILE
        return Source(path, _read_json(beside) if beside.is_file() else {})
    directory = find_directory(model_path)
    if not (directory / CONFIG_FILE).is_file():
        raise ConfigurationError(
            f"model directory {directory} lacks {CONFIG_FILE}; give a directory that "
            "save_pretrained wrote, or one that headrace trained"
        )
    return Source(directory, _read_json(directory / CONFIG_FILE))


def labels_of(source: Source) -> tuple[str, ...]:
    """Return the names of a classifier's labels, in the order of its scores.

    Raises:
        ConfigurationError: There are none, or the model does not choose one among several.
    """
    named = source.config.get("id2label")
    where = source.directory / CONFIG_FILE
    if not isinstance(named, Mapping) or not named:
        raise ConfigurationError(
            f"{where} names no labels; give it id2label, such as {{'0': 'negative', …}}"
        )
    try:
        labels = {int(number): str(label) for number, label in named.items()}
    except ValueError as error:
        raise ConfigurationError(f"{where}: id2label: labels are numbered from 0") from error
    if sorted(labels) != list(range(len(labels))) or len(labels) == 1:
        raise ConfigurationError(
            f"{where}: id2label has {sorted(labels)}; a classifier has two labels or more, "
            "numbered from 0"
        )
    kind = source.config.get("problem_type")
    if kind not in {None, "single_label_classification"}:
        raise ConfigurationError(
            f"{where}: problem_type is {kind!r}; an engine gives each event one label, so only "
            "single_label_classification can be run"
        )
    return tuple(labels[number] for number in range(len(labels)))


def weight_files(source: Source) -> list[Path]:
    """Return the files that hold a model's weights.

    Raises:
        ConfigurationError: There are none that can be read without running code from them.
    """
    if source.is_onnx:
        return [source.path]
    index = source.path / INDEX_FILE
    if index.is_file():
        parts = sorted(set(_read_json(index).get("weight_map", {}).values()))
        return [source.path / Path(part).name for part in parts]
    if not (source.path / WEIGHTS_FILE).is_file():
        raise ConfigurationError(
            f"model directory {source.path} lacks {WEIGHTS_FILE}; other formats run code as they "
            "are read and are never opened: load the model where you trust it and write it anew "
            "with save_pretrained"
        )
    return [source.path / WEIGHTS_FILE]


def read_tensors(source: Source) -> "dict[str, Tensor]":
    """Read all weights.

    Raises:
        ConfigurationError: There are none that can be read safely.
        EngineError: A file is damaged.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 - not all that is served needs torch

    weights: dict[str, Tensor] = {}
    for path in weight_files(source):
        try:
            weights |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise EngineError(
                f"{path} cannot be read: {error}; fetch or train the model again"
            ) from error
    return weights


def read_tokenizer(source: Source, max_tokens: int) -> TextEncoder:
    """Read the tokenizer of a directory, or the one beside an ONNX file.

    Raises:
        ConfigurationError: There is none that a fast tokenizer can be made of.
        EngineError: Its file is damaged.
    """
    directory = source.directory
    if (directory / TOKENIZER_FILE).is_file():
        return TextEncoder.load(directory, max_tokens)
    if source.is_onnx:
        raise ConfigurationError(
            f"{directory / TOKENIZER_FILE} is missing; put the tokenizer of the model beside "
            f"{source.path.name}"
        )
    from transformers import AutoTokenizer  # noqa: PLC0415 - only models of old lack the file

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, use_fast=True
        )
        backend: Tokenizer = tokenizer.backend_tokenizer
    except Exception as error:  # the library raises whatever its parsers raise
        raise ConfigurationError(
            f"{directory} has no {TOKENIZER_FILE}, and none can be made of its other files: {error}"
        ) from error
    return TextEncoder(backend, max_tokens)


def first_position(source: Source) -> int:
    """Return the number of the position at which a model's texts begin."""
    if source.model_type not in POSITIONS_AFTER_PADDING:
        return 0
    padding = source.config.get("pad_token_id")
    return (1 if padding is None else int(padding)) + 1


def longest_text(source: Source) -> int:
    """Return the most tokens that a model takes, by its positions and its tokenizer."""
    positions = next((source.config[name] for name in POSITIONS if name in source.config), None)
    if isinstance(positions, int):
        positions -= first_position(source)
    config = source.directory / "tokenizer_config.json"
    said = _read_json(config).get("model_max_length") if config.is_file() else None
    bounds = [bound for bound in (positions, said) if isinstance(bound, int) and bound > 0]
    return min(bounds, default=UNBOUNDED_TOKENS)


def identity(source: Source) -> Model:
    """Return how results cite a model: by its directory's or file's name, and its content."""
    described = [source.directory / name for name in (CONFIG_FILE, TOKENIZER_FILE)]
    digest = digest_of([*described, *weight_files(source)])
    return Model(
        name=source.path.stem if source.is_onnx else source.path.resolve().name,
        version=digest.removeprefix("sha256:")[:VERSION_CHARACTERS],
        digest=digest,
    )


def digest_of(files: Iterable[Path]) -> str:
    """Return ``sha256:`` and the digest over the files that there are."""
    total = hashlib.sha256()
    for path in files:
        if path.is_file():
            total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while part := file.read(DIGEST_BYTES):
                    total.update(part)
    return f"sha256:{total.hexdigest()}"


def settle_threads(threads: int) -> None:
    """Set the process's threads per product; torch's where the backend has imported it."""
    # One thread per worker: the tokenizer's own pool would compete with the other workers.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
    if "torch" in sys.modules:
        from inference.device import settle_torch  # noqa: PLC0415 - see the condition

        settle_torch(threads)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = orjson.loads(path.read_bytes())
    except (orjson.JSONDecodeError, OSError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise EngineError(f"{path} holds no JSON object")
    return fields
