"""The names of headrace's topics, and making sure that they exist."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from schemas.errors import BrokerError
from schemas.events import Modality
from schemas.limits import DEFAULT_LIMITS
from streams.clients import open_admin, open_consumer
from streams.connection import Connection

_PLURALS: Mapping[Modality, str] = {
    Modality.NEWS: "news",
    Modality.TRANSCRIPT: "transcripts",
    Modality.CAMERA: "camera",
}
EVENTS_PREFIX = "events."
RESULTS_PREFIX = "results."
SIGNALS_PREFIX = "signals."
ALERTS_PREFIX = "alerts."
SESSIONS_PREFIX = "sessions."
FUSED_PREFIX = "fused."
WEBHOOKS_PREFIX = "webhooks."
DEAD_LETTER_SUFFIX = ".dlq"

DEFAULT_PARTITIONS = 8
MAX_MESSAGE_BYTES = DEFAULT_LIMITS.camera_value_bytes + 1024 * 1024
"""Largest record of a topic that is made by hand: the largest value, and its headers and key."""
MAX_REPLICATION = 3
"""Copies of a topic where the cluster has as many brokers."""
SETTLE_S = 10.0
"""How long a topic that was just created may take to have a leader for every partition."""
SETTLE_POLL_S = 0.1


class TopicKind(StrEnum):
    """What the records of a topic are."""

    EVENTS = "events"
    RESULTS = "results"
    DEAD_LETTERS = "dead letters"
    SIGNALS = "signals"
    ALERTS = "alerts"
    SESSIONS = "sessions"
    FUSED = "fused"
    OTHER = "other"


_BY_PREFIX: Mapping[str, TopicKind] = {
    EVENTS_PREFIX: TopicKind.EVENTS,
    RESULTS_PREFIX: TopicKind.RESULTS,
    SIGNALS_PREFIX: TopicKind.SIGNALS,
    ALERTS_PREFIX: TopicKind.ALERTS,
    SESSIONS_PREFIX: TopicKind.SESSIONS,
    FUSED_PREFIX: TopicKind.FUSED,
}


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as the broker has it.

    Attributes:
        messages: Offsets between beginning and end, over all partitions; with transactions or
            compaction a few of them hold no record.
    """

    name: str
    partitions: int
    messages: int


class TopicRefusedError(BrokerError):
    """A topic is missing and may not be created."""

    retriable = False


def event_topic(modality: Modality) -> str:
    """Name the topic that events of a modality come in on."""
    return EVENTS_PREFIX + _PLURALS[modality]


def result_topic(modality: Modality) -> str:
    """Name the topic that results of a modality are published to."""
    return RESULTS_PREFIX + _PLURALS[modality]


def result_topic_of(topic: str) -> str:
    """Name the topic that results of an input topic are published to, where none is set."""
    return RESULTS_PREFIX + topic.removeprefix(EVENTS_PREFIX)


def dead_letter_topic(topic: str) -> str:
    """Name the topic that takes what cannot be classified of an input topic."""
    return topic + DEAD_LETTER_SUFFIX


def webhook_topic(dead_letters: str) -> str | None:
    """Name the topic that takes dead letters of a webhook back; ``None`` for other dead letters.

    Sent to the topic that they came from, they would reach everybody who reads it.
    """
    if dead_letters.startswith(WEBHOOKS_PREFIX) and dead_letters.endswith(DEAD_LETTER_SUFFIX):
        return dead_letters.removesuffix(DEAD_LETTER_SUFFIX)
    return None


def topics_of(modality: Modality) -> tuple[str, str, str]:
    """Name a modality's input, result and dead-letter topics."""
    events = event_topic(modality)
    return events, result_topic(modality), dead_letter_topic(events)


def modality_of(topic: str) -> Modality | None:
    """Tell the modality from one of our names; ``None`` for a topic that is not headrace's."""
    return next((modality for modality in Modality if topic in topics_of(modality)), None)


def kind_of(topic: str) -> TopicKind:
    """Tell from its name what a topic's records are."""
    if topic.endswith(DEAD_LETTER_SUFFIX):
        return TopicKind.DEAD_LETTERS
    prefix, dot, _ = topic.partition(".")
    return _BY_PREFIX.get(prefix + dot, TopicKind.OTHER)


async def ensure_topics(
    connection: Connection,
    names: Iterable[str],
    *,
    partitions: int = DEFAULT_PARTITIONS,
    allow_create: bool = True,
    max_message_bytes: int | None = None,
    configs: Mapping[str, str] | None = None,
) -> list[str]:
    """Create the topics that are missing; those that exist stay as they are.

    Args:
        connection: How to reach the broker.
        names: Topics that must exist afterwards.
        partitions: Of each topic that is created.
        allow_create: Otherwise a missing topic is an error.
        max_message_bytes: Largest record batch of a topic that is created; ``None`` leaves the
            broker's default.
        configs: Other settings of each topic that is created.

    Returns:
        The names that were created.

    Raises:
        TopicRefusedError: A topic is missing and may not, or cannot, be created.
        BrokerError: The broker cannot be reached.
    """
    async with open_admin(connection) as admin:
        existing = await _leaders(admin)
        missing = [name for name in dict.fromkeys(names) if name not in existing]
        if not missing:
            return []
        if not allow_create:
            raise TopicRefusedError(
                f"topics {', '.join(missing)}: do not exist, and creating topics is switched off; "
                "create them with `headrace topics create`, or allow --create-topics"
            )
        wanted = dict(configs or {})
        if max_message_bytes is not None:
            wanted["max.message.bytes"] = str(max_message_bytes)
        created = await _create(admin, missing, partitions, wanted)
        await until_led(admin, missing)
        return created


async def _create(
    admin: AIOKafkaAdminClient, names: list[str], partitions: int, configs: Mapping[str, str]
) -> list[str]:
    replication = min(MAX_REPLICATION, len((await admin.describe_cluster())["brokers"]))
    try:
        response = await admin.create_topics(
            [NewTopic(name, partitions, replication, topic_configs=dict(configs)) for name in names]
        )
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"topics {', '.join(names)}: could not be created: {error!r}") from error
    created = []
    for name, code, *details in response.topic_errors:
        kind = for_code(code)
        if code == 0:
            created.append(name)
        elif kind is not TopicAlreadyExistsError:  # another worker was faster
            raise _refusal(name, partitions, kind, details[0] if details else None)
    return created


def _refusal(
    name: str, partitions: int, kind: type[KafkaError], details: str | None
) -> BrokerError:
    if kind in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
        return TopicRefusedError(
            f"topic {name}: does not exist, and this client may not create it; ask for the right "
            f"to create topics, or have it created with {partitions} partitions"
        )
    message = f"topic {name}: could not be created: {details or kind.description or kind.__name__}"
    if kind.retriable:
        return BrokerError(message)
    return TopicRefusedError(f"{message}; create it by hand with settings that the broker accepts")


async def until_led(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until every partition has a leader: a client that comes too early would fail."""
    try:
        async with asyncio.timeout(SETTLE_S):
            while True:
                leaders = await _leaders(admin)
                if all(leaders.get(name) and min(leaders[name]) >= 0 for name in names):
                    return
                await asyncio.sleep(SETTLE_POLL_S)
    except TimeoutError as error:
        raise BrokerError(
            f"topics {', '.join(names)}: were created, but have no leaders after {SETTLE_S:g} s; "
            "look at the broker's log"
        ) from error


async def _leaders(admin: AIOKafkaAdminClient) -> dict[str, list[int]]:
    """Return the leader of each partition by topic; asks for all, for asking by name creates."""
    try:
        topics: list[dict[str, Any]] = await admin.describe_topics()
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"the broker's topics could not be listed: {error!r}") from error
    return {
        topic["topic"]: [partition["leader"] for partition in topic["partitions"]]
        for topic in topics
        if not topic["is_internal"]
    }


async def partition_counts(connection: Connection) -> dict[str, int]:
    """Return the number of partitions of every topic on the broker.

    Raises:
        BrokerError: The broker cannot be reached.
    """
    async with open_admin(connection) as admin:
        return {name: len(leaders) for name, leaders in (await _leaders(admin)).items()}


async def describe_topics(connection: Connection, names: Iterable[str]) -> list[TopicState]:
    """Count partitions and messages of those of the topics that exist, in the order given.

    Raises:
        BrokerError: The broker cannot be reached.
    """
    counts = await partition_counts(connection)
    wanted = [name for name in names if name in counts]
    positions = [TopicPartition(name, index) for name in wanted for index in range(counts[name])]
    messages = dict.fromkeys(wanted, 0)
    if positions:
        async with open_consumer(connection) as consumer:
            try:
                begin = await consumer.beginning_offsets(positions)
                end = await consumer.end_offsets(positions)
            except (KafkaError, TimeoutError) as error:
                raise BrokerError(f"the topics' offsets could not be read: {error!r}") from error
        for position in positions:
            messages[position.topic] += end[position] - begin[position]
    return [TopicState(name, counts[name], messages[name]) for name in wanted]
