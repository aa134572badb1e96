"""Whether an endpoint is worth a request now: a dead one is probed, a busy one gets its rest."""

import asyncio
from collections.abc import Callable

from streams.webhooks.retrying import Answer, Outcome, Retrying

THRESHOLD = 5
"""Requests in a row without success at which the circuit opens."""


class Circuit:
    """Closed while requests succeed; open after :data:`THRESHOLD` failures in a row.

    While it is open one request at a time goes through, a probe, at growing distances. Any success
    closes it. A record that is refused is a success here: somebody has read it.

    Args:
        retrying: How far apart probes are.
        monotonic: The clock, in seconds.
    """

    def __init__(self, retrying: Retrying, monotonic: Callable[[], float]) -> None:
        self._retrying = retrying
        self._monotonic = monotonic
        self._failures = 0
        self._not_before = float("-inf")
        self._asked_for = float("-inf")
        self._probing = False
        self._changed = asyncio.Event()
        self.reason: str | None = None
        """What the last failure was; ``None`` while requests succeed."""

    @property
    def is_open(self) -> bool:
        """Whether the endpoint counts as dead."""
        return self._failures >= THRESHOLD

    @property
    def wait_s(self) -> float:
        """Seconds until the next request may begin, if no other is to be awaited."""
        return max(self._not_before, self._asked_for) - self._monotonic()

    async def admission(self) -> bool:
        """Return when a request may be sent, and whether it is a probe; its end must be told."""
        while True:
            if (wait_s := self.wait_s) > 0:
                await self._change_within(wait_s)
            elif not self.is_open:
                return False
            elif not self._probing:
                self._probing = True
                return True
            else:
                await self._change_within(None)

    def ended(self, answer: Answer | None, *, is_probe: bool) -> None:
        """Take note of what came of a request, nothing if it was given up."""
        if is_probe:
            self._probing = False
        if answer is not None:
            self._note(answer, is_probe=is_probe)
        self._tell()

    def _note(self, answer: Answer, *, is_probe: bool) -> None:
        if answer.retry_after_s is not None and answer.outcome is Outcome.FAILED:
            self._asked_for = self._monotonic() + answer.retry_after_s
        if answer.outcome is Outcome.FAILED:
            self.reason = answer.told
            # What began before the circuit opened says nothing new.
            if not self.is_open or is_probe:
                self._failures += 1
            if self.is_open:
                apart_s = self._retrying.longest_s(self._failures)
                self._not_before = self._monotonic() + apart_s
        else:
            self._failures, self.reason = 0, None
            self._not_before = float("-inf")

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change_within(self, seconds: float | None) -> None:
        changed = self._changed
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return
