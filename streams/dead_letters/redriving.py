"""Sends the originals of dead letters in again, each once, however often it is asked for.

1. Whoever redrives a topic takes its transactional id: one who was still at it is fenced, and what
   he had not committed is undone.
2. Only then are the marks read of what was sent in before.
3. Letters are sent in transactions, the events and their marks together. A crash, or a stop, in
   between undoes both.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field

from schemas.errors import ConfigurationError, ContractError
from schemas.kafka import encode_redrive
from streams.connection import Connection
from streams.dead_letters.letters import Found, wants
from streams.dead_letters.marks import marks_topic
from streams.dead_letters.reading import read_letters
from streams.dead_letters.sending import Prepared, Sender
from streams.tail.reading import Condition
from streams.topics import ensure_topics, webhook_topic


@dataclass(slots=True)
class Redriven:
    """What became of a topic's letters.

    Attributes:
        sent: By topic, how many were sent there, or would be.
        before: They were sent in by an earlier call.
        refused: Letters that cannot be, with the reason.
    """

    sent: dict[str, int] = field(default_factory=dict)
    before: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many were sent, or would be."""
        return sum(self.sent.values())


async def redrive(
    connection: Connection,
    topic: str,
    counts: dict[str, int],
    conditions: Sequence[Condition],
    *,
    to: str | None = None,
    dry_run: bool = False,
    limit: int | None = None,
) -> Redriven:
    """Send in what a topic holds now and was not sent in before.

    Args:
        connection: How to reach the broker.
        topic: Of the letters.
        counts: Partitions of every topic.
        conditions: Which letters; all without any.
        to: Where to; unset for the topics that they came from, of webhooks for the one that is
            delivered to these alone.
        dry_run: Only say what would be done.
        limit: Most letters to send.

    Raises:
        ConfigurationError: There is no topic to send to.
        BrokerError: The broker cannot be reached, or did not take an event; or somebody else has
            begun to redrive the topic.
    """
    to = to or webhook_topic(topic)
    if to is not None and to not in counts:
        raise ConfigurationError(f"--to: {to!r} does not exist; create it, or name another topic")
    done = Redriven()
    async with AsyncExitStack() as stack:
        sender = None
        if not dry_run:
            await _ensure_marks(connection, topic, counts)
            sender = await stack.enter_async_context(Sender(connection, topic))
        letters = await stack.enter_async_context(aclosing(read_letters(connection, topic, counts)))
        async for found in letters:
            if done.count == limit:
                break
            if sender is not None:
                await sender.commit_if_due()
            prepared = _judge(found, counts, to, done) if wants(found, conditions) else None
            if prepared is not None and sender is not None:
                await sender.send(prepared)
        if sender is not None:
            await sender.commit()
    return done


async def _ensure_marks(connection: Connection, topic: str, counts: dict[str, int]) -> None:
    name = marks_topic(topic)
    await ensure_topics(connection, [name], partitions=1, configs={"cleanup.policy": "compact"})
    counts.setdefault(name, 1)


def _judge(found: Found, counts: dict[str, int], to: str | None, done: Redriven) -> Prepared | None:
    """Take note of what becomes of a letter; return what is to be sent of it, if anything."""
    if found.redriven:
        done.before += 1
        return None
    try:
        prepared = _prepare(found, counts, to)
    except (ContractError, ConfigurationError) as error:
        done.refused.append((found.position, str(error)))
        return None
    done.sent[prepared.topic] = done.sent.get(prepared.topic, 0) + 1
    return prepared


def _prepare(found: Found, counts: dict[str, int], to: str | None) -> Prepared:
    """Restore an original and say where it goes: where it came from, unless ``to`` is given.

    Raises:
        ContractError: The letter is damaged.
        ConfigurationError: The topic that it came from is gone.
    """
    if isinstance(found.read, ContractError):
        raise found.read
    outbound = encode_redrive(found.record)
    source = found.read.source
    target = source.topic if to is None else to
    if target not in counts:
        raise ConfigurationError(
            f"--to: the letter at {found.position} came from {target}, which does not exist; "
            "say where it is to go"
        )
    same = target == source.topic and source.partition < counts[target]
    return Prepared(found, target, source.partition if same else None, outbound)
