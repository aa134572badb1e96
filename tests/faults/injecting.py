"""Does what a schedule says to workers, broker, the line between them, input and machine."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import BrokerError
from streams.broker import RunningBroker
from streams.broker.process import ChildProcess
from tests.faults.inputs import Input
from tests.faults.member import PATIENCE_S, End, Member
from tests.faults.proxy import Direction, Proxy
from tests.faults.schedule import ON_INPUT, Fault, Kind

START_S = 10.0
POLL_S = 0.02
BROKER_READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that happened.

    Attributes:
        began: Wall clock in seconds.
        ended: When it was over; what it did may take longer to pass.
        detail: What was seen.
        owned: Of a killed worker, the input topic's partitions that it had.
        failed: A promise that was broken then and there, if any.
    """

    fault: Fault
    began: float
    ended: float
    detail: str = ""
    owned: tuple[int, ...] = ()
    failed: str = ""


@dataclass
class Seen:
    """What a fault's handler saw."""

    detail: str = ""
    owned: tuple[int, ...] = ()
    failed: str = ""


@dataclass
class Stage:
    """Everything that a fault can be worked on.

    Attributes:
        guest: Makes a worker that joins for a while, by its name.
        done: What has happened, in the order in which it was over.
        told: Hears of each.
    """

    broker: RunningBroker
    proxy: Proxy
    members: list[Member]
    input: Input
    directory: Path
    chance: random.Random
    guest: Callable[[str], Member]
    told: Callable[[Done], None]
    done: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._broker_lock = asyncio.Lock()

    async def play(self, faults: list[Fault]) -> None:
        """Let every fault happen at its time, whatever of the earlier ones still goes on."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, fault.at_s - (time.monotonic() - started)))
                group.create_task(self._inject(fault), name=str(fault))

    async def _inject(self, fault: Fault) -> None:
        began = time.time()
        seen = await self._handler(fault.kind)(fault)
        done = Done(fault, began, time.time(), seen.detail, seen.owned, seen.failed)
        self.done.append(done)
        self.told(done)

    def _handler(self, kind: Kind) -> Callable[[Fault], Awaitable[Seen]]:
        if kind in ON_INPUT:
            return self._spoil
        handlers: dict[Kind, Callable[[Fault], Awaitable[Seen]]] = {
            Kind.KILL: self._kill,
            Kind.TERM: self._terminate,
            Kind.PAUSE: self._pause,
            Kind.FREEZE: self._pause,
            Kind.BROKER_KILL: self._restart_broker,
            Kind.BROKER_TERM: self._restart_broker,
            Kind.CUT: self._cut,
            Kind.REFUSE: self._refuse,
            Kind.DELAY: self._delay,
            Kind.THROTTLE: self._throttle,
            Kind.HALF_CLOSE: self._half_close,
            Kind.HICCUP: self._black_hole,
            Kind.BLACK_HOLE: self._black_hole,
            Kind.JOIN: self._join,
            Kind.CLOCK: self._clock,
            Kind.FULL_DISK: self._full_disk,
            Kind.HOG: self._hog,
        }
        return handlers[kind]

    async def _victim(self, fault: Fault) -> tuple[Member, int | None]:
        """Return the worker and its process id, waiting for one that is about to start."""
        member = self.members[int(fault.victim.rpartition(" ")[2])]
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while member.pid is None:  # noqa: ASYNC110 - its keeper starts it
                    await asyncio.sleep(POLL_S)
        return member, member.pid

    async def _kill(self, fault: Fault) -> Seen:
        member, pid = await self._victim(fault)
        owned = tuple(sorted(int(name.rpartition("-")[2]) for name in member.owned))
        member.signal(signal.SIGKILL)
        await member.until_ended(pid)
        return Seen(f"had {len(owned)} partitions", owned)

    async def _terminate(self, fault: Fault) -> Seen:
        member, _ = await self._victim(fault)
        return await _drained(member)

    async def _pause(self, fault: Fault) -> Seen:
        member, pid = await self._victim(fault)
        if pid is None:
            return Seen("nothing ran")
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(float(fault.parameters["seconds"]))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return Seen()

    async def _restart_broker(self, fault: Fault) -> Seen:
        async with self._broker_lock:
            started = time.monotonic()
            runner = self.broker.runner
            assert runner
            await (runner.kill() if fault.kind is Kind.BROKER_KILL else runner.stop())
            await asyncio.sleep(float(fault.parameters["away"]))
            try:
                await self.broker.restart(BROKER_READY_S)
            except BrokerError:  # slow under load, and no fault of the workers
                await self.broker.restart(BROKER_READY_S)
            return Seen(f"back after {time.monotonic() - started:.1f} s")

    async def _cut(self, fault: Fault) -> Seen:
        return Seen(f"{self.proxy.cut(float(fault.parameters['share']), self.chance)} connections")

    async def _refuse(self, fault: Fault) -> Seen:
        self.proxy.refuse()
        cut = self.proxy.cut()
        await asyncio.sleep(float(fault.parameters["seconds"]))
        await self.proxy.start()
        return Seen(f"{cut} connections")

    async def _delay(self, fault: Fault) -> Seen:
        self.proxy.delay_s = float(fault.parameters["ms"]) / 1e3
        await asyncio.sleep(float(fault.parameters["seconds"]))
        self.proxy.delay_s = 0.0
        return Seen()

    async def _throttle(self, fault: Fault) -> Seen:
        self.proxy.bytes_per_s = float(fault.parameters["bytes_per_s"])
        await asyncio.sleep(float(fault.parameters["seconds"]))
        self.proxy.bytes_per_s = None
        return Seen()

    async def _half_close(self, fault: Fault) -> Seen:
        ended = self.proxy.half_close(Direction(str(fault.parameters["way"])))
        return Seen(f"{ended} connections")

    async def _black_hole(self, fault: Fault) -> Seen:
        way = str(fault.parameters["way"])
        directions = tuple(Direction) if way == "both" else (Direction(way),)
        self.proxy.black_hole(*directions)
        await asyncio.sleep(float(fault.parameters["seconds"]))
        self.proxy.mend(*directions)
        return Seen(f"{self.proxy.connections} connections")

    async def _join(self, fault: Fault) -> Seen:
        guest = self.guest(f"guest {fault.number}")
        guest.start()
        await asyncio.sleep(float(fault.parameters["seconds"]))
        owned = len(guest.owned)
        code = await guest.stop()
        failed = "" if code is not None else f"{guest.name} did not drain in {PATIENCE_S:g} s"
        return Seen(f"had {owned} partitions, exit {code}", failed=failed)

    async def _spoil(self, fault: Fault) -> Seen:
        await self.input.spoil(fault.kind)
        return Seen()

    async def _clock(self, fault: Fault) -> Seen:
        member, _ = await self._victim(fault)
        member.set_clock(float(fault.parameters["by"]))
        await asyncio.sleep(float(fault.parameters["seconds"]))
        member.set_clock(0.0)
        return Seen()

    async def _full_disk(self, fault: Fault) -> Seen:
        member, _ = await self._victim(fault)
        member.no_files = True
        try:
            seen = await _drained(member)
            with suppress(TimeoutError):
                async with asyncio.timeout(START_S):
                    while not member.owned:  # noqa: ASYNC110 - its log says so
                        await asyncio.sleep(POLL_S)
        finally:
            member.no_files = False
        return Seen(f"{seen.detail}, then had {len(member.owned)} partitions", failed=seen.failed)

    async def _hog(self, fault: Fault) -> Seen:
        hogs = [
            ChildProcess(
                [sys.executable, "-c", "while True: pass"],
                log=self.directory / "hog.log",
                cwd=self.directory,
            )
            for _ in range(int(fault.parameters["processes"]))
        ]
        for hog in hogs:
            hog.start()
        await asyncio.sleep(float(fault.parameters["seconds"]))
        for hog in hogs:
            await hog.kill()
        return Seen()


async def _drained(member: Member) -> Seen:
    """Ask a worker to drain; it is started again by its keeper."""
    pid, before = member.pid, len(member.ends)
    started = time.monotonic()
    member.signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await member.until_ended(pid)
    except TimeoutError:
        member.signal(signal.SIGKILL)
        return Seen("killed", failed=f"{member.name} did not drain in {PATIENCE_S:g} s")
    took_s = time.monotonic() - started
    await asyncio.sleep(POLL_S)
    ended: list[End] = member.ends[before:]
    return Seen(f"ended after {took_s:.1f} s" + "".join(f", exit {end.code}" for end in ended[:1]))
