"""The sparse encoder for images: its stem, its shape, its counts, its configuration."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageClassification

from inference.model import SparseEncoderForImageClassification
from inference.stages import STAGES, halved
from inference.stem import Stem, fold_norms, stem_multiply_adds
from inference.training.image_teacher import add_norm
from tests.fakes.small_image_model import small_image_config, small_image_network


def _pixels(count: int, seed: int = 0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 64, 96), generator=chance, dtype=torch.uint8)


def test_patches_are_the_tokens():
    """64 x 96 pixels at an eighth are 8 x 12 cells, in twos 4 x 6 patches."""
    config = small_image_config()
    assert config.grid == (4, 6)
    assert config.max_position_embeddings == 24
    embedded = small_image_network().embedding
    assert embedded.positions.weight.shape == (24, 32)


def test_every_exit_answers_for_every_image():
    """Without thresholds all layers run."""
    output = small_image_network()(_pixels(5))
    assert output.exits.shape == (3, 5, 3)
    assert torch.equal(output.logits, output.exits[-1])


def test_confident_images_leave_early():
    """What leaves takes its exit's answer; what stays is not changed by who left."""
    network = small_image_network()
    pixels = _pixels(12)
    every = network(pixels)
    early = network(pixels, exit_thresholds=[0.6, 0.6, 0.6])
    assert len(set(early.layers.tolist())) > 1
    for place, layers in enumerate(early.layers.tolist()):
        assert torch.allclose(early.logits[place], every.exits[layers - 1, place], atol=1e-4)


def test_a_stem_may_start_with_few_or_all_stages():
    """Each stage halves the image or keeps it, as EfficientNet-lite0 has it."""
    for stages, side in enumerate((112, 112, 56, 28, 14, 14, 7, 7)):
        assert halved(224, stages) == side
    maps = Stem(3, 4)(torch.zeros(1, 3, 50, 30))
    assert maps.shape == (1, 80, halved(50, 4), halved(30, 4))


def test_the_stems_multiply_adds_are_those_of_its_convolutions():
    """Counted by what runs: output cells times weights, layer by layer."""
    counted = []
    stem = Stem(1, 5)
    for each in stem.convolutions():
        each.convolve.register_forward_hook(
            lambda layer, _inputs, output: counted.append(
                output.shape[2] * output.shape[3] * layer.weight.numel()
            )
        )
    stem(torch.zeros(1, 1, 72, 40))
    assert stem_multiply_adds((72, 40), 1, 5) == sum(counted)


def test_all_stages_cost_what_their_shapes_say():
    """At 224 x 224 in colour, counted by hand: the first convolution and the seven stages."""
    assert stem_multiply_adds((224, 224), 3, 0) == 112 * 112 * 27 * 32
    assert stem_multiply_adds((224, 224), 3, 1) == 112 * 112 * (27 * 32 + 9 * 32 + 32 * 16)
    assert stem_multiply_adds((224, 224), 3, len(STAGES)) == 363_837_152


def test_parameters_are_counted_as_they_are():
    """The shares of the card and of results rest on these."""
    network, config = small_image_network(), small_image_network().config
    total = sum(weight.numel() for weight in network.parameters())
    layers = config.num_hidden_layers * config.layer_parameters(config.num_experts)
    assert config.image_parameters() + layers == total
    assert config.active_share(3, 4) == 1
    assert config.image_parameters() / total < config.active_share(1, 1) < config.active_share(2, 1)


def test_multiply_adds_grow_with_depth_and_experts():
    """The stem is paid for once."""
    config = small_image_config()
    stem = config.multiply_adds(0, 2, 24)
    one, two = (config.multiply_adds(layers, 2, 24) for layers in (1, 2))
    assert two - one == one - stem > 0
    assert config.multiply_adds(1, 1, 24) < one
    patches = 24 * 32 * 4 * 40
    assert stem == stem_multiply_adds((64, 96), 1, 3) + patches


def test_folded_norms_change_no_answer():
    """A stem is trained with norms, and kept without."""
    torch.manual_seed(0)
    stem = Stem(1, 3)
    for each in stem.convolutions():
        add_norm(each)
        each.norm.weight.data.uniform_(0.5, 1.5)
        each.norm.bias.data.normal_()
        each.norm.running_mean.normal_()
        each.norm.running_var.uniform_(0.5, 2)
    pixels = torch.randn(2, 1, 32, 48)
    before = stem.eval()(pixels)
    fold_norms(stem)
    assert not any("norm" in name for name in stem.state_dict())
    assert torch.allclose(stem(pixels), before, rtol=1e-3, atol=1e-3)


def test_transformers_finds_it(tmp_path: Path):
    """It loads by the Auto classes, with the weights that were saved."""
    network = small_image_network()
    network.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).modality == "image"
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    assert isinstance(loaded, SparseEncoderForImageClassification)
    pixels = _pixels(2)
    assert torch.equal(loaded(pixels).logits, network(pixels).logits)


def test_images_of_another_size_are_refused():
    """The engine resizes; whoever calls the model himself is told to."""
    with pytest.raises(ValueError, match=r"this model takes \(1, 64, 96\)"):
        small_image_network()(torch.zeros(1, 1, 32, 32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "sound"}, "modality is 'sound'; it must be 'text' or 'image'"),
        ({"image_height": None}, "image_height is None; it must be a whole number"),
        ({"image_width": 0}, "image_width is 0; it must be a whole number"),
        ({"image_channels": 4}, "image_channels is 4; it must be 1 (grey) or 3"),
        ({"image_mean": [0.1, 0.2]}, "image_mean has 2 entries"),
        ({"image_std": [0.0]}, "image_std is [0.0]; its entries must be above 0"),
        ({"stem_stages": 9}, "stem_stages is 9; there are 7"),
        ({"patch_size": 5}, "patch_size is 5; it must divide the stem's feature map, 8 x 12"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], message: str):
    """The error names the field, its value and what it may be."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        small_image_config(**changes)
    assert message in str(caught.value)
