"""Whatever arrives and however long it takes: one end for each work, and each policy kept."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.cost import Coefficients, CostModel, LearnedCost, Measurement
from inference.dispatch import CURIOUS_AFTER_S
from inference.engine import EffortLevel, Prediction
from inference.scheduler import Scheduler
from inference.settings import SchedulerSettings
from inference.shared_device import SharedDevice
from inference.simulation import Outcome, SimulatedBatch, Simulation, Trace
from inference.work import Completion, OverloadPolicy, Work
from tests.fakes.clock import ManualClock
from tests.fakes.engine import EFFORTS, POISON, FakeEngine, Poison
from tests.fakes.works import NOW, FixedCost, work

FACTORS = {"full": 1.0, "early_exit": 0.6, "low": 0.3}
MOST_TOKENS, MOST_EVENTS = 60, 6
EPSILON = 1e-6

policies = st.sampled_from(OverloadPolicy)
tokens = st.one_of(st.integers(1, 12), st.integers(1, 90))
budgets = st.one_of(st.sampled_from([-0.1, 0.004, 0.2, 1.0, 9.0]), st.floats(0.0, 0.15))
gaps = st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.01, 0.3, 2.0])
scheduler_settings = st.builds(
    SchedulerSettings,
    max_batch_tokens=st.just(MOST_TOKENS),
    max_batch_events=st.integers(1, MOST_EVENTS),
    publish_reserve_ms=st.sampled_from([0.0, 5.0]),
    prepare_lead_ms=st.sampled_from([0.0, 2.0, 50.0]),
    ageing_ms=st.sampled_from([1.0, 500.0]),
)


@dataclass(frozen=True)
class Device:
    """What batches take, and what the scheduler believes of it at first.

    Attributes:
        curve: Typical run time at full effort.
        spread: Factors on it, batch by batch, for ever in the same order.
        belief: Factor by which the scheduler is wrong; ``None`` if it knows nothing.
        learns: Whether it is taught better.
    """

    curve: Coefficients
    spread: tuple[float, ...]
    belief: float | None
    learns: bool

    def cost(self) -> CostModel:
        """Return the scheduler's belief."""
        if not self.learns:
            return FixedCost(self.curve.scaled(self.belief or 1.0), FACTORS)
        cost = LearnedCost(0.9)
        if self.belief is not None:
            for effort, factor in FACTORS.items():
                curve = self.curve.scaled(factor * self.belief)
                cost.calibrate(
                    effort, [Measurement(10 * n, n, curve.seconds(10 * n, n)) for n in (1, 2, 4)]
                )
        return cost

    def run_times(self) -> Any:
        """Return what a batch takes, as a function that a simulation can call."""
        factors = self._factors()

        def seconds(size: int, events: int, effort: str) -> float:
            return self.curve.seconds(size, events) * FACTORS[effort] * next(factors)

        return seconds

    def _factors(self) -> Iterator[float]:
        while True:
            yield from self.spread


devices = st.builds(
    Device,
    curve=st.builds(
        Coefficients,
        fixed_s=st.sampled_from([0.0, 0.002, 0.02]),
        per_token_s=st.sampled_from([0.0001, 0.001]),
        per_event_s=st.sampled_from([0.0, 0.0005]),
    ),
    spread=st.lists(st.sampled_from([0.2, 0.9, 1.0, 1.1, 8.0]), min_size=1, max_size=5).map(tuple),
    belief=st.sampled_from([None, 0.1, 1.0, 1.0, 20.0]),
    learns=st.booleans(),
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Work]:
    """Let works arrive, often several at a time."""
    works, now = [], NOW
    for number in range(draw(st.integers(1, 60))):
        now += draw(gaps)
        works.append(
            work(
                draw(tokens),
                arrival=now,
                budget=draw(budgets),
                priority=draw(st.integers(0, 9)),
                on_overload=draw(policies),
                handle=number,
            )
        )
    return works


loads = {"works": arrivals(), "limits": scheduler_settings, "device": devices}


def simulate(
    works: Sequence[Work], limits: SchedulerSettings, device: Device, latency_s: float = 0.0
) -> Trace:
    """Run works on a device."""
    return Simulation(limits, EFFORTS, device.cost(), device.run_times(), latency_s=latency_s).run(
        works
    )


@given(**loads, latency_s=st.sampled_from([0.0, 0.001, 0.03]))
@settings(max_examples=150, deadline=None)
def test_every_work_ends_once(
    works: list[Work], limits: SchedulerSettings, device: Device, latency_s: float
) -> None:
    """It ran in one batch or was shed, never both; and nothing ends that did not arrive."""
    trace = simulate(works, limits, device, latency_s)
    assert Counter(one.work.handle for one in trace.outcomes) == Counter(range(len(works)))
    ran = [one for one in trace.outcomes if one.effort is not None]
    assert sum(batch.events for batch in trace.batches) == len(ran)
    assert sum(batch.tokens for batch in trace.batches) == sum(one.work.tokens for one in ran)


@given(**loads)
@settings(max_examples=100, deadline=None)
def test_batches_keep_to_their_bounds(
    works: list[Work], limits: SchedulerSettings, device: Device
) -> None:
    """Only a single longer work may exceed the tokens; one batch runs at a time."""
    trace = simulate(works, limits, device)
    free_at = NOW
    for batch in trace.batches:
        assert 1 <= batch.events <= limits.max_batch_events
        assert batch.tokens <= limits.max_batch_tokens or batch.events == 1
        assert batch.started >= free_at - EPSILON
        free_at = batch.started + batch.seconds


@given(**loads)
@settings(max_examples=150, deadline=None)
def test_each_policy_is_kept(works: list[Work], limits: SchedulerSettings, device: Device) -> None:
    """Late works are neither shed nor degraded, ``shed`` works never degraded; all is explained."""
    for one in simulate(works, limits, device).outcomes:
        policy = one.work.on_overload
        assert one.degraded is (one.effort in {"early_exit", "low"})
        assert (one.reason is not None) is (one.degraded or one.effort is None)
        assert not one.degraded or policy is OverloadPolicy.DEGRADE
        assert one.effort is not None or policy is not OverloadPolicy.LATE
        assert one.effort is not None or not one.on_time


def exact(device: Device) -> Device:
    """Return a device that takes what the scheduler believes, always."""
    return replace(device, spread=(1.0,), belief=1.0, learns=False)


def _ran(trace: Trace) -> Iterator[tuple[SimulatedBatch, list[Outcome]]]:
    """Yield each batch with what became of its works."""
    ran = iter([one for one in trace.outcomes if one.effort is not None])
    for batch in trace.batches:
        yield batch, [next(ran) for _ in range(batch.events)]


@given(**loads)
@settings(max_examples=150, deadline=None)
def test_what_cannot_be_met_is_never_given_full_effort(
    works: list[Work], limits: SchedulerSettings, device: Device
) -> None:
    """But by the policy ``late``, or to learn what things cost when nothing has run for a second.

    Where costs are what the scheduler believes, whatever it runs but for these is on time.
    """
    # A batch may be formed while another runs, whose cost is not known yet.
    known_at = ended = -math.inf
    for batch, outcomes in _ran(simulate(works, limits, exact(device))):
        is_probe = batch.events == 1 and batch.started - known_at >= CURIOUS_AFTER_S - EPSILON
        for one in outcomes:
            if one.work.on_overload is not OverloadPolicy.LATE and not is_probe:
                assert one.on_time
        known_at, ended = ended, batch.started + batch.seconds


@given(
    load=st.sampled_from([2.0, 5.0]),
    budget=st.sampled_from([0.1, 0.15]),
    flood_policy=st.sampled_from([OverloadPolicy.SHED, OverloadPolicy.LATE]),
    policy=policies,
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_flood_of_high_priority_starves_nobody(
    load: float, budget: float, flood_policy: OverloadPolicy, policy: OverloadPolicy, seed: int
) -> None:
    """Three works of the lowest priority, due long after the flood, get their turns by age.

    By weight alone the second would wait until 512 times as much of the flood had been served.
    """
    curve = Coefficients(0.005, 0.001)
    batch_s = curve.seconds(MOST_TOKENS, MOST_EVENTS)
    dice = Random(seed)  # noqa: S311 - no secret
    moments = [dice.uniform(0, 2.0) for _ in range(round(2.0 * load * MOST_EVENTS / batch_s))]
    flood = [
        work(10, arrival=NOW + at, budget=budget, priority=9, on_overload=flood_policy)
        for at in moments
    ]
    came = NOW + 0.3
    few = [
        work(10, arrival=came, budget=9.0, priority=0, on_overload=policy, handle="few")
        for _ in range(3)
    ]
    limits = SchedulerSettings(max_batch_tokens=MOST_TOKENS, max_batch_events=MOST_EVENTS)
    device = Device(curve, spread=(1.0,), belief=1.0, learns=False)
    trace = simulate(sorted([*flood, *few], key=lambda one: one.arrival), limits, device)
    found = [one for one in trace.outcomes if one.work.handle == "few"]
    assert all(one.on_time for one in found)
    patience_s = limits.ageing_ms / 1e3 + 2 * batch_s
    for number, one in enumerate(found, 1):
        assert one.ended <= came + number * patience_s


@given(**loads)
@settings(max_examples=150, deadline=None)
def test_a_free_device_and_a_waiting_work_never_meet(
    works: list[Work], limits: SchedulerSettings, device: Device
) -> None:
    """While the device idles, every work that has arrived has ended or is yet to arrive."""
    trace = simulate(works, limits, device)
    waits = list(_waits(trace))
    busy_until = NOW
    for batch in trace.batches:
        for arrived, left in waits:
            idle_together = min(batch.started, left) - max(busy_until, arrived)
            assert idle_together <= EPSILON
        busy_until = batch.started + batch.seconds


def _waits(trace: Trace) -> Iterator[tuple[float, float]]:
    """Yield when each work arrived and when it left the queue."""
    batches = iter(trace.batches)
    batch, place = None, 0
    for one in trace.outcomes:
        if one.effort is None:
            yield one.work.arrival, one.ended
            continue
        if batch is None or place == batch.events:
            batch, place = next(batches), 0
        place += 1
        yield one.work.arrival, batch.started


@given(**loads)
@settings(max_examples=60, deadline=None)
def test_the_same_load_has_the_same_outcome(
    works: list[Work], limits: SchedulerSettings, device: Device
) -> None:
    """Nothing depends on anything but the clock: no randomness, no order of a set."""
    first, second = (simulate(works, limits, device) for _ in range(2))
    assert first.batches == second.batches
    assert [(one.work.handle, one.ended, one.effort) for one in first.outcomes] == [
        (one.work.handle, one.ended, one.effort) for one in second.outcomes
    ]


class NotingEngine(FakeEngine):
    """Remembers what it ran."""

    def __init__(self, clock: ManualClock, poison: Poison) -> None:
        super().__init__(
            cost=lambda size, events, effort: FACTORS[effort.name] * (0.01 + 0.001 * size),  # noqa: ARG005
            spend=clock.advance,
            poison=poison,
        )
        self.ran: set[tuple[int, ...]] = set()

    def run(self, prepared: tuple[tuple[int, ...], ...], effort: EffortLevel) -> list[Prediction]:
        """Answer from the token ids."""
        self.ran.update(prepared)
        return super().run(prepared, effort)


@st.composite
def scripts(draw: st.DrawFn) -> list[Any]:
    """Write down offers of works (as fields), withdrawals (as a digit) and pauses (``None``)."""
    offer = st.lists(
        st.fixed_dictionaries(
            {
                "size": st.integers(2, 30),
                "budget": budgets,
                "priority": st.integers(0, 9),
                "on_overload": policies,
                "poisoned": st.sampled_from([False] * 5 + [True]),
            }
        ),
        min_size=1,
        max_size=8,
    )
    return draw(st.lists(st.one_of(offer, st.none(), st.integers(0, 9)), max_size=12))


@given(
    script=scripts(),
    limits=scheduler_settings,
    poison=st.sampled_from([Poison(), Poison(in_prepare=True), Poison("nan"), Poison("short")]),
)
@settings(max_examples=80, deadline=None)
def test_a_completion_carries_its_own_works_answer(
    script: list[Any], limits: SchedulerSettings, poison: Poison
) -> None:
    """Whatever the batching, with poisoned events among them, and some taken back."""
    clock = ManualClock()
    engine = NotingEngine(clock, poison)
    offered, withdrawn, completions = asyncio.run(_play(script, limits, engine, clock))
    ended = [one.handle for one in withdrawn] + [one.work.handle for one in completions]
    assert Counter(ended) == Counter(one.handle for one in offered)
    for one in withdrawn:
        assert one.encoded.data not in engine.ran
    for completion in completions:
        _check(completion, engine)
    for events, size, _ in engine.batches:
        assert events <= limits.max_batch_events
        assert size <= limits.max_batch_tokens


@given(
    both=st.tuples(scripts(), scripts()),
    limits=scheduler_settings,
    poison=st.sampled_from([Poison(), Poison(in_prepare=True), Poison("nan"), Poison("short")]),
)
@settings(max_examples=60, deadline=None)
def test_models_on_one_device_answer_their_own_works(
    both: tuple[list[Any], list[Any]], limits: SchedulerSettings, poison: Poison
) -> None:
    """Each work ends once, by its own model; a poisoned one harms neither model's others."""
    clock = ManualClock()
    engines = [NotingEngine(clock, poison) for _ in both]
    played = asyncio.run(_play_together(both, limits, engines, clock))
    for engine, (offered, withdrawn, completions) in zip(engines, played, strict=True):
        ended = [one.handle for one in withdrawn] + [one.work.handle for one in completions]
        assert Counter(ended) == Counter(one.handle for one in offered)
        own = {one.encoded.data for one in offered}
        assert engine.ran <= own
        for completion in completions:
            _check(completion, engine)


def _check(completion: Completion, engine: NotingEngine) -> None:
    ids = completion.work.encoded.data
    if completion.effort is None:
        assert completion.reason is not None
        assert completion.prediction is completion.error is None
        assert ids not in engine.ran
    elif POISON in ids:
        assert completion.prediction is None
        assert isinstance(completion.error, Exception)
    else:
        assert completion.error is None
        assert completion.prediction == engine.answer(ids, completion.effort)


async def _play(
    script: list[Any], limits: SchedulerSettings, engine: NotingEngine, clock: ManualClock
) -> tuple[list[Work], list[Work], list[Completion]]:
    """Return what was offered, what was taken back and what completed."""
    (played,) = await _play_together([script], limits, [engine], clock)
    return played


async def _play_together(
    scripts: Sequence[list[Any]],
    limits: SchedulerSettings,
    engines: Sequence[NotingEngine],
    clock: ManualClock,
) -> list[tuple[list[Work], list[Work], list[Completion]]]:
    """Let schedulers that share a device play a script each, in turns."""
    clock.drive(asyncio.get_running_loop())
    device = SharedDevice(clock, device_timeout_ms=60_000)
    played: list[tuple[list[Work], list[Work], list[Completion]]] = []
    schedulers = []
    for engine in engines:
        played.append(([], [], []))
        deliver = played[-1][2].extend
        schedulers.append(Scheduler(engine, limits, clock, deliver, device=device))
        await schedulers[-1].start()
    for number, steps in enumerate(zip_longest(*scripts)):
        for model, step in enumerate(steps):
            if number >= len(scripts[model]):
                continue
            if step is None:
                await asyncio.sleep(0)
            else:
                _take_step(step, schedulers[model], played[model], clock, first=100 * model)
    for scheduler in schedulers:
        assert await scheduler.drain(1e6)
        await scheduler.close()
    return played


def _take_step(
    step: int | list[dict[str, Any]],
    scheduler: Scheduler,
    played: tuple[list[Work], list[Work], list[Completion]],
    clock: ManualClock,
    *,
    first: int,
) -> None:
    """Offer works, numbered from ``first`` on, or take back those whose number ends in a digit."""
    offered, withdrawn, _ = played
    if isinstance(step, int):
        withdrawn += scheduler.withdraw(lambda one: one.handle % 10 == step)
        return
    works = [
        _to_work(fields, number, clock) for number, fields in enumerate(step, first + len(offered))
    ]
    offered += works
    scheduler.offer(works)


def _to_work(fields: dict[str, Any], number: int, clock: ManualClock) -> Work:
    """Make a work whose token ids are its own."""
    last = POISON if fields["poisoned"] else 0
    return work(
        ids=(number + 70_000, *[1] * (fields["size"] - 2), last),
        arrival=clock.monotonic(),
        budget=fields["budget"],
        priority=fields["priority"],
        on_overload=fields["on_overload"],
        handle=number,
    )
