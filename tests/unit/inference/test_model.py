"""The sparse encoder: its configuration, its exits, its experts, its files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from inference.kernels import Layout
from inference.model import (
    FeedForward,
    SparseEncoderConfig,
    SparseEncoderForSequenceClassification,
)
from schemas.errors import EngineError
from tests.fakes.small_model import LABELS, drawn_ids, small_config, small_network

LENGTHS = (3, 1, 9, 5, 5, 2, 14, 7, 3, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 36}, r"hidden_size is 36; it must be a multiple of 8, which expert"),
        (
            {"num_attention_heads": 5},
            r"hidden_size is 32; .* of num_attention_heads \(5\)",
        ),
        ({"intermediate_size": 66}, r"intermediate_size is 66; .* multiple of num_experts \(4\)"),
        ({"intermediate_size": 48}, r"expert_size is 12; it must be a multiple of 8"),
        ({"experts_per_token": 5}, r"experts_per_token is 5; .* between 1 and num_experts \(4\)"),
        ({"shared_expert_size": 12}, r"shared_expert_size is 12; .* multiple of 8, or 0 for none"),
        ({"experts_per_token": 0}, r"experts_per_token is 0; .* whole number, at least 1"),
        ({"num_experts": 0}, r"num_experts is 0; .* whole number, at least 1"),
        ({"num_attention_heads": 0}, r"num_attention_heads is 0; .* whole number, at least 1"),
        ({"num_hidden_layers": 0}, r"num_hidden_layers is 0; .* whole number, at least 1"),
        ({"vocab_size": -3}, r"vocab_size is -3; .* whole number, at least 1"),
        ({"hidden_size": "32"}, r"hidden_size is '32'; .* whole number, at least 1"),
        ({"max_position_embeddings": 2.5}, r"max_position_embeddings is 2.5; .* whole number"),
        ({"exit_thresholds": [0.5]}, r"exit_thresholds must have one entry per layer \(4\)"),
        ({"exit_temperatures": [1.0] * 5}, r"exit_temperatures must have one entry per layer"),
        ({"exit_temperatures": [1.0, 1.0, 0.0, 1.0]}, r"exit_temperatures has a 0"),
        ({"exit_temperatures": [1.0, -1.0, 1.0, 1.0]}, r"exit_temperatures is .* numbers from 0"),
        ({"exit_thresholds": ["a"] * 4}, r"exit_thresholds is .* must be numbers from 0"),
        (
            {"efforts": [{"name": "full"}]},
            r"efforts is .* each needs exit_threshold, exp",
        ),
        ({"efforts": "full"}, r"efforts is full; each needs exit_threshold, experts, name"),
        ({"storage_bits": {"experts": 5}}, r"storage_bits has experts: 5; .* one of \[4, 8\]"),
        ({"storage_bits": {"expert": 4}}, r"storage_bits has expert: 4; kinds are .*'experts'"),
        ({"id2label": {1: "a", 2: "b"}}, r"id2label has \[1, 2\]; classes are numbered from 0"),
        ({"id2label": {}}, r"id2label has \[\]; classes are numbered from 0"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(changes: dict[str, Any], message: str):
    """When the configuration is read, not when the first batch runs."""
    with pytest.raises(ValueError, match=message):
        small_config(**changes)


def test_what_is_left_out_follows_from_the_shape():
    """Neutral temperatures, exits that nothing leaves by, one effort."""
    config = SparseEncoderConfig(num_hidden_layers=3, num_experts=4)
    assert config.exit_temperatures == [1.0] * 3
    assert config.exit_thresholds == [1.0] * 3
    assert config.efforts == [{"name": "full", "experts": None, "exit_threshold": None}]
    assert config.expert_size == 1536 // 4


def test_labels_are_in_the_order_of_the_scores():
    """Also where JSON has made text of their numbers and another order of them."""
    config = small_config(id2label={"2": "positive", "0": "negative", "1": "neutral"})
    assert config.labels == LABELS


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"num_experts": 1, "experts_per_token": 1},
        {"num_experts": 8, "id2label": {0: "no", 1: "yes"}},
        {"hidden_size": 384, "intermediate_size": 1536, "num_experts": 12, "num_hidden_layers": 6},
    ],
    ids=["small", "dense", "two labels", "as committed"],
)
def test_the_active_share_is_that_of_the_modules_own_parameters(shape: dict[str, Any]):
    """Counted from real modules: all but embeddings, of the experts only those that ran."""
    layers = shape.get("num_hidden_layers", 4)
    exits = {"exit_thresholds": [0.5] * layers, "num_hidden_layers": layers}
    config = small_config(**shape | exits)
    with torch.device("meta"):
        network = SparseEncoderForSequenceClassification(config)
    routed, shared = 0, 0
    for name, weight in network.named_parameters():
        if name.endswith(("experts.up", "experts.up_bias", "experts.down")):
            routed += weight.numel()
        elif not name.startswith("embedding."):
            shared += weight.numel()
    for depth in range(1, layers + 1):
        for experts in range(1, config.num_experts + 1):
            met = (shared + routed * experts / config.num_experts) * depth / layers
            assert config.active_share(depth, experts) == pytest.approx(met / (shared + routed))
    assert config.active_share(layers, config.num_experts) == 1.0


def test_fewer_experts_are_the_first_terms_of_the_same_sum():
    """What the next expert adds does not change what those before it added."""
    network = small_network()
    layer: FeedForward = network.blocks[0].feed_forward
    hidden = torch.randn(11, 32, generator=torch.Generator().manual_seed(3))
    chosen, gates = layer.router(hidden, 4)
    assert (gates[:, :-1] >= gates[:, 1:]).all()
    summed = layer.experts.down_bias.expand_as(hidden)
    for count in range(1, 5):
        fewer, their_gates = layer.router(hidden, count)
        assert torch.equal(fewer, chosen[:, :count])
        assert torch.equal(their_gates, gates[:, :count])
        last = chosen[:, count - 1 : count], gates[:, count - 1 : count]
        summed = summed + layer.experts(hidden, *last) - layer.experts.down_bias
        torch.testing.assert_close(layer(hidden, count), summed, rtol=1e-5, atol=1e-5)


def test_a_gate_does_not_depend_on_a_tokens_place():
    """Not in one bit: alone, in the middle of many or at their end."""
    router = small_network().blocks[0].feed_forward.router
    hidden = torch.randn(1, 32, generator=torch.Generator().manual_seed(3)).expand(37, 32)
    hidden = hidden * torch.linspace(0.1, 3, 37)[:, None]
    scores = router.score(hidden)
    router.score = torch.nn.Identity()  # products may differ in their last bit; gates add nothing
    _, together = router(scores, 3)
    alone = torch.cat([router(row[None], 3)[1] for row in scores])
    assert torch.equal(together, alone)


def test_a_lone_expert_is_a_plain_feed_forward_layer():
    """A teacher has no router, and the packed product agrees with the dense one."""
    network = small_network(num_experts=1, experts_per_token=1)
    layer: FeedForward = network.blocks[0].feed_forward
    assert layer.router is None
    hidden = torch.randn(11, 32, generator=torch.Generator().manual_seed(3))
    routed = layer.experts(hidden, torch.zeros(11, 1, dtype=torch.long), torch.ones(11, 1))
    torch.testing.assert_close(layer(hidden, 1), routed, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_an_early_exit_gives_what_that_exit_says_of_the_whole_run():
    """Each event leaves at the first exit that is confident enough, with that exit's logits."""
    network = small_network()
    layout, ids = Layout(LENGTHS), drawn_ids(LENGTHS)
    whole = network(ids, layout)
    confidence = whole.exits.softmax(2).amax(2)  # [N, B]
    thresholds = confidence.quantile(0.6, dim=1).tolist()  # four in ten leave at each exit
    early = network(ids, layout, exit_thresholds=thresholds)
    expected = [
        next((n for n in range(3) if confidence[n, event] >= thresholds[n]), 3) + 1
        for event in range(len(LENGTHS))
    ]
    assert len(set(expected)) >= 3
    assert early.layers.tolist() == expected
    assert early.exits is None
    assert early.hidden is None
    taken = whole.exits[early.layers - 1, torch.arange(len(LENGTHS))]
    torch.testing.assert_close(early.logits, taken, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_exits_that_nobody_takes_change_nothing():
    """With thresholds beyond 1, the answer is the last exit's and every layer runs."""
    network = small_network()
    layout, ids = Layout(LENGTHS), drawn_ids(LENGTHS)
    whole, never = network(ids, layout), network(ids, layout, exit_thresholds=[2.0] * 4)
    assert torch.equal(never.logits, whole.logits)
    assert never.layers.tolist() == whole.layers.tolist() == [4] * len(LENGTHS)


@torch.inference_mode()
def test_a_threshold_of_0_lets_everyone_leave_at_the_first_exit():
    """However unsure it is."""
    network = small_network()
    layout, ids = Layout(LENGTHS), drawn_ids(LENGTHS)
    first = network(ids, layout, exit_thresholds=[0.0] * 4)
    assert first.layers.tolist() == [1] * len(LENGTHS)
    assert torch.equal(first.logits, network(ids, layout).exits[0])


@torch.inference_mode()
def test_an_event_leaves_from_the_threshold_on():
    """A confidence that just reaches it is enough; one just below it is not."""
    network = small_network()
    layout, ids = Layout(LENGTHS), drawn_ids(LENGTHS)
    confidence = network(ids, layout).exits[0].softmax(1).amax(1)
    event = confidence.argsort()[len(LENGTHS) // 2].item()
    reached = confidence[event].item()
    for threshold, leaves in ((reached, True), (reached + 1e-6, False)):
        layers = network(ids, layout, exit_thresholds=[threshold, 2.0, 2.0, 2.0]).layers
        assert (layers[event].item() == 1) is leaves


@pytest.mark.parametrize("experts", [1, 2, 4])
@torch.inference_mode()
def test_an_event_gets_the_same_answer_alone_and_among_others(experts: int):
    """Compaction mixes nothing up as events leave at several depths."""
    network = small_network()
    ids = drawn_ids(LENGTHS)
    options: dict[str, Any] = {"experts_per_token": experts, "exit_thresholds": [0.6] * 4}
    together = network(ids, Layout(LENGTHS), **options)
    assert len(set(together.layers.tolist())) >= 3
    for event, part in enumerate(ids.split(LENGTHS)):
        alone = network(part, Layout((len(part),)), **options)
        assert alone.layers.item() == together.layers[event].item()
        torch.testing.assert_close(alone.logits[0], together.logits[event], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_rows_of_no_event_are_nobodys_answer():
    """A rounded layout gives each event the answer and the depth of an exact one."""
    network, ids, rounded = small_network(), drawn_ids(LENGTHS), Layout(LENGTHS, is_rounded=True)
    assert rounded.padding
    padded = torch.cat((ids, ids.new_zeros(rounded.padding)))
    for options in ({"exit_thresholds": [0.6] * 4}, {}):
        plain = network(ids, Layout(LENGTHS), **options)
        ours = network(padded, rounded, **options)
        assert torch.equal(ours.layers, plain.layers)
        torch.testing.assert_close(ours.logits, plain.logits, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_bounds_are_as_good_as_a_layout():
    """``cu_seqlens``, as kernels elsewhere take them."""
    network = small_network()
    ids = drawn_ids((3, 5))
    bounds = network(ids, torch.tensor([0, 3, 8]))
    assert torch.equal(bounds.logits, network(ids, Layout((3, 5))).logits)


def test_calibration_divides_the_logits():
    """A temperature of 2 halves what an exit says, and only that exit."""
    ids, layout = drawn_ids((3, 5)), Layout((3, 5))
    plain = small_network()(ids, layout).exits
    cooled = small_network(exit_temperatures=[1.0, 2.0, 1.0, 1.0])(ids, layout).exits
    torch.testing.assert_close(cooled[1], plain[1] / 2)
    assert torch.equal(cooled[[0, 2, 3]], plain[[0, 2, 3]])


@pytest.mark.parametrize("bits", [None, {"embedding": 4, "attention": 8, "experts": 4}])
@torch.inference_mode()
def test_the_auto_classes_read_back_what_was_saved(tmp_path: Path, bits: dict[str, int] | None):
    """Configuration and weights, whole or in few bits; the second time without any loss."""
    network = small_network(storage_bits=bits)
    network.save_pretrained(tmp_path / "first")
    config = AutoConfig.from_pretrained(tmp_path / "first")
    assert isinstance(config, SparseEncoderConfig)
    assert config.to_diff_dict() == network.config.to_diff_dict()
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path / "first").eval()
    assert isinstance(read, SparseEncoderForSequenceClassification)
    if bits is None:
        assert _same_weights(network, read)
    read.save_pretrained(tmp_path / "second")
    again = SparseEncoderForSequenceClassification.from_pretrained(tmp_path / "second").eval()
    assert _same_weights(read, again)
    ids, layout = drawn_ids(LENGTHS), Layout(LENGTHS)
    assert torch.equal(read(ids, layout).exits, again(ids, layout).exits)


def test_saving_writes_no_pickle(tmp_path: Path):
    """The directory holds two files, of formats that cannot run code."""
    small_network().save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_a_directory_without_weights_is_refused_by_name(tmp_path: Path):
    """Also on the way through transformers."""
    small_config().save_pretrained(tmp_path)
    with pytest.raises(EngineError, match=r"model\.safetensors is missing"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)


def _same_weights(
    one: SparseEncoderForSequenceClassification, other: SparseEncoderForSequenceClassification
) -> bool:
    theirs = other.state_dict()
    mine = one.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)
