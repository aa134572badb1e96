"""A publisher that sends nothing until a test plays the broker."""

from schemas.kafka import Outbound
from streams.delivery.publisher import Parcel


class KeepingPublisher:
    """Implements what :class:`streams.lane.lane.Lane` asks of a publisher.

    Attributes:
        parcels: What was published, in order.
        margin_s: How long the way to the broker is said to be; likewise ``lead_s``.
    """

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.margin_s = self.lead_s = 0.0
        self._acknowledged = 0

    def expect(self, records: object, tracker: object) -> None:
        """Nothing is kept of what is to come."""

    def publish(self, parcel: Parcel) -> None:
        """Keep one parcel."""
        self.parcels.append(parcel)

    def waiting(self, topic: str) -> int:
        """Return how many of a topic were kept and not acknowledged."""
        return sum(parcel.topic == topic for parcel in self.parcels[self._acknowledged :])

    def sent(self, topic: str) -> list[Outbound]:
        """Build the records of a topic, as at the moment of sending."""
        return [parcel.make() for parcel in self.parcels if parcel.topic == topic]

    def acknowledge(self) -> None:
        """Build every record and acknowledge it."""
        for parcel in self.parcels:
            parcel.make()
            parcel.acknowledged()
        self._acknowledged = len(self.parcels)
