"""A webhook at work, and what it shows of itself."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError

from streams import metrics
from streams.consumer.loop import ConsumeLoop
from streams.health import Health
from streams.offsets import Ledger
from streams.stalls import Stall, StallDetector
from streams.webhooks.delivering import Deliveries
from streams.webhooks.settings import Webhook

log = structlog.get_logger(__name__)

LAG_S = 5.0
"""A broker that takes longer to say how far its topics go is asked again later."""


@dataclass(slots=True)
class Served:
    """A webhook at work.

    Attributes:
        was_open: Its circuit was, when it was last looked at.
    """

    webhook: Webhook
    loop: ConsumeLoop
    ledger: Ledger
    deliveries: Deliveries
    detector: StallDetector
    was_open: bool = False

    async def run(self) -> None:
        """Read and deliver until stopped; log lines name the webhook."""
        structlog.contextvars.bind_contextvars(webhook=self.webhook.name)
        await self.loop.run()

    def show(self, health: Health) -> None:
        """Tell what is known without asking anybody."""
        name, condition = self.webhook.name, f"group {self.webhook.name}"
        serving = self.loop.owning and not self.loop.refused
        (health.met if serving else health.unmet)(condition)
        circuit = self.deliveries.circuit
        metrics.WEBHOOK_WAITING.labels(name).set(self.deliveries.waiting)
        metrics.WEBHOOK_LAG_SECONDS.labels(name).set(self.deliveries.oldest_s)
        metrics.WEBHOOK_OPEN.labels(name).set(circuit.is_open)
        if circuit.is_open and not self.was_open:
            log.error("endpoint_dead", webhook=name, reason=circuit.reason, remedy="it is probed")
        elif self.was_open and not circuit.is_open:
            log.info("endpoint_back", webhook=name)
        self.was_open = circuit.is_open

    async def look(self) -> None:
        """Ask the broker how much is left; a consumer that does not go on is replaced."""
        # A broker that does not answer is not the consumer's fault.
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(LAG_S):
                lag = sum((await self.loop.lag()).values())
            metrics.WEBHOOK_LAG.labels(self.webhook.name).set(lag)
            stall = self.detector.observe(
                now=time.monotonic(),
                lag=lag,
                in_flight=self.ledger.in_flight,
                progress=self.ledger.completions,
            )
            if stall is Stall.CONSUMER:
                metrics.CONSUMER_REBUILDS.inc()
                log.error("consumer_stalled", webhook=self.webhook.name, remedy="replacing it")
                self.loop.rebuild()
