"""The native encoder against the model in torch, on every instruction set of this processor."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from structlog.testing import capture_logs

from inference.forward import TorchForward, forward_of, quickest_precision
from inference.kernels import Layout
from inference.model import SparseEncoderForSequenceClassification
from inference.native import binding as native
from inference.native.binding import Format, instruction_sets, product
from inference.native.encoder import NativeEncoder, NotFiniteError, is_supported
from inference.native.quantised import quantise_channels, quantise_tokens
from inference.precision import Precision
from schemas.errors import ConfigurationError, EngineError
from tests.fakes.small_model import drawn_ids, small_config, small_network

pytestmark = pytest.mark.skipif(
    not instruction_sets(), reason="the native kernels are not built: no C compiler"
)

ISAS = instruction_sets()
FLOAT32_SLACK = 5e-6
"""Twelve times what was seen: sums run in another order than torch's."""
INT8_SLACK = 4e-3
"""Five times what was seen: a value between two levels may be rounded to either."""
LENGTHS = {
    "one token": [1],
    "one-token events": [1, 1, 1],
    "one event": [19],
    "equal": [7] * 9,
    "unsorted": [17, 1, 5, 24, 1, 16, 3, 8, 2, 15],
    "more than a chunk": [24] * 17,
}
SHAPES: dict[str, dict[str, Any]] = {
    "routed": {},
    "dense": {"num_experts": 1, "experts_per_token": 1},
    "odd sizes": {"hidden_size": 96, "num_attention_heads": 4, "intermediate_size": 4 * 40},
    "many experts": {"num_experts": 8, "intermediate_size": 8 * 24, "experts_per_token": 3},
    "window": {"attention_window": 3},
    "shared expert": {"shared_expert_size": 24},
    "one head": {"num_attention_heads": 1},
    "many classes": {"id2label": {number: f"class-{number}" for number in range(21)}},
}


def _packed(lengths: list[int], seed: int = 0) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return drawn_ids(lengths, seed).numpy().astype(np.int32), np.array(lengths, np.int32)


def _torch(network: SparseEncoderForSequenceClassification, precision: Precision) -> TorchForward:
    return TorchForward(copy.deepcopy(network), precision)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rows", [1, 5, 6, 7, 50])
@pytest.mark.parametrize(("outputs", "inputs"), [(16, 16), (3, 48), (80, 384), (200, 32)])
def test_integer_products_are_exact(isa: str, rows: int, outputs: int, inputs: int):
    """At the ends of the range too, where sums of bytes would saturate."""
    chance = np.random.default_rng(rows)
    given = chance.normal(size=(rows, inputs)).astype(np.float32)
    levels = chance.choice([-127, 127, 3], (outputs, inputs)).astype(np.int8)
    scale = chance.uniform(0.5, 2, outputs).astype(np.float32)
    found, _ = product(isa, Format.INT8, given, levels, scale)
    tokens, token_scale = quantise_tokens(torch.from_numpy(given))
    sums = tokens.double().numpy() @ levels.T.astype(np.float64)
    np.testing.assert_allclose(found, sums * (token_scale.numpy() * scale), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("number_format", [Format.FP32, Format.BF16])
def test_float_products_are_near(isa: str, number_format: Format):
    """Of numbers that bfloat16 holds, so that both formats give the same."""
    if not native.can(number_format, isa):
        pytest.skip("AVX-512 without BF16")
    given, weight = (
        torch.randn(shape, generator=torch.Generator().manual_seed(7)).bfloat16().float().numpy()
        for shape in ((33, 128), (72, 128))
    )
    found, seconds = product(isa, number_format, given, weight)
    assert seconds > 0
    np.testing.assert_allclose(found, given @ weight.T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(
    ("precision", "slack"), [("fp32", FLOAT32_SLACK), ("int8", INT8_SLACK)], ids=["fp32", "int8"]
)
def test_it_answers_as_the_model_in_torch(
    isa: str, shape: str, lengths: str, precision: str, slack: float
):
    """Depth and scores, for odd sizes, one-token events, and events that leave at any exit."""
    network = small_network(**SHAPES[shape])
    ids, counts = _packed(LENGTHS[lengths])
    experts, thresholds = network.config.experts_per_token, [0.6] * 4
    plain, depths = _torch(network, Precision(precision)).run(ids, counts, experts, thresholds)
    encoder = NativeEncoder.build(network, precision, isa=isa)
    scores, layers = encoder.run(ids, counts, experts, thresholds)
    assert np.abs(scores - plain).max() < slack
    assert layers.tolist() == depths.tolist()


def test_the_comparison_sees_events_leave_everywhere():
    """Else the above would prove nothing of exits."""
    ids, counts = _packed(LENGTHS["unsorted"] * 4)
    _, layers = NativeEncoder.build(small_network(), "fp32").run(ids, counts, 2, [0.6] * 4)
    assert len(set(layers.tolist())) > 2


@pytest.mark.parametrize("isa", ISAS)
def test_bfloat16_is_near_float32(isa: str):
    """In a network without routers, whose ties would send tokens elsewhere."""
    if not native.can(Format.BF16, isa):
        pytest.skip("AVX-512 without BF16")
    network = small_network(num_experts=1, experts_per_token=1)
    ids, counts = _packed(LENGTHS["unsorted"])
    whole, _ = _torch(network, Precision.FP32).run(ids, counts, 1, [1.0] * 4)
    scores, _ = NativeEncoder.build(network, "bf16", isa=isa).run(ids, counts, 1, [1.0] * 4)
    assert np.abs(scores - whole).max() < 2e-2
    assert not np.array_equal(scores, whole)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("window", [None, 1, 20, 127])
def test_long_events_are_attended_to_in_full(isa: str, window: int | None):
    """At 128 tokens a vector of queries has many vectors of keys."""
    network = small_network(
        max_position_embeddings=128, hidden_size=64, num_attention_heads=2, attention_window=window
    )
    ids, counts = _packed([128, 3, 127, 65])
    plain, _ = _torch(network, Precision.FP32).run(ids, counts, 2, [1.0] * 4)
    scores, _ = NativeEncoder.build(network, "fp32", isa=isa).run(ids, counts, 2, [1.0] * 4)
    assert np.abs(scores - plain).max() < FLOAT32_SLACK


def test_a_narrow_window_changes_answers():
    """Else a window that nobody reads would pass."""
    ids, counts = _packed([24])
    whole, narrow = (
        NativeEncoder.build(small_network(attention_window=window), "fp32").run(
            ids, counts, 2, [1.0] * 4
        )[0]
        for window in (None, 2)
    )
    assert np.abs(whole - narrow).max() > 1e-3


def test_embedded_tokens_are_taken_as_they_come():
    """What a stem made of images enters after the embedding."""
    network = small_network()
    ids, counts = _packed(LENGTHS["unsorted"])
    with torch.inference_mode():
        layout = Layout(tuple(counts.tolist()))
        embedded = network.embedding(torch.from_numpy(ids).long(), layout).numpy()
    encoder = NativeEncoder.build(network, "fp32")
    by_id, _ = encoder.run(ids, counts, 2, [0.7] * 4)
    given, _ = encoder.run(embedded, counts, 2, [0.7] * 4)
    assert np.abs(by_id - given).max() < FLOAT32_SLACK


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_threads_change_no_bit(precision: str, lengths: str):
    """Two and more threads than events alike."""
    network = small_network()
    ids, counts = _packed(LENGTHS[lengths])
    one = NativeEncoder.build(network, precision).run(ids, counts, 2, [0.7] * 4)
    for threads in (2, 5):
        encoder = NativeEncoder.build(network, precision, threads)
        several = encoder.run(ids, counts, 2, [0.7] * 4)
        assert np.array_equal(one[0], several[0])
        assert np.array_equal(one[1], several[1])


def test_a_batch_larger_than_its_scratch_memory_runs_in_segments():
    """Memory stays bounded, and answers do not change by a bit."""
    encoder = NativeEncoder.build(small_network(), "int8")
    ids, counts = _packed([24] * 700)
    scores, layers = encoder.run(ids, counts, 2, [0.7] * 4)
    held = encoder.counters().scratch_bytes
    parts = [encoder.run(ids[at : at + 24], counts[:1], 2, [0.7] * 4) for at in (0, 24 * 699)]
    assert np.array_equal(scores[[0, -1]], np.concatenate([each for each, _ in parts]))
    assert layers[[0, -1]].tolist() == [int(each[0]) for _, each in parts]
    encoder.run(*_packed([24] * 1400), 2, [0.7] * 4)
    assert encoder.counters().scratch_bytes == held


def test_what_a_run_cost_is_counted():
    """Multiply-adds of the large products, and seconds by stage."""
    config = small_config()
    encoder = NativeEncoder.build(small_network(), "fp32")
    encoder.run(*_packed([10, 5]), 2, [0.0] * 4)
    counted = encoder.counters()
    width, size = config.hidden_size, config.expert_size
    assert counted.multiply_adds == 15 * (4 * width * width + 2 * 2 * width * size)
    assert all(seconds > 0 for seconds in counted.seconds.values())


def test_what_cannot_be_run_is_refused_with_the_reason():
    """Ids, lengths and embeddings that the model has no room for."""
    encoder = NativeEncoder.build(small_network(), "int8")
    two = np.array([2], np.int32)
    for ids in ([2, 9_999], [-1, 2]):
        with pytest.raises(EngineError, match="not in the vocabulary"):
            encoder.run(np.array(ids, np.int32), two, 2, [0.7] * 4)
    with pytest.raises(EngineError, match="longer than the model has positions"):
        encoder.run(*_packed([25]), 2, [0.7] * 4)
    with pytest.raises(EngineError, match="lengths that sum to 3"):
        encoder.run(np.zeros(2, np.int32), np.array([3], np.int32), 2, [0.7] * 4)
    with pytest.raises(EngineError, match="lengths that sum to 2"):
        encoder.run(np.zeros(2, np.int32), np.array([2, 0], np.int32), 2, [0.7] * 4)
    with pytest.raises(EngineError, match=r"give int32 ids \[T\] or float32 embeddings \[T, 32\]"):
        encoder.run(np.zeros((2, 16), np.float32), two, 2, [0.7] * 4)
    with pytest.raises(EngineError, match="3 exit thresholds; there are 4 layers"):
        encoder.run(np.zeros(2, np.int32), two, 2, [0.7] * 3)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_an_error(isa: str, precision: str, value: float):
    """Rounding to levels must not turn them into numbers."""
    network = small_network()
    with torch.no_grad():
        network.embedding.tokens.weight[7, 3] = value
    encoder = NativeEncoder.build(network, precision, isa=isa)
    encoder.run(np.array([2, 5, 3], np.int32), np.array([3], np.int32), 2, [0.7] * 4)
    with pytest.raises(NotFiniteError):
        encoder.run(np.array([2, 7, 3], np.int32), np.array([3], np.int32), 2, [0.7] * 4)


@pytest.mark.parametrize(
    "name", ["blocks.1.attention.qkv.weight", "blocks.0.feed_forward.experts.down"]
)
def test_weights_that_are_no_numbers_are_refused_at_once(name: str):
    """With the layer's name."""
    network = small_network()
    with torch.no_grad():
        network.get_parameter(name).view(-1)[3] = float("inf")
    with pytest.raises(EngineError, match=r"layer [01] .* not finite"):
        NativeEncoder.build(network, "int8")


def test_what_the_kernels_lack_is_refused():
    """Instruction sets, precisions and shapes."""
    network = small_network()
    with pytest.raises(ConfigurationError, match="isa is 'neon-9'"):
        NativeEncoder.build(network, "int8", isa="neon-9")
    with pytest.raises(ConfigurationError, match="native kernels have fp32, bf16, int8"):
        NativeEncoder.build(network, "fp8")
    narrow = small_network(hidden_size=24, num_attention_heads=3)
    assert not is_supported(narrow.config)
    with pytest.raises(ConfigurationError, match="run the model in torch"):
        NativeEncoder.build(narrow, "int8")
    assert isinstance(forward_of(narrow), TorchForward)


@pytest.fixture
def without_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the kernels be looked for in an empty directory."""
    monkeypatch.setattr(native, "DIRECTORY", tmp_path)
    caches = (native.shared_library, native.instruction_sets)
    for each in caches:
        each.cache_clear()
    yield tmp_path
    for each in caches:
        each.cache_clear()


def test_without_kernels_models_run_in_torch_and_the_log_says_so_once(without_kernels: Path):
    """As where no compiler was found at installation."""
    with capture_logs() as logs:
        first, second = forward_of(small_network(), "int8"), forward_of(small_network())
    assert isinstance(first, TorchForward)
    assert isinstance(second, TorchForward)
    assert [each["event"] for each in logs] == ["native_kernels_missing"]
    assert quickest_precision(small_network()) in {Precision.FP32, Precision.BF16}
    assert not list(without_kernels.iterdir())


def test_a_library_that_is_none_is_left_alone(without_kernels: Path):
    """Damaged, or built from other sources: a worker starts all the same."""
    (without_kernels / "_kernels.so").write_bytes(b"no library")
    with capture_logs() as logs:
        assert native.shared_library() is None
    assert [each["event"] for each in logs] == ["native_kernels_unusable", "native_kernels_missing"]


def test_wrong_products_rule_an_instruction_set_out(monkeypatch: pytest.MonkeyPatch):
    """A processor, or a compiler, that gets them wrong must not classify."""
    right = native.product

    def wrong(isa: str, *operands: Any, **options: Any) -> tuple[NDArray[np.float32], float]:
        found, seconds = right(isa, *operands, **options)
        return found + (isa == ISAS[0]), seconds

    monkeypatch.setattr(native, "product", wrong)
    native.instruction_sets.cache_clear()
    with capture_logs() as logs:
        assert native.instruction_sets() == ISAS[1:]
    native.instruction_sets.cache_clear()
    assert [(each["event"], each["isa"]) for each in logs] == [("native_kernels_wrong", ISAS[0])]


def test_levels_stand_for_what_was_rounded():
    """To half a level, whatever the channel's size; zeros stay zeros."""
    weight = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    weight *= torch.tensor([1e-6, 1.0, 0.0, 50.0, 3.0])[:, None]
    levels, scale = quantise_channels(weight)
    assert levels.abs().max() == 127
    assert ((levels * scale[:, None] - weight).abs() <= scale[:, None] * 0.5001).all()
    assert not levels[2].any()
