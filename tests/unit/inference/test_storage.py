"""Weights on disk: a few bits each, bounded in what they lose, refused when damaged."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from inference.storage import (
    dequantise,
    group_size,
    quantise,
    read_weights,
    rounded,
    write_weights,
)
from inference.weights import WEIGHTS_FILE, bits_of
from schemas.errors import EngineError

BITS = {"embedding": 4, "attention": 8, "experts": 4}
SHAPES = [(128,), (3, 128), (5, 384), (2, 7, 256), (3, 10), (2, 3, 6), (1, 2), (33, 130)]
"""Rows of whole groups, and rows that no group fits, which share one scale each."""


def _drawn(shape: tuple[int, ...]) -> Tensor:
    """Draw a matrix with rows of very different size."""
    chance = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=chance) * torch.rand(shape[0], generator=chance).view(
        -1, *[1] * (len(shape) - 1)
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bits", [4, 8])
def test_no_weight_moves_by_more_than_half_a_step(shape: tuple[int, ...], bits: int):
    """A step is the largest weight of the group over the largest integer, rounded to float16."""
    weight = _drawn(shape)
    groups = weight.reshape(-1, group_size(weight, bits))
    step = groups.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    moved = (rounded(weight, bits).reshape(groups.shape) - groups).abs()
    assert (moved <= step * (0.5 + 2 ** (bits - 12))).all()
    assert moved.max() > 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bits", [4, 8])
def test_what_was_stored_is_stored_again_without_loss(shape: tuple[int, ...], bits: int):
    """Training relies on it: it learns around weights that were rounded before."""
    once = rounded(_drawn(shape), bits)
    assert once.shape == shape
    assert torch.equal(rounded(once, bits), once)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_weight_takes_as_many_bits_as_asked(bits: int):
    """Two to a byte or one, and two bytes for each group's scale."""
    stored, scale = quantise(_drawn((6, 256)), bits)
    assert stored.element_size() == scale.element_size() // 2 == 1
    assert stored.numel() == 6 * 256 * bits // 8
    assert scale.numel() == 6 * 256 // {4: 32, 8: 128}[bits]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_extremes_keep_their_sign(bits: int):
    """Both ends of the range, and a group of zeros beside them."""
    group = {4: 32, 8: 128}[bits]
    weight = torch.zeros(2, group)
    weight[0, 0], weight[0, 1] = 1.0, -1.0
    back = dequantise(*quantise(weight, bits), (2, group), bits)
    torch.testing.assert_close(back[0, :2], torch.tensor([1.0, -1.0]), rtol=1e-3, atol=0)
    assert not back[0, 2:].any()
    assert not back[1].any()


def test_an_odd_number_of_weights_cannot_be_paired():
    """Said as such: no row of the model is odd, so this is another model's."""
    with pytest.raises(ValueError, match=r"15 weights in 4 bits: .* even"):
        quantise(torch.ones(3, 5), 4)


def test_the_kind_of_a_tensor_decides_its_bits():
    """What has no kind, or a kind that is not mentioned, stays whole."""
    assert bits_of("blocks.3.feed_forward.experts.up", BITS) == 4
    assert bits_of("blocks.0.attention.qkv.weight", BITS) == 8
    assert bits_of("embedding.positions.weight", BITS) == 8
    assert bits_of("blocks.0.attention.qkv.weight", {"experts": 4}) is None
    assert bits_of("blocks.3.feed_forward.experts.up_bias", BITS) is None
    assert bits_of("blocks.3.feed_forward.router.score.weight", BITS) is None
    assert bits_of("exits.0.classify.weight", BITS) is None
    assert bits_of("blocks.3.feed_forward.experts.up", None) is None


WEIGHTS = {
    "embedding.tokens.weight": (40, 32),
    "blocks.0.attention.qkv.weight": (96, 32),
    "blocks.0.feed_forward.experts.up": (4, 32, 8),
    "blocks.0.feed_forward.router.score.weight": (4, 32),
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return a directory with weights of every kind."""
    write_weights(tmp_path, {name: _drawn(shape) for name, shape in WEIGHTS.items()}, BITS)
    return tmp_path


def test_a_file_gives_back_every_tensor_in_its_shape(written: Path):
    """Quantised ones as rounded, the others to the bit."""
    read = read_weights(written, BITS)
    assert read.keys() == WEIGHTS.keys()
    for name, shape in WEIGHTS.items():
        bits = bits_of(name, BITS)
        whole = _drawn(shape)
        assert read[name].dtype == torch.float32
        assert torch.equal(read[name], rounded(whole, bits) if bits else whole)


def test_a_file_is_plain_safetensors(written: Path):
    """Others can open it; the shape of a quantised tensor stands in the metadata."""
    with safe_open(written / WEIGHTS_FILE, framework="pt") as file:
        assert file.metadata()["blocks.0.feed_forward.experts.up"] == "4,32,8"
        assert file.get_tensor("blocks.0.feed_forward.experts.up.q").dtype == torch.uint8
        assert file.get_tensor("blocks.0.attention.qkv.weight.q").dtype == torch.int8


def test_a_missing_file_is_named(tmp_path: Path):
    """With what it should lie beside."""
    with pytest.raises(EngineError, match=r"model\.safetensors is missing; .* beside config\.json"):
        read_weights(tmp_path, BITS)


def _cut(content: bytes) -> bytes:
    return content[:-100]


def _header(content: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
    size = int.from_bytes(content[:8], "little")
    return orjson.loads(content[8 : 8 + size]), content[8 + size :]


def _without_shapes(content: bytes) -> bytes:
    header, body = _header(content)
    header["__metadata__"] = {"format": "pt"}
    packed = orjson.dumps(header)
    return len(packed).to_bytes(8, "little") + packed + body


def _with_a_wrong_shape(content: bytes) -> bytes:
    return content.replace(b'"4,32,8"', b'"4,32,9"')


def _with_a_shape_that_is_none(content: bytes) -> bytes:
    return content.replace(b'"4,32,8"', b'"4,ab,8"')


def _without_scales(content: bytes) -> bytes:
    return content.replace(b"experts.up.scale", b"experts.up.scalp")


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        lambda _: b"",
        lambda _: b"\x80\x04.",
        lambda content: b"\xff" * 8 + content[8:],
        _without_shapes,
        _with_a_wrong_shape,
        _with_a_shape_that_is_none,
        _without_scales,
    ],
    ids=["cut", "empty", "a pickle", "header", "no shapes", "shape", "no shape", "no scales"],
)
def test_a_damaged_file_is_named(written: Path, damage: Callable[[bytes], bytes]):
    """Whatever happened to it, with the remedy."""
    path = written / WEIGHTS_FILE
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    with pytest.raises(EngineError, match=r"model\.safetensors cannot be read: .*train the check"):
        read_weights(written, BITS)


@pytest.mark.parametrize(
    "claimed", [None, {}, BITS | {"experts": 8}, BITS | {"attention": 4}], ids=str
)
def test_other_bits_than_the_files_are_refused(written: Path, claimed: dict[str, int] | None):
    """A configuration of another checkpoint does not turn weights into other weights."""
    with pytest.raises(EngineError, match=r"model\.safetensors cannot be read"):
        read_weights(written, claimed)


def test_equal_weights_make_equal_files(tmp_path: Path):
    """Byte for byte, so that a digest names the weights and not the moment of writing."""
    weights = {f"blocks.{n}.attention.out.weight": _drawn((3, 128)) for n in range(12)}
    contents = set()
    for _ in range(5):
        write_weights(tmp_path, weights, BITS)
        contents.add((tmp_path / WEIGHTS_FILE).read_bytes())
    assert len(contents) == 1
    assert read_weights(tmp_path, BITS).keys() == weights.keys()
