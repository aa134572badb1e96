"""The auditor of the fault suite finds every way in which a promise can be broken."""

from dataclasses import replace

import pytest

from tests.faults.auditing import Findings, Promises, audit
from tests.faults.injecting import Done
from tests.faults.reading import Answer, Event
from tests.faults.recovery import recoveries
from tests.faults.sampling import Sample
from tests.faults.schedule import Fault, Kind

EVENTS = [Event(0, offset, 1_000 * offset, b"k", "result") for offset in range(5)]
ANSWERS = [
    Answer(0, offset, 1_000 * offset + 50, "result", "on_time", 150.0, f"id-{offset}", (0, offset))
    for offset in range(5)
]
AT_END = [Sample(9.0, {0: 5})]
STRICT = Promises(exactly_once=True, ordered=True)


def _broken(found: Findings, promises: Promises = STRICT) -> set[str]:
    return set(found.broken(promises))


def test_a_clean_run_breaks_nothing() -> None:
    """Each event answered once, in time and in order, and committed."""
    found = audit(EVENTS, ANSWERS, uncommitted=ANSWERS, samples=AT_END)
    assert _broken(found) == set()
    assert found.verdicts == {"on_time": 5}
    assert found.samples == 1


def test_an_event_without_an_answer_is_lost() -> None:
    """Whatever was committed."""
    found = audit(EVENTS, ANSWERS[:4], samples=AT_END)
    assert (found.lost, found.ahead) == (1, 1)
    assert _broken(found, Promises()) == {"lost", "ahead"}


def test_a_second_answer_breaks_exactly_once_alone() -> None:
    """As long as it has the same id."""
    again = replace(ANSWERS[2], at_ms=9_000, place=(0, 9))
    found = audit(EVENTS, [*ANSWERS, again], samples=AT_END)
    assert found.doubled == 1
    assert _broken(found, Promises()) == set()
    assert _broken(found) == {"doubled"}
    other = replace(again, id="other")
    assert _broken(audit(EVENTS, [*ANSWERS, other], samples=AT_END), Promises()) == {"other_ids"}


def test_aborted_answers_count_for_those_who_read_them() -> None:
    """They break nothing."""
    again = replace(ANSWERS[2], place=(0, 9))
    found = audit(EVENTS, ANSWERS, uncommitted=[*ANSWERS, again], samples=AT_END)
    assert found.doubled_uncommitted == 1
    assert _broken(found) == set()


def test_wrong_ends_are_found() -> None:
    """A dead letter for a good event, a result for a bad one, both for one, one for none."""
    letter = replace(ANSWERS[1], ends="poison", verdict="", id="")
    assert _broken(audit(EVENTS, [*ANSWERS[:1], letter, *ANSWERS[2:]])) == {"wrong_end"}
    bad = [*EVENTS[:4], replace(EVENTS[4], expect="invalid")]
    assert _broken(audit(bad, ANSWERS)) == {"wrong_end"}
    assert "both" in _broken(audit(EVENTS, [*ANSWERS, replace(letter, at_ms=9_000)]))
    stranger = replace(ANSWERS[0], offset=77, place=(0, 9))
    assert "strangers" in _broken(audit(EVENTS, [*ANSWERS, stranger]))


def test_order_is_looked_at_by_key_and_once() -> None:
    """A repetition of an earlier answer behind a later one is none out of order."""
    swapped = [replace(ANSWERS[1], place=(0, 2)), replace(ANSWERS[2], place=(0, 1))]
    answers = [ANSWERS[0], *swapped, *ANSWERS[3:]]
    assert audit(EVENTS, answers).reordered == 1
    assert _broken(audit(EVENTS, answers), Promises()) == set()
    assert _broken(audit(EVENTS, answers)) == {"reordered"}
    other_keys = [replace(event, key=str(event.offset).encode()) for event in EVENTS]
    assert audit(other_keys, answers).reordered == 0
    again = replace(ANSWERS[0], place=(0, 9), at_ms=9_000)
    assert audit(EVENTS, [*ANSWERS, again]).reordered == 0


@pytest.mark.parametrize(("at_s", "ahead"), [(2.0, 1), (2.049, 1), (2.05, 0), (3.0, 0)])
def test_a_commit_past_an_unfinished_event_is_found(at_s: float, ahead: int) -> None:
    """Offset 2 was answered at 2,050 ms: until then nobody may commit past it."""
    found = audit(EVENTS, ANSWERS, samples=[Sample(at_s, {0: 3}), *AT_END])
    assert found.ahead == ahead


def test_offsets_that_metadata_call_finished_are_answered() -> None:
    """They are as good as committed: nobody reads them again."""
    early, in_time = Sample(2.0, {0: 1}, ((0, 2),)), Sample(2.1, {0: 1}, ((0, 2),))
    assert audit(EVENTS, ANSWERS, samples=[early, *AT_END]).ahead == 1
    assert audit(EVENTS, ANSWERS, samples=[in_time, *AT_END]).ahead == 0
    assert audit(EVENTS[:2], ANSWERS[:2], samples=[in_time]).ahead == 1


def test_gaps_in_offsets_are_none_in_commits() -> None:
    """Markers of transactions take offsets and never begin."""
    events = [replace(event, offset=3 * event.offset) for event in EVENTS]
    answers = [replace(answer, offset=3 * answer.offset) for answer in ANSWERS]
    samples = [Sample(3.1, {0: 12}), Sample(9.0, {0: 15})]
    assert _broken(audit(events, answers, samples=samples)) == set()
    assert audit(events, answers, samples=[Sample(3.1, {0: 13})]).ahead == 1


def test_commits_that_go_back_or_stop_short_are_found() -> None:
    """The first may be; the second means that events would be answered again for ever."""
    found = audit(EVENTS, ANSWERS, samples=[Sample(8.0, {0: 4}), Sample(9.0, {0: 3})])
    assert (found.went_back, found.unfinished) == (1, 1)
    assert _broken(found) == {"unfinished"}


def test_verdicts_are_held_against_the_brokers_clock() -> None:
    """What says in time and was appended after its deadline lies; near a fault that may be."""
    late = [replace(answer, at_ms=answer.at_ms + 200) for answer in ANSWERS]
    found = audit(EVENTS, late)
    assert (found.lies, found.lies_undisturbed, found.worst_lie_ms) == (5, 5, 100.0)
    assert _broken(found) == {"lies_undisturbed"}
    near = audit(EVENTS, late, disturbed=[(1_100.0, 1_200.0), (1_150.0, 3_050.0)])
    assert (near.lies, near.lies_undisturbed) == (5, 2)
    told = [replace(answer, verdict="late") for answer in late]
    assert _broken(audit(EVENTS, told)) == set()


def test_input_that_the_broker_lost_is_told() -> None:
    """It is nothing that a worker could have answered."""
    assert audit(EVENTS, ANSWERS, acknowledged=[(0, 4), (0, 5)]).missing_input == 1


def test_recovery_ends_when_all_partitions_flow_again() -> None:
    """By answers to events that were sent after the kill."""
    events = [Event(p, n, 1_000 * n, b"k", "result") for p in (0, 1) for n in range(6)]
    answers = [
        Answer(one.partition, one.offset, one.at_ms + 50, "result", "late", 150.0, "", (0, 0))
        for one in events
        if (one.partition, one.offset) not in {(1, 3), (1, 4)}
    ]
    kill = Fault(1, 0.0, Kind.KILL, "worker 0")
    done = Done(kill, 2.01, 2.02, owned=(0, 1))
    (found,) = recoveries([done], events, answers)
    assert found.seconds == pytest.approx(3.04)  # partition 1: the answer at 5,050 ms
    assert found.alone
    cut = Done(Fault(2, 0.0, Kind.CUT, "line"), 4.0, 4.0)
    assert not recoveries([done, cut], events, answers)[0].alone
    (never,) = recoveries([replace(done, began=7.0)], events, answers)
    assert never.seconds is None
