"""Notices that this process slept: stopped, swapped out, or busy with one call for too long."""

import asyncio
import time
from collections.abc import Callable

from schemas.errors import HeadraceError


class AppFailedError(HeadraceError):
    """An app cannot go on in this process; another, or the same started again, can."""

    retriable = True


class Pulse:
    """Beats while the event loop runs.

    Args:
        longest_s: Silence after which the broker may have given the partitions to others.
        monotonic: The clock, in seconds.
    """

    def __init__(self, longest_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._longest_s = longest_s
        self._monotonic = monotonic
        self._last = monotonic()
        self._failure: AppFailedError | None = None

    def check(self) -> None:
        """Beat.

        Raises:
            AppFailedError: Now or earlier, the beat before was too long ago.
        """
        now = self._monotonic()
        silence_s, self._last = now - self._last, now
        if silence_s > self._longest_s:
            self._failure = AppFailedError(
                f"the process slept {silence_s:.1f} s, longer than its session of "
                f"{self._longest_s:g} s: another member may own its partitions"
            )
        if self._failure is not None:
            raise self._failure

    async def run(self) -> None:
        """Beat until cancelled.

        Raises:
            AppFailedError: The process slept.
        """
        while True:
            self.check()
            await asyncio.sleep(self._longest_s / 20)
