"""Loads for simulated devices: arrivals at a rate, and what batches take."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from inference.cost import Coefficients, LearnedCost, Measurement
from inference.settings import SchedulerSettings
from inference.shares import Share
from inference.simulation import Outcome, RunTime, Simulation, Trace
from inference.work import DEFAULT_PRIORITY, OverloadPolicy, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.works import NOW, work

FACTORS = {"full": 1.0, "early_exit": 0.6, "low": 0.35}
"""What tokens and events cost at each effort; the fixed cost of a batch stays."""
MEAN_TOKENS = 20


@dataclass(frozen=True)
class SimulatedDevice:
    """A device whose batches take what the curve says, give or take some percent.

    Attributes:
        noise: Standard deviation of the logarithm of run times.
        slowdown: It takes so many times what the scheduler was told at first.
    """

    curve: Coefficients
    noise: float = 0.05
    slowdown: float = 1.0

    @property
    def capacity(self) -> float:
        """Events per second at full effort in batches as large as they may be."""
        events = SchedulerSettings().max_batch_events
        return events / self.typical_s(events * MEAN_TOKENS, events, "full") / self.slowdown

    def typical_s(self, tokens: int, events: int, effort: str) -> float:
        """Return what the scheduler is told of a batch."""
        fixed_s, per_token_s, per_event_s = self.curve
        return fixed_s + FACTORS[effort] * (per_token_s * tokens + per_event_s * events)

    def simulate(self, works: Sequence[Work], *, seed: int = 1) -> Trace:
        """Run works on this device, with the default settings and a cost model warmed up."""
        return Simulation(SchedulerSettings(), EFFORTS, self.warmed_up(), self.run_times(seed)).run(
            works
        )

    def warmed_up(self) -> LearnedCost:
        """Return a cost model that was told the curve."""
        cost = LearnedCost(SchedulerSettings().cost_quantile)
        for effort in FACTORS:
            sizes = [(MEAN_TOKENS * events, events) for events in (1, 2, 4, 8, 16, 32, 64, 128)]
            cost.calibrate(effort, [Measurement(*s, self.typical_s(*s, effort)) for s in sizes])
        return cost

    def run_times(self, seed: int) -> RunTime:
        """Return what batches really take, drawn from a seed."""
        dice = random.Random(seed)  # noqa: S311 - no secret

        def run_time(tokens: int, events: int, effort: str) -> float:
            noise = math.exp(self.noise * dice.gauss(0.0, 1.0))
            return self.typical_s(tokens, events, effort) * self.slowdown * noise

        return run_time


def simulate_shared(
    *models: tuple[SimulatedDevice, Sequence[Work]],
    seed: int = 1,
    shares: Sequence[Share | None] = (),
) -> tuple[Simulation, list[list[Outcome]]]:
    """Let several models share one device; return the simulation and the outcomes per model.

    Args:
        models: What each model's batches take, and its works in order of arrival.
        seed: Draws the noise of run times.
        shares: Their claims to the device; all alike if not given.
    """
    first, *others = (device for device, _ in models)
    claims = [*shares, *[None] * (len(models) - len(shares))]
    simulation = Simulation(
        SchedulerSettings(), EFFORTS, first.warmed_up(), first.run_times(seed), share=claims[0]
    )
    for number, device in enumerate(others, 1):
        cost, run_times = device.warmed_up(), device.run_times(seed + number)
        simulation.add_model(EFFORTS, cost, run_times, claims[number])
    mixed = [(number, one) for number, (_, works) in enumerate(models) for one in works]
    mixed.sort(key=lambda pair: pair[1].arrival)
    trace = simulation.run_mixed(mixed)
    whose = {id(one): number for number, one in mixed}
    outcomes: list[list[Outcome]] = [[] for _ in models]
    for outcome in trace.outcomes:
        outcomes[whose[id(outcome.work)]].append(outcome)
    return simulation, outcomes


def arrivals(
    rate: float,
    seconds: float,
    *,
    seed: int = 1,
    start: float = NOW,
    budgets: Sequence[float] = (0.15,),
    priorities: Sequence[int] = (DEFAULT_PRIORITY,),
    policies: Sequence[OverloadPolicy] = (OverloadPolicy.DEGRADE,),
    busy_share: float = 1.0,
) -> list[Work]:
    """Let works of 8 to 32 tokens arrive at random, ``rate`` a second on average.

    Each second's works arrive in the first part of it, as large as ``busy_share`` says.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    works, passed = [], 0.0
    while (passed := passed + dice.expovariate(rate)) < seconds:
        second, within = divmod(passed, 1.0)
        works.append(
            work(
                dice.randint(8, 32),
                arrival=start + second + within * busy_share,
                budget=dice.choice(budgets),
                priority=dice.choice(priorities),
                on_overload=dice.choice(policies),
            )
        )
    return works
