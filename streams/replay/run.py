"""The replay itself: lines in, records out, at the log's own pace."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from inference.clock import Clock
from schemas.errors import ContractError, InvalidEventError, OversizedError, UndecodableError
from streams.replay.mapping import Prepared
from streams.replay.pacing import Pacer
from streams.replay.source import MAX_LINE_BYTES, Line

KEPT_PROBLEMS = 20
"""Lines that are named at the end; of more only the number is told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one line."""

    line: int
    reason: str


@dataclass(slots=True)
class Problems:
    """How many lines share a fate, and the first few of them."""

    count: int = 0
    first: list[Problem] = field(default_factory=list)

    def note(self, line: int, reason: str) -> None:
        """Add one line."""
        self.count += 1
        if len(self.first) < KEPT_PROBLEMS:
            self.first.append(Problem(line, reason))


@dataclass(slots=True)
class Progress:
    """How far a replay is; read by whoever shows it.

    Attributes:
        sent: Events handed to the producer.
        skipped: Lines that could not be sent.
        broken: Events that were sent although they break their contract.
        wall_s: Seconds since the start.
        worst_behind_s: Furthest that an event was sent after it was due.
    """

    sent: int = 0
    skipped: Problems = field(default_factory=Problems)
    broken: Problems = field(default_factory=Problems)
    wall_s: float = 0.0
    worst_behind_s: float = 0.0

    @property
    def events_per_s(self) -> float:
        """Events sent per second, over the whole replay."""
        return self.sent / self.wall_s if self.wall_s else 0.0


class LineMapper(Protocol):
    """Makes records from lines."""

    def prepare(self, line: bytes, number: int) -> Prepared:
        """Make one; raises ``UndecodableError`` for a line that cannot be read."""


class RecordSender(Protocol):
    """Takes records to where they belong."""

    async def send(self, prepared: Prepared) -> None:
        """Hand one over; raises ``OversizedError`` or ``BrokerError``."""

    async def drain(self) -> None:
        """Wait until the broker has everything; raises ``BrokerError``."""


class Replay:
    """Sends a log.

    Args:
        mapper: Makes records from lines.
        sender: Where they go.
        pacer: Knows when each is due.
        clock: For the wall time.
        limit: Most events to send; ``None`` sends all.
        strict: Stop at the first line that cannot be read or breaks the contract.
    """

    def __init__(
        self,
        *,
        mapper: LineMapper,
        sender: RecordSender,
        pacer: Pacer,
        clock: Clock,
        limit: int | None = None,
        strict: bool = False,
    ) -> None:
        self._mapper = mapper
        self._sender = sender
        self._pacer = pacer
        self._clock = clock
        self._limit = limit
        self._strict = strict
        self._sending: asyncio.Task[None] | None = None
        self._stopped = False
        self.progress = Progress()

    def stop(self) -> None:
        """Send nothing more; :meth:`run` then returns when the broker has what was sent."""
        self._stopped = True
        if self._sending:
            self._sending.cancel()

    async def run(self, lines: AsyncIterator[Line]) -> Progress:
        """Send the lines and wait until the broker has them.

        Raises:
            UndecodableError: A line cannot be read, and ``strict`` was asked for.
            InvalidEventError: An event breaks its contract, and ``strict`` was asked for.
            ConfigurationError: The log cannot be read on.
            BrokerError: The broker refused a record.
        """
        started = self._clock.monotonic()
        if not self._stopped:
            self._sending = asyncio.create_task(self._send_all(lines, started))
            try:
                await self._sending
            except asyncio.CancelledError:
                if not self._stopped:
                    raise
            finally:
                self._sending.cancel()
        await self._sender.drain()
        self._note_time(started)
        return self.progress

    async def _send_all(self, lines: AsyncIterator[Line], started: float) -> None:
        async for number, line in lines:
            prepared = self._prepare(number, line)
            if prepared is None:
                continue
            await self._pacer.wait(prepared.time_ms)
            await self._send(number, prepared)
            self._note_time(started)
            if self.progress.sent == self._limit:
                return

    def _prepare(self, number: int, line: bytes | None) -> Prepared | None:
        if line is None:
            self._skip(number, OversizedError(f"is longer than {MAX_LINE_BYTES:,} bytes"))
            return None
        try:
            prepared = self._mapper.prepare(line, number)
        except UndecodableError as error:
            self._skip(number, error)
            return None
        if prepared.breach is not None:
            if self._strict:
                raise InvalidEventError(f"line {number}: {prepared.breach}")
            self.progress.broken.note(number, prepared.breach)
        return prepared

    async def _send(self, number: int, prepared: Prepared) -> None:
        try:
            await self._sender.send(prepared)
        except OversizedError as error:
            self._skip(number, error)
        else:
            self.progress.sent += 1

    def _skip(self, number: int, error: ContractError) -> None:
        if self._strict:
            raise type(error)(f"line {number}: {error}") from error
        self.progress.skipped.note(number, str(error))

    def _note_time(self, started: float) -> None:
        self.progress.wall_s = self._clock.monotonic() - started
        self.progress.worst_behind_s = self._pacer.worst_behind_s
