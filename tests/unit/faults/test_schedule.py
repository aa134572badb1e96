"""Schedules of faults are drawn from a seed, and nothing else."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.faults.schedule import BEYOND_SESSION_S, GAP_S, MEANING, WEIGHTS, Kind, schedule

SESSION_S = 2.0
DECK = sum(WEIGHTS.values())


def test_a_seed_gives_the_same_schedule_again() -> None:
    """Times, victims and parameters too; another seed gives another."""
    first = schedule(7, 50, workers=2, session_s=SESSION_S)
    assert first == schedule(7, 50, workers=2, session_s=SESSION_S)
    assert list(map(str, first)) != list(map(str, schedule(8, 50, workers=2, session_s=SESSION_S)))


def test_a_schedule_begins_as_a_longer_one_does() -> None:
    """So that a long run that failed early can be replayed in part."""
    longer = schedule(7, 200, workers=2, session_s=SESSION_S)
    assert longer[:50] == schedule(7, 50, workers=2, session_s=SESSION_S)


def test_faults_of_a_seed_stay_what_they_are() -> None:
    """A seed in a report is worth something only as long as it replays the same."""
    first = schedule(5, 3, workers=2, session_s=SESSION_S)
    assert [str(fault).split() for fault in first] == [
        ["1", "4.29", "join-and-leave", "group", "seconds", "3.43"],
        ["2", "8.63", "broker-kill-9", "broker", "away", "0.73"],
        ["3", "12.53", "clock-step", "worker", "0", "by", "5.0", "seconds", "3.34"],
    ]


def test_every_kind_comes_as_often_as_it_weighs() -> None:
    """In every stretch as long as the deck."""
    faults = schedule(3, 3 * DECK, workers=3, session_s=SESSION_S)
    assert Counter(fault.kind for fault in faults[:DECK]) == WEIGHTS
    assert Counter(fault.kind for fault in faults[DECK : 2 * DECK]) == WEIGHTS
    victims = {fault.victim for fault in faults if fault.kind is Kind.KILL}
    assert victims == {"worker 0", "worker 1", "worker 2"}
    assert set(MEANING) == set(Kind)


def test_gaps_are_bounded_and_some_kills_are_left_alone() -> None:
    """Long enough for a group to recover, which is then measured undisturbed."""
    faults = schedule(3, 3 * DECK, workers=2, session_s=SESSION_S)
    quiet = SESSION_S + BEYOND_SESSION_S
    gaps = Counter[str]()
    for one, following in pairwise(faults):
        gap = following.at_s - one.at_s
        assert GAP_S[0] - 0.01 <= gap <= GAP_S[1] + 0.01 + quiet
        if gap > GAP_S[1] + 0.01:
            assert one.kind is Kind.KILL
            assert gap >= quiet
            gaps["quiet"] += 1
    assert gaps["quiet"] > 5


def test_spells_are_shorter_or_longer_than_the_session() -> None:
    """As their kinds say."""
    for fault in schedule(9, 3 * DECK, workers=2, session_s=SESSION_S):
        seconds = fault.parameters.get("seconds")
        if fault.kind in {Kind.PAUSE, Kind.HICCUP}:
            assert float(seconds or 0) < SESSION_S
        elif fault.kind in {Kind.FREEZE, Kind.BLACK_HOLE}:
            assert float(seconds or 0) > SESSION_S


@pytest.mark.parametrize("kind", list(Kind))
def test_kinds_can_be_chosen(kind: Kind) -> None:
    """No other then comes."""
    faults = schedule(1, 5, workers=2, session_s=SESSION_S, kinds=[kind])
    assert {fault.kind for fault in faults} == {kind}
