"""Alerts are raised and cleared once each, however often events come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Alert, AlertState
from streams.apps.rates import RateSettings, Sight, Watch, observe

SETTINGS = RateSettings(
    rule="defect_rate", window_s=100, minimum_evidence=4, raise_at=0.5, clear_at=0.25
)


def seen(offset: int, at: float, *, hit: bool, rank: tuple[int, int] | None = None) -> Sight:
    """Make one event."""
    return Sight(f"e:0:{offset}", at, hit, rank or (offset, 0), f"e:0:{offset}:m:0")


def watched(*events: Sight, watch: Watch | None = None) -> tuple[Watch, list[Alert]]:
    """Take events in; return what is kept in the end, and all alerts."""
    watch = watch or Watch()
    alerts = []
    for event in events:
        found = observe(watch, event, scope="camera", subject="gate-3", settings=SETTINGS)
        if found is not None:
            watch, alert = found
            alerts += [alert] if alert else []
    return watch, alerts


GOOD = [seen(number, number, hit=False) for number in range(4)]
BAD = [seen(number, number, hit=True) for number in range(4, 8)]
GOOD_AGAIN = [seen(number, number, hit=False) for number in range(8, 20)]


def test_an_alert_is_raised_once_and_cleared_once() -> None:
    """Under one id; the results that speak for it stand on it."""
    _, (raised, cleared) = watched(*GOOD, *BAD, *GOOD_AGAIN)
    assert (raised.state, cleared.state) == (AlertState.RAISED, AlertState.CLEARED)
    assert raised.id == cleared.id == "defect_rate:camera:gate-3:e:0:7:m:0"
    assert (raised.value, raised.evidence) == (0.5, 8)
    assert raised.results == tuple(one.result for one in BAD)
    assert cleared.value == 0.25


def test_a_share_between_the_thresholds_changes_nothing() -> None:
    """Neither raises an alert nor clears one."""
    watch, alerts = watched(*GOOD, *BAD, *GOOD_AGAIN[:4])
    assert len(alerts) == 1
    assert watch.raised == alerts[0].id


def test_few_events_raise_nothing() -> None:
    """Three defects of three are not enough to tell."""
    assert watched(*BAD[:3])[1] == []


def test_a_revision_replaces_its_event() -> None:
    """The defect that was none on a second look clears the alert."""
    watch, _ = watched(*GOOD, *BAD)
    revised = [seen(4, 4, hit=False, rank=(4, 1)), seen(5, 5, hit=False, rank=(5, 1))]
    assert [alert.state for alert in watched(*revised, watch=watch)[1]] == [AlertState.CLEARED]


def test_thresholds_must_leave_room_between_them() -> None:
    """The message says which."""
    with pytest.raises(ValueError, match=r"clear_at 0\.5, raise_at 0\.5"):
        RateSettings(rule="defect_rate", raise_at=0.5, clear_at=0.5)


@given(
    hits=st.lists(st.booleans(), max_size=60),
    cut=st.integers(0, 60),
    back=st.integers(0, 60),
)
def test_reading_again_from_an_earlier_offset_changes_nothing(
    hits: list[bool], cut: int, back: int
) -> None:
    """Whatever was read when, and however far back the reading starts again."""
    events = [seen(number, number * 7, hit=hit) for number, hit in enumerate(hits)]
    truth, alerts = watched(*events)
    watch, first = watched(*events[:cut])
    again, second = watched(*events[max(0, cut - back) :], watch=watch)
    assert again == truth
    assert first + second == alerts
