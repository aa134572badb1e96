"""Events that workers died over wait apart, and harm nobody any more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest

from inference.engine import Engine
from inference.journal import PLACES
from inference.suspects import TRIAL, Suspects
from inference.trial import Isolation
from schemas.errors import EngineError
from schemas.kafka import Outbound
from schemas.results import Verdict
from streams.lane import quarantine as module
from streams.lane.event_journal import EventJournal, open_folder
from streams.lane.quarantine import Quarantine, open_quarantine
from streams.settings import Settings
from tests.fakes.clock import ManualClock
from tests.fakes.crashing_engine import CrashingEngine
from tests.fakes.lane import LaneRig
from tests.fakes.routes import route_of

DLQ = "events.news.dlq"
Load = Callable[[str], Engine]
ROUTE = route_of(model="crashing")


def headline(event_id: str, text: str = "Ferry line keeps its timetable") -> bytes:
    """Write a valid news event."""
    return orjson.dumps({"id": event_id, "headline": text})


def open_crashing(model: str) -> Engine:
    """Load the engine that dies of some events."""
    assert model == "crashing"
    return CrashingEngine()


def open_nothing(model: str) -> Engine:
    """Find no model."""
    raise EngineError(f"no model at {model}")


class Ward(LaneRig):
    """A lane on a machine where processes died over some of its events."""

    def __init__(self, folder: Path, accused: dict[int, int], load: Load = open_crashing) -> None:
        clock = ManualClock()
        self.suspects = Suspects(folder, "group")
        for offset, trials in accused.items():
            name = b"events.news/0/%d" % offset
            for each in (name, *[TRIAL + name] * trials):
                self.suspects.accuse([each])
        self.journal = self.suspects.open_journal(place_bytes=10_000)
        self.quarantine = Quarantine(
            self.suspects, EventJournal(self.journal), clock, load=load, timeout_s=2.0
        )
        super().__init__(ROUTE, engine=CrashingEngine(), clock=clock, quarantine=self.quarantine)
        self.quarantine.look()

    def letters(self) -> list[dict[str, bytes | None]]:
        """Return the headers of the dead letters."""
        return [dict(one.headers) for one in self.raw_letters()]

    def raw_letters(self) -> list[Outbound]:
        """Return the dead letters."""
        return self.publisher.sent(DLQ)

    async def until_ended(self, count: int) -> None:
        """Wait until so many events have an end."""
        async with asyncio.timeout(30):
            while len(self.publisher.parcels) < count:  # noqa: ASYNC110 - the child is a process
                await asyncio.sleep(0.01)


@asynccontextmanager
async def warded(
    folder: Path, *accused: int, trials: int = 0, load: Load = open_crashing
) -> AsyncIterator[Ward]:
    """Start a lane whose events at these offsets are suspect."""
    ward = Ward(folder, dict.fromkeys(accused, trials), load)
    try:
        async with ward.started():
            yield ward
    finally:
        await ward.quarantine.close()
        ward.journal.close()


async def test_suspects_are_tried_alone_while_the_others_go_on(tmp_path: Path) -> None:
    """The culprit is a dead letter, the innocent one is answered, and nobody waits for either."""
    async with warded(tmp_path, 1, 2) as ward:
        ward.admit(
            headline("a"), headline("b", "a segfault"), headline("c", "fine words"), headline("d")
        )
        await ward.drained()
        assert {one.event_id for one in ward.results()} == {"a", "d"}
        await ward.until_ended(4)
        (answer,) = [one for one in ward.results() if one.event_id == "c"]
        assert answer.label is not None
        assert answer.verdict in {Verdict.ON_TIME, Verdict.LATE}
        (letter,) = ward.letters()
        assert letter["headrace_error"] == b"crashed"
        assert letter["headrace_attempts"] == b"2"
        assert b"SIGSEGV" in (letter["headrace_message"] or b"")
        assert letter["headrace_stack_digest"]
        assert ward.raw_letters()[0].value == headline("b", "a segfault")
        ward.publisher.acknowledge()
        assert ward.ledger.in_flight == 0
        assert ward.suspects.look() == {}


async def test_what_the_model_cannot_read_is_the_same_letter_as_ever(tmp_path: Path) -> None:
    """An exception in the child is no crash."""
    async with warded(tmp_path, 0) as ward:
        ward.admit(headline("sick", "Mill with poison reopens"))
        await ward.until_ended(1)
        (letter,) = ward.letters()
        assert letter["headrace_error"] == b"poison"
        assert letter["headrace_message"] == b"poison"
        assert letter["headrace_attempts"] == b"1"


async def test_dying_of_the_tokeniser_counts_as_well(tmp_path: Path) -> None:
    """Suspects are encoded in the child, not here."""
    async with warded(tmp_path, 0) as ward:
        ward.admit(headline("sick", "so unreadable"))
        await ward.until_ended(1)
        assert ward.letters()[0]["headrace_error"] == b"crashed"


async def test_who_took_its_worker_along_twice_is_not_tried_again(tmp_path: Path) -> None:
    """Where the kernel kills child and worker together, no child ever tells."""
    async with warded(tmp_path, 0, trials=2) as ward:
        ward.admit(headline("fine", "whatever it says"))
        await ward.until_ended(1)
        (letter,) = ward.letters()
        assert letter["headrace_error"] == b"crashed"
        assert b"together with its worker" in (letter["headrace_message"] or b"")


async def test_a_trial_is_in_the_journal_for_as_long_as_it_takes(tmp_path: Path) -> None:
    """The worker's death in it would count; a stop in the middle does not, and answers nothing."""
    async with warded(tmp_path, 0) as ward:
        ward.admit(headline("slow", "so endless"))
        async with asyncio.timeout(10):
            while len(ward.journal._free) == PLACES:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert TRIAL + b"events.news/0/0" in ward.journal._map[:]
        assert ward.quarantine.journal.give_up(0.0) == []
        await ward.quarantine.close()
        assert len(ward.journal._free) == PLACES
        assert set(ward.suspects.look()) == {b"events.news/0/0"}
        assert ward.publisher.parcels == []


async def test_what_was_handed_over_meanwhile_is_somebody_elses(tmp_path: Path) -> None:
    """It stays suspect for the next owner, and nothing is published here."""
    async with warded(tmp_path, 0, 1) as ward:
        ward.admit(headline("a", "so endless"), headline("b", "a segfault"))
        await asyncio.sleep(0)
        ward.ledger.close()
        async with asyncio.timeout(20):
            while ward.quarantine._cases:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert ward.publisher.parcels == []
        assert len(ward.suspects.look()) == 2


async def test_suspects_before_the_place_of_reading_were_answered(tmp_path: Path) -> None:
    """Nobody will ever read them again."""
    async with warded(tmp_path, 0, 3) as ward:
        ward.admitted = 2
        ward.admit(headline("a"))
        await ward.drained()
        assert set(ward.suspects.look()) == {b"events.news/0/3"}


async def test_without_a_child_suspects_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is not to blame: no letter, no answer, and it is tried again."""
    monkeypatch.setattr(module, "RETRY_S", (0.01,))
    async with warded(tmp_path, 0, load=open_nothing) as ward:
        ward.admit(headline("a"), headline("b"))
        await ward.drained()
        assert [one.event_id for one in ward.results()] == ["b"]
        ward.quarantine._child._load = open_crashing
        ward.quarantine._child.end()
        await ward.until_ended(2)
        assert {one.event_id for one in ward.results()} == {"a", "b"}


async def test_batches_are_in_the_journal_while_they_run(tmp_path: Path) -> None:
    """And what is being encoded; afterwards nothing is."""
    async with warded(tmp_path) as ward:
        entered: list[list[bytes]] = []
        enter = ward.journal.enter
        ward.journal.enter = lambda names: (entered.append(list(names)), enter(names))[1]  # type: ignore[method-assign]
        ward.admit(headline("a"), headline("b"))
        await ward.drained()
        assert [b"events.news/0/0", b"events.news/0/1"] in entered
        assert len(ward.journal._free) == 4


async def test_where_nothing_can_be_noted_the_worker_goes_on_without(tmp_path: Path) -> None:
    """It is said, and how to mend it; switched off, nothing is."""
    (tmp_path / "file").write_text("")
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        blocked = Settings(state_dir=str(tmp_path / "file"))
        assert open_quarantine(blocked, clock, open_crashing, stack) is None
        off = Settings(isolation=Isolation(enabled=False))
        assert open_quarantine(off, clock, open_crashing, stack) is None
        usable = Settings(state_dir=str(tmp_path))
        assert open_quarantine(usable, clock, open_crashing, stack) is not None
    assert list((tmp_path / "suspects").glob("*.journal")) == []


async def test_groups_have_suspects_of_their_own(tmp_path: Path) -> None:
    """What one group's model dies of, another's may answer."""
    for group in ("a", "b"):
        suspects, journal = open_folder(Settings(state_dir=str(tmp_path), group=group))
        assert suspects.look() == {}
        suspects.accuse([b"t/0/1"])
        journal.close()
