"""Mixed precisions of the sparse encoder, and dense encoders on its kernels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from inference.backends.dense import FAMILIES, build, shape_of
from inference.backends.dense_encoder import DenseEncoder, Shape
from inference.backends.native_dense import NativeDense, runs_natively
from inference.backends.source import read_source
from inference.float8 import rounded_to_float8, to_float8, widened
from inference.forward import forward_of
from inference.kernels import Layout
from inference.native.binding import instruction_sets
from inference.native.encoder import NativeEncoder
from inference.precision import Precision
from inference.serving import TORCH
from schemas.errors import ConfigurationError
from tests.fakes.hub_models import write_text_model
from tests.fakes.small_model import PIECES, drawn_ids, small_network

LENGTHS = (3, 1, 7, 7, 20, 5)
STAYS = [2.0] * 4
NEEDS_KERNELS = pytest.mark.skipif(
    not instruction_sets(), reason="needs the native kernels: install with a C compiler at hand"
)


def tokens() -> tuple[np.ndarray, np.ndarray]:
    """Return ids of a packed batch and the lengths of its events."""
    return drawn_ids(LENGTHS).numpy().astype(np.int32), np.array(LENGTHS, np.int32)


@pytest.fixture
def dense(tmp_path: Path) -> tuple[DenseEncoder, Shape]:
    """Return a small BERT and its sizes."""
    source = read_source(write_text_model(tmp_path / "bert"))
    shape = shape_of(source, FAMILIES["bert"], 3)
    return build(source, FAMILIES["bert"], shape), shape


@NEEDS_KERNELS
@pytest.mark.parametrize("precision", list(Precision))
def test_kernels_and_torch_round_alike(precision: Precision):
    """Whichever runs, one gets the precision that one asked for."""
    ids, lengths = tokens()
    native = forward_of(small_network(num_experts=4), precision).run(ids, lengths, 2, STAYS)
    torch_ = forward_of(small_network(num_experts=4), precision, isa=TORCH).run(
        ids, lengths, 2, STAYS
    )
    assert np.abs(native[0] - torch_[0]).max() < 0.02
    assert (native[1] == torch_[1]).all()


@NEEDS_KERNELS
def test_the_mixture_is_neither_of_its_parts():
    """Attention in bfloat16 and experts in int8, not one for both."""
    ids, lengths = tokens()
    found = {
        precision: forward_of(small_network(), precision).run(ids, lengths, 2, STAYS)[0]
        for precision in (Precision.BF16, Precision.INT8, Precision.BF16_INT8)
    }
    mixed = found.pop(Precision.BF16_INT8)
    for other in found.values():
        assert 1e-5 < np.abs(mixed - other).max() < 0.05


@NEEDS_KERNELS
@pytest.mark.parametrize("precision", [Precision.INT8, Precision.BF16_INT8])
def test_scores_of_a_mixture_do_not_depend_on_the_batch(precision: Precision):
    """To the bit."""
    ids, lengths = tokens()
    forward = forward_of(small_network(), precision)
    together, _ = forward.run(ids, lengths, 2, STAYS)
    ends = np.cumsum(lengths)
    for number, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        alone, _ = forward.run(ids[end - length : end], lengths[number : number + 1], 2, STAYS)
        assert (alone[0] == together[number]).all()


@NEEDS_KERNELS
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_evening_out_channels_changes_nothing_but_the_rounding(precision: str):
    """What the weights are multiplied with, the inputs are divided by."""
    ids, lengths = tokens()
    chance = torch.Generator().manual_seed(3)
    width = small_network().config.hidden_size
    stretch = [
        tuple((torch.rand(width, generator=chance) + 0.5).numpy() for _ in range(2))
        for _ in range(4)
    ]
    plain, evened = (
        NativeEncoder.build(small_network(), precision, stretch=each).run(ids, lengths, 2, STAYS)[0]
        for each in (None, stretch)
    )
    assert np.abs(plain - evened).max() < {"fp32": 1e-5}.get(precision, 0.03)
    assert not np.array_equal(plain, evened)


@NEEDS_KERNELS
@pytest.mark.parametrize("threads", [1, 2])
def test_a_dense_encoder_on_the_kernels_is_the_one_in_torch(
    dense: tuple[DenseEncoder, Shape], threads: int
):
    """First tokens come back to the events that they are of, whatever the threads."""
    network, shape = dense
    layout = Layout(LENGTHS)
    ids = drawn_ids(LENGTHS) % len(PIECES)
    with torch.inference_mode():
        expected = network(ids, layout)
        found = NativeDense(network, shape, Precision.FP32, threads)(ids, layout)
    assert torch.allclose(found, expected, atol=1e-4)
    assert expected.std(dim=0).min() > 0.01, "the events are told apart"


@NEEDS_KERNELS
def test_only_what_the_kernels_know_runs_on_them(dense: tuple[DenseEncoder, Shape]):
    """Another activation runs in torch."""
    _, shape = dense
    assert runs_natively(shape, Precision.INT8)
    relu = Shape(
        **{name: getattr(shape, name) for name in Shape.__slots__} | {"activation": torch.relu}
    )
    assert not runs_natively(relu, Precision.INT8)
    assert not runs_natively(shape, Precision.BF16_FP8)


def test_float8_keeps_a_weight_within_its_rounding():
    """Three bits after the leading one: at most a sixteenth off, and stable once rounded."""
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(5))
    stored, scale = to_float8(weight)
    assert stored.dtype == torch.float8_e4m3fn
    back = widened(stored, scale).float()
    large = weight.abs() > weight.abs().amax(dim=1, keepdim=True) / 100
    assert ((back - weight).abs() / weight.abs())[large].max() < 1 / 14
    assert torch.allclose(rounded_to_float8(rounded_to_float8(weight)), back, rtol=0.01)


def test_a_sparse_model_says_what_becomes_of_float8():
    """Rounded when it is laid out, for products of bfloat16."""
    with capture_logs() as lines:
        forward_of(small_network(), "bf16-fp8-mixed")
    assert [each["products"] for each in lines if each["event"] == "float8"] == ["bfloat16"]


def test_int8_on_a_gpu_is_refused_with_what_runs_there():
    """Before anything is moved."""
    with pytest.raises(ConfigurationError, match=r"int8.*fp32, bf16, bf16-fp8-mixed"):
        forward_of(small_network(), "int8", device=torch.device("cuda:0"))
