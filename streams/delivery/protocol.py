"""What the worker asks of delivery, whichever way it is done."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiokafka import ConsumerRecord

from streams.delivery.keeping import Keeping
from streams.delivery.publisher import Parcel
from streams.offsets import OffsetTracker


class Outlet(Protocol):
    """Where a lane puts what is ready to leave."""

    @property
    def lead_s(self) -> float:
        """Seconds from :meth:`publish` until subscribers can read what it took."""

    @property
    def margin_s(self) -> float:
        """Seconds from the making of a record until subscribers can read it; verdicts count it."""

    def expect(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Hear of a partition's next events, in their order, before any of them is answered."""

    def publish(self, parcel: Parcel) -> None:
        """Take one parcel; it leaves as soon as it can."""

    def waiting(self, topic: str) -> int:
        """Return how many records of a topic wait to be sent."""


class Delivery(Outlet, Keeping, Protocol):
    """Takes parcels out and keeps the group's offsets true to them."""

    failure: "asyncio.Future[None]"
    """Fails with a :class:`BrokerError` when the worker must stop."""

    async def close(self) -> None:
        """Stop sending; what has not been acknowledged stays uncommitted."""
