"""Whether the broker answers, found out by asking it; readiness and metrics say so."""

import asyncio
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from streams import metrics
from streams.health import Health

log = structlog.get_logger(__name__)

EVERY_S = 2.0
PATIENCE_S = 5.0
"""An answer that takes longer is none."""
CONDITION = "broker"


class Asking(Protocol):
    """Something that can ask the broker a question."""

    async def ask(self) -> None:
        """Return when the broker has answered.

        Raises:
            KafkaError: It did not.
        """


class Reach:
    """Asks the broker now and then; a worker that cannot reach it is not ready.

    Clients reconnect by themselves and events wait where they are, so nothing else is done. That a
    connection is open says little: a broker behind it may be frozen, or gone without a word.
    """

    def __init__(self, asking: Asking, health: Health) -> None:
        self._asking = asking
        self._health = health
        self._reached = True
        metrics.BROKER_REACHABLE.set(1)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self._note(await self._answer())

    async def _answer(self) -> str | None:
        """Say why there was no answer, or nothing."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._asking.ask()
        except TimeoutError:
            return f"no answer in {PATIENCE_S:g} s"
        except KafkaError as error:
            return repr(error)
        return None

    def _note(self, failure: str | None) -> None:
        reached = failure is None
        if reached == self._reached:
            return
        self._reached = reached
        metrics.BROKER_REACHABLE.set(int(reached))
        if reached:
            log.info("broker_back")
            self._health.met(CONDITION)
        else:
            log.error("broker_unreachable", error=failure, remedy="it is asked again and again")
            self._health.unmet(CONDITION)
