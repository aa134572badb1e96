"""What a record that was taken leads to: a result to its parts, a part to a step of its key."""

from collections.abc import Callable
from typing import Protocol

import structlog
from aiokafka import TopicPartition

from schemas.encode import decode_result
from schemas.errors import ContractError
from streams.apps.keyed import KeyedApp
from streams.apps.pulse import AppFailedError
from streams.apps.settling import Outgoing, Taken
from streams.apps.tables import States

log = structlog.get_logger(__name__)

Count = Callable[[str, int], None]
"""Takes an outcome and how many more there were of it."""


def own_topics(name: str) -> tuple[str, str]:
    """Return the names of an app's inner topic and of its changelog.

    Args:
        name: Of its group.
    """
    return f"{name}-parts", f"{name}-state-changelog"


class Message(Protocol):
    """A record as Faust hands it out."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Taking:
    """Takes the records of one member of an app's group.

    Args:
        app: Says what they lead to.
        name: Of the group.
        states: The states of a partition's keys, which steps change.
        changed: Told of each key whose state changed, and to what; empty for forgotten.
        count: Told of what happens.
    """

    def __init__(
        self,
        app: KeyedApp,
        *,
        name: str,
        states: Callable[[int], States],
        changed: Callable[[bytes, bytes], None],
        count: Count,
    ) -> None:
        self._app = app
        self._parts, self._changelog = own_topics(name)
        self._states = states
        self._changed = changed
        self._count = count
        self.next: dict[TopicPartition, int] = {}
        """The offset that comes next, of each owned partition; those below were taken before."""

    def result(self, message: Message) -> Taken | None:
        """Take a record of an input; ``None`` if it was taken before, or is not owned any more."""
        partition = TopicPartition(message.topic, message.partition)
        expected = self.next.get(partition)
        # Marks of transactions leave gaps here, which are none.
        if expected is None or message.offset < expected:
            return None
        self.next[partition] = message.offset + 1
        try:
            result = decode_result(message.value or b"")
        except ContractError as error:
            log.warning("no_result", topic=message.topic, offset=message.offset, error=str(error))
            self._count("no_result", 1)
            return Taken(partition, message.offset)
        parts = tuple(
            Outgoing(self._parts, key.encode(), part) for key, part in self._app.spread(result)
        )
        self._count("result", 1)
        return Taken(partition, message.offset, parts)

    def part(self, message: Message) -> Taken | None:
        """Take a record of the inner topic; ``None`` if it was taken before, or is not owned.

        Raises:
            AppFailedError: The one before it never came.
        """
        partition = TopicPartition(message.topic, message.partition)
        expected = self.next.get(partition)
        if expected is None or message.offset < expected:
            return None
        if message.offset > expected:
            raise AppFailedError(
                f"{message.topic}/{message.partition}: offset {expected} was passed over, "
                f"{message.offset} came"
            )
        self.next[partition] = message.offset + 1
        return self._step(partition, message)

    def _step(self, partition: TopicPartition, message: Message) -> Taken:
        key, states = message.key or b"", self._states(message.partition)
        step = self._app.step(key.decode(), states.get(key), message.value or b"")
        if step is None:
            self._count("repeated", 1)
            return Taken(partition, message.offset)
        if step.state:
            states[key] = step.state
        else:
            states.pop(key, None)
            self._count("forgotten", 1)
        self._changed(key, step.state)
        self._count("part", 1)
        self._count("derived", len(step.derived))
        derived = tuple(
            Outgoing(self._app.output, one.key, one.value, one.headers) for one in step.derived
        )
        # Without a value it lets compaction take the key out.
        state = Outgoing(self._changelog, key, step.state or None, partition=message.partition)
        return Taken(partition, message.offset, derived, state)
