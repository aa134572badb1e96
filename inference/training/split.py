"""Cutting a dense feed-forward layer into experts, and giving it a router to begin with."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from inference.model import (
    Experts,
    SparseEncoderConfig,
    SparseEncoderForSequenceClassification,
)
from inference.training.data import TokenSet
from schemas.errors import ConfigurationError

CLUSTER_ROUNDS = 12
SAMPLE_TEXTS = 1024
"""Texts whose tokens the routers' first weights are fitted on."""
RIDGE = 1e-2


def balanced_clusters(rows: Tensor, clusters: int, chance: torch.Generator) -> Tensor:
    """Cluster rows by direction into clusters of equal size.

    Args:
        rows: One row per neuron, [M, D]; M must be a multiple of ``clusters``.
        clusters: How many.
        chance: Where the first centres come from.

    Returns:
        The cluster of each row, [M].
    """
    rows = F.normalize(rows.float(), dim=1)
    centres = rows[torch.randperm(len(rows), generator=chance)[:clusters]]
    assigned = torch.zeros(len(rows), dtype=torch.long)
    for _ in range(CLUSTER_ROUNDS):
        assigned = _fill(rows @ centres.T)
        sums = torch.zeros_like(centres).index_add_(0, assigned, rows)
        centres = F.normalize(sums, dim=1)
    return assigned


def _fill(likeness: Tensor) -> Tensor:
    """Assign each row to a cluster, the closest pairs first, until clusters are full."""
    rows, clusters = likeness.shape
    room = [rows // clusters] * clusters
    assigned = [-1] * rows
    for pair in likeness.flatten().argsort(descending=True).tolist():
        row, cluster = divmod(pair, clusters)
        if assigned[row] < 0 and room[cluster]:
            assigned[row] = cluster
            room[cluster] -= 1
    return torch.tensor(assigned)


def student_config(
    teacher: SparseEncoderConfig, *, layers: int, experts: int, experts_per_token: int
) -> SparseEncoderConfig:
    """Describe a sparse student of a teacher's first layers.

    Args:
        teacher: The shape of a one-expert encoder.
        layers: Layers to keep, from the first.
        experts: Experts per layer.
        experts_per_token: Routed experts per token.

    Raises:
        ConfigurationError: The teacher cannot be cut like that.
    """
    if layers > teacher.num_hidden_layers:
        raise ConfigurationError(
            f"layers is {layers}; the teacher has {teacher.num_hidden_layers}, choose at most those"
        )
    shape = teacher.to_dict() | {
        "num_hidden_layers": layers,
        "num_experts": experts,
        "experts_per_token": experts_per_token,
        "exit_temperatures": None,
        "exit_thresholds": None,
    }
    try:
        return SparseEncoderConfig(**shape)
    except ValueError as error:
        raise ConfigurationError(f"the teacher cannot be cut like that: {error}") from error


def split_teacher(
    teacher: SparseEncoderForSequenceClassification,
    config: SparseEncoderConfig,
    sample: TokenSet,
    *,
    seed: int,
) -> SparseEncoderForSequenceClassification:
    """Make a sparse student of the teacher's first layers.

    Args:
        teacher: A one-expert encoder.
        config: The student, as ``student_config`` describes it.
        sample: Texts that show which experts a token needs.
        seed: Seeds the clustering.
    """
    student = SparseEncoderForSequenceClassification(config)
    kept = {
        name: weight
        for name, weight in teacher.state_dict().items()
        if ".experts." not in name and name in student.state_dict()
    }
    student.load_state_dict(kept, strict=False)
    student.embedding.tokens.requires_grad_(requires_grad=False)
    chance = torch.Generator().manual_seed(seed)
    inputs = _feed_forward_inputs(teacher, sample)
    for number in range(config.num_hidden_layers):
        dense = teacher.blocks[number].feed_forward.experts
        sparse = student.blocks[number].feed_forward
        cluster = balanced_clusters(dense.up[0].detach().T, config.num_experts, chance)
        _deal(dense, sparse.experts, cluster.argsort(stable=True).view(config.num_experts, -1))
        if sparse.router is not None:
            weight, bias = fit_router(sparse.experts, inputs[number])
            sparse.router.score.load_state_dict({"weight": weight, "bias": bias})
    return student


@torch.no_grad()
def _deal(dense: Experts, sparse: Experts, neurons: Tensor) -> None:
    """Copy the dense layer's neurons, [E, F] numbers, to the experts that got them."""
    sparse.up.copy_(dense.up[0][:, neurons].transpose(0, 1))
    sparse.up_bias.copy_(dense.up_bias[0][neurons])
    sparse.down.copy_(dense.down[0][neurons])
    sparse.down_bias.copy_(dense.down_bias)


@torch.no_grad()
def fit_router(experts: Experts, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Fit a router that foretells how much each expert would add to a token.

    Args:
        experts: The experts of a layer.
        hidden: Tokens that reach the layer, [T, D].

    Returns:
        Weight [E, D] and bias [E] of scores with mean 0 and about unit spread.
    """
    added = []
    for up, bias, down in zip(experts.up, experts.up_bias, experts.down, strict=True):
        added.append((F.gelu(hidden @ up + bias) @ down).norm(dim=1))
    target = torch.stack(added, dim=1)  # [T, E]
    target = (target - target.mean(0)) / target.std()
    mean = hidden.mean(0)
    centred = hidden - mean
    gram = centred.T @ centred / len(hidden)
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    weight = torch.linalg.solve(gram, centred.T @ target / len(hidden)).T  # [E, D]
    return weight, -weight @ mean


@torch.inference_mode()
def _feed_forward_inputs(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet
) -> list[Tensor]:
    """Run the teacher and note what reaches each feed-forward layer, one [T, D] per layer."""
    teacher.eval()
    seen: list[list[Tensor]] = [[] for _ in teacher.blocks]
    hooks = [
        block.feed_forward.register_forward_pre_hook(
            lambda _module, inputs, notes=notes: notes.append(inputs[0])
        )
        for block, notes in zip(teacher.blocks, seen, strict=True)
    ]
    some = TokenSet(sample.ids[:SAMPLE_TEXTS], sample.targets[:SAMPLE_TEXTS])
    for batch in some.batches(64):
        teacher(batch.input_ids, batch.layout)
    for hook in hooks:
        hook.remove()
    return [torch.cat(notes) for notes in seen]
