"""The packed kernels against the plain loops that say what they mean."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from inference.kernels import (
    Layout,
    attention,
    attention_reference,
    event_means,
    rounded_up,
    routed_experts,
    routed_experts_reference,
)

WIDTH = 32
HEADS = 4
EXPERTS = 5
SIZE = 16
LENGTHS = [
    pytest.param([1], id="one token"),
    pytest.param([1, 1, 1], id="one-token events"),
    pytest.param([7, 7, 7], id="equal"),
    pytest.param([1, 3, 3, 5, 17], id="sorted"),
    pytest.param([17, 1, 5, 1, 5, 3], id="unsorted"),
    pytest.param([129, 2], id="long"),
]
# bfloat16 keeps 8 bits; the reference calculates with the same rounded inputs in float32.
NUMBERS = [
    pytest.param(torch.float32, 1e-5, id="float32"),
    pytest.param(torch.bfloat16, 2e-2, id="bfloat16"),
]


def _drawn(*shape: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


def _experts(kind: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    up = _drawn(EXPERTS, WIDTH, SIZE, seed=1, spread=WIDTH**-0.5)
    bias = _drawn(EXPERTS, SIZE, seed=2)
    down = _drawn(EXPERTS, SIZE, WIDTH, seed=3, spread=SIZE**-0.5)
    return up.to(kind), bias.to(kind), down.to(kind)


def _choices(tokens: int, per_token: int, among: Sequence[int]) -> Tensor:
    chance = torch.Generator().manual_seed(tokens)
    rows = [torch.randperm(len(among), generator=chance)[:per_token] for _ in range(tokens)]
    return torch.tensor(among)[torch.stack(rows)]


def _assert_close(ours: Tensor, plain: Tensor, tolerance: float) -> None:
    assert ours.shape == plain.shape
    torch.testing.assert_close(ours.float(), plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("kind", "tolerance"), NUMBERS)
def test_attention_is_what_the_loop_says(lengths: list[int], kind: torch.dtype, tolerance: float):
    """For equal, odd, sorted and unsorted lengths; the number format stays."""
    qkv = _drawn(sum(lengths), 3 * WIDTH).to(kind)
    ours = attention(qkv, Layout(tuple(lengths)), HEADS)
    assert ours.dtype == kind
    _assert_close(ours, attention_reference(qkv.float(), lengths, HEADS), tolerance)


@pytest.mark.parametrize("window", [1, 3, 16, 500])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_window_bounds_what_a_token_attends_to(lengths: list[int], window: int):
    """As the loop says; a window wider than the event is none."""
    qkv = _drawn(sum(lengths), 3 * WIDTH)
    layout = Layout(tuple(lengths))
    ours = attention(qkv, layout, HEADS, window)
    _assert_close(ours, attention_reference(qkv, lengths, HEADS, window), 1e-5)
    _assert_close(attention(qkv, layout, HEADS, 500), attention(qkv, layout, HEADS), 1e-5)


def test_a_token_attends_to_its_own_event_alone():
    """Whatever the neighbours say, not a bit of the answer changes."""
    layout = Layout((3, 5, 3))
    qkv = _drawn(11, 3 * WIDTH)
    others = qkv.clone()
    others[:3] = 7.0
    others[8:] = -7.0
    before, after = attention(qkv, layout, HEADS), attention(others, layout, HEADS)
    assert torch.equal(before[3:8], after[3:8])
    assert not torch.equal(before[:3], after[:3])


@pytest.mark.parametrize("per_token", range(1, EXPERTS + 1))
@pytest.mark.parametrize("tokens", [1, 3, 37])
@pytest.mark.parametrize(("kind", "tolerance"), NUMBERS)
def test_routed_experts_are_what_the_loop_says(
    per_token: int, tokens: int, kind: torch.dtype, tolerance: float
):
    """From one expert per token to all of them."""
    hidden = _drawn(tokens, WIDTH).to(kind)
    chosen = _choices(tokens, per_token, range(EXPERTS))
    gates = _drawn(tokens, per_token, seed=4).sigmoid() * 2
    operands = _experts(kind)
    ours = routed_experts(hidden, chosen, gates, *operands)
    assert ours.dtype == kind
    whole = (each.float() for each in operands)
    plain = routed_experts_reference(hidden.float(), chosen, gates, *whole)
    _assert_close(ours, plain, tolerance * per_token)


@pytest.mark.parametrize("among", [[0, 2], [4, 1], [3, 2]])
@pytest.mark.parametrize(("kind", "tolerance"), NUMBERS)
def test_experts_may_go_unused(among: list[int], kind: torch.dtype, tolerance: float):
    """The first, the last and those between: their products have no rows at all."""
    hidden = _drawn(9, WIDTH).to(kind)
    chosen = _choices(9, 2, among)
    gates = torch.ones(9, 2)
    operands = _experts(kind)
    whole = (each.float() for each in operands)
    plain = routed_experts_reference(hidden.float(), chosen, gates, *whole)
    _assert_close(routed_experts(hidden, chosen, gates, *operands), plain, 2 * tolerance)


def test_one_expert_may_get_every_token():
    """The worst balance there is."""
    hidden = _drawn(21, WIDTH)
    chosen = torch.full((21, 1), 3)
    gates = _drawn(21, 1, seed=5)
    operands = _experts(torch.float32)
    plain = routed_experts_reference(hidden, chosen, gates, *operands)
    _assert_close(routed_experts(hidden, chosen, gates, *operands), plain, 1e-5)


def test_routed_experts_follow_autocast():
    """Training multiplies in bfloat16 and keeps its weights in float32."""
    hidden, chosen = _drawn(9, WIDTH), _choices(9, 2, range(EXPERTS))
    gates = _drawn(9, 2, seed=4).sigmoid()
    operands = _experts(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours = routed_experts(hidden, chosen, gates, *operands)
    assert ours.dtype == torch.bfloat16
    plain = routed_experts_reference(hidden, chosen, gates, *operands)
    _assert_close(ours, plain, 5e-2)


def test_routed_experts_pass_gradients_on_as_the_loop_does():
    """To tokens, gates and all weights: what training stands on."""
    chosen = _choices(7, 2, range(EXPERTS))
    gradients = []
    for experts in (routed_experts, routed_experts_reference):
        given = [_drawn(7, WIDTH), _drawn(7, 2, seed=4), *_experts(torch.float32)]
        hidden, gates, *weights = (each.clone().requires_grad_() for each in given)
        experts(hidden, chosen, gates, *weights).square().sum().backward()
        gradients.append([each.grad for each in (hidden, gates, *weights)])
    for ours, plain in zip(*gradients, strict=True):
        _assert_close(ours, plain, 1e-4)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("kind", "tolerance"), NUMBERS)
def test_an_events_mean_is_over_its_own_tokens(
    lengths: list[int], kind: torch.dtype, tolerance: float
):
    """One row per event, in their order."""
    hidden = _drawn(sum(lengths), WIDTH).to(kind)
    plain = torch.stack([part.float().mean(0) for part in hidden.split(lengths)])
    _assert_close(event_means(hidden, Layout(tuple(lengths))), plain, tolerance)


@pytest.mark.parametrize(
    "bounds",
    [[], [0], [1, 3], [0, 3, 3], [0, 5, 4], [0, 0]],
    ids=["nothing", "no event", "late start", "empty event", "backwards", "only an empty event"],
)
def test_bounds_that_are_no_layout_are_refused(bounds: list[int]):
    """The message shows what was given and what to leave out."""
    with pytest.raises(
        ValueError, match="must start at 0 and grow with every event, got"
    ) as caught:
        Layout.of(torch.tensor(bounds, dtype=torch.long))
    assert str(bounds) in str(caught.value)


def test_a_layout_knows_where_its_events_lie():
    """Starts, stretches and the place of each token within its event."""
    layout = Layout.of(torch.tensor([0, 2, 4, 7, 9]))
    assert layout.lengths == (2, 2, 3, 2)
    assert layout.bags.tolist() == [0, 2, 4, 7]
    assert layout.stretches == ((2, 2), (1, 3), (1, 2))
    assert layout.positions().tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("staying", "lengths", "rows"),
    [
        ([True, True, True], (2, 1, 3), [0, 1, 2, 3, 4, 5]),
        ([True, False, True], (2, 3), [0, 1, 3, 4, 5]),
        ([False, True, False], (1,), [2]),
        ([False, False, False], (), []),
    ],
)
def test_keeping_some_events_names_the_rows_of_their_tokens(
    staying: list[bool], lengths: tuple[int, ...], rows: list[int]
):
    """What stays is a layout of its own, in the same order."""
    kept, those = Layout((2, 1, 3)).keep(torch.tensor(staying))
    assert kept == Layout(lengths)
    assert those.tolist() == rows


def test_few_numbers_of_rows_are_in_use_and_none_is_far():
    """Each number is reached by its next with at most an eighth more, and stays itself after."""
    for rows in range(1, 5_000):
        assert rows <= rounded_up(rows) <= max(rows + 7, rows * 9 / 8)
        assert rounded_up(rounded_up(rows)) == rounded_up(rows)
    assert len({rounded_up(rows) for rows in range(1, 4_097)}) <= 60
    assert rounded_up(0) == 0


@pytest.mark.parametrize("lengths", LENGTHS)
def test_rows_of_no_event_change_nothing(lengths: list[int]):
    """With a rounded layout the events' rows and means are the same, to the bit."""
    exact, rounded = Layout(tuple(lengths)), Layout(tuple(lengths), is_rounded=True)
    tokens, size = sum(lengths), rounded_up(sum(lengths))
    qkv = _drawn(size, 3 * WIDTH)
    attended = attention(qkv, rounded, HEADS)
    assert torch.equal(attended[:tokens], attention(qkv[:tokens], exact, HEADS))
    assert not attended[tokens:].any()
    means = event_means(qkv, rounded)
    assert torch.equal(means[: len(lengths)], event_means(qkv[:tokens], exact))
    assert not means[len(lengths) :].any()
    assert rounded.positions().tolist() == exact.positions().tolist() + [0] * (size - tokens)


def test_a_rounded_layout_stays_one_when_events_leave():
    """What stays is rounded to its own number of rows; the rows behind repeat the first."""
    kept, rows = Layout((2, 10, 3), is_rounded=True).keep(torch.tensor([True, False, True]))
    assert kept == Layout((2, 3), is_rounded=True)
    assert rows.tolist() == [0, 1, 12, 13, 14, 0, 0, 0]
