"""Answers in the order of their events, key by key, whatever order they were found in.

Events of one partition and one key form a chain. What answers an event waits until everything
before it in its chain has gone out; chains do not wait for each other, and events without a key for
nobody. So the model works on as before, and only the way out is ordered.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from aiokafka import ConsumerRecord

from streams.delivery.protocol import Outlet
from streams.delivery.publisher import Parcel
from streams.offsets import OffsetTracker


class _Chain:
    """The events of one key whose answers are not out yet, in their order."""

    __slots__ = ("expected", "ready", "under_way")

    def __init__(self) -> None:
        self.expected: deque[int] = deque()
        self.ready: dict[int, Parcel] = {}
        self.under_way = False


class InKeyOrder:
    """An outlet that keeps the order of each key before another outlet.

    Args:
        outlet: Where parcels go when it is their turn.
        one_at_a_time: Each waits for the acknowledgement of the one before, as is needed where a
            failed sending may be overtaken; not where the outlet itself sends all in order.
    """

    def __init__(self, outlet: Outlet, *, one_at_a_time: bool) -> None:
        self._outlet = outlet
        self._one_at_a_time = one_at_a_time
        self._chains: dict[OffsetTracker, dict[bytes, _Chain]] = {}
        self._keys: dict[OffsetTracker, dict[int, bytes]] = {}
        self._held: dict[str, int] = {}

    @property
    def lead_s(self) -> float:
        """As the outlet says; waiting for others of the key is not foreseen."""
        return self._outlet.lead_s

    @property
    def margin_s(self) -> float:
        """As the outlet says: a record is made when it leaves."""
        return self._outlet.margin_s

    def expect(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Take note of events, in their order, before any of them is answered."""
        if tracker not in self._chains:
            self._forget_closed()
        chains = self._chains.setdefault(tracker, {})
        keys = self._keys.setdefault(tracker, {})
        for record in records:
            if record.key is not None:
                keys[record.offset] = record.key
                chains.setdefault(record.key, _Chain()).expected.append(record.offset)
        self._outlet.expect(records, tracker)

    def publish(self, parcel: Parcel) -> None:
        """Let a parcel out when all before it of its key are out."""
        offset, tracker = parcel.offset, parcel.tracker
        key = None if offset is None else self._keys.get(tracker, {}).pop(offset, None)
        if offset is None or key is None:
            self._outlet.publish(parcel)
            return
        chain = self._chains[tracker][key]
        chain.ready[offset] = parcel
        self._count(parcel.topic, 1)
        self._release(chain, tracker, key)

    def waiting(self, topic: str) -> int:
        """Return how many records of a topic wait, for others of their key or to be sent."""
        return self._held.get(topic, 0) + self._outlet.waiting(topic)

    def _release(self, chain: _Chain, tracker: OffsetTracker, key: bytes) -> None:
        while not chain.under_way and chain.expected and chain.expected[0] in chain.ready:
            parcel = chain.ready.pop(chain.expected.popleft())
            self._count(parcel.topic, -1)
            chain.under_way = self._one_at_a_time
            # In the order of their offers: an outlet lets patient ones be overtaken.
            self._outlet.publish(
                replace(
                    parcel,
                    patient=False,
                    acknowledged=self._then_next(parcel.acknowledged, chain, tracker, key),
                )
            )
        if not chain.under_way and not chain.expected:
            self._chains.get(tracker, {}).pop(key, None)

    def _then_next(
        self, acknowledged: Callable[[], None], chain: _Chain, tracker: OffsetTracker, key: bytes
    ) -> Callable[[], None]:
        if not self._one_at_a_time:
            return acknowledged

        def then_next() -> None:
            acknowledged()
            chain.under_way = False
            if not tracker.closed:
                self._release(chain, tracker, key)

        return then_next

    def _count(self, topic: str, change: int) -> None:
        self._held[topic] = self._held.get(topic, 0) + change

    def _forget_closed(self) -> None:
        """Drop what belonged to partitions that are somebody else's by now."""
        for tracker in [one for one in self._chains if one.closed]:
            del self._keys[tracker]
            for chain in self._chains.pop(tracker).values():
                for parcel in chain.ready.values():
                    self._count(parcel.topic, -1)
