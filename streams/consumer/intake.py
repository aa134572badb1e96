"""What the consume loop asks of whoever takes in the records of a topic."""

from collections.abc import Sequence
from typing import Protocol

from aiokafka import ConsumerRecord

from streams.offsets import OffsetTracker


class Intake(Protocol):
    """Takes in records whose offsets have begun, and completes those offsets in the ledger."""

    @property
    def is_full(self) -> bool:
        """No room: the topic's partitions should be paused."""

    @property
    def has_room_again(self) -> bool:
        """Half the room is free: paused partitions should be resumed."""

    def admit(self, records: Sequence[ConsumerRecord], tracker: OffsetTracker) -> None:
        """Take in records of one partition, in their order."""

    def withdraw_all(self) -> None:
        """Forget what was taken in and has not ended: its partitions are given back."""
