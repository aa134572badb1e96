"""A gauge that several of a process's consumers add to."""

from prometheus_client import Gauge


class GaugePart:
    """What one of them adds to it."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._value = 0

    def set(self, value: int) -> None:
        """Add this much, whatever it was before."""
        self._gauge.inc(value - self._value)
        self._value = value
