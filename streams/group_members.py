"""Who reads for a consumer group, from the broker's description of it."""

from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads for a group."""

    group: str
    id: str
    client: str
    host: str
    partitions: dict[str, list[int]]
    lag: int | None = None


def members_of(group: Any) -> Iterable[Member]:
    """Read a group's members from the broker's description of it."""
    _, name, _, _, _, members, *_ = group
    for identity, client, host, _, assignment, *_ in members:
        partitions: dict[str, list[int]] = {}
        if assignment:
            decoded = ConsumerProtocolMemberAssignment.decode(assignment)
            partitions = {topic: sorted(numbers) for topic, numbers in decoded.assignment}
        yield Member(
            group=name,
            id=identity,
            client=client,
            host=host.removeprefix("/"),
            partitions=partitions,
        )
