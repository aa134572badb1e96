"""What each policy makes of more than the device can do: ours beside the usual ones.

    python bench/overload.py                        # the real engine in real time, some ten minutes
    python bench/overload.py --quick                # about three, coarser
    python bench/overload.py --simulated            # a simulated device, as quick as the real one
    python bench/overload.py --log news.jsonl --texts labelled.jsonl

Loads are multiples of the capacity measured first. All policies get the same arrivals, in turns,
in one process, on the same queue, device thread and engine; see docs/benchmarks.md. Prints a table
per scenario and what was asked of the scheduler; writes all of it as JSON, and a plot.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import overload_rivals
import overload_targets
from overload_cpu import SleepingEngine, cpu_per_event
from overload_loads import Arrival, arrivals, read_log
from overload_plot import plot
from overload_report import Row, row, show
from overload_runs import POLICIES, LiveRuns, Policy, Runs, SimulatedRuns, capacity
from overload_scenarios import Scenario, scenarios
from overload_texts import Texts, read_texts
from report import facts

from inference.checkpoint import load_engine
from inference.cost import Coefficients
from inference.curve import Curve
from inference.engine import Engine
from inference.settings import SchedulerSettings
from streams.planning.arrivals import poisson

LOADS = (0.2, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
QUICK_LOADS = (0.5, 1.0, 1.5, 3.0, 5.0)
CAPACITY_SECONDS = 1.0
CPU_SECONDS = 3.0
CPU_LOADS = {"half load": 0.5, "twice the capacity": 2.0}
PACKAGES = ("headrace",)
SWITCH_INTERVAL_S = 0.0005
"""The interpreter changes hands as often as in a worker."""


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    overload_rivals.register()
    asyncio.run(_main(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--simulated", action="store_true", help="on a simulated device")
    parser.add_argument("--curve", type=Path, help="cost of its batches, from --save-curve")
    parser.add_argument("--save-curve", type=Path, help="write what batches cost here")
    parser.add_argument("--model", default="news-sentiment", help="name or directory")
    parser.add_argument("--texts", type=Path, help="JSON lines with text and label [made up]")
    parser.add_argument("--log", type=Path, help="JSON lines with times: arrivals follow them")
    parser.add_argument("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES))
    parser.add_argument("--loads", type=float, nargs="+", help="multiples of the capacity")
    parser.add_argument("--budget-ms", type=float, nargs="+", default=[150.0])
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each load")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.seconds = 1, min(arguments.seconds, 2.5)
    arguments.loads = arguments.loads or (QUICK_LOADS if arguments.quick else LOADS)
    return arguments


async def _main(arguments: argparse.Namespace) -> None:
    engine = load_engine(arguments.model)
    texts = read_texts(
        engine,
        arguments.texts or arguments.log,
        labelled=bool(arguments.texts),
        seed=arguments.seed,
    )
    settings = SchedulerSettings()
    runs, curve, close = await _prepare(arguments, engine, texts, settings)
    try:
        backlog = round(CAPACITY_SECONDS * _rough_rate(curve, texts))
        rate = await capacity(runs, len(texts.encoded), backlog, 1 if arguments.simulated else 3)
        rows = await _measure(arguments, runs, rate, texts, len(engine.labels))
    finally:
        await close()
    cpu = await _cpu(curve, engine, texts, settings, arguments)
    found = overload_targets.targets(rows, cpu)
    about = facts(PACKAGES) | {
        "mode": "simulated" if arguments.simulated else "real time",
        "model": arguments.model,
        "capacity_per_s": round(rate),
        "budget_ms": arguments.budget_ms,
        "texts": str(arguments.texts or arguments.log or "made up"),
    }
    document = {"facts": about, "curve": curve, "cpu": cpu, "rows": rows, "targets": found}
    encoded = msgspec.json.format(msgspec.json.encode(document), indent=1)
    if arguments.json:
        print(encoded.decode())
    else:
        print(", ".join(f"{name} {value}" for name, value in about.items()))
        show(rows)
        overload_targets.show(found)
    sweep = "log" if arguments.log else "poisson"
    caption = f"{about['cpu']}, {about['mode']}, {about['time'][:10]}"
    stem = arguments.out / f"overload-{time.strftime('%Y%m%d-%H%M%S')}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_bytes(encoded)
    stem.with_suffix(".svg").write_text(plot(rows, sweep, rate, caption), encoding="utf-8")
    if not arguments.json:
        print(f"\nwritten to {stem}.json and .svg")


async def _prepare(
    arguments: argparse.Namespace, engine: Engine, texts: Texts, settings: SchedulerSettings
) -> tuple[Runs, Curve, Callable[[], Any]]:
    """Return what runs loads, what batches cost, and how to end it."""
    live = LiveRuns(engine, texts, settings)
    if arguments.simulated and arguments.curve:
        curve = Curve.read(arguments.curve)
    else:
        await live.start()
        curve = await live.curve()
    if arguments.save_curve:
        curve.save(arguments.save_curve)
    if not arguments.simulated:
        return live, curve, live.close
    await live.close()
    return SimulatedRuns(curve, engine.efforts, texts, settings), curve, _nothing


async def _nothing() -> None:
    """End what needs no end."""


def _rough_rate(curve: Curve, texts: Texts) -> float:
    full = next(iter(curve.efforts.values()))
    return 128 / full.seconds(128 * texts.mean_tokens, 128)


async def _measure(
    arguments: argparse.Namespace, runs: Runs, rate: float, texts: Texts, classes: int
) -> list[Row]:
    """Run each scenario through each policy, repeats interleaved, the order drawn anew."""
    loads = scenarios(
        rate,
        arguments.loads,
        seconds=arguments.seconds,
        texts=len(texts.encoded),
        budgets_s=[each / 1e3 for each in arguments.budget_ms],
        log=read_log(arguments.log) if arguments.log else None,
    )
    chosen = [POLICIES[name] for name in arguments.policies]
    rows = []
    for repeat in range(arguments.repeats):
        for scenario in loads:
            seed = arguments.seed + 1_000 * repeat
            load = scenario.draw(seed)
            dice = random.Random(seed)  # noqa: S311 - no secret
            for policy in dice.sample(chosen, len(chosen)):
                rows += await _step(runs, policy, scenario, load, seed, repeat, texts, classes)
    order = {name: place for place, name in enumerate(arguments.policies)}
    return sorted(rows, key=lambda one: order[one.policy])


async def _step(  # noqa: PLR0917 - one load and all that it is summed up with
    runs: Runs,
    policy: Policy,
    scenario: Scenario,
    load: Sequence[Arrival],
    seed: int,
    repeat: int,
    texts: Texts,
    classes: int,
) -> list[Row]:
    endings = await runs.run(policy, load, seed)
    if len(endings) != len(load):
        raise SystemExit(f"{policy.name}: {len(load)} events, {len(endings)} endings")
    return [
        row(
            endings,
            texts,
            classes,
            scenario=name,
            policy=policy.name,
            load=multiple,
            repeat=repeat,
            counts=counts,
        )
        for name, multiple, counts in scenario.parts
    ]


async def _cpu(
    curve: Curve,
    engine: Engine,
    texts: Texts,
    settings: SchedulerSettings,
    arguments: argparse.Namespace,
) -> dict[str, float]:
    """Return the share of a core that scheduling takes, by how busy the device is."""
    rate = overload_targets.CPU_RATE
    full = next(iter(curve.efforts.values()))
    found = {}
    for situation, load in CPU_LOADS.items():
        # A device of such a speed that this rate is the load that it should be.
        slower = 128 / full.seconds(128 * texts.mean_tokens, 128) * load / rate
        curves = {name: Coefficients(*each).scaled(slower) for name, each in curve.efforts.items()}
        times = poisson(rate, CPU_SECONDS, arguments.seed)
        budgets = [each / 1e3 for each in arguments.budget_ms]
        drawn = arrivals(times, len(texts.encoded), budgets, seed=arguments.seed)
        device = SleepingEngine(curves, engine.efforts)
        policy = POLICIES["headrace degrade"]
        seconds = await cpu_per_event(policy, drawn, texts, settings, device)
        found[situation] = seconds * rate
    return found


if __name__ == "__main__":
    main()
