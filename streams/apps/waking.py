"""When keys want to be woken, by the wall clock."""

import heapq

from streams.apps.keyed import Wake


class Alarms:
    """The next wake-up of each key."""

    def __init__(self) -> None:
        self._wakes: dict[bytes, Wake] = {}
        self._queue: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._wakes)

    @property
    def next_at(self) -> float | None:
        """When the next key is due, in Unix seconds; ``None`` if none waits."""
        while self._queue and self._is_stale(*self._queue[0]):
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def set(self, key: bytes, wake: Wake | None) -> None:
        """Replace what a key wanted before."""
        if wake is None:
            self._wakes.pop(key, None)
        else:
            self._wakes[key] = wake
            heapq.heappush(self._queue, (wake.at, key))

    def due(self, now: float) -> list[tuple[bytes, bytes]]:
        """Take out the keys that are due, each with its part, the earliest first.

        Args:
            now: Unix seconds.
        """
        found = []
        while (at := self.next_at) is not None and at <= now:
            _, key = heapq.heappop(self._queue)
            found.append((key, self._wakes.pop(key).part))
        return found

    def clear(self) -> None:
        """Forget all keys."""
        self._wakes.clear()
        self._queue.clear()

    def _is_stale(self, at: float, key: bytes) -> bool:
        wake = self._wakes.get(key)
        return wake is None or wake.at != at
