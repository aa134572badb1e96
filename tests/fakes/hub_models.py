"""Hugging Face classifiers, small enough for unit tests, with weights drawn from a seed."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers

from inference.text import TextEncoder
from tests.fakes.small_model import LABELS, PIECES, small_tokenizer

LONGEST = 24
NAMES = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: n for n, label in enumerate(LABELS)},
}
WORDS = {"vocab_size": len(PIECES), "pad_token_id": 0}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": LONGEST,
}
DISTILBERT = {
    "dim": 32,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": LONGEST,
}
TEXT_SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", BERT),
    "roberta": ("Roberta", BERT | {"max_position_embeddings": LONGEST + 1}),
    "distilbert": ("DistilBert", DISTILBERT),
    "electra": ("Electra", BERT | {"embedding_size": 16}),
    "gpt2": (
        "GPT2",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": LONGEST, "eos_token_id": 3},
    ),
}
"""Class and sizes by family; GPT-2 stands for all that are not BERT-shaped."""


def write_text_model(directory: Path, family: str = "bert", **changes: Any) -> Path:
    """Write a sequence classifier with its tokenizer and return its directory."""
    kind, shape = TEXT_SHAPES[family]
    config = getattr(transformers, f"{kind}Config")(**WORDS | NAMES | shape | changes)
    network = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    save(network, directory)
    TextEncoder(small_tokenizer(), LONGEST).save(directory)
    return directory


def write_image_model(directory: Path) -> Path:
    """Write an image classifier with its processor and return its directory."""
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        **NAMES,
    )
    save(transformers.ViTForImageClassification(config), directory)
    processor = {"size": {"height": 32, "width": 32}, "resample": 2, "do_rescale": True}
    processor |= {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "do_normalize": True}
    processor |= {"image_processor_type": "ViTImageProcessor", "rescale_factor": 1 / 255}
    (directory / "preprocessor_config.json").write_text(json.dumps(processor))
    return directory


def write_onnx_model(directory: Path) -> Path:
    """Write a text classifier as an ONNX file, with what has to lie beside it, and return it."""
    write_text_model(directory)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    ids = torch.ones(2, 8, dtype=torch.long)
    open_sides = {0: "batch", 1: "length"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's about itself
        torch.onnx.export(
            network,
            (ids, ids),
            str(directory / "model.onnx"),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={
                "input_ids": open_sides,
                "attention_mask": open_sides,
                "logits": {0: "batch"},
            },
            dynamo=False,
        )
    return directory / "model.onnx"


def save(network: Any, directory: Path) -> None:
    """Draw weights that tell one event from another, and write them."""
    chance = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "norm" not in name.lower() or name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.2, generator=chance)
    network.eval().save_pretrained(directory)
