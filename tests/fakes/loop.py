"""A consume loop that does nothing, for whoever watches one."""

from aiokafka import TopicPartition


class IdleLoop:
    """Implements what watchdog and worker ask of :class:`streams.consumer.loop.ConsumeLoop`.

    Attributes:
        owning: Whether the group has handed its partitions out.
        lags: What the broker is said to hold beyond what is answered.
        lag_error: Raised instead.
        rebuilds: How often the consumer was given up.
    """

    def __init__(self) -> None:
        self.owning = True
        self.lags: dict[TopicPartition, int] = {}
        self.lag_error: Exception | None = None
        self.rebuilds = 0

    async def lag(self) -> dict[TopicPartition, int]:
        """Return the lags."""
        if self.lag_error is not None:
            raise self.lag_error
        return self.lags

    def rebuild(self) -> None:
        """Count."""
        self.rebuilds += 1
