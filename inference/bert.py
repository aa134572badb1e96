"""How the families of BERT name the weights of their layers, and what they are called here."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LayerNames:
    """Where a family keeps the parts of a layer.

    Attributes:
        layers: The list of layers.
        qkv: Products for queries, keys and values, within a layer.
        attention_out: Product behind attention.
        attention_norm: Norm behind that.
        up: First feed-forward product.
        down: Second.
        norm: Norm behind that.
    """

    layers: str
    qkv: tuple[str, str, str]
    attention_out: str
    attention_norm: str
    up: str
    down: str
    norm: str


BERT = LayerNames(
    layers="encoder.layer",
    qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
    attention_out="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    up="intermediate.dense",
    down="output.dense",
    norm="output.LayerNorm",
)
DISTILBERT = LayerNames(
    layers="transformer.layer",
    qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attention_out="attention.out_lin",
    attention_norm="sa_layer_norm",
    up="ffn.lin1",
    down="ffn.lin2",
    norm="output_layer_norm",
)
PARTS = ("attention_out", "attention_norm", "up", "down", "norm")


def layer_weights(
    theirs: Mapping[str, Tensor], names: LayerNames, layers: int, prefix: str = ""
) -> dict[str, Tensor]:
    """Name the weights of all layers as ``inference.backends.dense_encoder`` does.

    Args:
        theirs: A checkpoint's weights.
        names: Its family's.
        layers: How many layers there are.
        prefix: What stands before the names of everything but the head.

    Raises:
        KeyError: A weight is missing.
    """
    ours: dict[str, Tensor] = {}
    for number in range(layers):
        layer, block = f"{prefix}{names.layers}.{number}.", f"blocks.{number}."
        for kind in ("weight", "bias"):
            ours[f"{block}attention_qkv.{kind}"] = torch.cat(
                [theirs[f"{layer}{part}.{kind}"] for part in names.qkv]
            )
            for part in PARTS:
                ours[f"{block}{part}.{kind}"] = theirs[f"{layer}{getattr(names, part)}.{kind}"]
    return ours


def as_single_experts(dense: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Name the weights of :func:`layer_weights` as the sparse encoder does, with one expert."""
    ours: dict[str, Tensor] = {}
    for number in range(layers):
        block = f"blocks.{number}."
        experts = f"{block}feed_forward.experts."
        for kind in ("weight", "bias"):
            ours[f"{block}attention.qkv.{kind}"] = dense[f"{block}attention_qkv.{kind}"]
            ours[f"{block}attention.out.{kind}"] = dense[f"{block}attention_out.{kind}"]
            ours[f"{block}attention_norm.{kind}"] = dense[f"{block}attention_norm.{kind}"]
            ours[f"{block}feed_forward_norm.{kind}"] = dense[f"{block}norm.{kind}"]
        ours[f"{experts}up"] = dense[f"{block}up.weight"].T[None]
        ours[f"{experts}up_bias"] = dense[f"{block}up.bias"][None]
        ours[f"{experts}down"] = dense[f"{block}down.weight"].T[None]
        ours[f"{experts}down_bias"] = dense[f"{block}down.bias"]
    return ours
