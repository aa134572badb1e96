"""A plot of answers on time over offered load, one line per policy, as SVG."""

from collections.abc import Sequence

from overload_report import Row, by_step

from streams.planning.charts import COLOURS, FAINT, Line, line_chart

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
    loads = sorted({one.load for one in steps})
    offered = [(0.0, 0.0), (1.0, capacity), (loads[-1], capacity)]
    lines = [Line("offered", offered, FAINT, "4 3", marked=False)]
    for number, policy in enumerate(dict.fromkeys(one.policy for one in steps)):
        of_policy = sorted((one for one in steps if one.policy == policy), key=lambda one: one.load)
        points = [(one.load, one.on_time_per_s) for one in of_policy]
        place = number % len(COLOURS)
        lines.append(Line(policy, points, COLOURS[place], DASHES[place]))
    return line_chart(
        lines,
        caption=caption,
        x_label="offered load, multiples of capacity",
        y_label="on time per second",
        x_ticks=loads,
        y_most=max(capacity, *(one.on_time_per_s for one in steps)),
    )
