"""Cutting a dense teacher into experts loses nothing until a router leaves some out."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from inference.kernels import Layout
from inference.model import SparseEncoderForSequenceClassification
from inference.training.data import TokenSet
from inference.training.split import (
    balanced_clusters,
    fit_router,
    split_teacher,
    student_config,
)
from schemas.errors import ConfigurationError
from tests.fakes.small_model import drawn_ids, small_network

LENGTHS = (3, 1, 9, 5, 14, 7)


@pytest.fixture
def teacher() -> SparseEncoderForSequenceClassification:
    """Return a dense network of four layers."""
    return small_network(num_experts=1, experts_per_token=1)


@pytest.fixture
def sample() -> TokenSet:
    """Return texts to fit routers on."""
    lengths = [2 + n % 9 for n in range(120)]
    ids = [part.tolist() for part in drawn_ids(lengths, seed=4).split(lengths)]
    return TokenSet(ids, torch.zeros(len(ids), dtype=torch.long))


def _split(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet, **shape: int
) -> SparseEncoderForSequenceClassification:
    shape = {"layers": 4, "experts": 4, "experts_per_token": 2} | shape
    return split_teacher(teacher, student_config(teacher.config, **shape), sample, seed=0).eval()


@pytest.mark.parametrize(("layers", "experts"), [(4, 4), (4, 8), (2, 2)])
@torch.inference_mode()
def test_with_every_expert_at_work_the_student_is_the_teacher(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet, layers: int, experts: int
):
    """A score of 0 is a gate of 1: then all experts add up to the dense layer, at every exit."""
    student = _split(teacher, sample, layers=layers, experts=experts, experts_per_token=experts)
    for block in student.blocks:
        block.feed_forward.router.score.weight.zero_()
        block.feed_forward.router.score.bias.zero_()
    ids, layout = drawn_ids(LENGTHS), Layout(LENGTHS)
    whole = teacher(ids, layout).exits
    assert whole.std(dim=1).min() > 0.01
    torch.testing.assert_close(student(ids, layout).exits, whole[:layers], rtol=1e-4, atol=1e-4)
    fewer = student(ids, layout, experts_per_token=1).exits
    assert (fewer - whole[:layers]).abs().max() > 0.05


def test_the_experts_share_the_teachers_neurons_out(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet
):
    """Each neuron is in one expert, with both of its projections and its bias."""
    student = _split(teacher, sample)
    for dense, sparse in zip(teacher.blocks, student.blocks, strict=True):
        theirs, ours = dense.feed_forward.experts, sparse.feed_forward.experts
        before = torch.cat([theirs.up[0].T, theirs.up_bias[0][:, None], theirs.down[0]], dim=1)
        after = torch.cat(
            [ours.up.transpose(1, 2), ours.up_bias[:, :, None], ours.down], dim=2
        ).flatten(0, 1)
        assert sorted(before.tolist()) == sorted(after.tolist())
        assert torch.equal(ours.down_bias, theirs.down_bias)


def test_neurons_that_look_for_the_same_thing_become_one_expert(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet
):
    """So that a token needs few of them."""
    kind = torch.randperm(64, generator=torch.Generator().manual_seed(0)) % 4
    directions = torch.eye(32)[:4]
    with torch.no_grad():
        for block in teacher.blocks:
            block.feed_forward.experts.up[0] = directions[kind].T + 0.01
    for block in _split(teacher, sample).blocks:
        found = block.feed_forward.experts.up.argmax(dim=1)  # [E, F]
        assert (found == found[:, :1]).all()
        assert len(found[:, 0].unique()) == 4


def test_the_same_seed_splits_the_same(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet
):
    """To the last weight, routers and exits included."""
    one, other = _split(teacher, sample), _split(teacher, sample)
    theirs = other.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in one.state_dict().items())


def test_the_students_embedding_is_frozen(
    teacher: SparseEncoderForSequenceClassification, sample: TokenSet
):
    """It is the teacher's own, already rounded to what is stored."""
    student = _split(teacher, sample)
    assert not student.embedding.tokens.weight.requires_grad
    assert torch.equal(student.embedding.tokens.weight, teacher.embedding.tokens.weight)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"layers": 5}, "layers is 5; the teacher has 4, choose at most those"),
        ({"experts": 5}, "cannot be cut like that: intermediate_size is 64; .* num_experts"),
        ({"experts": 16}, "cannot be cut like that: expert_size is 4; it must be a multiple of 8"),
        ({"experts_per_token": 5}, "experts_per_token is 5; .* num_experts"),
    ],
)
def test_a_cut_that_is_impossible_is_refused(
    teacher: SparseEncoderForSequenceClassification, shape: dict[str, int], message: str
):
    """From the shapes alone, before anything is trained."""
    whole = {"layers": 4, "experts": 4, "experts_per_token": 2} | shape
    with pytest.raises(ConfigurationError, match=message):
        student_config(teacher.config, **whole)


@pytest.mark.parametrize(("rows", "clusters"), [(48, 4), (48, 48), (48, 1), (30, 5)])
def test_clusters_are_of_equal_size(rows: int, clusters: int):
    """Every row is in one of them."""
    drawn = torch.randn(rows, 8, generator=torch.Generator().manual_seed(0))
    assigned = balanced_clusters(drawn, clusters, torch.Generator().manual_seed(0))
    assert torch.bincount(assigned, minlength=clusters).tolist() == [rows // clusters] * clusters


def test_clusters_put_together_what_points_the_same_way():
    """Four directions, however long the rows and in whatever order, are four clusters."""
    chance = torch.Generator().manual_seed(0)
    direction = torch.randperm(48, generator=chance) % 4
    rows = torch.eye(4).repeat(1, 2)[direction] + 0.1 * torch.randn(48, 8, generator=chance)
    rows = rows * torch.linspace(0.1, 5, 48)[:, None]
    assigned = balanced_clusters(rows, 4, torch.Generator().manual_seed(1))
    together = {(a, b) for a, b in zip(direction.tolist(), assigned.tolist(), strict=True)}
    assert len(together) == 4


@torch.inference_mode()
def test_a_fitted_router_foretells_which_expert_adds_most():
    """Much better than chance, which would be right one time in four."""
    experts = small_network().blocks[0].feed_forward.experts
    hidden = torch.randn(2_000, 32, generator=torch.Generator().manual_seed(0)) + 0.5
    weight, bias = fit_router(experts, hidden)
    scores = hidden @ weight.T + bias
    strongest = _added(experts.up, experts.up_bias, experts.down, hidden).argmax(1)
    assert (scores.argmax(1) == strongest).float().mean() > 0.5
    assert scores.mean(0).abs().max() < 1e-4
    assert 0.3 < scores.std() < 1.1


def _added(up: Tensor, bias: Tensor, down: Tensor, hidden: Tensor) -> Tensor:
    """Return by how much each expert's answer moves each token, [T, E]."""
    inner = F.gelu(torch.einsum("td,edf->tef", hidden, up) + bias)
    return torch.einsum("tef,efd->ted", inner, down).norm(dim=2)
