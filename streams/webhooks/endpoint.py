"""One POST to an endpoint: bounded in time and in what is read, followed nowhere else."""

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp

from schemas.errors import ConfigurationError
from streams.security.credentials import read_secret_file
from streams.webhooks.message import Message
from streams.webhooks.retrying import Answer, retry_after_s
from streams.webhooks.settings import Webhook
from streams.webhooks.signing import Signer, read_signer

READ_BYTES = 4_096
"""Of an answer; more is not read, and its connection closed."""
TOLD_CHARS = 200


class Endpoint:
    """Posts messages to a webhook's URL; within ``async with`` it keeps connections open.

    Args:
        webhook: Where to.
        wall: The clock that signatures are dated by, in seconds since the epoch.

    Raises:
        ConfigurationError: A file with secrets or certificates cannot be used.
    """

    def __init__(self, webhook: Webhook, wall: Callable[[], float] = time.time) -> None:
        self._webhook = webhook
        self._wall = wall
        self._signer: Signer = read_signer(webhook)
        self._own = {"user-agent": "headrace", "accept-encoding": "identity"}
        if webhook.token_file is not None:
            field = f"webhooks.{webhook.name}.token_file"
            self._own["authorization"] = f"Bearer {_token(field, webhook.token_file)}"
        self._tls = _trust(webhook)
        self._session: aiohttp.ClientSession | None = None

    @property
    def signs(self) -> bool:
        """Whether requests are signed."""
        return bool(self._signer)

    async def __aenter__(self) -> Self:
        webhook = self._webhook
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=webhook.max_in_flight, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=webhook.timeout_ms / 1e3),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a small answer could become a large one
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def post(self, message: Message) -> Answer:
        """Sign a message, send it, and say what came of it; no failure of the endpoint raises."""
        assert self._session is not None  # noqa: S101 - it was entered
        signed = self._signer.headers(message.id, int(self._wall()), message.body)
        try:
            async with self._session.post(
                self._webhook.target,
                data=message.body,
                headers={**message.headers, **self._own, **signed},
                allow_redirects=False,
            ) as response:
                return await self._answer(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(None, _why(error, self._webhook.timeout_ms))
        except (asyncio.IncompleteReadError, ValueError) as error:
            return Answer(None, f"no HTTP: {error!r}"[:TOLD_CHARS])

    async def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        body = await _beginning(response)
        text = _shown(body.decode("utf-8", "replace"))
        told = _shown(f"{response.status} {response.reason or ''}")
        if text:
            told += f": {text}"
        now = datetime.fromtimestamp(self._wall(), UTC)
        wait_s = retry_after_s(response.headers.get("Retry-After"), now)
        return Answer(response.status, told[:TOLD_CHARS], wait_s)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read no more of an answer than is told; what it means says its status."""
    found = bytearray()
    try:
        while len(found) < READ_BYTES:
            if not (more := await response.content.read(READ_BYTES - len(found))):
                return bytes(found)
            found += more
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    response.close()
    return bytes(found)


def _shown(text: str) -> str:
    """Return a text in one line that does nothing to a terminal which shows it."""
    line = " ".join(text.split())
    return "".join(each if each.isprintable() else "\ufffd" for each in line)


def _why(error: Exception, timeout_ms: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {timeout_ms:g} ms"
    # The whole text of one that is no HTTP has the URL, of which the path may be a secret.
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return f"no answer: {_shown(text) or type(error).__name__}"[:TOLD_CHARS]


def _token(field: str, file: str) -> str:
    token = read_secret_file(field, file).strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"{field}: {file} holds more than a token; write it in one line, without blanks"
        )
    return token


def _trust(webhook: Webhook) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=webhook.ca_file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"webhooks.{webhook.name}.ca_file: {webhook.ca_file} cannot be used: {error}; name a "
            "file with certificates in PEM"
        ) from error
