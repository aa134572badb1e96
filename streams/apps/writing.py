"""The order in which what records lead to reaches the broker.

1. What they lead to (parts, or what is derived) is sent, and acknowledged by the broker.
2. Then the states that they led to are sent, of each key the last, and acknowledged.

So a state that can be read again after a crash never stands for something that was not published.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition

from streams.apps.settling import Outgoing, Taken

Send = Callable[[Outgoing], Awaitable[Awaitable[Any]]]
"""Takes a record in order; what it returns ends with the broker's acknowledgement, or raises."""
Wrote = Callable[[int, int], None]
"""Takes the partition and the offset of a state that is in the changelog."""


def last_states(batch: Iterable[Taken]) -> list[Outgoing]:
    """Return the states that records led to, of each key the last."""
    return list({one.state.key: one.state for one in batch if one.state is not None}.values())


class AtLeastOnce:
    """Writes without transactions; positions are committed by others, later.

    Args:
        send: To the broker.
        wrote: Told of the states.
        allow: Raises where this process may no longer write, because it slept too long.
    """

    def __init__(
        self,
        send: Send,
        *,
        wrote: Wrote = lambda *_: None,
        allow: Callable[[], None] = lambda: None,
    ) -> None:
        self._send = send
        self._wrote = wrote
        self._allow = allow

    async def write(self, batch: Sequence[Taken]) -> None:
        """Return when the broker has acknowledged all of it.

        Raises:
            KafkaError: The broker refused a record, or did not answer; nothing after it may count.
            AppFailedError: This process slept too long.
        """
        self._allow()
        await self._acknowledged(outgoing for taken in batch for outgoing in taken.first)
        self._allow()
        for written in await self._acknowledged(last_states(batch)):
            self._wrote(written.partition, written.offset)

    async def _acknowledged(self, records: Iterable[Outgoing]) -> list[Any]:
        acknowledgements = [await self._send(record) for record in records]
        outcomes = await asyncio.gather(*acknowledgements, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return outcomes


class Transactions(Protocol):
    """Writes what parts lead to together with the position behind them, fenced by partition."""

    async def take_over(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Make sure that nobody who owned these can write any more; say where they stand.

        A partition of which nothing was committed is left out.

        Raises:
            HeadraceError: That is not possible.
        """

    async def write(self, batch: Sequence[Taken]) -> None:
        """Return when all of it is committed.

        Raises:
            HeadraceError: It is not, or not known to be.
        """

    async def give_up(self) -> None:
        """Leave the partitions to others."""
