"""From records to work: deadlines, what the event itself says, and what is rejected."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition

from inference.engine import Encoded
from inference.work import DEFAULT_PRIORITY, OverloadPolicy, Work
from schemas.errors import InvalidEventError
from schemas.events import Event, Modality
from schemas.limits import DEFAULT_LIMITS
from streams.lane.ingress import Ingress
from streams.lane.rejecting import Rejected
from streams.lane.sources import Sources
from streams.offsets import OffsetTracker
from tests.fakes.clock import ManualClock
from tests.fakes.consumer import record
from tests.fakes.engine import FakeEngine

PARTITION = TopicPartition("events.news", 3)
BUDGET_MS = 150.0


class FussyEngine(FakeEngine):
    """Refuses to encode texts that contain ``unreadable``, and fails on ``crash``."""

    def encode(self, events: Sequence[Event]) -> list[Encoded]:
        """Fail as a whole, as a tokenizer does."""
        for event in events:
            if "unreadable" in getattr(event, "headline", ""):
                raise InvalidEventError("headline: holds nothing to read", field="headline")
            if "crash" in getattr(event, "headline", ""):
                raise RuntimeError("the tokenizer gave up")
        return super().encode(events)


class Gate:
    """An ingress over fakes; ``rejected`` keeps what it turned away."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tracker = OffsetTracker()
        self.rejected: list[Rejected] = []
        self.ingress = Ingress(
            modality=Modality.NEWS,
            engine=FussyEngine(),
            clock=self.clock,
            budget_ms=BUDGET_MS,
            on_overload=OverloadPolicy.SHED,
            limits=DEFAULT_LIMITS,
            reject=self.rejected.append,
            sources=Sources(),
        )

    def admit(self, *values: bytes | None, **fields: Any) -> list[Work]:
        """Admit one record for each value, all with the same other fields."""
        records = [record(PARTITION, at, value, **fields) for at, value in enumerate(values)]
        return self.ingress.admit(records, self.tracker)


@pytest.fixture
def gate() -> Gate:
    """A gate of a test's own."""
    return Gate()


def headline(text: str = "Ferry line keeps its timetable", event_id: str = "n-1") -> bytes:
    """A plain JSON event."""
    return orjson.dumps({"id": event_id, "headline": text})


def test_the_deadline_is_the_records_timestamp_and_the_budget(gate: Gate) -> None:
    """What went by before the record came here is not given back."""
    (work,) = gate.admit(headline(), timestamp=int(gate.clock.wall() * 1e3) - 100)
    assert work.arrival == gate.clock.monotonic()
    assert work.deadline - gate.clock.monotonic() == pytest.approx(0.05)
    assert work.handle.budget_ms == BUDGET_MS
    assert work.handle.timestamp_ms == gate.clock.wall() * 1e3 - 100


def test_a_deadline_may_have_passed_at_arrival(gate: Gate) -> None:
    """An old event is admitted all the same; the scheduler decides what becomes of it."""
    (work,) = gate.admit(headline(), timestamp=int(gate.clock.wall() * 1e3) - 60_000)
    assert work.deadline - gate.clock.monotonic() == pytest.approx(-59.85)


def test_a_record_without_a_timestamp_counts_from_its_arrival(gate: Gate) -> None:
    """Kafka says -1 where a producer gave none."""
    (work,) = gate.admit(headline(), timestamp=-1)
    assert work.deadline - gate.clock.monotonic() == pytest.approx(BUDGET_MS / 1e3)
    assert work.handle.timestamp_ms == gate.clock.wall() * 1e3


def test_the_events_own_word_outweighs_the_settings(gate: Gate) -> None:
    """Budget, priority and policy are its own where it names them."""
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"n-1"),
        ("ce_source", b"desk"),
        ("ce_type", b"headrace.news.v1"),
        ("ce_budgetms", b"40"),
        ("ce_priority", b"high"),
        ("ce_onoverload", b"late"),
        ("content-type", b"application/json"),
    )
    (work,) = gate.admit(headline(), headers=headers)
    assert work.deadline - gate.clock.monotonic() == pytest.approx(0.04)
    assert work.handle.budget_ms == 40
    assert (work.priority, work.on_overload) == (8, OverloadPolicy.LATE)


def test_an_event_that_says_nothing_gets_the_settings(gate: Gate) -> None:
    """The worker's policy and the middle priority."""
    (work,) = gate.admit(headline())
    assert (work.priority, work.on_overload) == (DEFAULT_PRIORITY, OverloadPolicy.SHED)


def test_events_keep_their_order_and_their_tracker(gate: Gate) -> None:
    """The n-th work is the n-th record's, whatever was rejected between."""
    works = gate.admit(headline(event_id="a"), b"{", headline(event_id="b"))
    assert [work.handle.inbound.event.id for work in works] == ["a", "b"]
    assert [work.handle.inbound.source.offset for work in works] == [0, 2]
    assert {work.handle.tracker for work in works} == {gate.tracker}


def test_what_cannot_be_decoded_is_rejected_with_where_it_came_from(gate: Gate) -> None:
    """The letter names source, kind of failure and time; the record is the original."""
    assert gate.admit(b"<xml/>", headers=(("content-type", b"text/xml"),)) == []
    (rejected,) = gate.rejected
    letter = rejected.letter
    assert (letter.error, letter.content_type) == ("undecodable", "text/xml")
    assert (letter.source.topic, letter.source.partition, letter.source.offset) == (*PARTITION, 0)
    assert letter.failed_at.timestamp() == gate.clock.wall()
    assert letter.event_id is None
    assert rejected.record.value == b"<xml/>"
    assert rejected.tracker is gate.tracker


def test_a_broken_contract_names_field_and_event(gate: Gate) -> None:
    """The id is known although the headline is not good."""
    assert gate.admit(headline("  ")) == []
    letter = gate.rejected[0].letter
    assert (letter.error, letter.field, letter.event_id) == ("invalid", "headline", "n-1")


@pytest.mark.parametrize(
    ("word", "code", "field"), [("unreadable", "invalid", "headline"), ("crash", "poison", None)]
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_event_that_cannot_be_encoded_harms_only_itself(
    gate: Gate, word: str, code: str, field: str | None, at: int
) -> None:
    """Events are encoded a poll at a time; the others of the poll are admitted in order."""
    ids = ["a", "b", "c"]
    values = [headline(event_id=each) for each in ids]
    values[at] = headline(f"Mill {word} reopens", ids[at])
    works = gate.admit(*values)
    assert [work.handle.inbound.event.id for work in works] == [*ids[:at], *ids[at + 1 :]]
    letter = gate.rejected[0].letter
    assert len(gate.rejected) == 1
    assert (letter.error, letter.field, letter.event_id) == (code, field, ids[at])
    assert letter.source.offset == at


def test_a_poll_of_bad_records_alone_asks_the_engine_nothing(gate: Gate) -> None:
    """Every record is rejected, none is work."""
    assert gate.admit(b"", None, b"[]") == []
    assert len(gate.rejected) == 3
