"""Loads through policies, on a simulated device and on an engine in real time."""

from collections import Counter
from pathlib import Path

import pytest
from overload_cpu import SleepingEngine, cpu_per_event
from overload_loads import Arrival, arrivals
from overload_report import row
from overload_runs import LEAD_S, POLICIES, LiveRuns, Policy, SimulatedRuns, capacity
from overload_texts import Texts, read_texts

from inference.cost import Coefficients
from inference.curve import Curve
from inference.engine import Encoded
from inference.settings import SchedulerSettings
from streams.planning.arrivals import poisson
from tests.fakes.engine import EFFORTS, LABELS, FakeEngine

CURVE = Curve(
    {
        name: Coefficients(0.002, 0.00005 * factor, 0.0001 * factor)
        for name, factor in (("full", 1.0), ("early_exit", 0.6), ("low", 0.35))
    },
    noise=0.05,
)
"""About 900 events a second."""
TEXTS = Texts(
    [Encoded(20, (7,) * 20)] * 3, labels=None, answers={each.name: [0, 1, 2] for each in EFFORTS}
)
SETTINGS = SchedulerSettings(warmup_ms=50.0)

pytestmark = pytest.mark.usefixtures("rivals")


def simulated() -> SimulatedRuns:
    """Return runs on the simulated device."""
    return SimulatedRuns(CURVE, EFFORTS, TEXTS, SETTINGS)


async def test_capacity_is_what_a_backlog_is_worked_off_at():
    """In batches of 128: 128 events in 0.1428 s."""
    full = CURVE.efforts["full"].seconds(128 * 20, 128)
    assert await capacity(simulated(), 3, 128 * 10, 3) == pytest.approx(128 / full, rel=0.05)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
async def test_every_event_has_one_ending_under_every_policy(policy: Policy):
    """At three times the capacity."""
    load = arrivals(poisson(2_700, 0.7, seed=1), 3, (0.05, 0.15), seed=1)
    endings = await simulated().run(policy, load, seed=1)
    assert Counter(id(one.arrival) for one in endings) == Counter(id(one) for one in load)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
async def test_the_same_seed_gives_the_same_endings(policy: Policy):
    """In simulated time nothing is left to chance."""
    load = arrivals(poisson(1_800, 0.3, seed=1), 3, (0.15,), seed=1)
    first, second = [await simulated().run(policy, load, seed=1) for _ in range(2)]
    assert first == second


async def test_overload_tells_the_policies_apart():
    """At three times the capacity shedding keeps it, EDF without admission loses it."""
    load = arrivals(poisson(2_700, 1.5, seed=1), 3, (0.15,), seed=1)
    shares = {}
    for name in ("headrace shed", "plain EDF", "static FIFO"):
        endings = await simulated().run(POLICIES[name], load, seed=1)
        named = {"scenario": "poisson", "policy": name, "load": 3.0, "repeat": 0}
        shares[name] = row(endings, TEXTS, 3, **named).on_time
    assert shares["headrace shed"] > 0.25
    assert shares["plain EDF"] < 0.1
    assert shares["static FIFO"] < 0.1


async def test_degraded_answers_are_those_of_the_lower_effort():
    """As the engine gave them to each text beforehand."""
    texts = Texts(TEXTS.encoded, None, {"full": [0, 0, 0], "early_exit": [1, 1, 1], "low": [2] * 3})
    runs = SimulatedRuns(CURVE, EFFORTS, texts, SETTINGS)
    load = arrivals(poisson(1_800, 0.7, seed=1), 3, (0.15,), seed=1)
    endings = await runs.run(POLICIES["headrace degrade"], load, seed=1)
    assert {one.answer for one in endings if one.degraded} <= {1, 2}
    assert {one.answer for one in endings if one.effort == "full"} == {0}
    assert any(one.degraded for one in endings)


def test_a_curve_can_be_kept_in_a_file(tmp_path: Path):
    """To simulate the same device again."""
    CURVE.save(tmp_path / "curve.json")
    assert Curve.read(tmp_path / "curve.json") == CURVE


async def test_on_an_engine_latency_counts_from_when_an_event_was_due():
    """An event that was due half a second ago has waited for that long, whoever is to blame."""
    engine = FakeEngine()
    runs = LiveRuns(engine, TEXTS, SETTINGS)
    await runs.start()
    load = [Arrival(-0.5, 0, 9.0, 4), Arrival(0.0, 1, 9.0, 4), Arrival(0.0, 2, 0.003, 4)]
    endings = await runs.run(POLICIES["headrace degrade"], load, seed=1)
    await runs.close()
    assert len(endings) == 3
    by_text = {one.arrival.text: one for one in endings}
    # Sent when the load was asked for, at the earliest.
    assert by_text[0].latency_s >= 0.5 - LEAD_S
    assert by_text[0].on_time
    # 3 ms are less than publishing takes.
    assert not by_text[2].on_time
    wanted = engine.answer((7,) * 20, EFFORTS[0]).scores
    assert by_text[1].answer == max(range(len(LABELS)), key=wanted.__getitem__)


async def test_what_is_never_answered_is_late_not_lost():
    """A device that runs for long leaves the rest of its queue behind at the end of the run."""
    engine = SleepingEngine({"full": Coefficients(0.4)}, EFFORTS[:1])
    settings = SchedulerSettings(warmup_ms=0.0, max_batch_events=1)
    runs = LiveRuns(engine, Texts(TEXTS.encoded, None), settings)
    load = [Arrival(0.0, 0, 0.05, 4) for _ in range(6)]
    await runs.start()
    endings = await runs.run(POLICIES["plain EDF"], load, seed=1)
    await runs.close()
    assert len(endings) == 6
    assert not any(one.on_time for one in endings)
    assert sum(one.effort is None and one.latency_s is not None for one in endings) >= 3


async def test_scheduling_costs_something_but_sleeping_does_not():
    """A batch that sleeps for a tenth of a second is not counted as the scheduler's."""
    engine = SleepingEngine({"full": Coefficients(0.1)}, EFFORTS[:1])
    load = arrivals(poisson(200, 0.3, seed=1), 3, (9.0,), seed=1)
    settings = SchedulerSettings(warmup_ms=0.0)
    seconds = await cpu_per_event(POLICIES["headrace shed"], load, TEXTS, settings, engine)
    assert 0.0 <= seconds < 0.001


def test_labels_must_be_the_models(tmp_path: Path):
    """A figure of other labels' F1 would mean nothing."""
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "up", "label": "positive"}\n{"text": "so", "label": "so-so"}\n')
    with pytest.raises(SystemExit, match="label 'so-so' is none of the model's: negative"):
        read_texts(FakeEngine(), path, labelled=True, seed=1)
    path.write_text('{"text": "up", "label": "positive"}\n')
    assert read_texts(FakeEngine(), path, labelled=True, seed=1).labels == [2]
    path.write_text('{"text": "up"}\n')
    assert read_texts(FakeEngine(), path, labelled=True, seed=1).labels is None
