"""Tells where events fail, once for each place: a digest alone cannot be looked up."""

import traceback

import structlog

log = structlog.get_logger(__name__)

MOST_PLACES = 256
"""Places that are remembered to have been told; after that they are told again."""


class CrashLog:
    """Writes a line for the first letter of each digest, without what the event holds."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, error: Exception, digest: str) -> None:
        """Say where an exception came from, unless that was said before."""
        if digest in self._told:
            return
        if len(self._told) >= MOST_PLACES:
            self._told.clear()
        self._told.add(digest)
        # No messages: they may hold the event.
        calls = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        kind = type(error).__name__
        log.error("events_fail", stack_digest=digest, error=kind, calls=calls)
