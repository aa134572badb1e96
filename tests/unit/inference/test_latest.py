"""Newest wins: what is superseded, by what, and whose turn it stays."""

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest

from inference.cost import Coefficients
from inference.dispatch import Dispatch
from inference.latest import FINAL_S, Latest
from inference.queue import DeadlineQueue
from inference.settings import SchedulerSettings
from inference.simulation import Trace
from inference.work import PRIORITY_LEVELS, OverloadPolicy, Subject, Work
from tests.fakes.engine import EFFORTS
from tests.fakes.loads import SimulatedDevice
from tests.fakes.works import NOW, FixedCost, work


def about(
    key: object, name: str = "event 'new'", *, is_final: bool = False, **fields: object
) -> Work:
    """Make a work about something."""
    subject = Subject(key, name, is_final=is_final)
    return work(subject=subject, **fields)  # type: ignore[arg-type]


def waiting(queue: DeadlineQueue) -> list[object]:
    """Return the handles of what waits, line by line, in order."""
    return [entry.work.handle for line in queue.lines for entry in line.entries]


@pytest.fixture
def queue() -> DeadlineQueue:
    """An empty queue."""
    return DeadlineQueue(1_000, [1.0] * PRIORITY_LEVELS)


@pytest.fixture
def latest(queue: DeadlineQueue) -> Latest:
    """What fills it."""
    return Latest(queue)


def test_the_older_work_about_a_subject_makes_room_and_is_told_for_what(
    queue: DeadlineQueue, latest: Latest
) -> None:
    """One waits per subject; others, and works without a subject, are left alone."""
    old = about("a", handle="a1")
    for one in (old, about("b", handle="b1"), work(handle="x"), work(handle="y")):
        assert latest.admit(one, NOW) is None
    superseded = latest.admit(about("a", "event 'a2'", handle="a2", tokens=20), NOW)
    assert superseded is not None
    assert superseded.work is old
    assert superseded.reason == "superseded while it waited by event 'a2'"
    assert sorted(map(str, waiting(queue))) == ["a2", "b1", "x", "y"]
    assert (len(queue), queue.tokens) == (4, 50)


def test_a_successor_takes_over_the_turn_and_keeps_its_own_deadline(
    queue: DeadlineQueue, latest: Latest
) -> None:
    """It waits where the first of its subject began to wait."""
    for number, key in enumerate("abc"):
        latest.admit(about(key, arrival=NOW + number / 100, handle=key), NOW)
    latest.admit(about("a", arrival=NOW + 0.05, handle="A"), NOW + 0.05)
    assert waiting(queue) == ["A", "b", "c"]
    (line,) = queue.lines
    assert line.entries[0].place == NOW + 0.1
    assert line.entries[0].due == pytest.approx(NOW + 0.15)
    queue.reprice(0.001)
    assert waiting(queue) == ["A", "b", "c"]
    assert line.entries[0].due == pytest.approx(NOW + 0.15 - 0.01)


def test_a_more_urgent_successor_comes_by_its_own_deadline(
    queue: DeadlineQueue, latest: Latest
) -> None:
    """A turn is never later than what holds it is due."""
    latest.admit(about("a", budget=9.0), NOW)
    latest.admit(work(budget=0.5, handle="b"), NOW)
    latest.admit(about("a", budget=0.1, handle="A"), NOW)
    assert waiting(queue) == ["A", "b"]


def test_a_successor_may_be_of_another_priority(queue: DeadlineQueue, latest: Latest) -> None:
    """It leaves the one line and joins the other, with its turn."""
    latest.admit(about("a", priority=2), NOW)
    latest.admit(about("a", priority=7, handle="A"), NOW)
    assert [(line.priority, len(line.entries)) for line in queue.lines] == [(7, 1)]


def test_a_final_work_is_never_superseded_and_ends_its_subject(
    queue: DeadlineQueue, latest: Latest
) -> None:
    """It supersedes the draft that waits, and the drafts that come too late."""
    draft = about("a", handle="draft")
    latest.admit(draft, NOW)
    ended = latest.admit(about("a", "event 'end'", is_final=True, handle="end"), NOW)
    assert ended is not None
    assert ended.work is draft
    late = about("a", handle="late")
    superseded = latest.admit(late, NOW + 1)
    assert superseded is not None
    assert superseded.work is late
    assert superseded.reason == "superseded when it came by event 'end'"
    assert latest.admit(about("a", is_final=True, handle="again"), NOW + 2) is None
    assert waiting(queue) == ["end", "again"]


def test_a_last_word_is_forgotten_in_time(queue: DeadlineQueue, latest: Latest) -> None:
    """A source that counts from the start again is heard."""
    latest.admit(about("a", is_final=True), NOW)
    assert latest.admit(about("a", handle="new"), NOW + FINAL_S + 1) is None
    assert "new" in waiting(queue)


def test_memory_is_bounded(queue: DeadlineQueue) -> None:
    """The last word that was the longest ago makes room."""
    latest = Latest(queue, most_subjects=3)
    for key in "abcd":
        latest.admit(about(key, is_final=True), NOW)
    assert latest.admit(about("a"), NOW) is None
    assert latest.admit(about("b"), NOW) is not None


def test_what_has_run_or_was_taken_back_is_superseded_no_more() -> None:
    """What is on the device completes."""
    settings = SchedulerSettings()
    dispatch = Dispatch(settings, EFFORTS, FixedCost(Coefficients(0.001)))
    dispatch.admit([about("a", handle="a1")], NOW)
    batch = dispatch.decide(NOW, NOW).batch
    assert batch is not None
    dispatch.launch(batch, NOW, started=NOW)
    assert dispatch.admit([about("a", handle="a2")], NOW) == []
    dispatch.withdraw(lambda _: True)
    assert dispatch.admit([about("a", handle="a3")], NOW) == []
    assert waiting(dispatch.queue) == ["a3"]


def test_a_shed_work_leaves_its_turn_to_the_next_of_its_subject() -> None:
    """It goes before those that came in between; a work that has run leaves nothing."""
    settings = SchedulerSettings(publish_reserve_ms=0.0)
    dispatch = Dispatch(settings, EFFORTS, FixedCost(Coefficients(0.001)))
    dispatch.admit([about("a", budget=0.0, handle="a1"), about("b", handle="b1")], NOW)
    decision = dispatch.decide(NOW, NOW)
    assert [shed.entry.work.handle for shed in decision.shed] == ["a1"]
    dispatch.admit([about("a", handle="a2", budget=5.0)], NOW)
    assert waiting(dispatch.queue) == ["a2", "b1"]
    batch = dispatch.decide(NOW, NOW).batch
    assert batch is not None
    dispatch.launch(batch, NOW, started=NOW)
    dispatch.admit([work(handle="c"), about("a", handle="a3", budget=5.0)], NOW)
    assert waiting(dispatch.queue) == ["c", "a3"]


SLOW = SimulatedDevice(Coefficients(0.004, 0.00004, 0.0001))
SECONDS = 2.0


def frames(
    rates: Sequence[float], budget: float, policy: OverloadPolicy, *, jitter: float, seed: int = 1
) -> list[Work]:
    """Let cameras send frames of 20 tokens, each at its own rate and from its own moment on."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    works = []
    for camera, rate in enumerate(rates):
        at = NOW + dice.random() / rate
        while at < NOW + SECONDS:
            late = dice.random() * jitter / rate
            subject = Subject(camera, f"camera {camera}")
            fields = {"budget": budget, "on_overload": policy, "handle": camera}
            works.append(work(20, arrival=at + late, subject=subject, **fields))  # type: ignore[arg-type]
            at += 1 / rate
    return sorted(works, key=lambda one: one.arrival)


def longest_gaps(trace: Trace) -> dict[object, float]:
    """Return for each camera the longest time in seconds without an answer in time."""
    moments = defaultdict(lambda: [NOW, NOW + SECONDS])
    for one in trace.outcomes:
        moments[one.work.handle]  # also those that were never answered
        if one.on_time:
            moments[one.work.handle].append(min(one.ended, NOW + SECONDS))
    return {
        camera: max(after - before for before, after in pairwise(sorted(each)))
        for camera, each in moments.items()
    }


@pytest.mark.parametrize("policy", [OverloadPolicy.SHED, OverloadPolicy.LATE])
@pytest.mark.parametrize("jitter", [0.0, 1.0], ids=["steady", "jittery"])
@pytest.mark.parametrize(
    ("rates", "budget"),
    [
        ([100.0] * 20 + [10.0] * 180, 0.1),
        ([5.0] * 350, 0.1),
        ([5.0] * 350, 0.6),
        ([200.0] * 5 + [50.0] * 50 + [4.0] * 200, 0.3),
    ],
    ids=["some-fast", "all-slow", "long-budget", "three-speeds"],
)
def test_no_camera_starves_because_others_are_faster(
    rates: Sequence[float], budget: float, policy: OverloadPolicy, jitter: float
) -> None:
    """Under overload cameras take turns: none waits for much longer than a round of all takes."""
    works = frames(rates, budget, policy, jitter=jitter)
    assert len(works) > 1.2 * SLOW.capacity * SECONDS
    trace = SLOW.simulate(works)
    assert len(trace.outcomes) == len(works)
    gaps = longest_gaps(trace)
    for camera, rate in enumerate(rates):
        assert gaps[camera] < 2.0 * len(rates) / SLOW.capacity + 2 / rate + budget, (camera, rate)


def test_a_last_word_that_was_answered_at_once_is_remembered_all_the_same(
    queue: DeadlineQueue, latest: Latest
) -> None:
    """It never waited, but what waits and what comes after it are superseded."""
    old = about("a", handle="a1")
    latest.admit(old, NOW)
    superseded = latest.settle(Subject("a", "event 'last'", is_final=True), NOW)
    assert superseded is not None
    assert superseded.work is old
    late = latest.admit(about("a", handle="a2"), NOW + 1)
    assert late is not None
    assert late.reason == "superseded when it came by event 'last'"
    assert waiting(queue) == []
