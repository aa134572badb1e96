"""What is read and added up while somebody looks at the page, and nothing while nobody does."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import structlog

from schemas.errors import HeadraceError
from streams.clients import open_admin, open_consumer, undisturbed
from streams.connection import Connection
from streams.gateway.page.groups import Groups, GroupWatch
from streams.gateway.page.reading import Reader
from streams.gateway.page.rows import Row, RowFilter
from streams.gateway.page.tally import HISTORY_S, VERDICTS, WINDOW_S, Tally
from streams.gateway.page.windows import BUCKETS, STEPS_PER_DOUBLING

TICK_S = 0.25
TICKS_PER_TOTALS = 4
GROUPS_S = 2.0
MOST_ROWS = 50
"""Rows that are sent at a tick; the newest, where there are more."""

log = structlog.get_logger(__name__)


class Looker:
    """Somebody who looks: which rows are wanted, and which wait.

    Attributes:
        filter: Which rows.
        tick: The last one that was sent; 0 before.
        woken: Set at every tick, and at the end.
        is_over: Whether to send nothing more.
    """

    def __init__(self, row_filter: RowFilter) -> None:
        self.filter = row_filter
        self.tick = 0
        self.woken = asyncio.Event()
        self.is_over = False
        self._rows: deque[Row] = deque(maxlen=MOST_ROWS)
        self._matched = 0

    def offer(self, row: Row) -> None:
        """Take a row, if it is wanted; an older one makes room for it."""
        if self.filter.holds(row):
            self._rows.append(row)
            self._matched += 1

    def take(self) -> dict[str, Any] | None:
        """Return the rows that wait, oldest first, and how many were passed over."""
        if not self._matched:
            return None
        taken = {"rows": list(self._rows), "passed_over": self._matched - len(self._rows)}
        self._rows.clear()
        self._matched = 0
        return taken


class Watching:
    """One tally and its readers, for all who look.

    Args:
        connection: How to reach the brokers.
        topics: Those that may be read; none for all that are named like ours.
        groups: Consumer groups that are looked at; none for those that read such topics.
    """

    def __init__(
        self, connection: Connection, topics: Collection[str], groups: Collection[str]
    ) -> None:
        self.tick = 0
        self.frame = b""
        """What everybody is sent at this tick."""
        self.lookers: set[Looker] = set()
        self.tally = Tally()
        self._connection = connection
        self._groups: Groups | None = None
        self._groups_sent: Groups | None = None
        self._watch = GroupWatch(groups)
        self._reader = Reader(connection, topics, self.tally, self._came)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read."""
        self._tasks = [
            asyncio.create_task(work())
            for work in (self._reader.run, self._look_at_groups, self._beat)
        ]

    async def stop(self) -> None:
        """Stop reading; who still looks is sent nothing more."""
        for looker in self.lookers:
            looker.is_over = True
            looker.woken.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def snapshot(self) -> bytes:
        """Return all that somebody needs who has nothing yet."""
        hello = {
            "broker": self._connection.bootstrap_servers,
            "verdicts": [verdict.value for verdict in VERDICTS],
            "history_s": HISTORY_S,
            "window_s": WINDOW_S,
            "buckets": BUCKETS,
            "steps_per_doubling": STEPS_PER_DOUBLING,
        }
        boards = {name: board.all for name, board in self.tally.boards.named.items()}
        return b"".join(
            (
                event("hello", hello),
                self._totals(),
                event("boards", {"now_ms": self.tally.now_ms, "whole": True, **boards}),
                event("groups", self._groups) if self._groups else b"",
            )
        )

    def newest(self, row_filter: RowFilter) -> list[Row]:
        """Return the newest rows that are wanted, oldest first."""
        found: list[Row] = []
        for row in reversed(self.tally.newest):
            if row_filter.holds(row):
                found.append(row)
                if len(found) == MOST_ROWS:
                    break
        return found[::-1]

    def _came(self, row: Row) -> None:
        for looker in self.lookers:
            looker.offer(row)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.tick += 1
            self.frame = self._changes()
            if self.tick % TICKS_PER_TOTALS == 0:
                self.frame += self._totals()
            if self._groups is not self._groups_sent:
                self.frame += event("groups", self._groups)
                self._groups_sent = self._groups
            for looker in self.lookers:
                looker.woken.set()

    def _totals(self) -> bytes:
        reader = self._reader
        state = {
            "now_ms": self.tally.now_ms,
            "reading": sorted(reader.topics),
            "missing": sorted(reader.missing),
            "problem": reader.problem,
            "is_ready": reader.is_ready,
        }
        return event("totals", state | self.tally.totals())

    def _changes(self) -> bytes:
        changed = {}
        for name, board in self.tally.boards.named.items():
            new, gone = board.changes()
            if new:
                changed[name] = new
            if gone:
                changed[f"{name}_gone"] = gone
        if not changed:
            return b""
        return event("boards", {"now_ms": self.tally.now_ms, **changed})

    async def _look_at_groups(self) -> None:
        while True:
            try:
                async with AsyncExitStack() as stack:
                    admin = await stack.enter_async_context(open_admin(self._connection))
                    consumer = await stack.enter_async_context(open_consumer(self._connection))
                    while True:
                        self._groups = await undisturbed(self._watch.look(admin, consumer))
                        await asyncio.sleep(GROUPS_S)
            except HeadraceError as error:
                self._groups = Groups(members=[], positions=[], states={}, problem=str(error))
                await asyncio.sleep(GROUPS_S)


class Watch:
    """Watches as long as somebody looks, and a while longer, so that a reload finds all there.

    Args:
        connection: How to reach the brokers.
        topics: Those that may be read; none for all that are named like ours.
        linger_s: Seconds to go on after the last one left.
        groups: Consumer groups that are looked at; none for those that read such topics.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Collection[str],
        linger_s: float,
        groups: Collection[str] = (),
    ) -> None:
        self._make: Callable[[], Watching] = lambda: Watching(connection, topics, groups)
        self._linger_s = linger_s
        self._watching: Watching | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many look."""
        return len(self._watching.lookers) if self._watching else 0

    @property
    def is_reading(self) -> bool:
        """Whether anything is read for them."""
        return self._watching is not None

    def join(self, looker: Looker) -> Watching:
        """Begin to look."""
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._watching is None:
            self._watching = self._make()
            self._watching.start()
        self._watching.lookers.add(looker)
        return self._watching

    def leave(self, looker: Looker) -> None:
        """Look no longer."""
        if self._watching is None:
            return
        self._watching.lookers.discard(looker)
        if not self._watching.lookers:
            self._ending = asyncio.create_task(self._end_later())

    async def stop(self) -> None:
        """Send nobody anything more."""
        if self._ending is not None:
            self._ending.cancel()
        watching, self._watching = self._watching, None
        if watching is not None:
            await watching.stop()

    async def _end_later(self) -> None:
        await asyncio.sleep(self._linger_s)
        watching, self._watching = self._watching, None
        self._ending = None
        if watching is not None:
            await watching.stop()


def event(name: str, data: Any) -> bytes:
    """Write a server-sent event."""
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
