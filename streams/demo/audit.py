"""The count at the end, read anew from the broker: what went in against what came out."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.errors import BrokerError
from schemas.events import Modality
from schemas.kafka import decode_dead_letter, decode_result
from schemas.results import Classification, Source, Verdict
from streams.consumed import to_record
from streams.demo.answers import Ends
from streams.topics import dead_letter_topic, event_topic, result_topic

POLL_MS = 500
PATIENCE = 20
"""Polls without a record before a topic counts as unreadable."""

_Origin = tuple[str, int, int]


@dataclass(slots=True)
class Audit:
    """What the broker holds of one modality of a demo.

    Attributes:
        events_in: Events on the input topic.
        results: Results for them, repetitions left out.
        dead_letters: Dead letters for them, repetitions left out.
        lost: Events with neither.
        duplicates: Answers beyond the first of an event.
        strangers: Answers whose event is not on the input topics, or has another id.
        verdicts: Of the results, repetitions left out.
        labels: Likewise, of those that have one.
        latencies_ms: Of the results, sorted, repetitions left out.
        budgets_ms: Of the results, repetitions left out.
        models: Name and version, likewise.
        active_share: Of the encoder's parameters, summed over the same.
    """

    events_in: int = 0
    results: int = 0
    dead_letters: int = 0
    lost: int = 0
    duplicates: int = 0
    strangers: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    budgets_ms: Counter[float] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    active_share: float = 0.0

    def count(self, result: Classification) -> None:
        """Take in one result."""
        self.results += 1
        self.verdicts[result.verdict] += 1
        if result.label is not None:
            self.labels[result.label] += 1
        self.latencies_ms.append(result.latency.total_ms)
        self.budgets_ms[result.latency.budget_ms] += 1
        self.models[f"{result.model.name} {result.model.version}"] += 1
        self.active_share += result.effort.active_share


async def audit(
    consumer: AIOKafkaConsumer, since: Ends, modalities: Iterable[Modality]
) -> dict[Modality, Audit]:
    """Match every input record with its answers by topic, partition, offset, and by its id.

    Args:
        consumer: Of no group, started; its assignment is replaced.
        since: Where the topics ended before the demo.
        modalities: Those that were served.

    Raises:
        BrokerError: The topics cannot be read to their ends.
    """
    return {modality: await _audit(consumer, since, modality) for modality in modalities}


async def _audit(consumer: AIOKafkaConsumer, since: Ends, modality: Modality) -> Audit:
    found = Audit()
    events = event_topic(modality)
    ids: dict[_Origin, str | None] = {}
    async for record in records_until_end(consumer, since, events):
        ids[events, record.partition, record.offset] = _announced_id(record)
    found.events_in = len(ids)
    answered: set[_Origin] = set()

    def is_first(source: Source, event_id: str | None) -> bool:
        origin = (source.topic, source.partition, source.offset)
        if origin not in ids or (ids[origin] and event_id and ids[origin] != event_id):
            found.strangers += 1
            return False
        if origin in answered:
            found.duplicates += 1
            return False
        answered.add(origin)
        return True

    async for record in records_until_end(consumer, since, result_topic(modality)):
        result = decode_result(record.value)
        if is_first(result.source, result.event_id):
            found.count(result)
    async for record in records_until_end(consumer, since, dead_letter_topic(events)):
        letter = decode_dead_letter(to_record(record))
        if is_first(letter.source, letter.event_id):
            found.dead_letters += 1
    found.lost = len(ids) - len(answered)
    found.latencies_ms.sort()
    return found


async def records_until_end(
    consumer: AIOKafkaConsumer, since: Ends, topic: str
) -> AsyncIterator[ConsumerRecord]:
    """Read a topic from given offsets to where it ends now.

    Args:
        consumer: Of no group, started; its assignment is replaced.
        since: Where to begin; partitions of other topics are passed over.
        topic: The one to read.

    Raises:
        BrokerError: The topic cannot be read to its end.
    """
    begins = {one: begin for one, begin in since.items() if one.topic == topic}
    ends: Ends = await consumer.end_offsets(list(begins))
    left = {one: end for one, end in ends.items() if begins[one] < end}
    consumer.assign(list(left))
    for partition in left:
        consumer.seek(partition, begins[partition])
    idle = 0
    while left:
        batches: Mapping[TopicPartition, list[ConsumerRecord]]
        batches = await consumer.getmany(timeout_ms=POLL_MS)
        for records in batches.values():
            for record in records:
                yield record
        idle = 0 if batches else idle + 1
        if idle > PATIENCE:
            raise BrokerError(f"topic {topic}: the broker does not give what it says it holds")
        left = {one: end for one, end in left.items() if await consumer.position(one) < end}


def _announced_id(record: ConsumerRecord) -> str | None:
    """Return the id that a binary-mode CloudEvent carries in its header."""
    for name, value in record.headers:
        if name == "ce_id" and value is not None:
            return str(value.decode("utf-8", "replace"))
    return None
