"""How often and how long something that the broker did not take is tried again."""

import asyncio
import random

import structlog

from schemas.errors import BrokerError

log = structlog.get_logger(__name__)

PATIENCE_S = 120.0
"""How long the broker may be gone, or refuse, before the worker gives up."""
RETRY_MOST_S = 2.0
"""Longest wait between attempts, on average."""
RETRY_BASE_S = 0.1
"""Half of the first wait; each next one is about twice as long."""


class Patience:
    """Waits between attempts, a little longer each time, until it has lasted too long.

    Args:
        name: Of what it is about, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._attempts = 0
        self._since: float | None = None

    async def after(self, event: str, failure: BaseException) -> None:
        """Log a failure and wait.

        Raises:
            BrokerError: It has gone on for :data:`PATIENCE_S`.
        """
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        self._attempts += 1
        if now - self._since >= PATIENCE_S:
            raise BrokerError(
                f"{self._name}: the broker did not do what it was asked for {PATIENCE_S:g} s, in "
                f"{self._attempts} attempts: {failure!r}; nothing of it is committed"
            ) from failure
        longest_s = min(RETRY_MOST_S, RETRY_BASE_S * 2**self._attempts)
        delay_s = longest_s * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        log.warning(event, of=self._name, error=repr(failure), delay_s=delay_s)
        await asyncio.sleep(delay_s)
