"""What a plan says: tables for people, plain values for scripts, and a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from streams.planning.charts import COLOURS, Line, line_chart
from streams.planning.costs import WorkerCosts
from streams.planning.simulate import ClassPlan, LoadPlan
from streams.terminal.tables import aligned

_TOO_BUSY = 0.85
"""Above this share of its time a thread has no reserve left."""


def table_of(plans: Mapping[str, LoadPlan]) -> str:
    """Return a row for each class of each load, and what becomes of its events.

    Args:
        plans: By what the load is called.
    """
    head = ("load and class", "events", "on time", "degraded", "late", "shed", "missed")
    rows: list[tuple[str, ...]] = [(*head, "p50 ms", "p99 ms")]
    for load, plan in plans.items():
        for each in plan.classes:
            counts = (each.events, each.on_time, each.degraded, each.late, each.shed)
            rows.append(
                (
                    f"{load}, priority {each.priority}, {each.policy}",
                    *(f"{count:,}" for count in counts),
                    f"{each.missed:.2%}",
                    f"{each.p50_ms:,.1f}",
                    f"{each.p99_ms:,.1f}",
                )
            )
    return aligned(rows)


def needs_of(plans: Mapping[str, LoadPlan]) -> str:
    """Return a row for each load: what it asks of workers and machine."""
    head = ("load", "events/s", "busiest s", "workers", "partitions", "cores", "of them model")
    rows: list[tuple[str, ...]] = [(*head, "busiest worker", "events/batch")]
    for load, plan in plans.items():
        rows.append(
            (
                load,
                f"{plan.events / (plan.span_s or 1.0):,.1f}",
                f"{plan.busiest_s:,}",
                str(plan.workers),
                str(plan.partitions),
                f"{plan.cores:.2f}",
                f"{plan.device_cores:.2f}",
                f"{plan.busiest_share:.0%}",
                f"{plan.mean_batch:.1f}",
            )
        )
    return aligned(rows)


def remarks(plans: Mapping[str, LoadPlan], cores: int) -> list[str]:
    """Return what the tables do not say by themselves.

    Args:
        plans: By what the load is called.
        cores: Of the machine that the workers are to share.
    """
    found = []
    for load, plan in plans.items():
        if plan.cores > cores:
            found.append(
                f"{load}: keeps {plan.cores:.1f} cores busy on average, and {cores} are there; "
                "batches will take longer than planned. Spread the workers over more machines."
            )
        if plan.busiest_share > _TOO_BUSY:
            found.append(
                f"{load}: a worker is busy for {plan.busiest_share:.0%} of the time; whatever "
                "comes on top is degraded or lost. Add workers."
            )
        if plan.hottest_key > 1.0 / max(2, plan.workers):
            found.append(
                f"{load}: {plan.hottest_key:.0%} of the events have one key, and so one partition "
                "and one worker; more workers do not help them. Use a finer key."
            )
    return found


def document_of(
    plans: Mapping[str, LoadPlan], costs: WorkerCosts, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all of it as plain values."""
    return {
        "about": dict(about),
        "costs": {
            "source": costs.source,
            "device": {name: curve._asdict() for name, curve in costs.curve.efforts.items()},
            "noise": costs.curve.noise,
            "device_cpu": costs.device_cpu,
            "loop": costs.loop._asdict(),
        },
        "loads": {load: _plain(plan) for load, plan in plans.items()},
    }


def chart_of(loads: Sequence[tuple[float, LoadPlan]], x_label: str, caption: str) -> str:
    """Return shares of the events over the load, as SVG.

    Args:
        loads: With their place on the lower axis.
        x_label: What that is.
        caption: Above it.
    """
    ordered = sorted(loads, key=lambda pair: pair[0])

    def line(name: str, colour: str, part: str) -> Line:
        points = [(x, _share(plan.classes, part)) for x, plan in ordered]
        return Line(name, points, colour)

    return line_chart(
        [
            line("on time at full effort", COLOURS[1], "on_time"),
            line("degraded", COLOURS[4], "degraded"),
            line("late", COLOURS[2], "late"),
            line("shed", COLOURS[3], "shed"),
        ],
        caption=caption,
        x_label=x_label,
        y_label="share of events",
        x_ticks=[x for x, _ in ordered],
        y_most=1.0,
        y_text="{:.0%}".format,
    )


def _share(classes: Sequence[ClassPlan], part: str) -> float:
    counted: int = sum(getattr(each, part) for each in classes)
    return counted / sum(each.events for each in classes)


def _plain(plan: LoadPlan) -> dict[str, Any]:
    plain = asdict(plan) | {"cores": plan.cores}
    for each, written in zip(plan.classes, plain["classes"], strict=True):
        written |= {"policy": each.policy.value, "missed": each.missed}
    return plain
