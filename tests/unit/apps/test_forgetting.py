"""Keys of which nothing new comes are forgotten; what is left grows with those that live."""

import struct
import sys
from collections.abc import Iterator
from datetime import timedelta

import msgspec

from schemas import Classification, Modality, Outbound
from streams.apps.forgetting import forgetting
from streams.apps.keyed import KeyedApp, Step, Wake
from streams.apps.sessions import sessions
from streams.apps.talk import TalkSettings
from streams.apps.waking import MOST_STALE, Alarms
from tests.fakes.clock import ManualClock
from tests.fakes.results import MOMENT, result

WEEK_S = 604_800.0
AT = MOMENT.timestamp()


def spread(_: Classification) -> Iterator[tuple[str, bytes]]:
    """Each result concerns one key."""
    yield "key", b'"new"'


def step(_: str, state: bytes | None, part: bytes) -> Step | None:
    """Count parts; one of them changes nothing, one derives something, one ends the key."""
    if part == b'"old"':
        return None
    if part == b'"over"':
        return Step(b"")
    derived = (Outbound(key=None, value=part, headers=[]),) if part == b'"tell"' else ()
    return Step(b"%d" % (int(state or b"0") + 1), derived)


def wake(_: str, state: bytes) -> Wake | None:
    """Wake keys of two parts soon after the moment."""
    return Wake(AT + 60, b'"tell"') if state == b"2" else None


COUNTS = KeyedApp("counts", ("in",), "out", spread, step, wake)


class Run:
    """One app, its states and its wake-ups, by a clock that tests move."""

    def __init__(
        self, app: KeyedApp, after_s: float = WEEK_S, clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock(wall=AT)
        self.app = forgetting(app, after_s, clock=self.clock.wall)
        self.states: dict[str, bytes] = {}
        self.alarms = Alarms()
        self.derived: list[Outbound] = []

    def read(self, one: Classification) -> None:
        """Take a result in."""
        for key, part in self.app.spread(one):
            self.take(key, part)

    def take(self, key: str, part: bytes) -> None:
        """Take a part."""
        found = self.app.step(key, self.states.get(key), part)
        if found is None:
            return
        self.derived += found.derived
        if found.state:
            self.states[key] = found.state
        else:
            del self.states[key]
        assert self.app.wake is not None
        wake = self.app.wake(key, found.state) if found.state else None
        self.alarms.set(key.encode(), wake)

    def elapse(self, seconds: float) -> None:
        """Let time pass, and wake who is due."""
        self.clock.advance(seconds)
        while due := self.alarms.due(self.clock.wall()):
            for key, part in due:
                self.take(key.decode(), part)


def counted(run: Run) -> dict[str, bytes]:
    """Return the states without their stamps."""
    return {key: state[-1:] for key, state in run.states.items()}


def test_a_key_is_forgotten_when_nothing_new_came_for_long_enough() -> None:
    """Each part that changes it begins the time anew; then it is as if it had never been."""
    run = Run(COUNTS)
    run.read(result())
    run.elapse(WEEK_S - 1)
    run.read(result())
    run.elapse(WEEK_S - 1)
    assert counted(run) == {"key": b"3"}
    run.elapse(1)
    assert (run.states, run.alarms.next_at) == ({}, None)
    run.read(result())
    assert counted(run) == {"key": b"1"}


def test_what_changes_nothing_keeps_nothing() -> None:
    """Nor does what the app was woken for; an app may forget by itself."""
    run = Run(COUNTS)
    run.read(result())
    run.read(result())
    run.elapse(60)
    assert [one.value for one in run.derived] == [b'"tell"']
    run.take("key", b'"old"')
    run.elapse(WEEK_S - 60)
    assert run.states == {}
    run.read(result())
    run.take("key", b'"over"')
    assert (run.states, run.alarms.next_at) == ({}, None)


def test_an_event_that_is_newer_than_the_clock_counts_by_its_own_time() -> None:
    """By no more than the time that keys are kept anyway."""
    for ahead_s, kept_s in ((-9e6, WEEK_S), (3600.0, WEEK_S + 3600), (9e9, 2 * WEEK_S)):
        run = Run(COUNTS)
        at = MOMENT + timedelta(seconds=ahead_s)
        run.read(msgspec.structs.replace(result(), event_time=at))
        run.elapse(kept_s - 1)
        assert run.states
        run.elapse(1)
        assert not run.states


def test_steps_that_are_repeated_after_a_crash_do_the_same() -> None:
    """All that the clock said stands in the parts, and what was woken twice is forgotten once."""
    run = Run(COUNTS)
    run.read(result())
    run.clock.advance(WEEK_S)
    ((_, forget),) = run.alarms.due(run.clock.wall())
    run.clock.advance(9e6)
    state = run.states["key"]
    assert run.app.step("key", state, forget) == run.app.step("key", state, forget) == Step(b"")
    assert run.app.step("key", None, forget) is None
    run.read(result())
    assert run.app.step("key", run.states["key"], forget) is None


def test_states_of_an_earlier_version_are_kept_and_forgotten_in_their_time() -> None:
    """They get a stamp at once; parts without one are taken in."""
    run = Run(COUNTS)
    run.states["key"] = b"4"
    assert run.app.wake is not None
    run.alarms.set(b"key", run.app.wake("key", b"4"))
    run.elapse(0.0)
    run.take("key", b'"new"')
    assert counted(run) == {"key": b"5"}
    run.elapse(WEEK_S - 1)
    assert run.states
    run.elapse(1)
    assert not run.states


def test_a_session_gives_up_its_segments_and_is_forgotten_later() -> None:
    """A replay of it before that derives the same again, of which nothing is new."""
    clock = ManualClock(wall=AT)
    run = Run(sessions(TalkSettings(keep_s=600.0), clock=clock.wall), 3_600.0, clock)
    said = msgspec.structs.replace(result(modality=Modality.TRANSCRIPT), session_id="call")
    run.read(said)
    size = len(run.states["call"])
    run.elapse(600.0)
    assert len(run.states["call"]) < size
    run.read(said)
    assert len(run.derived) == 1
    run.elapse(3_600.0)
    assert (run.states, len(run.alarms)) == ({}, 0)


def test_memory_stays_flat_over_many_sessions() -> None:
    """200,000 sessions, of which 500 are known at a time; so many answers are remembered."""
    run, most, most_queued = Run(COUNTS, after_s=500.0), 0, 0
    (_, part), *_ = run.app.spread(result())
    for number in range(200_000):
        run.elapse(1.0)
        stamp = run.clock.wall()
        run.take(f"call-{number}", part[:1] + struct.pack(">d", stamp) + b'"new"')
        most = max(most, len(run.states))
        most_queued = max(most_queued, len(run.alarms._queue))
    assert most <= 501
    assert most_queued <= 2 * 501 + MOST_STALE
    assert sys.getsizeof(run.states) < 100_000


def test_a_busy_key_leaves_no_trail_of_wake_ups() -> None:
    """However often its time changes."""
    alarms = Alarms()
    for number in range(50_000):
        alarms.set(b"key", Wake(AT + number, b""))
    assert len(alarms._queue) <= 2 + MOST_STALE
    assert alarms.due(AT + 60_000) == [(b"key", b"")]
