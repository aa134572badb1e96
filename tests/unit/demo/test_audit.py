"""The count at the end of a demo finds what is lost, doubled or strange."""

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import TopicPartition

from schemas.errors import BrokerError
from schemas.events import Modality
from schemas.kafka import Outbound, Record, encode_dead_letter, encode_result
from schemas.results import DeadLetter, Source, Verdict
from streams.demo.audit import Audit, audit
from tests.fakes import consumer
from tests.fakes.results import MOMENT, result

EVENTS = TopicPartition("events.news", 0)
RESULTS = TopicPartition("results.news", 0)
LETTERS = TopicPartition("events.news.dlq", 0)


class KeptTopics:
    """Implements what the audit asks of an ``AIOKafkaConsumer``, two records a poll.

    Attributes:
        withheld: How many of the last records of each partition are never handed out.
    """

    def __init__(self) -> None:
        self.kept: dict[TopicPartition, list[Any]] = {EVENTS: [], RESULTS: [], LETTERS: []}
        self.withheld = 0
        self._positions: dict[TopicPartition, int] = {}

    def keep(self, partition: TopicPartition, *records: Outbound) -> None:
        """Append records."""
        held = self.kept[partition]
        for one in records:
            headers = tuple((name, value or b"") for name, value in one.headers)
            held.append(consumer.record(partition, len(held), one.value, headers=headers))

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where partitions end."""
        return {one: len(self.kept[one]) for one in partitions}

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these from now on."""
        self._positions = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on from an offset."""
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        """Return what comes next."""
        return self._positions[partition]

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """Return the next records."""
        del timeout_ms
        batches = {}
        for partition, start in self._positions.items():
            end = min(start + 2, len(self.kept[partition]) - self.withheld)
            if start < end:
                batches[partition] = self.kept[partition][start:end]
                self._positions[partition] = end
        return batches


def event(event_id: str | None) -> Outbound:
    """An event; with an id it is a CloudEvent in binary mode."""
    headers = [] if event_id is None else [("ce_id", event_id.encode())]
    return Outbound(key=None, value=orjson.dumps({"headline": "x"}), headers=list(headers))


def answer(offset: int, event_id: str, **fields: Any) -> Outbound:
    """A result for the event at an offset."""
    source = Source(topic="events.news", partition=0, offset=offset)
    one = msgspec.structs.replace(result(**fields), source=source, event_id=event_id)
    return encode_result(one, key=None)


def letter(offset: int) -> Outbound:
    """A dead letter for the event at an offset."""
    return encode_dead_letter(
        DeadLetter(
            error="invalid",
            message="headline: is empty",
            source=Source(topic="events.news", partition=0, offset=offset),
            modality=Modality.NEWS,
            failed_at=MOMENT,
        ),
        Record(topic="events.news", offset=offset, value=b"{}"),
    )


async def audited(topics: KeptTopics, **since: int) -> Audit:
    """Audit from offsets on that are 0 unless they are given."""
    begins = {
        EVENTS: since.get("events", 0),
        RESULTS: since.get("results", 0),
        LETTERS: since.get("letters", 0),
    }
    found = await audit(topics, begins, [Modality.NEWS])  # type: ignore[arg-type]
    return found[Modality.NEWS]


@pytest.fixture
def topics() -> KeptTopics:
    """Five events, answered once each: four results, one dead letter."""
    kept = KeptTopics()
    kept.keep(EVENTS, event("a"), event("b"), event(None), event("d"), event("e"))
    kept.keep(
        RESULTS,
        answer(1, "b", total_ms=20),
        answer(0, "a", total_ms=30, verdict=Verdict.LATE),
        answer(2, "log:3", total_ms=10),
        answer(4, "e", total_ms=40),
    )
    kept.keep(LETTERS, letter(3))
    return kept


async def test_events_answered_once_each_are_a_clean_account(topics: KeptTopics) -> None:
    """In whatever order the answers came; latencies are sorted."""
    found = await audited(topics)
    assert (found.events_in, found.results, found.dead_letters) == (5, 4, 1)
    assert (found.lost, found.duplicates, found.strangers) == (0, 0, 0)
    assert found.verdicts == {Verdict.ON_TIME: 3, Verdict.LATE: 1}
    assert found.latencies_ms == [10, 20, 30, 40]


async def test_an_event_without_an_answer_is_lost(topics: KeptTopics) -> None:
    """One is one."""
    topics.keep(EVENTS, event("f"))
    assert (await audited(topics)).lost == 1


@pytest.mark.parametrize("again", ["result", "letter"])
async def test_a_second_answer_is_a_duplicate_and_hides_no_loss(
    topics: KeptTopics, again: str
) -> None:
    """Two results, or a result and a dead letter: the event was answered twice, not another one."""
    topics.keep(EVENTS, event("f"))
    if again == "result":
        topics.keep(RESULTS, answer(0, "a"))
    else:
        topics.keep(LETTERS, letter(0))
    found = await audited(topics)
    assert (found.duplicates, found.lost) == (1, 1)
    assert (found.results, found.dead_letters) == (4, 1)


@pytest.mark.parametrize("stranger", [answer(77, "z"), answer(5, "not f")])
async def test_an_answer_that_belongs_to_nobody_answers_nobody(
    topics: KeptTopics, stranger: Outbound
) -> None:
    """From an offset that was not sent, or with another event's id."""
    topics.keep(EVENTS, event("f"))
    topics.keep(RESULTS, stranger)
    found = await audited(topics)
    assert (found.strangers, found.lost) == (1, 1)


async def test_what_was_there_before_is_not_counted(topics: KeptTopics) -> None:
    """A broker that is in use already holds other events and their answers."""
    found = await audited(topics, events=4, results=3, letters=1)
    assert (found.events_in, found.results, found.dead_letters, found.lost) == (1, 1, 0, 0)


async def test_a_topic_that_cannot_be_read_to_its_end_is_an_error(topics: KeptTopics) -> None:
    """A count that stopped halfway would call unread answers lost."""
    topics.withheld = 1
    with pytest.raises(BrokerError, match=r"topic events\.news: "):
        await audited(topics)
