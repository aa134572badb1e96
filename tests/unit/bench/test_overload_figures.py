"""What is made of endings: rows, a plot, and a judgement."""

from xml.etree import ElementTree as ET

import msgspec
import pytest
from overload_loads import Arrival
from overload_plot import plot
from overload_report import WORST, Row, macro_f1, percentile, pooled, row
from overload_runs import Ending
from overload_targets import targets
from overload_texts import Texts

from inference.engine import Encoded

TEXTS = Texts(
    [Encoded(10, None)] * 4,
    labels=[0, 1, 0, 1],
    answers={"full": [0, 1, 0, 0], "low": [1, 1, 0, 0]},
)


def ending(at_s: float, text: int, latency_s: float | None, *, effort: str = "full") -> Ending:
    """Return what became of an event with a budget of 100 ms; shed without a latency."""
    on_time = latency_s is not None and latency_s <= 0.1
    answer = None if latency_s is None else TEXTS.answers[effort][text]
    return Ending(
        Arrival(at_s, text, 0.1, 4),
        latency_s,
        on_time,
        on_time and effort != "full",
        effort,
        answer,
    )


def of(*endings: Ending, **fields: object) -> Row:
    """Sum up."""
    named = {"scenario": "poisson", "policy": "headrace degrade", "load": 1.0, "repeat": 0}
    return row(endings, TEXTS, 2, **named | fields)


def test_a_row_counts_each_event_once():
    """On time in full, on time at lower effort, late, shed."""
    found = of(
        ending(1.0, 0, 0.02),
        ending(1.5, 0, 0.04, effort="low"),
        ending(2.0, 1, 0.30),
        ending(2.5, 3, None),
    )
    assert (found.events, found.on_time, found.degraded) == (4, 0.5, 0.25)
    assert (found.late, found.shed) == (0.25, 0.25)
    assert found.offered_per_s == pytest.approx(4 / 2.0)
    assert found.on_time_per_s == pytest.approx(2 / 2.0)
    assert (found.p50_ms, found.p99_ms) == pytest.approx((40, 300))
    assert found.agreement == 0.5
    assert found.gap_s == pytest.approx(2.5 - 1.54)


def test_what_arrives_while_the_queue_settles_is_not_counted():
    """Under overload the first events find it empty, and would flatter who collapses later."""
    found = of(ending(0.1, 0, 0.02), ending(0.4, 0, 0.02), ending(1.0, 1, 0.3))
    assert (found.events, found.on_time) == (1, 0.0)


def test_a_part_of_the_events_can_be_summed_up():
    """As of one priority."""
    found = of(ending(1.0, 0, 0.02), ending(1.1, 1, 0.3), counts=lambda one: one.text == 1)
    assert (found.events, found.late) == (1, 1.0)


def test_a_row_without_events_is_refused():
    """It would say nothing, and divide by nothing."""
    with pytest.raises(SystemExit, match="give a longer --seconds"):
        of(ending(0.1, 0, 0.02))


def test_quality_is_that_of_the_answers_on_time_beside_full_efforts_to_the_same_events():
    """The late one does not count; of the others full effort has one wrong, low effort two."""
    found = of(
        *(ending(1.0 + text, text, 0.02, effort="low") for text in range(4)), ending(5.0, 0, 0.9)
    )
    assert found.macro_f1 == macro_f1([1, 1, 0, 0], [0, 1, 0, 1], 2) == pytest.approx(0.5)
    assert found.macro_f1_full == macro_f1([0, 1, 0, 0], [0, 1, 0, 1], 2)
    assert found.macro_f1_full == pytest.approx((0.8 + 2 / 3) / 2)


def test_percentiles_are_values_that_were_measured():
    """The least that no more than the rest exceeds."""
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([float(each) for each in range(1, 101)], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) == WORST


def test_repeats_are_averaged_and_the_longest_gap_kept():
    """Events add up."""
    one = of(ending(1.0, 0, 0.02), ending(2.0, 0, 0.2))
    other = of(ending(1.0, 0, 0.02), ending(4.0, 0, 0.02), repeat=1)
    both = pooled([one, other])
    assert (both.events, both.on_time) == (4, 0.75)
    assert both.gap_s == max(one.gap_s, other.gap_s)


def sweep(**at: float) -> list[Row]:
    """Return rows of a run in which everything is as it should be, but for what is given."""
    good = of(ending(1.0, 0, 0.02), ending(2.0, 1, 0.02))
    rows = []
    for policy in ("headrace degrade", "headrace shed"):
        for scenario, load in (
            ("poisson", 0.5),
            ("poisson", 1.5),
            ("poisson", 3.0),
            ("bursts", 0.8),
            ("flood, high", 0.2),
            ("flood, low", 5.0),
        ):
            rows.append(
                msgspec.structs.replace(
                    good, scenario=scenario, policy=policy, load=load, on_time_per_s=100.0
                )
            )
    step = at.pop("step", None)
    return [
        msgspec.structs.replace(one, **at)
        if step and (one.scenario, one.policy, one.load) == step
        else one
        for one in rows
    ]


def test_all_targets_can_be_met():
    """One that could not would be no target."""
    assert all(one.met for one in targets(sweep(), {"half load": 0.01}))


@pytest.mark.parametrize(
    ("step", "wrong", "name"),
    [
        (("poisson", "headrace shed", 3.0), {"on_time_per_s": 94.0}, "on time/s at 3x"),
        (("poisson", "headrace degrade", 1.5), {"on_time": 0.98}, "on time at 1.5x"),
        (("poisson", "headrace degrade", 1.5), {"macro_f1": 0.1}, "macro-F1 lost"),
        (("bursts", "headrace degrade", 0.8), {"on_time": 0.998}, "misses at 0.8x"),
        (("bursts", "headrace shed", 0.8), {"on_time": 0.998}, "misses at 0.8x"),
        (("flood, high", "headrace shed", 0.2), {"on_time": 0.998}, "high priority"),
        (("flood, low", "headrace shed", 5.0), {"gap_s": 1.5}, "low priority"),
        (("poisson", "headrace degrade", 0.5), {"p99_ms": 41.0}, "99th percentile"),
    ],
)
def test_each_target_can_be_missed(step: tuple[str, str, float], wrong: dict, name: str):
    """By what it is about, and by nothing else."""
    found = targets(sweep(step=step, **wrong), {"half load": 0.01})
    assert [one.met for one in found if one.name.startswith(name)].count(False) == 1
    assert [one.met for one in found].count(False) == 1


def test_the_schedulers_own_share_of_a_core_is_judged():
    """5 % and not more."""
    found = targets(sweep(), {"half load": 0.049, "twice the capacity": 0.051})
    assert [one.met for one in found[-2:]] == [True, False]


def test_what_was_not_measured_is_neither_met_nor_missed():
    """As when other loads were asked for."""
    assert {one.met for one in targets([of(ending(1.0, 0, 0.02))], {})} == {None}


def test_the_plot_has_a_line_for_each_policy():
    """And is well-formed, whatever the caption says."""
    rows = [
        msgspec.structs.replace(of(ending(1.0, 0, 0.02)), policy=policy, load=load)
        for policy in ("ours", "theirs")
        for load in (0.5, 1.0, 2.0)
    ]
    drawn = ET.fromstring(plot(rows, "poisson", 100.0, "a < b & c"))  # noqa: S314 - our own
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "a < b & c" in texts
    assert {"ours", "theirs"} <= set(texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 6
