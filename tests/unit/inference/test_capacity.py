"""A whole worker over simulated time: its device, and the event loop around it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from inference.capacity import Answer, LoopCost, Memory, SimulatedWorker, WorkerTrace
from inference.cost import Coefficients
from inference.curve import Curve
from inference.settings import SchedulerSettings
from inference.simulation import Simulation
from inference.work import OverloadPolicy, Subject, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.loads import SimulatedDevice, arrivals
from tests.fakes.works import NOW, work

DEVICE = SimulatedDevice(Coefficients(0.0004, 0.000008, 0.00002))
"""About 5,500 events a second."""
LOOP = LoopCost(admit_s=40e-6, answer_s=60e-6, round_s=0.0005, fetch_s=0.003)
"""About 9,000 events a second."""
FREE = LoopCost(0.0, 0.0)
SECONDS = 2.0


def run(
    works: Sequence[Work], loop: LoopCost = LOOP, *, memory: Memory | None = None, seed: int = 1
) -> WorkerTrace:
    """Return what a worker makes of works."""
    simulation = Simulation(
        SchedulerSettings(), EFFORTS, DEVICE.warmed_up(), DEVICE.run_times(seed)
    )
    return SimulatedWorker(simulation, loop, memory, transit_s=0.002).run(works)


def missed(answers: Sequence[Answer]) -> float:
    """Return the share that was late or shed."""
    return fmean(one.missed for one in answers)


def shedding(share: float) -> list[Work]:
    """Return arrivals that ask for a share of the device and take full effort or nothing."""
    policies = (OverloadPolicy.SHED,)
    return arrivals(DEVICE.capacity * share, SECONDS, policies=policies)


def test_half_a_load_misses_nothing() -> None:
    """Every event is answered once, none before it came, in order of publication."""
    works = shedding(0.5)
    trace = run(works)
    assert missed(trace.answers) == 0.0
    assert sorted(id(one.work) for one in trace.answers) == sorted(map(id, works))
    published = [one.published for one in trace.answers]
    assert published == sorted(published)
    assert all(one.published > one.work.arrival + 0.002 for one in trace.answers)


def test_three_times_the_load_loses_two_thirds() -> None:
    """What one device can do is done, in time."""
    trace = run(shedding(3.0), FREE)
    assert missed(trace.answers) == pytest.approx(2 / 3, abs=0.06)
    assert trace.device_s == pytest.approx(SECONDS, rel=0.1)


def test_a_loop_that_is_too_slow_makes_events_late_though_the_device_rests() -> None:
    """It is the other server in the row."""
    slow = LoopCost(admit_s=0.0004, answer_s=0.0006)
    trace = run(shedding(0.5), slow)
    assert missed(trace.answers) > 0.5
    assert trace.device_s < 0.5 * SECONDS
    assert run(shedding(0.1), slow).loop_s == pytest.approx(0.001 * len(shedding(0.1)))


def test_rounds_of_fetching_make_batches() -> None:
    """Events that come one by one are still run together, as they are of a broker."""
    works = shedding(0.2)
    one_by_one, in_rounds = run(works, FREE), run(works, FREE._replace(fetch_s=0.010))
    assert in_rounds.batches < 0.5 * one_by_one.batches


def test_content_that_was_answered_before_needs_no_device() -> None:
    """As with the worker's cache, for as long as it keeps answers."""
    works = [replace(one, handle=b"same") for one in shedding(0.2)]

    def content_of(work: Work) -> bytes:
        content: bytes = work.handle
        return content

    trace = run(works, memory=Memory(600.0, content_of))
    assert fmean(one.known for one in trace.answers) > 0.9
    assert missed(trace.answers) == 0.0
    assert run(works, memory=Memory(0.0, content_of)).batches > 10 * trace.batches


def test_what_is_superseded_is_not_missed() -> None:
    """Nobody waits for it any more."""
    works = [
        work(20, arrival=NOW + 0.0001 * number, budget=0.05, subject=Subject("camera", str(number)))
        for number in range(20)
    ]
    trace = run(works)
    assert sum(one.superseded for one in trace.answers) > 10
    assert missed(trace.answers) == 0.0


def test_the_same_seed_gives_the_same_plan() -> None:
    """Two runs of a plan can be compared."""
    first, second, other = (run(shedding(0.9), seed=seed) for seed in (1, 1, 2))
    assert [one.published - one.work.arrival for one in first.answers] == [
        one.published - one.work.arrival for one in second.answers
    ]
    assert first.device_s != other.device_s


def test_a_curve_that_is_written_down_keeps_its_waiting(tmp_path: Path) -> None:
    """A simulation of it is the same again."""
    curve = Curve({"full": Coefficients(0.002, 0.00001, 0.0)}, noise=0.1, wait_s=0.001)
    curve.save(tmp_path / "curve.json")
    assert Curve.read(tmp_path / "curve.json") == curve
