"""The arrivals that policies are compared under."""

from pathlib import Path

import pytest
from overload_loads import Log, arrivals, read_log
from overload_scenarios import HIGH, LOW, scenarios

from streams.planning.arrivals import bursts, poisson


def test_poisson_arrivals_come_at_the_rate_asked_for():
    """Within four standard deviations of a Poisson count of 10,000."""
    times = poisson(1_000, 10.0, seed=3)
    assert len(times) == pytest.approx(10_000, abs=400)
    assert times == sorted(times)
    assert times[0] > 0.0
    assert times[-1] < 10.0


def test_the_same_seed_gives_the_same_arrivals():
    """Policies are compared under the same ones; another seed gives others."""
    for draw in (poisson, bursts):
        assert draw(500, 2.0, seed=1) == draw(500, 2.0, seed=1)
        assert draw(500, 2.0, seed=1) != draw(500, 2.0, seed=2)


def test_bursts_keep_the_average_and_crowd_half_of_the_events_into_a_fifth_of_the_time():
    """2.5 times the average for 100 of every 500 ms."""
    times = bursts(2_000, 20.0, seed=1)
    assert times == sorted(times)
    assert len(times) == pytest.approx(40_000, rel=0.03)
    crowded = sum(time % 0.5 < 0.1 for time in times)
    assert crowded / len(times) == pytest.approx(0.5, abs=0.02)


def test_arrivals_draw_texts_and_budgets():
    """All of them come up, and nothing else."""
    drawn = arrivals([0.1] * 200, 3, (0.05, 1.0), seed=1, priority=7)
    assert {one.text for one in drawn} == {0, 1, 2}
    assert {one.budget_s for one in drawn} == {0.05, 1.0}
    assert {(one.at_s, one.priority) for one in drawn} == {(0.1, 7)}


def test_a_log_is_run_at_the_speed_that_makes_the_rate():
    """Ten events within 9 s, at ten a second: its gaps shrink to a tenth."""
    log = Log([0.0, 1.0, 1.0, 2.0, 3.0, 5.0, 6.0, 6.0, 8.0, 9.0])
    times = log.at(10.0, 0.95)
    assert times == pytest.approx([0.0, 0.1, 0.1, 0.2, 0.3, 0.5, 0.6, 0.6, 0.8, 0.9])


def test_a_log_begins_again_when_it_ends():
    """For as long as is asked, at the same rate all the time."""
    log = Log([0.0, 1.0, 1.5, 3.0])
    times = log.at(40.0, 5.0)
    assert times == sorted(times)
    assert len(times) == pytest.approx(200, abs=4)
    assert times[-1] < 5.0


def test_log_times_may_be_milliseconds_or_iso(tmp_path: Path):
    """Both of one log, out of order."""
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"ts_ms": 1500, "text": "b"}\n{"timestamp": "1970-01-01T00:00:01+00:00", "text": "a"}\n'
    )
    assert read_log(path).times == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"text": "no time"}\n', r"log.jsonl:1: its time is None; give milliseconds"),
        ('{"ts_ms": 5}\n{"ts_ms": "soon"}\n', r"log.jsonl:2: its time is 'soon'"),
        ('{"ts_ms": 5}\n{"ts_ms": 5}\n', r"spans no time; give a log with lines"),
    ],
)
def test_a_log_without_times_is_refused(tmp_path: Path, lines: str, said: str):
    """With the line and what to give instead."""
    path = tmp_path / "log.jsonl"
    path.write_text(lines)
    with pytest.raises(SystemExit, match=said):
        read_log(path)


def test_scenarios_are_a_sweep_a_load_in_bursts_and_a_flood():
    """In the flood a few urgent events are among 25 times as many of low priority."""
    found = scenarios(1_000, (0.5, 2.0), seconds=4.0, texts=5, budgets_s=(0.1,), log=None)
    named = [[(name, load) for name, load, _ in one.parts] for one in found]
    assert named == [
        [("poisson", 0.5)],
        [("poisson", 2.0)],
        [("bursts", 0.8)],
        [("flood, high", 0.2), ("flood, low", 5.0)],
    ]
    sizes = [len(one.draw(1)) for one in found]
    assert sizes == pytest.approx([2_000, 8_000, 3_200, 20_800], rel=0.1)
    flood = found[-1].draw(1)
    (_, _, of_high), (_, _, of_low) = found[-1].parts
    assert {one.priority for one in flood if of_high(one)} == {HIGH}
    assert {one.priority for one in flood if of_low(one)} == {LOW}
    assert [one.at_s for one in flood] == sorted(one.at_s for one in flood)
