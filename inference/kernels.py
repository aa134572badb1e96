"""The model's two hot operations on packed batches, beside plain loops that say what they mean.

A packed batch holds the tokens of all events one after another, without padding: event ``i`` owns
rows ``cu_seqlens[i]:cu_seqlens[i + 1]``. Shapes in comments: T tokens in the batch, B events,
D width, H heads, E experts, F neurons per expert, K experts per token.

Products are compiled for their number of rows by the library underneath (oneDNN), at a cost like
that of running them, and kept for as long as there is room. Batches hardly ever have the same
number of tokens, so a rounded layout has rows of no event at its end: few numbers of rows occur.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise, product

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor


def rounded_up(rows: int) -> int:
    """Return the next of the usual numbers of rows: about eight between each and its double.

    What is added is at most an eighth, or up to 8 rows.
    """
    step = max(8, 1 << max(0, rows.bit_length() - 4))
    return -(-rows // step) * step


@dataclass(frozen=True)
class Layout:
    """Where each event of a packed batch lies.

    Attention runs once per stretch of neighbouring events of equal length, so a batch that is
    sorted by length is the quickest; any order is correct.

    Attributes:
        lengths: Tokens of each event, in the order of the batch; none is zero.
        is_rounded: Whether rows of no event follow, up to a usual number of rows.
    """

    lengths: tuple[int, ...]
    is_rounded: bool = False

    @classmethod
    def of(cls, cu_seqlens: Tensor) -> "Layout":
        """Read the layout off ``cu_seqlens`` (B + 1 integers that start at 0).

        Raises:
            ValueError: ``cu_seqlens`` is not a strictly increasing sequence from 0.
        """
        bounds = cu_seqlens.tolist()
        lengths = tuple(end - start for start, end in pairwise(bounds))
        if not bounds or bounds[0] != 0 or min(lengths, default=0) < 1:
            raise ValueError(
                f"cu_seqlens must start at 0 and grow with every event, got {bounds[:8]}; "
                "leave out empty batches and empty events"
            )
        return cls(lengths)

    @cached_property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """Neighbouring events of equal length, as (events, length)."""
        return tuple((len(list(same)), length) for length, same in groupby(self.lengths))

    @cached_property
    def tokens(self) -> int:
        """Rows that belong to events."""
        return sum(self.lengths)

    @cached_property
    def padding(self) -> int:
        """Rows of no event after the last."""
        return rounded_up(self.tokens) - self.tokens if self.is_rounded else 0

    @cached_property
    def bags(self) -> Tensor:
        """First row of each event, [B]; for a rounded layout with empty bags behind, [B + …]."""
        lengths = torch.tensor(self.lengths)
        empty = rounded_up(len(lengths)) - len(lengths) if self.is_rounded else 0
        return F.pad(lengths.cumsum(0) - lengths, (0, empty), value=self.tokens)

    @cached_property
    def rows(self) -> Tensor:
        """0, 1, … up to the last token of an event."""
        return torch.arange(self.tokens)

    def positions(self) -> Tensor:
        """Return each token's place within its event, [T]; 0 for rows of no event."""
        starts = self.bags[: len(self.lengths)].repeat_interleave(torch.tensor(self.lengths))
        return F.pad(self.rows - starts, (0, self.padding))

    def keep(self, staying: Tensor) -> tuple["Layout", Tensor]:
        """Compact the batch to the events marked in ``staying`` [B].

        Returns:
            The layout of what stays, and the rows that its tokens have now.
        """
        rows = staying.repeat_interleave(torch.tensor(self.lengths)).nonzero().flatten()
        kept = zip(self.lengths, staying.tolist(), strict=True)
        layout = Layout(tuple(length for length, stays in kept if stays), self.is_rounded)
        return layout, F.pad(rows, (0, layout.padding))


def attention(qkv: Tensor, layout: Layout, heads: int, window: int | None = None) -> Tensor:
    """Let each token attend to the tokens of its own event.

    Args:
        qkv: Queries, keys and values side by side, [T, 3 * D].
        layout: Where the events lie.
        heads: Attention heads H; D must be a multiple.
        window: How many tokens away a token may attend to (Beltagy et al., Longformer, 2020);
            ``None`` for all of its event.

    Returns:
        Attended values, [T, D]; zeros for rows of no event.
    """
    width = qkv.shape[1] // 3
    counts = [events * length for events, length in layout.stretches]
    kind = qkv.dtype
    if qkv.device.type == "cpu":
        # Short events in bfloat16 take this operation twice as long as in float32.
        qkv = qkv.float()
    attended = []
    tokens = qkv[: layout.tokens]
    for (events, length), part in zip(layout.stretches, torch.split(tokens, counts), strict=True):
        # n events of equal length are a dense batch as they lie: no copy, no padding, no mask.
        q, k, v = part.view(events, length, 3, heads, -1).permute(2, 0, 3, 1, 4)  # [n, H, L, D/H]
        near = None if window is None else _near(length, window, qkv.device)  # [L, L]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=near)  # [n, H, L, D/H]
        attended.append(out.transpose(1, 2).reshape(-1, width))  # [n * L, D]
    if layout.padding:
        attended.append(qkv.new_zeros(layout.padding, width))
    return (attended[0] if len(attended) == 1 else torch.cat(attended)).to(kind)


def _near(length: int, window: int, device: torch.device) -> Tensor:
    """Return which pairs of tokens are at most ``window`` apart, [L, L]."""
    places = torch.arange(length, device=device)
    return (places[:, None] - places).abs() <= window


def attention_reference(
    qkv: Tensor, lengths: Sequence[int], heads: int, window: int | None = None
) -> Tensor:
    """Return what ``attention`` returns, by one event and one head at a time."""
    q, k, v = qkv.chunk(3, dim=1)
    size = q.shape[1] // heads
    attended = torch.zeros_like(q)
    start = 0
    for length in lengths:
        rows = slice(start, start + length)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = q[rows, part] @ k[rows, part].T / size**0.5  # [L, L]
            for query, key in product(range(length), repeat=2):
                if window is not None and abs(query - key) > window:
                    scores[query, key] = -torch.inf
            attended[rows, part] = scores.softmax(dim=-1) @ v[rows, part]
        start += length
    return attended


def event_means(hidden: Tensor, layout: Layout) -> Tensor:
    """Average the tokens of each event: [T, D] to [B, D]; zeros for the empty bags behind."""
    return F.embedding_bag(layout.rows, hidden, layout.bags, mode="mean")


def routed_experts(  # noqa: PLR0917 - the operands of one product
    hidden: Tensor, chosen: Tensor, gates: Tensor, up: Tensor, up_bias: Tensor, down: Tensor
) -> Tensor:
    """Send each token through its experts and add up what they return, weighted by the gates.

    Rows are sorted by expert, so that each expert is one dense product over all of its tokens.

    Args:
        hidden: Tokens, [T, D].
        chosen: Numbers of each token's experts, [T, K].
        gates: Weights of those experts, [T, K].
        up: First projections, [E, D, F].
        up_bias: Their biases, [E, F].
        down: Second projections, [E, F, D].

    Returns:
        Weighted sums, [T, D].
    """
    per_token, rows = chosen.shape[1], chosen.numel()
    expert, order = chosen.flatten().sort(stable=True)  # [T * K]
    counts = torch.bincount(expert, minlength=up.shape[0])  # [E]
    sizes = torch.tensor([rounded_up(count) for count in counts.tolist()])  # [E]
    ends = sizes.cumsum(0)  # [E]; R is the last
    # Each expert's rows are followed by some that repeat a token, and that nobody reads.
    place = torch.arange(rows) + (ends - sizes - counts.cumsum(0) + counts)[expert]  # [T * K]
    source = order.new_zeros(int(ends[-1])).index_copy_(0, place, order // per_token)  # [R]
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        hidden, up, down = hidden.to(kind), up.to(kind), down.to(kind)
    offsets = ends.to(torch.int32)
    bias = up_bias.to(hidden.dtype).repeat_interleave(sizes, dim=0)  # [R, F]
    inner = torch._grouped_mm(hidden.index_select(0, source), up, offs=offsets)  # noqa: SLF001 - [R, F]; no public name yet
    outer = torch._grouped_mm(F.gelu(inner + bias), down, offs=offsets)  # noqa: SLF001 - [R, D]
    found = torch.empty_like(place).index_copy_(0, order, place)  # [T * K]
    return F.embedding_bag(
        found.view(-1, per_token), outer, per_sample_weights=gates.to(outer.dtype), mode="sum"
    )  # [T, D]


def routed_experts_reference(  # noqa: PLR0917 - as above
    hidden: Tensor, chosen: Tensor, gates: Tensor, up: Tensor, up_bias: Tensor, down: Tensor
) -> Tensor:
    """Return what ``routed_experts`` returns, by one token and one expert at a time."""
    summed = torch.zeros_like(hidden)
    for token, experts in enumerate(chosen.tolist()):
        for nth, expert in enumerate(experts):
            inner = F.gelu(hidden[token] @ up[expert] + up_bias[expert])  # [F]
            summed[token] += gates[token, nth] * (inner @ down[expert])  # [D]
    return summed
