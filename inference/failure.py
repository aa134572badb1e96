"""The first failure of something that works in the background, for whoever waits for it."""

import asyncio


class Failure:
    """Holds the first error of background work.

    Attributes:
        future: Fails with that error; never ends otherwise, until :meth:`close`.
    """

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        """Fail, unless that happened before."""
        if not self.future.done():
            self.future.set_exception(error)

    def watch(self, task: asyncio.Task[None]) -> None:
        """Fail when a task does; one that is cancelled does not."""
        task.add_done_callback(self._ended)

    def close(self) -> None:
        """Fail no more."""
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()  # seen: an unread exception would be logged as lost

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)
