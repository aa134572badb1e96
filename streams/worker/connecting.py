"""Making sure of the broker before anything is served, with patience for one that just starts."""

import asyncio
from collections.abc import Sequence

import structlog

from inference.clock import Clock
from schemas.errors import BrokerError
from streams.delivery.opening import HEADROOM_BYTES
from streams.routes import Route
from streams.security.access import check_access
from streams.settings import Settings
from streams.topics import ensure_topics

log = structlog.get_logger(__name__)

CONNECT_RETRY_S = 0.5


async def connect(settings: Settings, routes: Sequence[Route], clock: Clock) -> None:
    """Return once the broker answers, lets this worker in, and has the topics.

    Raises:
        TopicRefusedError: A topic is missing and may not, or cannot, be created.
        BrokerError: The broker refuses this worker, or has not answered within
            ``connect_timeout_ms``.
    """
    give_up = clock.monotonic() + settings.connect_timeout_ms / 1e3
    told = ""
    while True:
        try:
            await _try(settings, routes)
        except BrokerError as error:
            if not error.retriable or clock.monotonic() > give_up:
                raise
            if told != str(error):
                told = str(error)
                log.warning("broker_not_ready", error=told)
            await asyncio.sleep(CONNECT_RETRY_S)
        else:
            return


async def _try(settings: Settings, routes: Sequence[Route]) -> None:
    connection = settings.connection()
    await check_access(
        connection,
        reads=[route.topic for route in routes],
        writes=[name for route in routes for name in route.topics[1:]],
        group=settings.group,
    )
    await ensure_topics(
        connection,
        [name for route in routes for name in route.topics],
        partitions=settings.partitions,
        allow_create=settings.create_topics,
        max_message_bytes=settings.max_record_bytes + HEADROOM_BYTES,
    )
