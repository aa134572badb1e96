"""What is asked of the scheduler under load, and whether it was measured to be so."""

from collections.abc import Sequence

import msgspec
from overload_report import Row, by_step

SHED, DEGRADE = "headrace shed", "headrace degrade"
LEAST_GOODPUT = 0.95
LEAST_DEGRADED_ON_TIME = 0.99
MOST_F1_LOSS = 0.01
MOST_MISSED = 0.001
LEAST_HIGH_ON_TIME = 0.999
MOST_LOW_GAP_S = 1.0
MOST_P99_MS = 40.0
MOST_CPU = 0.05
CPU_RATE = 5_000
"""Events per second that the scheduler's own use of a core is measured at."""


class Target(msgspec.Struct, frozen=True):
    """One demand.

    Attributes:
        met: ``None`` where it was not measured.
        found: What was measured, in words.
    """

    name: str
    met: bool | None
    found: str


def targets(rows: Sequence[Row], cpu_shares: dict[str, float]) -> list[Target]:
    """Judge all that was measured.

    Args:
        rows: Of all scenarios.
        cpu_shares: Share of a core that scheduling takes at :data:`CPU_RATE`, by situation.
    """
    steps = by_step(rows)
    sweep = "log" if any(one.scenario == "log" for one in rows) else "poisson"
    return [
        _goodput(steps, sweep),
        _degraded_on_time(steps.get((sweep, DEGRADE, 1.5))),
        _f1_loss(steps.get((sweep, DEGRADE, 1.5))),
        *(_missed(policy, steps.get(("bursts", policy, 0.8))) for policy in (DEGRADE, SHED)),
        *(
            target
            for policy in (DEGRADE, SHED)
            for target in _flood(
                policy,
                steps.get(("flood, high", policy, 0.2)),
                steps.get(("flood, low", policy, 5.0)),
            )
        ),
        _p99(steps.get((sweep, DEGRADE, 0.5))),
        *_cpu(cpu_shares),
    ]


def _goodput(steps: dict[tuple[str, str, float], Row], sweep: str) -> Target:
    name = f"on time/s at 3x under shed, of the best at any load: at least {LEAST_GOODPUT}"
    at_three = steps.get((sweep, SHED, 3.0))
    if at_three is None:
        return _unknown(name)
    best = max(
        one.on_time_per_s
        for (scenario, policy, _), one in steps.items()
        if (scenario, policy) == (sweep, SHED)
    )
    ratio = at_three.on_time_per_s / best
    return Target(name, ratio >= LEAST_GOODPUT, f"{ratio:.3f}")


def _degraded_on_time(at: Row | None) -> Target:
    name = f"on time at 1.5x under degrade: at least {LEAST_DEGRADED_ON_TIME:.0%}"
    if at is None:
        return _unknown(name)
    return Target(name, at.on_time >= LEAST_DEGRADED_ON_TIME, f"{at.on_time:.2%}")


def _f1_loss(at: Row | None) -> Target:
    name = f"macro-F1 lost at 1.5x under degrade: at most {MOST_F1_LOSS * 100:g} point"
    if at is None or at.macro_f1 is None or at.macro_f1_full is None:
        return _unknown(name)
    lost = at.macro_f1_full - at.macro_f1
    return Target(name, lost <= MOST_F1_LOSS, f"{lost * 100:.2f} points")


def _missed(policy: str, at: Row | None) -> Target:
    name = f"misses at 0.8x with bursts, {policy}: at most {MOST_MISSED:.1%}"
    if at is None:
        return _unknown(name)
    missed = 1.0 - at.on_time
    return Target(name, missed <= MOST_MISSED, f"{missed:.3%}, {at.degraded:.1%} degraded")


def _flood(policy: str, high: Row | None, low: Row | None) -> list[Target]:
    on_time = f"high priority on time, low at 5x, {policy}: at least {LEAST_HIGH_ON_TIME:.1%}"
    moves = f"low priority moves meanwhile, {policy}: at least every {MOST_LOW_GAP_S:g} s"
    if high is None or low is None:
        return [_unknown(on_time), _unknown(moves)]
    found = f"{low.on_time_per_s:,.0f}/s, longest gap {low.gap_s:.2f} s"
    return [
        Target(on_time, high.on_time >= LEAST_HIGH_ON_TIME, f"{high.on_time:.3%}"),
        Target(moves, low.on_time_per_s > 0 and low.gap_s <= MOST_LOW_GAP_S, found),
    ]


def _p99(at: Row | None) -> Target:
    name = f"99th percentile at half load: at most {MOST_P99_MS:g} ms"
    if at is None:
        return _unknown(name)
    return Target(name, at.p99_ms <= MOST_P99_MS, f"{at.p99_ms:.1f} ms")


def _cpu(shares: dict[str, float]) -> list[Target]:
    name = f"scheduling {CPU_RATE:,} events/s, of a core: at most {MOST_CPU:.0%}"
    if not shares:
        return [_unknown(name)]
    return [
        Target(f"{name} ({situation})", share <= MOST_CPU, f"{share:.1%}")
        for situation, share in shares.items()
    ]


def _unknown(name: str) -> Target:
    return Target(name, None, "not measured")


def show(found: Sequence[Target]) -> None:
    """Print one line each."""
    words = {True: "met", False: "MISSED", None: "-"}
    for one in found:
        print(f"{words[one.met]:>6}  {one.name}: {one.found}")
