"""Where a subscriber stands: offsets of partitions, as a text that it can keep and come back with.

``results.news:0=120,1=98`` says that partition 0 goes on at offset 120 and partition 1 at 98;
topics are separated by semicolons. It is all that resuming needs: it holds after a restart of
anything, for as long as the topic keeps its records.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from aiokafka import TopicPartition

from schemas.errors import ConfigurationError, shown

Positions = Mapping[TopicPartition, int]
"""The next offset of each partition."""
Start = str | datetime
"""Where to begin: ``end`` or ``beginning`` of the topics, a resume token, or a time."""

_TOPIC = re.compile(
    r"(?P<topic>[a-zA-Z0-9._-]{1,249}):(?P<offsets>\d{1,9}=\d{1,18}(?:,\d{1,9}=\d{1,18})*)"
)


def to_token(positions: Positions) -> str:
    """Write positions as a resume token."""
    topics: dict[str, list[str]] = {}
    for partition, offset in sorted(positions.items()):
        topics.setdefault(partition.topic, []).append(f"{partition.partition}={offset}")
    return ";".join(f"{topic}:{','.join(offsets)}" for topic, offsets in topics.items())


def from_token(token: str, topics: Iterable[str], *, field: str = "start") -> Positions:
    """Read a resume token.

    Args:
        token: What :func:`to_token` wrote.
        topics: Those that are subscribed to; a token of others is refused.
        field: What the token is called where it came from.

    Raises:
        ConfigurationError: It is no token, or one of other topics.
    """
    if not isinstance(token, str):
        raise ConfigurationError(
            f"{field}: {shown(token)} is none; give end, beginning, a datetime or a resume token"
        )
    positions: dict[TopicPartition, int] = {}
    for part in token.split(";"):
        found = _TOPIC.fullmatch(part)
        if found is None:
            raise ConfigurationError(
                f"{field}: {token[:200]!r} is no resume token; give one as it was received, such "
                "as results.news:0=120,1=98, or leave it out"
            )
        for pair in found["offsets"].split(","):
            number, offset = pair.split("=")
            positions[TopicPartition(found["topic"], int(number))] = int(offset)
    if others := {one.topic for one in positions} - set(topics):
        raise ConfigurationError(
            f"{field}: the token is of {', '.join(sorted(others))}, which is not subscribed to; "
            "resume with the topics that it came from"
        )
    return positions
