"""Hugging Face's BERT-shaped classifiers, run packed: how each family names what they all have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from inference.backends import Request, Source
from inference.backends.choice import quickest
from inference.backends.dense_encoder import ACTIVATIONS, DenseEncoder, Shape, run_sample
from inference.backends.linear import convert
from inference.backends.native_dense import NativeDense, quickest_native, runs_natively
from inference.backends.source import (
    first_position,
    identity,
    labels_of,
    longest_text,
    read_tensors,
    read_tokenizer,
)
from inference.backends.text_engine import Classify, PackedTextEngine
from inference.bert import BERT, DISTILBERT, LayerNames, layer_weights
from schemas.errors import EngineError

DISTILBERT_FIELDS = {
    "hidden_size": "dim",
    "intermediate_size": "hidden_dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "hidden_act": "activation",
}


@dataclass(frozen=True, slots=True)
class Family:
    """What sets a family apart from the others.

    Attributes:
        architecture: The class whose weights these are.
        prefix: Of everything but the head.
        inner: The head's first product.
        outer: Its second.
        head_activation: Between the two.
        layers: How it names the parts of its layers.
        fields: Names in ``config.json`` where they are not BERT's.
    """

    architecture: str
    prefix: str
    inner: str
    outer: str
    head_activation: str
    layers: LayerNames = BERT
    fields: Mapping[str, str] = field(default_factory=dict)


def _roberta(name: str) -> Family:
    return Family(
        f"{name}ForSequenceClassification",
        "roberta.",
        "classifier.dense",
        "classifier.out_proj",
        "tanh",
    )


FAMILIES = {
    "bert": Family(
        "BertForSequenceClassification", "bert.", "bert.pooler.dense", "classifier", "tanh"
    ),
    "distilbert": Family(
        "DistilBertForSequenceClassification",
        "distilbert.",
        "pre_classifier",
        "classifier",
        "relu",
        layers=DISTILBERT,
        fields=DISTILBERT_FIELDS,
    ),
    "electra": Family(
        "ElectraForSequenceClassification",
        "electra.",
        "classifier.dense",
        "classifier.out_proj",
        "gelu",
    ),
    "roberta": _roberta("Roberta"),
    "camembert": _roberta("Camembert"),
    "xlm-roberta": _roberta("XLMRoberta"),
}


class PackedFamilies:
    """Runs the families above without padding."""

    def accepts(self, source: Source) -> bool:
        """Say whether a model is BERT-shaped in every respect."""
        family = FAMILIES.get(source.model_type)
        config = source.config
        return (
            family is not None
            and source.architecture == family.architecture
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not config.get("is_decoder", False)
            and _field(config, family, "hidden_act", "gelu") in ACTIVATIONS
        )

    def load(self, source: Source, request: Request) -> PackedTextEngine:
        """Load a model.

        Raises:
            ConfigurationError: A file is missing, or says nothing that can be run.
            EngineError: A file is damaged.
        """
        family = FAMILIES[source.model_type]
        labels = labels_of(source)
        shape = shape_of(source, family, len(labels))
        network = build(source, family, shape)
        tokenizer = read_tokenizer(source, min(longest_text(source), shape.longest))
        return PackedTextEngine(
            _made_ready(network, shape, request),
            tokenizer,
            identity(source),
            labels,
            layers=shape.layers,
            device=request.device,
        )


def shape_of(source: Source, family: Family, classes: int) -> Shape:
    """Read the sizes of an encoder off its configuration."""

    def read(name: str, default: Any = None) -> Any:
        return _field(source.config, family, name, default)

    width = read("hidden_size", 768)
    return Shape(
        vocabulary=read("vocab_size", 30522),
        positions=read("max_position_embeddings", 512),
        embedding=read("embedding_size", width),
        width=width,
        neurons=read("intermediate_size", 4 * width),
        layers=read("num_hidden_layers", 12),
        heads=read("num_attention_heads", 12),
        classes=classes,
        epsilon=read("layer_norm_eps", 1e-12),
        activation=ACTIVATIONS[read("hidden_act", "gelu")],
        head_activation=ACTIVATIONS[family.head_activation],
        first_position=first_position(source),
    )


def build(source: Source, family: Family, shape: Shape) -> DenseEncoder:
    """Make the network of a model's weights, in float32.

    Raises:
        EngineError: Weights are missing, or of other sizes than the configuration says.
    """
    with torch.device("meta"):
        network = DenseEncoder(shape)
    try:
        weights = _renamed(_as_written_today(read_tensors(source)), family, shape)
        network.load_state_dict(weights, assign=True)
    except KeyError as error:
        raise EngineError(
            f"{source.path} has no weight {error}; its weights are not those of a "
            f"{family.architecture}"
        ) from error
    except RuntimeError as error:
        raise EngineError(
            f"{source.path}: weights do not fit the configuration: {error}"
        ) from error
    return network.eval()


def _made_ready(network: DenseEncoder, shape: Shape, request: Request) -> Classify:
    """Bring a network into its precision: onto native kernels where there are some, else torch."""
    device = request.device
    precision = request.precision
    if device.type == "cpu":
        precision = precision or quickest_native(shape)
        if precision and runs_natively(shape, precision):
            return NativeDense(network, shape, precision, request.threads)
    precision = precision or quickest(shape.width, device)
    convert(network, precision, device, lambda: run_sample(network, shape))
    return network


def _field(config: Mapping[str, Any], family: Family, name: str, default: Any) -> Any:
    return config.get(family.fields.get(name, name), default)


def _as_written_today(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name a norm's parameters as they have been named since 2019."""
    return {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
            "LayerNorm.beta", "LayerNorm.bias"
        ): weight.float()
        for name, weight in weights.items()
        if weight.is_floating_point()
    }


def _renamed(theirs: Mapping[str, Tensor], family: Family, shape: Shape) -> dict[str, Tensor]:
    embeddings = f"{family.prefix}embeddings."
    positions = theirs[f"{embeddings}position_embeddings.weight"][shape.first_position :]
    types = theirs.get(f"{embeddings}token_type_embeddings.weight")
    ours = {
        "embedding.tokens.weight": theirs[f"{embeddings}word_embeddings.weight"],
        "embedding.positions.weight": positions if types is None else positions + types[0],
    }
    parts = {"embedding.norm": f"{embeddings}LayerNorm"}
    if shape.embedding != shape.width:
        parts["embedding.project"] = f"{family.prefix}embeddings_project"
    ours |= layer_weights(theirs, family.layers, shape.layers, family.prefix)
    parts |= {"head.inner": family.inner, "head.outer": family.outer}
    for our, their in parts.items():
        ours |= {f"{our}.{kind}": theirs[f"{their}.{kind}"] for kind in ("weight", "bias")}
    return ours


BACKEND = PackedFamilies()
