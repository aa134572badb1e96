"""Whatever comes in whatever order: one end for each work, and the newest about a subject runs."""

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.cost import Coefficients
from inference.settings import SchedulerSettings
from inference.simulation import Simulation, Trace
from inference.work import OverloadPolicy, Subject, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.works import NOW, FixedCost, work

FACTORS = {"full": 1.0, "early_exit": 0.6, "low": 0.3}
CURVE = Coefficients(0.004, 0.0005, 0.001)
subjects = st.one_of(st.none(), st.tuples(st.integers(0, 4), st.booleans()))


@st.composite
def arrivals(draw: st.DrawFn) -> list[Work]:
    """Let drafts, last words and works about nothing arrive, often several at a time."""
    works, now = [], NOW
    for number in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.3]))
        about = draw(subjects)
        works.append(
            work(
                draw(st.integers(1, 12)),
                arrival=now,
                budget=draw(st.sampled_from([-0.1, 0.004, 0.02, 0.1, 1.0])),
                priority=draw(st.sampled_from([3, 4, 8])),
                on_overload=draw(st.sampled_from(OverloadPolicy)),
                handle=number,
                subject=about and Subject(about[0], f"work {number}.", is_final=about[1]),
            )
        )
    return works


def simulate(works: list[Work], max_batch_events: int) -> Trace:
    """Run works on a device."""
    limits = SchedulerSettings(max_batch_tokens=40, max_batch_events=max_batch_events)
    seconds = lambda tokens, events, effort: CURVE.seconds(tokens, events) * FACTORS[effort]  # noqa: E731
    return Simulation(limits, EFFORTS, FixedCost(CURVE, FACTORS), seconds).run(works)


@given(works=arrivals(), max_batch_events=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_every_work_ends_once_and_only_drafts_are_superseded(
    works: list[Work], max_batch_events: int
) -> None:
    """And each by a work about the same subject: a later one, or a last word before it."""
    trace = simulate(works, max_batch_events)
    assert Counter(one.work.handle for one in trace.outcomes) == Counter(range(len(works)))
    for one in trace.outcomes:
        if one.reason is None or not one.reason.startswith("superseded"):
            continue
        subject = one.work.subject
        assert subject is not None
        assert not subject.is_final
        other = works[int(one.reason.split("work ")[1].rstrip("."))]
        assert other.subject is not None
        assert other.subject.key == subject.key
        assert other.handle > one.work.handle or other.subject.is_final
        assert one.effort is None


@given(works=arrivals(), max_batch_events=st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_the_newest_of_a_subject_is_run_or_shed_for_its_own_sake(
    works: list[Work], max_batch_events: int
) -> None:
    """What comes last about a subject without a last word is superseded by nothing."""
    trace = simulate(works, max_batch_events)
    ends = {one.work.handle: one for one in trace.outcomes}
    by_subject = defaultdict(list)
    for one in works:
        if one.subject is not None:
            by_subject[one.subject.key].append(one)
    for about in by_subject.values():
        if any(one.subject.is_final for one in about):
            continue
        reason = ends[about[-1].handle].reason
        assert reason is None or not reason.startswith("superseded")
