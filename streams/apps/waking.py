"""When keys want to be woken, by the wall clock, and waking them."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable

from streams.apps.keyed import KeyedApp, Wake

LONGEST_SLEEP_S = 1.0
"""The wall clock may be set; nobody sleeps longer on what it said before."""
SHORTEST_SLEEP_S = 0.001
MOST_AT_ONCE = 500
"""Keys woken together."""
MOST_STALE = 1_000
"""Answers that no longer count and are remembered, beyond as many as there are keys."""


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
            if len(self._queue) > 2 * len(self._wakes) + MOST_STALE:
                self._queue = [(one.at, name) for name, one in self._wakes.items()]
                heapq.heapify(self._queue)

    def due(self, now: float) -> list[tuple[bytes, bytes]]:
        """Take out keys that are due, each with its part, the earliest first.

        Args:
            now: Unix seconds.
        """
        found: list[tuple[bytes, bytes]] = []
        while len(found) < MOST_AT_ONCE and (at := self.next_at) is not None and at <= now:
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


class Waker:
    """Sends keys their parts when they are due; :meth:`run` must be running.

    Args:
        app: Says when, if it wakes keys at all.
        send: Sends parts to their keys, and waits for the acknowledgements.
        may_wake: Whether the keys are this process's now.
        clock: Unix seconds.
    """

    def __init__(
        self,
        app: KeyedApp,
        send: Callable[[list[tuple[bytes, bytes]]], Awaitable[None]],
        *,
        may_wake: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._send = send
        self._may_wake = may_wake
        self._clock = clock
        self._asked = asyncio.Event()
        self._alarms = Alarms()

    def ask(self, key: bytes, state: bytes) -> None:
        """Ask the app when a key is to be woken, now that its state is this; empty for never."""
        if self._app.wake is not None:
            wake = self._app.wake(key.decode(), state) if state else None
            self._alarms.set(key, wake)
            self._asked.set()

    def clear(self) -> None:
        """Forget all keys."""
        self._alarms.clear()

    async def run(self) -> None:
        """Wake keys until cancelled.

        Raises:
            KafkaError: A part could not be written.
        """
        while True:
            self._asked.clear()
            sleep_s = LONGEST_SLEEP_S
            if self._may_wake():
                now = self._clock()
                if due := self._alarms.due(now):
                    await self._send(due)
                    continue
                if (at := self._alarms.next_at) is not None:
                    sleep_s = min(max(at - now, SHORTEST_SLEEP_S), LONGEST_SLEEP_S)
            try:
                async with asyncio.timeout(sleep_s):
                    await self._asked.wait()
            except TimeoutError:
                continue
