"""The stream that faults are worked on: paced, acknowledged, and past the proxy."""

import asyncio
import random
import time
from dataclasses import dataclass, field

import orjson
from aiokafka import AIOKafkaProducer

from tests.faults.schedule import Kind
from tests.faults.worker_entry import POISON

EXPECT = "expect"
"""Header of every input record: how it has to end. Workers don't read it."""
RESULT, UNDECODABLE, INVALID, POISONED = "result", "undecodable", "invalid", "poison"
KEYS = 24
TICK_S = 0.02
REQUEST_TIMEOUT_MS = 300_000
"""The stream outlives every spell of a broker that is away."""
_TEXT = (
    "profit loss rises falls sharply slightly after before quarter harbour mill steel bank "
    "upgrade downgrade court port strike deal record weak strong outlook"
)
WORDS = _TEXT.split()


@dataclass
class Input:
    """Sends events at a pace until it is stopped.

    Every other event is to be classified however late it is, the rest follows the worker's policy.

    Attributes:
        bootstrap_servers: Of a listener that no fault touches.
        rate: Events a second.
        acknowledged: Partition and offset of everything that the broker said it had.
    """

    bootstrap_servers: str
    topic: str
    rate: float
    seed: int
    sent: int = 0
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    failed: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - no secret
        self._stopping = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None

    async def run(self) -> None:
        """Send until :meth:`stop`, then wait until all is acknowledged."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            enable_idempotence=True,
            acks="all",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=5_000,
        )
        await self._producer.start()
        try:
            started = time.monotonic()
            while not self._stopping.is_set():
                while self.sent < self.rate * (time.monotonic() - started):
                    await self._event()
                await asyncio.sleep(TICK_S)
            await self._producer.flush()
        finally:
            await self._producer.stop()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping.set()

    async def spoil(self, kind: Kind) -> None:
        """Send one record that must become a dead letter."""
        number = self.sent
        if kind is Kind.UNDECODABLE:
            damaged = self._chance.choice((b"", b"{", b"\xff\xfe\0", b"[1, 2]", b'"text"'))
            await self._send(damaged, UNDECODABLE, [])
        elif kind is Kind.INVALID:
            document = {"id": f"e-{number}", "headline": self._chance.choice(("", 7, None))}
            await self._send(orjson.dumps(document), INVALID, [])
        else:
            document = {"id": f"e-{number}", "headline": POISON}
            # Late rather than shed: it has to reach the model.
            await self._send(orjson.dumps(document), POISONED, [("ce_onoverload", b"late")])

    async def _event(self) -> None:
        words = self._chance.choices(WORDS, k=self._chance.randint(4, 12))
        document = {"id": f"e-{self.sent}", "headline": " ".join(words)}
        late = [("ce_onoverload", b"late")] if self.sent % 2 else []
        await self._send(orjson.dumps(document), RESULT, late)

    async def _send(self, value: bytes, expect: str, headers: list[tuple[str, bytes]]) -> None:
        assert self._producer
        self.sent += 1
        future = await self._producer.send(
            self.topic,
            value=value,
            key=f"k-{self._chance.randrange(KEYS)}".encode(),
            headers=[*headers, (EXPECT, expect.encode())],
        )
        future.add_done_callback(self._settled)

    def _settled(self, sent: "asyncio.Future[object]") -> None:
        if sent.cancelled() or sent.exception() is not None:
            self.failed += 1
            return
        record = sent.result()
        self.acknowledged.add((record.partition, record.offset))  # type: ignore[attr-defined]
