"""How many streams are open, and whose they are."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from streams import metrics
from streams.gateway.settings import GatewaySettings


class Places:
    """Counts streams.

    Args:
        settings: How many there may be.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._taken: Counter[str] = Counter()

    def refusal(self, holder: str) -> str | None:
        """Say why a holder may not open one more stream; ``None`` if it may."""
        if self._taken.total() >= self._settings.max_clients:
            return f"max_clients: {self._settings.max_clients} streams are open; come back later"
        if self._taken[holder] >= self._settings.max_clients_per_token:
            most = self._settings.max_clients_per_token
            return f"max_clients_per_token: {most} streams are open with this token; close one"
        return None

    @contextmanager
    def taken(self, holder: str, topic: str | None = None) -> Iterator[None]:
        """Count a stream while it is open; a connection without a topic takes a place as well."""
        open_now = None if topic is None else metrics.GATEWAY_CLIENTS.labels(topic)
        self._taken[holder] += 1
        if open_now is not None:
            open_now.inc()
        try:
            yield
        finally:
            self._taken[holder] -= 1
            if open_now is not None:
                open_now.dec()
