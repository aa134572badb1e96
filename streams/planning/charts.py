"""Line charts as SVG, with no library: few points, plain axes, readable where they are pasted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ("#2f6feb", "#1a7f37", "#8250df", "#cf222e", "#bf8700", "#9a6700", "#57606a")
INK, FAINT, AXIS = "#24292f", "#d0d7de", "#57606a"
STEPS = 4
"""Figures on the upright axis above 0."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        points: In order of x.
        dash: As of SVG's ``stroke-dasharray``; empty for none.
        marked: Points have dots, and the line a place in the key.
        joined: Points are joined by the line; else there are only dots.
    """

    name: str
    points: Sequence[Point]
    colour: str = ""
    dash: str = ""
    marked: bool = True
    joined: bool = True


def line_chart(
    lines: Sequence[Line],
    *,
    caption: str,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float],
    y_most: float,
    y_text: Callable[[float], str] = "{:,.0f}".format,
) -> str:
    """Return a chart whose axes begin at 0.

    Args:
        lines: Those without a colour get one each.
        caption: Above it.
        x_label: Under it.
        y_label: Beside it.
        x_ticks: Where the lower axis has figures; the largest is its end.
        y_most: The upright axis's largest figure; lines may go a tenth above it.
        y_text: Writes the upright axis's figures.
    """
    x_most, top = max(x_ticks), 1.1 * y_most

    def place(x: float, y: float) -> Point:
        inner_x, inner_y = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + inner_x * x / x_most, HEIGHT - BOTTOM - inner_y * y / top

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11" '
            f'fill="{INK}">'
        ),
        f"<title>{escape(caption)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(WIDTH / 2, 20, caption, "middle"),
        _path([place(0, top), place(0, 0), place(x_most, 0)], AXIS),
        _text(WIDTH / 2, HEIGHT - 12, x_label, "middle"),
        (
            f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" '
            f'transform="rotate(-90 14 {HEIGHT / 2})">{escape(y_label)}</text>'
        ),
    ]
    for tick in x_ticks:
        x, y = place(tick, 0)
        parts.append(_text(x, y + 15, f"{tick:g}", "middle"))
    for step in range(STEPS + 1):
        x, y = place(0, y_most * step / STEPS)
        parts.append(_text(x - 6, y + 4, y_text(y_most * step / STEPS), "end"))
    key = 0
    for number, line in enumerate(lines):
        colour = line.colour or COLOURS[number % len(COLOURS)]
        parts += _drawn(line, [place(*point) for point in line.points], colour)
        if line.marked:
            parts += _in_key(line, key, colour)
            key += 1
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(line: Line, points: Sequence[Point], colour: str) -> list[str]:
    """Draw a line at its places on the sheet."""
    parts = []
    if line.joined:
        parts.append(_path(points, colour, line.dash, width=2 if line.marked else 1))
    if line.marked:
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
    return parts


def _in_key(line: Line, number: int, colour: str) -> list[str]:
    """Name a line in the key, which has a row for each."""
    y = TOP + 14 * number
    return [
        _path([(LEFT + 10, y), (LEFT + 34, y)], colour, line.dash, width=2),
        _text(LEFT + 40, y + 4, line.name, "start"),
    ]


def _path(points: Sequence[Point], colour: str, dash: str = "", width: int = 1) -> str:
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
