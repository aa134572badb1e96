"""Takes records to their ends: delivered, or a dead letter that the broker has acknowledged."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import structlog

from streams import metrics
from streams.webhooks.circuit import Circuit
from streams.webhooks.letters import Undelivered
from streams.webhooks.message import Message, message_of
from streams.webhooks.picking import Picked
from streams.webhooks.retrying import Answer, Outcome, Retrying
from streams.webhooks.settings import Webhook

log = structlog.get_logger(__name__)


class Posting(Protocol):
    """Sends a message."""

    async def post(self, message: Message) -> Answer:
        """Send it, and say what came of it."""


class Writing(Protocol):
    """Keeps what could not be delivered."""

    async def write(self, picked: Picked, why: Undelivered, message: str, attempts: int) -> None:
        """Return once it is kept for good."""


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks that deliveries go by.

    Attributes:
        monotonic: In seconds; the event loop's own must be the same.
        wall: In seconds since the epoch.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Deliveries:
    """All records of one webhook that have begun and not ended.

    Records of one key wait for each other where that is asked for; others do not, nor do they wait
    for one that is to be tried again later.

    Args:
        webhook: Whose.
        posting: Sends.
        writing: Keeps dead letters.
        times: The clocks.
        draw: Chance, for waits.
        failed: Called with what a delivery ended with that neither delivered nor kept it.
    """

    def __init__(
        self,
        webhook: Webhook,
        posting: Posting,
        writing: Writing,
        *,
        times: Times,
        draw: random.Random,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._webhook = webhook
        self._posting = posting
        self._writing = writing
        self._times = times
        self._draw = draw
        self._failed = failed
        self._retrying = Retrying.of(webhook)
        self.circuit = Circuit(self._retrying, times.monotonic)
        self._slots = asyncio.Semaphore(webhook.max_in_flight)
        self._tasks: dict[asyncio.Task[bool], int | None] = {}
        """Each with the time of its record in milliseconds, as far as it has one."""
        self._busy: set[asyncio.Task[Any]] = set()
        self._last: dict[bytes, asyncio.Task[bool]] = {}
        self._closing = False
        self.waiting = 0
        """Records that wait to be tried again."""

    def begin(self, picked: Picked, ended: Callable[[], None]) -> None:
        """Start a delivery; ``ended`` is called once, when the record needs nothing more."""
        key = picked.record.key if self._webhook.preserve_ordering else None
        before = None if key is None else self._last.get(key)
        task = asyncio.create_task(self._run(picked, ended, before))
        self._tasks[task] = picked.record.timestamp_ms
        task.add_done_callback(self._done)
        if key is not None:
            self._last[key] = task
            task.add_done_callback(partial(self._forget, key))

    @property
    def oldest_s(self) -> float:
        """Age of the oldest record that has not ended, in seconds; 0 without any."""
        known = [moment for moment in self._tasks.values() if moment is not None and moment >= 0]
        return max(0.0, self._times.wall() - min(known) / 1e3) if known else 0.0

    async def close(self, drain_s: float) -> bool:
        """Give up what waits, let what is under way end within ``drain_s``, give up the rest.

        Returns:
            Whether all that was under way has ended; what waits is meant to be tried later.
        """
        self._closing = True
        for task in self._tasks.keys() - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=drain_s)
        left, ended = list(self._tasks), not self._busy
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._closing = False
        return ended

    async def _run(
        self, picked: Picked, ended: Callable[[], None], before: asyncio.Task[bool] | None
    ) -> bool:
        if before is not None:
            await asyncio.wait([before])
            if before.cancelled() or before.exception() is not None or not before.result():
                return False  # it has not ended, and comes again: this must not be before it
        has_ended = await self._deliver(picked)
        if has_ended:
            ended()
        return has_ended

    async def _deliver(self, picked: Picked) -> bool:
        """Return whether the record needs nothing more; ``False`` if it was given up."""
        attempts, first = 0, None
        while True:
            async with self._slots:
                is_probe = await self.circuit.admission()
                first = self._times.monotonic() if first is None else first
                attempts += 1
                answer = await self._attempt(picked, is_probe=is_probe)
            if answer.outcome is Outcome.DELIVERED:
                metrics.WEBHOOK_DELIVERED.labels(self._webhook.name).inc()
                return True
            since_s = self._times.monotonic() - first
            wait_s = self._retrying.wait_s(attempts, since_s, answer, self._draw)
            if answer.outcome is Outcome.REFUSED or wait_s is None:
                await self._bury(picked, answer, attempts, since_s)
                return True
            if self._closing:
                return False
            await self._wait(wait_s)

    async def _attempt(self, picked: Picked, *, is_probe: bool) -> Answer:
        answer = None
        with self._under_way():
            try:
                now = datetime.fromtimestamp(self._times.wall(), UTC)
                message = message_of(picked, self._webhook, now)
                with metrics.WEBHOOK_SECONDS.labels(self._webhook.name).time():
                    answer = await self._posting.post(message)
            finally:
                self.circuit.ended(answer, is_probe=is_probe)
        metrics.WEBHOOK_ATTEMPTS.labels(self._webhook.name, answer.kind).inc()
        return answer

    async def _bury(self, picked: Picked, answer: Answer, attempts: int, since_s: float) -> None:
        why = Undelivered.EXHAUSTED
        message = (
            f"url: the endpoint of {self._webhook.name} did not take it in {attempts} requests "
            f"over {since_s:.0f} s, the last: {answer.told}; see to it, then redrive this"
        )
        if answer.outcome is Outcome.REFUSED:
            why = Undelivered.REFUSED
            message = (
                f"url: the endpoint of {self._webhook.name} refused it: {answer.told}; let it take "
                "such records, then redrive this"
            )
        with self._under_way():
            await self._writing.write(picked, why, message, attempts)
        metrics.WEBHOOK_DEAD_LETTERS.labels(self._webhook.name, why).inc()
        log.warning("undelivered", webhook=self._webhook.name, record=picked.name, why=message)

    async def _wait(self, seconds: float) -> None:
        self.waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.waiting -= 1

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Mark what is not to be broken off while there is time."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - deliveries run in tasks
        self._busy.add(task)
        try:
            yield
        finally:
            self._busy.discard(task)

    def _done(self, task: asyncio.Task[bool]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _forget(self, key: bytes, task: asyncio.Task[bool]) -> None:
        if self._last.get(key) is task:
            del self._last[key]
