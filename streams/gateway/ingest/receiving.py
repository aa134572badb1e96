"""The bodies of requests, within bounds of size, memory and time."""

import asyncio

from aiohttp import web

from schemas.errors import HeadraceError, OversizedError


class FullError(HeadraceError):
    """There is no room for more now."""

    retriable = True


class SlowError(HeadraceError):
    """A request does not arrive."""

    retriable = True


class Held:
    """What is held in memory: events on their way to the brokers, and requests on theirs to us.

    Args:
        most_events: How many events there may be.
        most_bytes: And bytes.
    """

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self.events = 0
        self.bytes = 0

    def take(self, size: int, *, events: int = 0) -> None:
        """Hold more.

        Raises:
            FullError: There is no room; one thing alone always finds some.
        """
        if events and self.events and self.events + events > self._most_events:
            raise FullError(
                f"max_unacknowledged_events: {self.events:,} events wait for the brokers; "
                "send again later"
            )
        if self.bytes and self.bytes + size > self._most_bytes:
            raise FullError(
                f"max_unacknowledged_bytes: {self.bytes:,} bytes wait for the brokers; "
                "send again later"
            )
        self.bytes += size
        self.events += events

    def release(self, size: int, *, events: int = 0) -> None:
        """Hold less."""
        self.bytes -= size
        self.events -= events


async def receive(request: web.Request, most: int, timeout_ms: float, held: Held) -> bytes:
    """Read a body; its bytes are held until the caller releases them.

    Raises:
        OversizedError: It is larger than ``most`` bytes.
        FullError: There is no room for it.
        SlowError: It took longer than ``timeout_ms`` to arrive.
    """
    _check_size(request.content_length or 0, most)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_ms / 1e3):
            async for part in request.content.iter_any():
                _check_size(len(body) + len(part), most)
                held.take(len(part))
                body += part
    except TimeoutError:
        held.release(len(body))
        raise SlowError(
            f"value: {len(body):,} bytes arrived in {timeout_ms:g} ms; send faster, or less"
        ) from None
    except BaseException:
        held.release(len(body))
        raise
    return bytes(body)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise OversizedError(
            f"value: {size:,} bytes or more; send at most {most:,} in one request", field="value"
        )
