"""Looking at a group: its results as they come, the rest again and again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from inference.clock import Clock, SystemClock
from schemas.errors import BrokerError, ConfigurationError
from schemas.results import Classification
from streams.connection import Connection
from streams.routes import Route
from streams.subscription import Subscription, subscribe
from streams.top.board import Board
from streams.top.group import GroupReader, reading
from streams.top.scrape import scrape
from streams.top.snapshot import Snapshot
from streams.topics import partition_counts


class Watch:
    """A group that is being looked at; see :func:`watching`.

    Args:
        urls: Of the workers' metrics.
        board: Takes in what is seen.
    """

    def __init__(
        self,
        reader: GroupReader,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        board: Board,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._session = session
        self._urls = urls
        self._board = board
        self._clock = clock

    async def refresh(self) -> Snapshot:
        """Look at the group and the metrics, and return what is seen by now."""
        await asyncio.gather(self._look(), self._scrape())
        return self._board.snapshot(self._clock.monotonic())

    async def follow(self, results: Subscription[Classification]) -> None:
        """Take in results for ever.

        Raises:
            BrokerError: The broker refuses to be read on.
        """
        async for result in results:
            self._board.take(result, self._clock.monotonic())

    async def _look(self) -> None:
        try:
            look = await self._reader.look()
        except BrokerError as error:
            self._board.problem = str(error)
        else:
            self._board.looked(look, self._clock.monotonic())

    async def _scrape(self) -> None:
        if self._urls:
            found = await scrape(self._session, self._urls)
            self._board.scraped(found, self._clock.monotonic())


@asynccontextmanager
async def watching(
    connection: Connection,
    group: str,
    routes: Sequence[Route],
    urls: Sequence[str] = (),
    *,
    window_s: float,
) -> AsyncIterator[tuple[Watch, asyncio.Task[None]]]:
    """Begin to look at a group; yields the task, too, that follows its results.

    Args:
        connection: How to reach the brokers.
        group: By name.
        routes: What it is thought to serve.
        urls: Of the workers' metrics.
        window_s: How far back figures look.

    Raises:
        BrokerError: No broker answers, or it does not tell.
        ConfigurationError: There is no such group.
    """
    counts = await partition_counts(connection)
    topics = {one.topic: counts[one.topic] for one in routes if one.topic in counts}
    optional = [one.topic for one in routes if not one.required]
    letters = {
        one.dead_letters: counts[one.dead_letters] for one in routes if one.dead_letters in counts
    }
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(
            reading(connection, group, topics=topics, optional=optional, letters=letters)
        )
        look = await reader.first_look()
        if look.is_absent:
            raise ConfigurationError(
                f"group: the broker at {connection.bootstrap_servers} knows no group {group!r}: "
                f"name another with --group, or start a worker with `headrace run --group {group}`"
            )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        results = await _results(stack, connection, routes, counts)
        started = clock.monotonic()
        board = Board(group, routes, window_s=window_s, started=started)
        board.looked(look, started)
        watch = Watch(reader, session, urls, board, clock)
        following = asyncio.create_task(_follow(watch, results), name="top-results")
        try:
            yield watch, following
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _results(
    stack: AsyncExitStack, connection: Connection, routes: Sequence[Route], counts: dict[str, int]
) -> Subscription[Classification] | None:
    """Connect to the result topics that there are, at their ends."""
    topics = sorted({route.results for route in routes if route.results in counts})
    if not topics:
        return None
    subscription = subscribe(
        *topics,
        bootstrap_servers=connection.bootstrap_servers,
        security=connection.security,
        start="end",
    )
    return await stack.enter_async_context(subscription)


async def _follow(watch: Watch, results: Subscription[Classification] | None) -> None:
    if results is None:
        await asyncio.Event().wait()
    else:
        await watch.follow(results)


async def once(watch: Watch, following: asyncio.Task[None], seconds: float) -> Snapshot:
    """Watch for so long and return what was seen.

    Raises:
        BrokerError: The results cannot be read.
    """
    await watch.refresh()
    await asyncio.wait([following], timeout=seconds)
    raise_ended(following)
    return await watch.refresh()


def raise_ended(following: asyncio.Task[None]) -> None:
    """Raise why results are followed no more, if that is so."""
    if following.done():
        with contextlib.suppress(asyncio.CancelledError):
            following.result()
