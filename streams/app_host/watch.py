"""Judges an app by positions that move: Faust can stand still without saying so."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from inference.clock import Clock
from streams import metrics
from streams.apps.pulse import AppFailedError
from streams.stalls import StallDetector

POLL_MS = 1_000
"""How long a record that should be there may take to come."""


class Unread:
    """Asks the broker whether partitions hold records from a position on.

    Args:
        consumer: Of no group, reading committed records.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def count(self, positions: Mapping[TopicPartition, int]) -> int:
        """Return how many offsets there are; 0 where none of them holds a record.

        Raises:
            KafkaError: The broker does not answer.
        """
        if not positions:
            await self._consumer.topics()  # raises where no broker answers
            return 0
        ends = await self._consumer.end_offsets(list(positions))
        behind = {one: end - positions[one] for one, end in ends.items() if end > positions[one]}
        self._show(positions, behind)
        if not behind:
            return 0
        # What is there may be marks of transactions alone.
        self._consumer.assign(list(behind))
        for one in behind:
            self._consumer.seek(one, positions[one])
        found = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=1)
        return sum(behind.values()) if found else 0

    def _show(
        self, positions: Mapping[TopicPartition, int], behind: Mapping[TopicPartition, int]
    ) -> None:
        lags = {one.topic: 0 for one in positions}
        for one, lag in behind.items():
            lags[one.topic] += lag
        for topic, lag in lags.items():
            metrics.LAG.labels(topic).set(lag)


class Watched(Protocol):
    """What of a runtime is looked at; see :class:`streams.apps.faust_runtime.Runtime`."""

    @property
    def is_open(self) -> bool:
        """Whether records are taken."""

    @property
    def progress(self) -> int:
        """Moves as long as there is progress."""

    @property
    def in_flight(self) -> int:
        """Records taken and not settled."""

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """Where each owned partition goes on."""


class AppWatch:
    """Ends an app that stands still although there is work.

    Args:
        stall_s: Seconds without progress that are too many.
    """

    def __init__(self, runtime: Watched, unread: Unread, *, clock: Clock, stall_s: float) -> None:
        self._runtime = runtime
        self._unread = unread
        self._clock = clock
        self._stall_s = stall_s
        self._detector = StallDetector(stall_s)

    async def run(self) -> None:
        """Observe until cancelled.

        Raises:
            AppFailedError: Nothing moved for too long.
        """
        while True:
            await asyncio.sleep(self._stall_s / 6)
            await self.observe()

    async def observe(self) -> None:
        """Look once.

        Raises:
            AppFailedError: Nothing moved for too long.
        """
        runtime, lag, in_flight = self._runtime, 0, 0
        # A broker that does not answer is not Faust's fault: nothing is to be judged then.
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(self._stall_s / 2):
                lag = await self._unread.count(runtime.positions)
                lag = lag if runtime.is_open else max(lag, 1)
                in_flight = runtime.in_flight
        stall = self._detector.observe(
            now=self._clock.monotonic(), lag=lag, in_flight=in_flight, progress=runtime.progress
        )
        if stall is not None:
            state = f"{in_flight} taken" if runtime.is_open else "no partitions taken over"
            raise AppFailedError(
                f"nothing moved for {self._stall_s:g} s, with {lag} records unread and {state}"
            )
