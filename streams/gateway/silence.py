"""Noticing that nothing was written to a connection for a while.

A timer of its own for each wait would cost more than the write that ends it: this one is set once
in a while, and looks when it fires.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Silence:
    """Of one connection.

    Args:
        most_s: How long it may last.
        noticed: Called then, and again after as long, until it is broken.
    """

    def __init__(self, most_s: float, noticed: Callable[[], None]) -> None:
        self._most_s = most_s
        self._noticed = noticed
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def broken(self) -> None:
        """Note that something was written."""
        self._began = self._loop.time()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notice silence while this is entered."""
        self._timer = self._loop.call_later(self._most_s, self._look)
        try:
            yield
        finally:
            self._timer.cancel()

    def _look(self) -> None:
        if self._loop.time() >= self._began + self._most_s:
            self.broken()
            self._noticed()
        self._timer = self._loop.call_at(self._began + self._most_s, self._look)
