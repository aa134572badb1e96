"""The work between being given partitions and owning them, which may be given up at any time."""

import asyncio
from collections.abc import Callable, Coroutine


class TakingOver:
    """Runs what finds out where to go on.

    Args:
        fail: Called with what it ended with, if that was an error.
    """

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail
        self._task: asyncio.Task[None] | None = None

    async def run(self, work: Coroutine[None, None, None]) -> bool:
        """Return whether the work was done; ``False`` if it failed or was given up."""
        task = self._task = asyncio.create_task(work, name="taking-over")
        await asyncio.wait([task])
        if task.cancelled():
            return False
        if error := task.exception():
            self._fail(error)
            return False
        return True

    async def give_up(self) -> None:
        """End the work that is under way, if any."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
