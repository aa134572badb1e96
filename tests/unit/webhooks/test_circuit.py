"""A dead endpoint is probed by one request at a time, at growing distances."""

import asyncio

from streams.webhooks.circuit import THRESHOLD, Circuit
from streams.webhooks.retrying import Answer, Retrying
from tests.fakes.clock import ManualClock

RETRYING = Retrying(backoff_s=1.0, most_s=60.0, attempts=10, age_s=600.0)
DEAD, ALIVE = Answer(None, "no answer"), Answer(204, "204")


def opened(clock: ManualClock) -> Circuit:
    """Return a circuit whose endpoint has just been found dead."""
    circuit = Circuit(RETRYING, clock.monotonic)
    for _ in range(THRESHOLD):
        circuit.ended(DEAD, is_probe=False)
    return circuit


async def turns(count: int = 5) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_opens_at_failures_in_a_row_and_any_success_closes_it() -> None:
    """A refused record was read by somebody, so it counts as a success."""
    clock = ManualClock()
    circuit = Circuit(RETRYING, clock.monotonic)
    for _ in range(THRESHOLD - 1):
        circuit.ended(DEAD, is_probe=False)
    circuit.ended(Answer(422, "422"), is_probe=False)
    assert not circuit.is_open
    circuit = opened(clock)
    assert circuit.is_open
    assert circuit.reason == "no answer"
    circuit.ended(ALIVE, is_probe=False)
    assert not circuit.is_open
    assert circuit.reason is None
    assert await circuit.admission() is False


async def test_one_probe_goes_through_and_the_others_wait_for_its_end() -> None:
    """They are let go at once when it succeeds."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())
    circuit = opened(clock)
    waiting = [asyncio.create_task(circuit.admission()) for _ in range(4)]
    await turns()
    assert not any(task.done() for task in waiting)
    clock.advance(circuit.wait_s)
    await turns()
    assert [task.result() for task in waiting if task.done()] == [True]
    circuit.ended(ALIVE, is_probe=True)
    await turns()
    assert sorted(task.result() for task in waiting) == [False, False, False, True]


async def test_probes_that_fail_come_farther_apart_up_to_the_most() -> None:
    """A minute here; what began before the circuit opened adds nothing."""
    clock = ManualClock()
    circuit = opened(clock)
    apart = []
    for _ in range(4):
        apart.append(circuit.wait_s)
        circuit.ended(DEAD, is_probe=False)
        assert circuit.wait_s == apart[-1]
        clock.advance(circuit.wait_s)
        assert await circuit.admission() is True
        circuit.ended(DEAD, is_probe=True)
    assert apart == [16.0, 32.0, 60.0, 60.0]


async def test_a_probe_that_is_given_up_leaves_room_for_the_next() -> None:
    """Or nobody would ever find out that the endpoint is back."""
    clock = ManualClock()
    circuit = opened(clock)
    clock.advance(100)
    assert await circuit.admission() is True
    circuit.ended(None, is_probe=True)
    assert await circuit.admission() is True


async def test_rest_that_is_asked_for_holds_for_all_requests() -> None:
    """Also when a request that was under way succeeds meanwhile."""
    clock = ManualClock()
    clock.drive(asyncio.get_running_loop())
    circuit = Circuit(RETRYING, clock.monotonic)
    circuit.ended(Answer(429, "429", retry_after_s=30.0), is_probe=False)
    circuit.ended(ALIVE, is_probe=False)
    waiting = asyncio.create_task(circuit.admission())
    await turns()
    clock.advance(29.0)
    await turns()
    assert not waiting.done()
    clock.advance(1.5)
    await turns()
    assert waiting.result() is False
