"""Runs a :class:`~streams.apps.keyed.KeyedApp` on Faust: at least once, each step as if once.

Faust takes part in the group and fetches. It is not left to say what may be committed: it
acknowledges events whose handler raised, and those that it passes over because a rebalance began
while they waited; and it commits beyond what is not acknowledged where nothing was committed
before. The topics are therefore read without its acknowledgements, and the protocol is this one:

1. The group's assignment changed. The flow is stopped until the states of owned partitions are read
   from the changelog (:mod:`streams.apps.tables`), and it is known where each partition goes on: at
   what is committed, or else at its beginning.
2. A result is taken and spread. Its parts are sent to the inner topic and acknowledged; then the
   result's offset may be committed (:mod:`streams.apps.settling`).
3. A part is taken and its step made, on the state in memory. At least once: what is derived is sent
   and acknowledged; then the state goes to the changelog and is acknowledged; then the part's
   offset may be committed. A crash in between repeats the step, on the earlier state or on its own:
   the same is derived again, or the step knows the repetition. Exactly once: all three are one
   transaction, and whoever owned the partition before was fenced ahead of 1
   (:class:`streams.apps.writing.Transactions`).
4. At every commit interval the positions of owned partitions are committed, by explicit offset.
5. Partitions are about to be revoked: no more is taken, what was taken is settled within the drain
   time and committed. Of partitions that come back, what the changelog got since is read, because
   another member may have written there.
6. A part that is missing in between (Faust's buffers were lost), a failed acknowledgement, or a
   process that slept longer than its session ends :meth:`Runtime.run` with an error. Its process
   must end too, and be started again.

Of 6, the last matters most: while a process sleeps, the broker gives its partitions to another,
and a state that it wrote afterwards would replace a newer one. At least once, that can still happen
to one that is frozen between its look at the clock and the write to the socket.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import StreamT

from streams.apps.faust_clients import ClientSettings, FaustApp
from streams.apps.keyed import KeyedApp
from streams.apps.pulse import AppFailedError, Pulse
from streams.apps.settling import Outgoing, Settler, Taken
from streams.apps.tables import Tables
from streams.apps.taking import Count, Taking, own_topics
from streams.apps.waking import Waker
from streams.apps.writing import AtLeastOnce, Transactions

log = structlog.get_logger(__name__)

COMMIT_S = 0.5
DRAIN_S = 10.0
"""How long a stop or a rebalance may wait for what was taken."""
STOP_S = 10.0
"""How long Faust may take to stop."""


class Runtime:
    """Runs one app as a member of its group.

    Args:
        app: What is run.
        name: Names the group and begins the names of the app's own topics.
        clients: How to reach the broker.
        reader: Reads the changelog: of no group, for nothing else, committed records only.
        transactions: What steps lead to is written in; unset for at least once.
        count: Told of what happens.
        clock: Unix seconds.
    """

    def __init__(
        self,
        app: KeyedApp,
        *,
        name: str,
        clients: ClientSettings,
        reader: AIOKafkaConsumer,
        transactions: Transactions | None = None,
        count: Count = lambda *_: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._count = count
        self._pulse = Pulse(clients.session_timeout_ms / 1e3)
        self._faust: Any = FaustApp(
            name,
            clients=clients,
            allow=self._pulse.check,
            positions=lambda: dict(self._taking.next),
        )
        self._parts_topic, changelog = own_topics(name)
        self._tables = Tables(changelog, reader)
        agents = {self._spread: app.inputs, self._step: (self._parts_topic,)}
        for agent, topics in agents.items():
            channel = self._faust.topic(*topics, key_type=bytes, value_type=bytes, acks=False)
            self._faust.agent(channel)(agent)
        one_by_one = AtLeastOnce(self._send, wrote=self._tables.wrote, allow=self._pulse.check)
        self._transactions = transactions
        self._spreading = Settler(one_by_one.write)
        self._stepping = Settler((transactions or one_by_one).write)
        self._waker = Waker(app, self._send_parts, may_wake=lambda: self.is_open, clock=clock)
        self._taking = Taking(
            app,
            name=name,
            states=self._tables.states,
            changed=self._waker.ask,
            count=count,
        )
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._assignment = 0
        self._committing = asyncio.Lock()
        self._committed: dict[TopicPartition, int] = {}
        self.is_open = False
        """Whether records are taken: partitions are assigned and their states are read."""

    @property
    def progress(self) -> int:
        """Moves as long as records are settled, or states are being read."""
        return self._spreading.settled + self._stepping.settled + self._tables.read

    @property
    def in_flight(self) -> int:
        """Records taken and not settled."""
        return self._spreading.waiting + self._stepping.waiting

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """Where each owned partition of the inputs and the inner topic goes on."""
        return {**self._committed, **self._spreading.positions, **self._stepping.positions}

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set, then settle and commit what was taken.

        Raises:
            KafkaError: A record could not be written.
            AppFailedError: Faust failed or cannot be trusted any more; start the process again.
        """
        self._faust.on_partitions_revoked.connect(self._on_revoked)
        self._faust.on_rebalance_complete.connect(self._on_restored)
        running = [
            asyncio.create_task(coroutine)
            for coroutine in (
                self._spreading.run(),
                self._stepping.run(),
                self._commit_regularly(),
                self._waker.run(),
                self._pulse.run(),
                self._until_crashed(),
            )
        ]
        starting = asyncio.create_task(self._faust.start())
        stopping = asyncio.create_task(stop.wait())
        try:
            await self._first_end(stopping, [*running, self._failure], starting)
            await self._close()
        finally:
            for task in (stopping, starting, *running):
                task.cancel()
            if self._transactions:
                await self._transactions.give_up()
            await self._stop_faust()
            await asyncio.gather(stopping, starting, *running, return_exceptions=True)

    async def _first_end(
        self,
        stopping: asyncio.Future[Any],
        running: list[asyncio.Future[Any]],
        starting: asyncio.Future[Any],
    ) -> None:
        waited: set[asyncio.Future[Any]] = {stopping, starting, *running}
        while not stopping.done():
            done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()

    async def _until_crashed(self) -> None:
        await self._faust._crashed.wait()  # noqa: SLF001 - Faust has no public way
        raise AppFailedError(f"Faust crashed: {self._faust.crash_reason!r}")

    async def _stop_faust(self) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                await self._faust.stop()
        except Exception as error:  # noqa: BLE001 - the process ends, whatever it is
            log.warning("faust_not_stopped", error=repr(error))

    async def _close(self) -> None:
        self._stop_flow()
        self._faust.flow_control.clear()
        if not await self._drained():
            raise AppFailedError(f"what was taken could not be settled in {DRAIN_S:g} s")
        await self._commit()

    # Records

    async def _spread(self, stream: StreamT[Any]) -> None:
        await self._each(stream, self._taking.result, self._spreading)

    async def _step(self, stream: StreamT[Any]) -> None:
        await self._each(stream, self._taking.part, self._stepping)

    async def _each(
        self, stream: StreamT[Any], take: Callable[[Any], Taken | None], settler: Settler
    ) -> None:
        try:
            async for event in stream.events():
                if self.is_open and (taken := take(event.message)) is not None:
                    settler.take(taken)
                    await settler.room()
        except Exception as error:  # noqa: BLE001 - Faust would go on with the next event
            self._fail(error)

    async def _send(self, record: Outgoing) -> Awaitable[Any]:
        acknowledged: Awaitable[Any] = await self._faust.producer.send(
            record.topic, record.key, record.value, record.partition, None, record.headers
        )
        return acknowledged

    async def _send_parts(self, parts: list[tuple[bytes, bytes]]) -> None:
        sent = [await self._send(Outgoing(self._parts_topic, *each)) for each in parts]
        await asyncio.gather(*sent)
        self._count("wake", len(parts))

    # Partitions

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        await self._guarded(self._give_up())

    async def _on_restored(self, *_: Any, **__: Any) -> None:
        await self._guarded(self._take_over())

    async def _guarded(self, handler: Coroutine[Any, Any, None]) -> None:
        try:
            await handler
        except Exception as error:  # noqa: BLE001 - Faust would log it and go on
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _stop_flow(self) -> None:
        self.is_open = False
        self._faust.consumer.stop_flow()
        self._faust.flow_control.suspend()

    async def _give_up(self) -> None:
        """Settle and commit what was taken, then forget where partitions stand."""
        self._assignment += 1
        self.is_open = False
        if not await self._drained():
            raise AppFailedError(f"a rebalance waited {DRAIN_S:g} s for records to be settled")
        await self._commit()
        if self._transactions:
            await self._transactions.give_up()
        for settler in (self._spreading, self._stepping):
            settler.forget()
        self._taking.next.clear()
        self._committed.clear()
        self._waker.clear()
        log.info("partitions_given_up")

    async def _take_over(self) -> None:
        """Learn where each partition goes on; Faust goes there and starts the flow afterwards."""
        self._assignment += 1
        assignment = self._assignment

        def may_go_on() -> bool:
            return assignment == self._assignment

        self._stop_flow()
        consumer = self._faust.consumer
        owned = {TopicPartition(*one) for one in consumer.assignment()}
        parts = {one for one in owned if one.topic == self._parts_topic}
        fenced = await self._transactions.take_over(parts) if self._transactions else {}
        mine = {one.partition for one in parts}
        if not await self._tables.restore(mine, may_go_on=may_go_on):
            return  # another rebalance began meanwhile
        ends = await consumer.highwaters(*owned) if owned else {}
        committed = {**(await consumer.seek_to_committed() if owned else {}), **fenced}
        begins = await consumer.earliest_offsets(*owned) if owned else {}
        if not may_go_on():
            return
        for one in owned:
            at = committed.get(one) or 0
            # A topic that was made anew is read from its beginning.
            self._committed[one] = at if begins[one] <= at <= ends[one] else begins[one]
        self._taking.next = dict(self._committed)
        for key, state in self._tables.items():
            self._waker.ask(key, state)
        self._faust.flow_control.clear()
        self.is_open = True
        log.info("partitions_taken_over", partitions=len(owned), keys=len(self._tables))

    async def _drained(self) -> bool:
        return all([await each.drain(DRAIN_S) for each in (self._spreading, self._stepping)])

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        async with self._committing:
            self._pulse.check()
            positions = self.positions
            moved = {
                one: at
                for one, at in positions.items()
                if at != self._committed.get(one) and not self._is_in_transactions(one)
            }
            if moved and await self._faust.consumer._commit(moved):  # noqa: SLF001
                self._committed |= {one: moved[one] for one in self._committed.keys() & moved}

    def _is_in_transactions(self, partition: TopicPartition) -> bool:
        return self._transactions is not None and partition.topic == self._parts_topic
