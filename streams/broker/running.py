"""A broker that answers, and what can be done to it."""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from streams.clients import open_admin
from streams.connection import Connection
from streams.security import Security

READY_S = 60.0
ANSWER_S = 5.0
POLL_S = 0.05
LOG_LINES = 12


class Runner(Protocol):
    """The process or container that a broker runs in."""

    @property
    def pid(self) -> int | None:
        """Process id on this machine, where there is one."""

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""

    def start(self) -> None:
        """Start it, or start it again on the same data."""

    def pause(self) -> None:
        """Freeze it."""

    def resume(self) -> None:
        """Let it go on."""

    async def kill(self) -> None:
        """End it without warning."""

    async def stop(self) -> None:
        """End it in order."""

    def logs(self, lines: int) -> str:
        """Return the last lines that it wrote."""


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that answers.

    Attributes:
        bootstrap_servers: ``host:port`` for clients.
        provider: ``docker``, ``maven``, ``embedded``, or ``given`` for one that was there before.
        version: Of the broker; ``unknown`` for a given one.
        runner: What it runs in; ``None`` for a given one.
        check_address: Where the broker's readiness is asked for: always plain text.
    """

    bootstrap_servers: str
    provider: str
    version: str
    runner: Runner | None = None
    check_address: str | None = None

    @property
    def is_kafka(self) -> bool:
        """Whether this is Apache Kafka itself; a given broker is taken for it."""
        return self.provider != "embedded"

    @property
    def is_ours(self) -> bool:
        """Whether it can be killed, paused and restarted."""
        return self.runner is not None

    @property
    def pid(self) -> int | None:
        """Process id on this machine, where there is one."""
        return self.runner.pid if self.runner else None

    def logs(self, lines: int = LOG_LINES) -> str:
        """Return the last lines of the broker's log; nothing for a given one."""
        return self.runner.logs(lines) if self.runner else ""

    async def kill(self) -> None:
        """End the broker without warning (SIGKILL); its data stay for ``restart``."""
        await self._own().kill()

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): connections stay open, nothing answers."""
        self._own().pause()

    def resume(self) -> None:
        """Let a frozen broker go on (SIGCONT)."""
        self._own().resume()

    async def restart(self, timeout_s: float = READY_S) -> None:
        """Start it again on the same address and data, stopping it first where it runs.

        Raises:
            BrokerError: It does not answer in time.
        """
        runner = self._own()
        await runner.stop()
        runner.start()
        await until_ready(self.check_address or self.bootstrap_servers, runner, timeout_s)

    async def ended(self) -> None:
        """Return when the broker has ended by itself; never for a given one."""
        while self.runner is None or self.runner.running:  # noqa: ASYNC110 - the kernel tells
            await asyncio.sleep(POLL_S)

    def _own(self) -> Runner:
        if self.runner is None:
            raise BrokerError(
                f"{self.bootstrap_servers}: this broker was given by its address and is not "
                "ours to stop; let headrace start one (--provider maven)"
            )
        return self.runner


async def until_ready(address: str, runner: Runner, timeout_s: float = READY_S) -> None:
    """Wait until an administration client gets an answer.

    Raises:
        BrokerError: The broker ended, or does not answer in time; with its last log lines.
    """
    give_up = time.monotonic() + timeout_s
    while runner.running and time.monotonic() < give_up:
        if await _listens(address):
            try:
                await check(address)
            except BrokerError:
                if time.monotonic() >= give_up:
                    break
            else:
                return
        await asyncio.sleep(POLL_S)
    problem = f"does not answer after {timeout_s:g} s" if runner.running else "ended"
    raise BrokerError(
        f"the broker for {address} {problem}; its last lines:\n{runner.logs(LOG_LINES)}"
    )


async def check(
    address: str, timeout_s: float = ANSWER_S, security: Security | None = None
) -> None:
    """Ask a broker for its cluster.

    Raises:
        BrokerError: It does not answer in time; names the address.
        ConfigurationError: The address is not one, or the broker refuses this client.
    """
    security = security or Security()
    connection = Connection(address, "headrace-broker", security)
    try:
        async with (
            asyncio.timeout(timeout_s),
            open_admin(connection) as admin,
        ):
            cluster = await admin.describe_cluster()
    except TimeoutError as error:
        raise BrokerError(
            f"bootstrap_servers: {address} does not answer within {timeout_s:g} s; is a Kafka "
            f"broker listening there, for {security.protocol}?"
        ) from error
    except KafkaError as error:
        raise BrokerError(
            f"bootstrap_servers: {address} does not say which brokers there are ({error!r}); is it "
            "starting or stopping? Try again"
        ) from error
    if not cluster["brokers"]:
        raise BrokerError(f"bootstrap_servers: {address} knows of no broker yet; try again")


async def _listens(address: str) -> bool:
    """Tell whether the port is open: asking first keeps refused attempts out of the logs."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await writer.wait_closed()
    except OSError:
        return False
    return True
