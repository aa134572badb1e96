"""The child process that tries suspects, spoken with from a thread that may wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from inference.engine import Encoded, Engine, Prediction
from inference.trial import Trials
from schemas.events import Event
from streams.lane.sessions import Context, encode_in_context


class Child:
    """One process at a time, with one model; all methods belong to the event loop.

    Args:
        load: Loads a model by its path or name, in the child.
        timeout_s: How long the child may take for an event.
    """

    def __init__(self, load: Callable[[str], Engine], timeout_s: float) -> None:
        self._load = load
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="headrace-trials")
        self._trials: tuple[str, Trials] | None = None

    async def attempt(
        self, model: str, event: Event, context: Context, *, deaths: int
    ) -> Prediction | Exception:
        """Have an event classified; return what came of it, if only what the child died of.

        Args:
            model: Path or name; a child that has another ends.
            event: The suspect.
            context: What is read with it.
            deaths: Processes that died over it before.

        Raises:
            TrialError: There is no child that could try it.
        """
        if self._trials is None or self._trials[0] != model:
            self.end()
            trials = Trials(partial(self._load, model), timeout_s=self._timeout_s)
            self._trials = model, trials
        attempt = partial(self._trials[1].attempt, partial(_encode, event, context), deaths=deaths)
        return await asyncio.get_running_loop().run_in_executor(self._thread, attempt)

    def end(self) -> None:
        """End the process; the next attempt starts one. An attempt that is under way ends, too."""
        trials, self._trials = self._trials, None
        if trials is not None:
            trials[1].close()

    def close(self) -> None:
        """Try nothing any more."""
        self.end()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _encode(event: Event, context: Context, engine: Engine) -> Encoded:
    (encoded,) = encode_in_context(engine, [event], [context])
    return encoded
