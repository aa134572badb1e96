"""The real model, small enough for unit tests, with weights drawn from a seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn

from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.text import SPECIAL_TOKENS, TextEncoder

LABELS = ("negative", "neutral", "positive")
_TEXT = (
    "profit loss rises falls sharply slightly after before quarter harbour mill steel bank "
    "upgrade downgrade court port strike deal record weak strong outlook the of at"
)
WORDS = tuple(_TEXT.split())
PIECES = (*SPECIAL_TOKENS, *WORDS, "##s", "##ing", *"abcdefghijklmnopqrstuvwxyz[]")
SMALL = {
    "vocab_size": len(PIECES),
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_experts": 4,
    "experts_per_token": 2,
    "max_position_embeddings": 24,
    "exit_thresholds": [0.7] * 4,
    "efforts": [
        {"name": "full", "experts": None, "exit_threshold": None},
        {"name": "single_expert", "experts": 1, "exit_threshold": 0.5},
        {"name": "first_exit", "experts": 1, "exit_threshold": 0.0},
    ],
    "id2label": dict(enumerate(LABELS)),
    "checkpoint_name": "small",
    "checkpoint_version": "7",
}


def small_config(**changes: Any) -> SparseEncoderConfig:
    """Return a configuration of four layers of four experts."""
    return SparseEncoderConfig(**SMALL | changes)


def small_network(seed: int = 0, **changes: Any) -> SparseEncoderForSequenceClassification:
    """Return a network whose exits and routers differ from event to event and token to token."""
    network = SparseEncoderForSequenceClassification(small_config(**changes))
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if not name.endswith("norm.weight"):
                spread = 0.25 if ".router." in name or name.startswith("exits.") else 0.15
                nn.init.normal_(weight, std=spread, generator=chance)
    return network.eval()


def small_tokenizer() -> Tokenizer:
    """Return a WordPiece tokenizer as BERT's is, with few pieces."""
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in SPECIAL_TOKENS],
    )
    return tokenizer


def write_small_checkpoint(directory: Path, **changes: Any) -> Path:
    """Write a checkpoint of all three files and return its directory."""
    directory.mkdir(exist_ok=True)
    network = small_network(**changes)
    network.save_pretrained(directory)
    encoder = TextEncoder(small_tokenizer(), network.config.max_position_embeddings)
    encoder.save(directory)
    return directory


def drawn_ids(lengths: Sequence[int], seed: int = 0) -> Tensor:
    """Return token ids for events of these lengths, packed."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(len(PIECES), (sum(lengths),), generator=chance)
