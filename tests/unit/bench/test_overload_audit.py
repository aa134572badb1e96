"""The broker's clock decides which verdicts were true."""

from typing import Any

import numpy as np
from harness import Loaded
from overload_audit import Audit, audit
from reader import VERDICTS

BUDGET_MS = 150.0


def audited(*rows: tuple[int, float, float, str], events: int) -> Audit:
    """Audit results of events that were due a second apart.

    Each is its event, when the broker had it and when the subscriber, in milliseconds after it was
    due, and its verdict.
    """
    due_ms = 1_000 * np.arange(events)
    table: Any = np.array(
        [
            (event, due_ms[event] + appended, due_ms[event] + got, VERDICTS.index(verdict))
            for event, appended, got, verdict in rows
        ],
        dtype=np.float64,
    )
    sent = {"sent": events, "seconds": float(events), "slip_p99_ms": 1.0}
    return audit(
        Loaded(sent, due_ms, table, {}),
        policy="degrade",
        load=1.0,
        arrivals="poisson",
        budget_ms=BUDGET_MS,
    )


def test_only_a_result_that_claims_to_be_in_time_can_lie() -> None:
    """At the deadline is in time; a subscriber's receipt proves nothing."""
    found = audited(
        (0, 150, 151, "on_time"),
        (1, 151, 152, "on_time"),
        (2, 190, 191, "degraded"),
        (3, 190, 191, "late"),
        (4, 190, 191, "shed"),
        events=5,
    )
    assert (found.lies, found.worst_lie_ms) == (2, 40.0)
    assert found.received_late == 3
    assert found.verdicts == {"on_time": 2, "late": 1, "degraded": 1, "shed": 1}


def test_late_that_was_in_time_is_modest() -> None:
    """It costs its subscriber an answer that could have been used."""
    assert audited((0, 149, 150, "late"), (1, 151, 152, "late"), events=2).modest == 1


def test_each_event_has_one_result() -> None:
    """The first counts; others, and events without any, are told."""
    found = audited((0, 10, 11, "on_time"), (0, 400, 401, "on_time"), events=2)
    assert (found.missing, found.duplicates, found.lies) == (1, 1, 0)
