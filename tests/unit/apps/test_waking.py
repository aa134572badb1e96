"""Keys are woken at the time that they last asked for."""

import asyncio

from streams.apps.keyed import KeyedApp, Wake
from streams.apps.waking import Alarms, Waker
from tests.fakes.clock import ManualClock


def test_keys_come_out_when_they_are_due_the_earliest_first() -> None:
    """Each once."""
    alarms = Alarms()
    alarms.set(b"late", Wake(30.0, b"3"))
    alarms.set(b"second", Wake(20.0, b"2"))
    alarms.set(b"first", Wake(10.0, b"1"))
    assert alarms.next_at == 10.0
    assert alarms.due(9.9) == []
    assert alarms.due(20.0) == [(b"first", b"1"), (b"second", b"2")]
    assert alarms.due(20.0) == []
    assert (alarms.next_at, len(alarms)) == (30.0, 1)


def test_a_later_answer_replaces_the_earlier_one() -> None:
    """Later or sooner, and never is an answer too."""
    alarms = Alarms()
    alarms.set(b"key", Wake(10.0, b"old"))
    alarms.set(b"key", Wake(50.0, b"new"))
    assert alarms.due(10.0) == []
    alarms.set(b"key", Wake(5.0, b"newest"))
    assert alarms.due(60.0) == [(b"key", b"newest")]
    alarms.set(b"key", Wake(70.0, b"never"))
    alarms.set(b"key", None)
    assert (alarms.due(80.0), alarms.next_at) == ([], None)


def test_the_same_time_asked_for_twice_wakes_once() -> None:
    """The part is the one of the last answer."""
    alarms = Alarms()
    for part in (b"a", b"b"):
        alarms.set(b"key", Wake(10.0, part))
    assert alarms.due(10.0) == [(b"key", b"b")]


def test_what_is_forgotten_wakes_nobody() -> None:
    """As at a rebalance."""
    alarms = Alarms()
    alarms.set(b"key", Wake(10.0, b"part"))
    alarms.clear()
    assert (alarms.next_at, alarms.due(99.0)) == (None, [])


async def test_keys_are_woken_at_their_time_and_only_by_their_owner() -> None:
    """One that is due while the keys are somebody else's is woken once they are not."""
    clock, sent, owned = ManualClock(wall=100.0), [], False

    async def send(parts: list[tuple[bytes, bytes]]) -> None:
        sent.extend(parts)

    def wake(_: str, state: bytes) -> Wake | None:
        return Wake(float(state), b"part") if state else None

    app = KeyedApp("app", ("in",), "out", lambda _: (), lambda *_: None, wake)
    clock.drive(asyncio.get_running_loop())
    waker = Waker(app, send, may_wake=lambda: owned, clock=clock.wall)
    running = asyncio.create_task(waker.run())
    waker.ask(b"soon", b"100.5")
    waker.ask(b"later", b"103")
    waker.ask(b"never", b"")
    for expected in ([], [], [b"soon"], [b"soon", b"later"], [b"soon", b"later"]):
        for _ in range(20):
            await asyncio.sleep(0)
        assert [key for key, _ in sent] == expected
        clock.advance(1.0)
        owned = clock.wall() >= 102.0
    running.cancel()
