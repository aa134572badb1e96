"""How many results that belong together are fused, and whether what was not waited for is said.

    python bench/fusion.py                     # the app's steps, on a simulated clock
    python bench/fusion.py --seeds 5
    python bench/fusion.py --kafka             # `headrace app fusion` on a broker, in real time

The log is made up and the truth about it known; see bench/fusion_log.py and docs/benchmarks.md.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

from fusion_audit import Audit, Published, audit, rows, share
from fusion_kafka import run_on_kafka
from fusion_log import Load, Log, entities, generate
from fusion_oracle import best
from report import facts

from schemas.events import Modality
from schemas.fused import decode_fused
from streams.apps.fusing import FusionSettings
from streams.apps.fusion import fusion
from streams.apps.keyed import KeyedApp
from streams.apps.waking import Alarms

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SETTINGS = FusionSettings(streams=tuple(Modality), window_s=5.0)
INTERVALS_S = (300.0, 120.0, 60.0, 15.0)
VARIED_S = 60.0
"""Interval at which the other loads are tried."""
FEW = 20
"""Entities below that interval, so that the run stays short."""
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {}),
    (", news dated 2 s late", {"off_s": (2.0, 0.0, 0.0)}),
    (", delays x 20", {"pace": 20.0}),
)
TARGETS = (
    "targets: right >= 99 % from 60 s on; wrong, ambiguous >= 99 %; "
    "hidden, ambiguous = hidden; unmarked 0"
)


class Simulation:
    """Takes deliveries at their times, and wakes keys at theirs.

    Args:
        load: Whose entities are joined.
        settings: Of the app.
    """

    def __init__(self, load: Load, settings: FusionSettings = SETTINGS) -> None:
        self._now = START.timestamp()
        self._app: KeyedApp = fusion(settings, entities=entities(load), clock=lambda: self._now)
        self._states: dict[str, bytes] = {}
        self._alarms = Alarms()
        self.steps = 0
        self.largest = 0
        """Bytes of the largest state of a key."""

    def run(self, log: Log) -> Iterator[Published]:
        """Yield what is published, with seconds from the start."""
        for delivery in log.deliveries:
            yield from self._wake_until(START.timestamp() + delivery.at)
            for key, part in self._app.spread(delivery.result):
                yield from self._step(key, part)
        yield from self._wake_until(self._now + 3_600.0)

    def _wake_until(self, end: float) -> Iterator[Published]:
        while (at := self._alarms.next_at) is not None and at <= end:
            self._now = max(self._now, at)
            for key, part in self._alarms.due(at):
                yield from self._step(key.decode(), part)
        self._now = end

    def _step(self, key: str, part: bytes) -> Iterator[Published]:
        self.steps += 1
        step = self._app.step(key, self._states.get(key), part)
        if step is None:
            return
        self._states[key] = step.state
        self.largest = max(self.largest, len(step.state))
        if self._app.wake is not None:
            self._alarms.set(key.encode(), self._app.wake(key, step.state))
        for outbound in step.derived:
            yield self._now - START.timestamp(), decode_fused(outbound.value or b"")


def simulate(load: Load, settings: FusionSettings = SETTINGS) -> tuple[Audit, str]:
    """Run one log; return what was found, and what it cost."""
    log = generate(load, START)
    simulation, began = Simulation(load, settings), time.process_time()
    answers = list(simulation.run(log))
    spent_s = time.process_time() - began
    cost = (
        f"{len(log.happened):,} incidents, {len(log.deliveries):,} results; "
        f"{1e6 * spent_s / simulation.steps:.0f} µs of processor time a step; "
        f"largest state {simulation.largest:,} bytes"
    )
    found = audit(log, answers, wait_s=settings.wait_ms / 1e3, window_s=settings.window_s)
    return found, cost


def main() -> None:
    """Print what was found."""
    options = parse()
    for name, value in facts().items():
        print(f"{name}: {value}")
    load = Load(seed=options.seed)
    if options.kafka:
        load = replace(load, minutes=options.minutes, entities=options.entities)
        print("\n".join(asyncio.run(run_on_kafka(options, load, SETTINGS))))
        return
    found: list[tuple[str, Audit]] = []
    for seed in range(options.seed, options.seed + options.seeds):
        for interval_s, (variant, changes) in product(options.intervals, VARIANTS):
            if variant and interval_s != VARIED_S:
                continue
            if interval_s < VARIED_S:
                changes = {"entities": FEW}  # noqa: PLW2901 - of this row
            one = replace(load, interval_s=interval_s, seed=seed, **changes)
            name = f"every {interval_s:g} s{variant}, seed {seed}"
            audited, told = simulate(one)
            found.append((name, audited))
            print(f"{name}: {told}; {oracles(one, audited.pairs)}", flush=True)
    print("\n".join([*rows(found), TARGETS]))


def oracles(load: Load, pairs: int) -> str:
    """Say what is right by the true distributions, with times of arrival and without."""
    log = generate(load, START)
    both, dates = (best(log, load, arrivals=arrivals)[0] for arrivals in (True, False))
    return f"oracle {share(both, pairs)} right, by dates alone {share(dates, pairs)}"


def parse() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kafka", action="store_true", help="run the app on a broker")
    parser.add_argument("--seed", type=int, default=1, help="of the log")
    parser.add_argument("--seeds", type=int, default=1, help="logs to simulate, from --seed on")
    parser.add_argument(
        "--intervals",
        nargs="+",
        type=float,
        default=INTERVALS_S,
        help="mean seconds between an entity's incidents",
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="with --kafka: how long to send")
    parser.add_argument("--entities", type=int, default=1_000, help="with --kafka: how many")
    parser.add_argument("--processes", type=int, default=1, help="with --kafka: of the app")
    parser.add_argument("--partitions", type=int, default=4, help="of topics that are created")
    parser.add_argument("--bootstrap-servers", help="use this broker instead of starting one")
    parser.add_argument("--broker", default="auto", help="provider of the broker to start")
    return parser.parse_args()


if __name__ == "__main__":
    main()
