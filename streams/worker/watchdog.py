"""Liveness judged by positions that move, not by tasks that exist."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from inference.clock import Clock
from streams import metrics
from streams.consumer.loop import ConsumeLoop
from streams.offsets import Ledger
from streams.stalls import Stall, StallDetector

log = structlog.get_logger(__name__)


class Apart(NamedTuple):
    """What stands still, and is meant to.

    Attributes:
        events: In flight, and waiting for something other than the pipeline.
        partitions: Whose positions they hold back.
        topics: Of which none is taken in.
    """

    events: int = 0
    partitions: frozenset[TopicPartition] = frozenset()
    topics: frozenset[str] = frozenset()

    def lag(self, lags: Mapping[TopicPartition, int]) -> int:
        """Return the lag that somebody should be working on."""
        return sum(
            lag
            for partition, lag in lags.items()
            if partition not in self.partitions and partition.topic not in self.topics
        )


class Watchdog:
    """Looks at the positions regularly; a consumer that stands still is replaced.

    Args:
        stall_s: Seconds without progress, with work to do, that are too many.
        report: Called with why the pipeline is stuck, and with ``None`` once events end again.
        apart: Says what stands still on purpose.
    """

    def __init__(
        self,
        *,
        loop: ConsumeLoop,
        ledger: Ledger,
        clock: Clock,
        stall_s: float,
        report: Callable[[str | None], None],
        apart: Callable[[], Apart] = Apart,
    ) -> None:
        self._apart = apart
        self._loop = loop
        self._ledger = ledger
        self._clock = clock
        self._stall_s = stall_s
        self._report = report
        self._detector = StallDetector(stall_s)
        self._stuck_at: int | None = None
        self._topics: set[str] = set()

    async def run(self) -> None:
        """Observe until cancelled."""
        while True:
            await asyncio.sleep(self._stall_s / 6)
            self._act(await self._observe())

    async def _observe(self) -> Stall | None:
        lag, apart = 0, self._apart()
        # A broker that does not answer is not the consumer's fault; the client reconnects itself.
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(self._stall_s / 2):
                lags = await self._loop.lag()
            lag = apart.lag(lags)
            self._gauge(lags)
        return self._detector.observe(
            now=self._clock.monotonic(),
            lag=lag,
            in_flight=max(0, self._ledger.in_flight - apart.events),
            progress=self._ledger.completions,
        )

    def _gauge(self, lags: Mapping[TopicPartition, int]) -> None:
        """Show the lag by topic; of topics whose partitions went to others none is left."""
        behind = dict.fromkeys(self._topics, 0)
        for partition, lag in lags.items():
            behind[partition.topic] = behind.get(partition.topic, 0) + lag
        self._topics.update(behind)
        for topic, lag in behind.items():
            metrics.LAG.labels(topic).set(lag)

    def _act(self, stall: Stall | None) -> None:
        if stall is Stall.CONSUMER:
            metrics.CONSUMER_REBUILDS.inc()
            log.error("consumer_stalled", stall_s=self._stall_s, remedy="rebuilding the consumer")
            self._loop.rebuild()
        elif stall is Stall.PIPELINE:
            reason = f"{self._ledger.in_flight} events in flight, none ended in {self._stall_s:g} s"
            log.error("pipeline_stalled", reason=reason)
            self._stuck_at = self._ledger.completions
            self._report(reason)
        elif self._stuck_at is not None and self._ledger.completions > self._stuck_at:
            # Time alone mends nothing: a probe that asks now and then must find the problem.
            self._stuck_at = None
            self._report(None)
