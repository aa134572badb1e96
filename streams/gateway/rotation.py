"""Tokens that change while the gateway runs: their files are looked at again and again.

A file that is put in place of the other, as Kubernetes does with secrets, is enough. What cannot be
used changes nothing, so that a half-written file lets nobody out.
"""

import asyncio
from collections.abc import Mapping

import structlog

from schemas.errors import ConfigurationError
from streams.gateway.guard import Guard
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens, read_ingest_tokens, read_tokens

EVERY_S = 5.0

log = structlog.get_logger(__name__)


class Rotation:
    """Takes up what the files of tokens hold now.

    Args:
        settings: Name the files.
        tokens: Of readers.
        senders: Of senders, if there are any.
        guard: Is told, to cut the connections of tokens that are none any more.
        environment: Variables; those of the process unless given.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        tokens: Tokens,
        senders: Tokens | None,
        guard: Guard,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._senders = senders
        self._guard = guard
        self._environment = environment
        self._problem: str | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.look()

    def look(self) -> None:
        """Read the files, and let in, and out, as they say."""
        try:
            tokens = read_tokens(self._settings, self._environment)
            senders = read_ingest_tokens(self._settings, tokens, self._environment)
        except ConfigurationError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("tokens_unchanged", error=self._problem, remedy="mend the file")  # noqa: TRY400
            return
        self._problem = None
        changed = self._tokens.become(tokens)
        if senders is not None and self._senders is not None:
            changed |= self._senders.become(senders)
        if changed:
            log.info("tokens_changed", cut=self._guard.cut_strangers())
