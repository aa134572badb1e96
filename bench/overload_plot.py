"""A plot of answers on time over offered load, one line per policy, as SVG."""

from collections.abc import Sequence
from html import escape

from overload_report import Row, by_step

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ("#2f6feb", "#1a7f37", "#8250df", "#cf222e", "#bf8700", "#9a6700", "#57606a")
DASHES = ("", "", "", "6 3", "6 3", "2 3", "2 3")


def plot(rows: Sequence[Row], scenario: str, capacity: float, caption: str) -> str:
    """Return the SVG.

    Args:
        rows: Of all policies and loads; others' scenarios are left out.
        scenario: The one to draw.
        capacity: Events per second at full effort; drawn as a line, as is the offered load.
        caption: Above it.
    """
    steps = [one for one in by_step(rows).values() if one.scenario == scenario]
    most_x = max(one.load for one in steps)
    most_y = 1.1 * max(capacity, *(one.on_time_per_s for one in steps))

    def place(load: float, rate: float) -> tuple[float, float]:
        inner_x, inner_y = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + inner_x * load / most_x, HEIGHT - BOTTOM - inner_y * rate / most_y

    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11" '
            'fill="#24292f">'
        ),
        f"<title>{escape(caption)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(WIDTH / 2, 20, caption, "middle"),
        _path([place(0, 0), place(1, capacity), place(most_x, capacity)], "#d0d7de", "4 3"),
        _path([place(0, most_y), place(0, 0), place(most_x, 0)], "#57606a", ""),
        _text(WIDTH / 2, HEIGHT - 12, "offered load, multiples of capacity", "middle"),
    ]
    for load in sorted({one.load for one in steps}):
        x, y = place(load, 0)
        lines.append(_text(x, y + 15, f"{load:g}", "middle"))
    for part in range(5):
        rate = most_y / 1.1 * part / 4
        x, y = place(0, rate)
        lines.append(_text(x - 6, y + 4, f"{rate:,.0f}", "end"))
    lines.append(
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {HEIGHT / 2})">on time per second</text>'
    )
    for number, policy in enumerate(dict.fromkeys(one.policy for one in steps)):
        of_policy = sorted((one for one in steps if one.policy == policy), key=lambda one: one.load)
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        points = [place(one.load, one.on_time_per_s) for one in of_policy]
        lines.append(_path(points, colour, dash, width=2))
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points]
        key_y = TOP + 14 * number
        lines.append(_path([(LEFT + 10, key_y), (LEFT + 34, key_y)], colour, dash, width=2))
        lines.append(_text(LEFT + 40, key_y + 4, policy, "start"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _path(points: Sequence[tuple[float, float]], colour: str, dash: str, width: int = 1) -> str:
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
