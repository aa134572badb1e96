"""How far confidence can be believed: bins, and a diagram of them.

A reliability diagram (DeGroot and Fienberg, "The comparison and evaluation of forecasters", 1983)
shows, for answers of about equal confidence, how many of them are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

BINS = 10
SIDE, MARGIN = 260, 40
"""Of the diagram, in pixels."""
BAR_WIDTH = 30
"""Of a bar in the table, in characters."""


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies in one interval.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        share: Share of all answers.
        confidence: Mean of theirs; 0 where there are none.
        accuracy: Share of them that is right; likewise.
    """

    start: float
    end: float
    share: float
    confidence: float
    accuracy: float


def reliability(scores: Tensor, targets: Tensor, bins: int = BINS) -> list[Bin]:
    """Sort answers by confidence.

    Args:
        scores: Probabilities, [M, C].
        targets: The true classes, [M].
        bins: Intervals of equal width.
    """
    confidence, answer = scores.max(dim=1)
    right = (answer == targets).float()
    place = (confidence * bins).long().clamp(max=bins - 1)
    found = []
    for number in range(bins):
        here = place == number
        some = bool(here.any())
        found.append(
            Bin(
                start=number / bins,
                end=(number + 1) / bins,
                share=here.float().mean().item(),
                confidence=confidence[here].mean().item() if some else 0.0,
                accuracy=right[here].mean().item() if some else 0.0,
            )
        )
    return found


def table(bins: Sequence[Bin]) -> str:
    """Return the bins that hold answers as a Markdown table with bars of characters."""
    rows = [
        "| confidence | answers | mean confidence | right | |",
        "|---|---|---|---|---|",
    ]
    for each in bins:
        if each.share:
            bar = "█" * round(each.accuracy * BAR_WIDTH)
            rows.append(
                f"| {each.start:.1f} to {each.end:.1f} | {each.share:.1%} "
                f"| {each.confidence:.3f} | {each.accuracy:.3f} | `{bar:<{BAR_WIDTH}}` |"
            )
    return "\n".join(rows)


def diagram(bins: Sequence[Bin], caption: str) -> str:
    """Return the bins as an SVG: bars of accuracy over confidence, beside the diagonal."""
    whole = SIDE + 2 * MARGIN
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {whole}" '
            f'width="{whole}" height="{whole}" '
            'font-family="sans-serif" font-size="11" fill="#24292f">'
        ),
        f"<title>{caption}</title>",
        f'<rect width="{whole}" height="{whole}" fill="#ffffff"/>',
    ]
    for each in bins:
        if not each.share:
            continue
        left, right = (MARGIN + SIDE * edge for edge in (each.start, each.end))
        height = SIDE * each.accuracy
        opacity = 0.35 + 0.65 * min(1.0, each.share * len(bins) / 2)
        lines.append(
            f'<rect x="{left + 1:.1f}" y="{MARGIN + SIDE - height:.1f}" '
            f'width="{right - left - 2:.1f}" height="{height:.1f}" fill="#2f6feb" '
            f'opacity="{opacity:.2f}"/>'
        )
    lines += [
        (
            f'<path d="M{MARGIN} {MARGIN + SIDE} L{MARGIN + SIDE} {MARGIN}" stroke="#cf222e" '
            'stroke-dasharray="4 3"/>'
        ),
        (
            f'<path d="M{MARGIN} {MARGIN} V{MARGIN + SIDE} H{MARGIN + SIDE}" fill="none" '
            'stroke="#57606a"/>'
        ),
    ]
    for tick in (0.0, 0.5, 1.0):
        lines += [
            (
                f'<text x="{MARGIN + SIDE * tick:.0f}" y="{MARGIN + SIDE + 15}" '
                f'text-anchor="middle">{tick:.1f}</text>'
            ),
            (
                f'<text x="{MARGIN - 6}" y="{MARGIN + SIDE * (1 - tick) + 4:.0f}" '
                f'text-anchor="end">{tick:.1f}</text>'
            ),
        ]
    middle = MARGIN + SIDE // 2
    lines += [
        f'<text x="{middle}" y="{MARGIN - 14}" text-anchor="middle">{caption}</text>',
        f'<text x="{middle}" y="{MARGIN + SIDE + 31}" text-anchor="middle">confidence</text>',
        (
            f'<text x="11" y="{middle}" text-anchor="middle" '
            f'transform="rotate(-90 11 {middle})">share that is right</text>'
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
