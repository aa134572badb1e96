"""What batches cost beside what the scheduler takes them to cost.

    python bench/cost_plot.py                        # the news model, made-up headlines
    python bench/cost_plot.py --texts news.jsonl --batches 1000

Warms an engine up as a worker does, then runs batches of random sizes at random efforts. Each is
predicted, run, and learned from. The plot has the run times, the fitted curve, and what the
scheduler counts on; the table how well that held. See docs/benchmarks.md.
"""

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec
from headlines import from_log, synthetic
from report import facts
from rich.console import Console
from rich.table import Table

from inference.clock import SystemClock
from inference.cost import LearnedCost
from inference.engine import Encoded, Engine
from inference.optimizer import open_model
from inference.settings import SchedulerSettings
from inference.warmup import warm_up
from schemas.events import Modality, NewsEvent
from streams.planning.charts import COLOURS, Line, line_chart
from streams.worker.warm_up import warm_up_examples

TEXTS = 2_000
SIZE_STEPS = 7
"""Batches have up to two to this power of events, small ones as often as large ones."""
TICKS = 5


class Sample(msgspec.Struct, frozen=True):
    """One batch; times in seconds, as they were predicted before it ran."""

    effort: str
    tokens: int
    events: int
    seconds: float
    typical_s: float
    predicted_s: float


def sample(
    engine: Engine, encoded: Sequence[Encoded], cost: LearnedCost, batches: int, seed: int
) -> list[Sample]:
    """Predict, run and learn from batches.

    Args:
        engine: Runs them on this thread.
        encoded: Events to make batches of.
        cost: Was warmed up; learns.
        batches: How many.
        seed: Draws sizes, events and efforts.
    """
    dice, clock = random.Random(seed), SystemClock()  # noqa: S311 - no secret
    found = []
    for _ in range(batches):
        effort = dice.choice(engine.efforts)
        batch = dice.choices(encoded, k=round(2 ** dice.uniform(0, SIZE_STEPS)))
        size = sum(one.tokens for one in batch), len(batch), effort.name
        typical_s, predicted_s = cost.expect(*size), cost.predict(*size)
        prepared = engine.prepare(batch)
        started = clock.monotonic()
        engine.run(prepared, effort)
        seconds = clock.monotonic() - started
        cost.observe(*size, seconds)
        found.append(Sample(effort.name, size[0], size[1], seconds, typical_s, predicted_s))
    return found


def plot(samples: Sequence[Sample], cost: LearnedCost, caption: str) -> str:
    """Return an SVG of run times over tokens, with the curves as they are at the end.

    Args:
        samples: What was run.
        cost: What was learned from it.
        caption: Above the chart.
    """
    per_event = sum(one.tokens for one in samples) / sum(one.events for one in samples)
    most = max(one.tokens for one in samples)
    ticks = [round(most * step / TICKS, -1) for step in range(TICKS + 1)]
    lines = []
    for colour, effort in zip(COLOURS, dict.fromkeys(one.effort for one in samples), strict=False):
        typical = cost.fitted()[effort].scaled(cost.speed)
        for name, curve, dash in (
            (effort, typical, ""),
            ("hardly exceeded", typical.scaled(cost.tail), "6 3"),
        ):
            ends = [(x, curve.seconds(x, x / per_event) * 1e3) for x in (0.0, max(ticks))]
            lines.append(Line(name, ends, colour, dash, marked=not dash))
        dots = [(one.tokens, one.seconds * 1e3) for one in samples if one.effort == effort]
        lines.append(Line(f"{effort}, run", dots, colour, joined=False))
    times = sorted(one.seconds * 1e3 for one in samples)
    return line_chart(
        lines,
        caption=caption,
        x_label="tokens in the batch",
        y_label="run time, ms",
        x_ticks=ticks,
        # A pause of the machine would press all others to the ground.
        y_most=times[int(0.995 * (len(times) - 1))],
        y_text="{:.1f}".format,
    )


def show(samples: Sequence[Sample], quantile: float) -> None:
    """Print how well predictions held, by effort."""
    table = Table(title=f"{quantile:.0%} of batches should run no longer than predicted")
    for name in ("effort", "batches", "within", "off the typical, median", "predicted / typical"):
        table.add_column(name, justify="left" if name == "effort" else "right")
    for effort in (*dict.fromkeys(one.effort for one in samples), None):
        of = [one for one in samples if effort in (None, one.effort)]
        off = statistics.median(abs(one.seconds / one.typical_s - 1.0) for one in of)
        tail = statistics.median(one.predicted_s / one.typical_s for one in of)
        within = sum(one.seconds <= one.predicted_s for one in of) / len(of)
        table.add_row(effort or "all", f"{len(of)}", f"{within:.1%}", f"{off:.1%}", f"{tail:.2f}")
    Console().print(table)


def main() -> None:
    """Warm up, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="news-sentiment")
    parser.add_argument("--texts", type=Path, help="JSON lines with headline or text")
    parser.add_argument("--batches", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    settings, engine = SchedulerSettings(), open_model(options.model)
    texts = from_log(options.texts) if options.texts else list(islice(synthetic(1), TEXTS))
    encoded = engine.encode([NewsEvent(id="bench", headline=text) for text in texts])
    cost = LearnedCost(settings.cost_quantile)
    warm_up(engine, warm_up_examples(engine, Modality.NEWS), settings, SystemClock(), cost)
    samples = sample(engine, encoded, cost, options.batches, options.seed)
    show(samples, settings.cost_quantile)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"cost-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    path.with_suffix(".json").write_bytes(
        msgspec.json.format(msgspec.json.encode({"facts": facts(), "samples": samples}))
    )
    svg = path.with_suffix(".svg")
    svg.write_text(plot(samples, cost, f"what batches of {engine.model.name} cost"))
    print(f"written to {path}.json, drawn to {svg}")


if __name__ == "__main__":
    main()
