"""The audit of fused answers finds what is wrong with them."""

from dataclasses import replace
from datetime import UTC, datetime

import fusion
import msgspec
from fusion_audit import Published, audit
from fusion_log import Load, Log, generate, id_of

LOAD = Load(entities=20, minutes=5.0, interval_s=60.0, seed=4)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
WAIT_S, WINDOW_S = fusion.SETTINGS.wait_ms / 1e3, fusion.SETTINGS.window_s


def run(load: Load) -> tuple[Log, list[Published]]:
    """Return a log, and what the app makes of it."""
    log = generate(load, START)
    return log, list(fusion.Simulation(load).run(log))


def test_the_same_seed_draws_the_same_log() -> None:
    """With all that can happen to results in it."""
    log = generate(LOAD, START)
    assert log == generate(LOAD, START)
    assert log != generate(replace(LOAD, seed=5), START)
    names = [id_of(one.result) for one in log.deliveries]
    assert len(set(names)) < len(names)
    assert any(one.result.revision for one in log.deliveries)
    times = [one.result.event_time for one in log.deliveries]
    assert times != sorted(times)


def test_what_is_far_apart_is_fused_without_a_fault() -> None:
    """Every pair right, every wait that ran out told."""
    load = replace(LOAD, interval_s=100_000.0, entities=300, minutes=60.0)
    log, answers = run(load)
    found = audit(log, answers, wait_s=WAIT_S, window_s=WINDOW_S)
    assert found.pairs == found.right > 20
    assert found.timeouts == found.told > 0
    assert (found.wrong, found.unmarked, found.hidden) == (0, 0, 0)


def test_wrong_pairs_and_unmarked_answers_are_found() -> None:
    """As are waits of which nothing was told."""
    log, answers = run(LOAD)
    honest = audit(log, answers, wait_s=WAIT_S, window_s=WINDOW_S)
    assert honest.unmarked == 0
    lying = [(at, msgspec.structs.replace(one, complete=True)) for at, one in answers]
    found = audit(log, lying, wait_s=WAIT_S, window_s=WINDOW_S)
    assert found.unmarked == sum(not one.complete for _, one in answers)
    assert found.told == 0
    apart = {name: number for number, name in enumerate(log.incident_of)}
    mixed = Log(log.deliveries, apart, log.entity_of, log.happened)
    none = audit(mixed, answers, wait_s=WAIT_S, window_s=WINDOW_S)
    assert none.right == 0
    assert none.wrong == honest.right + honest.wrong
