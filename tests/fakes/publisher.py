"""A publisher that sends nothing until a test plays the broker."""

from schemas.kafka import Outbound
from streams.publisher import Parcel


class KeepingPublisher:
    """Implements what :class:`streams.lane.Lane` asks of a publisher.

    Attributes:
        parcels: What was published, in order.
    """

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def publish(self, parcel: Parcel) -> None:
        """Keep one parcel."""
        self.parcels.append(parcel)

    def sent(self, topic: str) -> list[Outbound]:
        """Build the records of a topic, as at the moment of sending."""
        return [parcel.make() for parcel in self.parcels if parcel.topic == topic]

    def acknowledge(self) -> None:
        """Build every record and acknowledge it."""
        for parcel in self.parcels:
            parcel.make()
            parcel.acknowledged()
