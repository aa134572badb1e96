"""Looks at the group's committed offsets again and again while faults happen."""

import asyncio
import time
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from streams.clients import open_admin
from streams.connection import Connection
from streams.delivery.finished import decode_finished

EVERY_S = 0.25
ANSWER_S = 5.0
AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """What was committed.

    Attributes:
        at: Wall clock in seconds when the answer had come: what it says was so by then.
        committed: By partition of the input topic.
        finished: Partitions and offsets beyond it that the commit's metadata calls finished.
    """

    at: float
    committed: dict[int, int]
    finished: tuple[tuple[int, int], ...] = ()


@dataclass
class Sampler:
    """Samples until cancelled; a broker that is away is asked again.

    Attributes:
        bootstrap_servers: Of a listener that no fault touches.
    """

    bootstrap_servers: str
    group: str
    topic: str
    samples: list[Sample] = field(default_factory=list)

    committed: dict[int, int] = field(default_factory=dict)
    """What was last seen of each partition; a broker that is loading knows of some only."""

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            try:
                async with open_admin(Connection(self.bootstrap_servers, "faults")) as admin:
                    while True:
                        async with asyncio.timeout(ANSWER_S):
                            sample = await self._sample(admin)
                        self.samples.append(sample)
                        self.committed |= sample.committed
                        await asyncio.sleep(EVERY_S)
            except (BrokerError, KafkaError, OSError, TimeoutError):
                await asyncio.sleep(AGAIN_S)

    async def _sample(self, admin: AIOKafkaAdminClient) -> Sample:
        found = await admin.list_consumer_group_offsets(self.group)
        now = time.time()
        ours = {
            one.partition: held
            for one, held in found.items()
            if one.topic == self.topic and held.offset >= 0
        }
        return Sample(
            now,
            {partition: held.offset for partition, held in ours.items()},
            tuple(
                (partition, offset)
                for partition, held in ours.items()
                if held.metadata
                for offset in decode_finished(held.offset, held.metadata)
            ),
        )
