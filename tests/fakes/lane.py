"""A lane that keeps what it is given until a test ends it."""

from collections.abc import Sequence
from typing import Any

from schemas.events import Modality
from streams.offsets import Ledger, OffsetTracker


class HoldingLane:
    """Implements what :class:`streams.consume.ConsumeLoop` asks of a lane.

    Attributes:
        is_full: What the loop is told of the lane's queue; likewise ``has_room_again``.
        admitted: Partition and offset of every record, in the order in which they came.
        withdrawals: How often the lane was told to forget what it holds.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.topic = "events.news"
        self.modality = Modality.NEWS
        self.is_full = False
        self.has_room_again = True
        self.admitted: list[tuple[int, int]] = []
        self.withdrawals = 0
        self._ledger = ledger
        self._held: list[tuple[OffsetTracker, int]] = []

    def admit(self, records: Sequence[Any], tracker: OffsetTracker) -> None:
        """Hold records."""
        for one in records:
            self.admitted.append((one.partition, one.offset))
            self._held.append((tracker, one.offset))

    def withdraw_all(self) -> None:
        """Forget everything."""
        self.withdrawals += 1
        self._held = []

    def finish(self, *offsets: int) -> None:
        """End held records of these offsets, or all of them when none is named."""
        ending = [one for one in self._held if not offsets or one[1] in offsets]
        self._held = [one for one in self._held if one not in ending]
        for tracker, offset in ending:
            self._ledger.complete(tracker, offset)
