"""Finding a checkpoint, checking it, and loading it as an engine."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from inference.engine import Engine
from inference.serving import native_forward, native_precision
from inference.shape import MODEL_TYPE, EncoderShape
from inference.sparse_engine import SparseEngine
from inference.text import TOKENIZER_FILE, TextEncoder
from inference.weights import WEIGHTS_FILE, read_weights
from schemas.errors import ConfigurationError, EngineError
from schemas.results import Model

if TYPE_CHECKING:
    import torch

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Where the checkpoints that come with the package lie, one directory each."""
CONFIG_FILE = "config.json"
FILES = [CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE]


def load_engine(
    path_or_name: str | Path,
    *,
    threads: int = 1,
    precision: str | None = None,
    isa: str | None = None,
    device: "torch.device | str" = "cpu",
) -> Engine:
    """Load a checkpoint. Torch is not even imported where one of text runs without it.

    Args:
        path_or_name: The name of a checkpoint that comes with the package, or a directory.
        threads: Threads per product; where torch is needed, its own number for the whole process.
        precision: A name of ``inference.precision.Precision``; ``None`` for the quickest of the
            processor.
        isa: Instruction set to run on; see ``inference.forward.forward_of``.
        device: Where to run.

    Raises:
        ConfigurationError: There is no such checkpoint, or it holds another kind of model.
        EngineError: A file of the checkpoint is damaged.
    """
    if threads < 1:
        raise ConfigurationError(f"threads is {threads}; it must be at least 1")
    directory = find_checkpoint(path_or_name)
    fields = _read_fields(directory)
    config = _shape_of(directory, fields)
    # One thread per worker: the tokenizer's own pool would compete with the other workers.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
    model = Model(
        name=config.checkpoint_name, version=config.checkpoint_version, digest=digest(directory)
    )
    is_on_cpu = str(device).startswith("cpu")
    chosen = native_precision(config, precision, isa) if is_on_cpu else None
    if chosen is None:
        from inference import torch_checkpoint  # noqa: PLC0415 - seconds and hundreds of MiB

        return torch_checkpoint.load(
            directory,
            fields,
            None if config.modality == "image" else _tokenizer(directory, config),
            model,
            precision=precision,
            threads=threads,
            isa=isa,
            device=device,
        )
    weights = read_weights(directory, config.storage_bits)
    if misfit := config.misfit({name: each.shape for name, each in weights.items()}):
        raise EngineError(f"{directory / WEIGHTS_FILE} does not fit {CONFIG_FILE}: {misfit}")
    forward = native_forward(config, weights, chosen, threads, isa)
    return SparseEngine(forward, config, _tokenizer(directory, config), model)


def _tokenizer(directory: Path, config: EncoderShape) -> TextEncoder:
    tokenizer = TextEncoder.load(directory, config.max_position_embeddings)
    if tokenizer.vocabulary_size > config.vocab_size:
        raise EngineError(
            f"{directory / TOKENIZER_FILE} has {tokenizer.vocabulary_size} pieces and the model "
            f"{config.vocab_size}; the files are of different checkpoints"
        )
    return tokenizer


def find_directory(path_or_name: str | Path) -> Path:
    """Return the directory of a model: of a checkpoint that comes with the package, or the path.

    Raises:
        ConfigurationError: There is none.
    """
    known = {each.parent.name: each.parent for each in CHECKPOINTS.glob(f"*/{CONFIG_FILE}")}
    directory = known.get(str(path_or_name), Path(path_or_name))
    if not directory.is_dir():
        raise ConfigurationError(
            f"model {str(path_or_name)!r} is neither a directory nor one of {sorted(known)}"
        )
    return directory


def find_checkpoint(path_or_name: str | Path) -> Path:
    """Return the directory of a checkpoint.

    Raises:
        ConfigurationError: There is none, or a file of it is missing.
    """
    directory = find_directory(path_or_name)
    missing = [name for name in _needed(directory) if not (directory / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"model directory {directory} lacks {', '.join(missing)}; a checkpoint is made by "
            "headrace train"
        )
    return directory


def digest(directory: Path) -> str:
    """Return ``sha256:`` and the digest over configuration, weights and, of text, tokenizer."""
    total = hashlib.sha256()
    for name in FILES:
        if not (directory / name).is_file():
            continue
        content = (directory / name).read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return f"sha256:{total.hexdigest()}"


def _needed(directory: Path) -> list[str]:
    """Return the names of the files that a checkpoint must have; one of images has no tokenizer."""
    path = directory / CONFIG_FILE
    takes_images = (
        path.is_file() and _shape_of(directory, _read_fields(directory)).modality == "image"
    )
    return FILES[:2] if takes_images else FILES


def _read_fields(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG_FILE
    try:
        fields: Any = orjson.loads(path.read_bytes())
    except (orjson.JSONDecodeError, OSError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from error
    kind = fields.get("model_type") if isinstance(fields, dict) else None
    if kind != MODEL_TYPE:
        raise ConfigurationError(f"{path}: model_type is {kind!r}; this engine runs {MODEL_TYPE!r}")
    return fields  # type: ignore[no-any-return]


def _shape_of(directory: Path, fields: dict[str, Any]) -> EncoderShape:
    try:
        return EncoderShape.of(fields)
    except (TypeError, ValueError, KeyError) as error:
        raise EngineError(f"{directory / CONFIG_FILE}: {error}") from error
