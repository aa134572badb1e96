"""Tokens of OAUTHBEARER: from a file that somebody renews, or from an endpoint."""

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import Callable

import aiohttp
import orjson
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from schemas.errors import ConfigurationError
from streams.security.credentials import read_secret_file

ENDPOINT_TIMEOUT_S = 10.0
RENEW_AT = 0.8
"""A token is asked for anew when this share of its life is over."""
DEFAULT_LIFE_S = 60.0
"""Life of a token whose endpoint does not tell."""
LARGEST_ANSWER_BYTES = 64 * 1024


class TokenError(AuthenticationFailedError):  # type: ignore[misc]  # aiokafka is untyped here
    """There is no token to be had.

    One of aiokafka's own errors, so that a client that is running tries again later.
    """


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped here
    """Reads the file for every connection: whoever renews it need tell nobody."""

    def __init__(self, file: str) -> None:
        self._file = file

    def read(self) -> str:
        """Return the token.

        Raises:
            ConfigurationError: The file cannot be read or is empty.
        """
        return read_secret_file("security.token_file", self._file)

    async def token(self) -> str:
        """Return the token that the file holds now.

        Raises:
            TokenError: The file cannot be read or is empty.
        """
        try:
            return await asyncio.to_thread(self.read)
        except ConfigurationError as error:
            raise TokenError(str(error)) from error


class EndpointTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped here
    """Asks an OAuth 2.0 endpoint, with the grant ``client_credentials``, and keeps the token.

    Args:
        url: Of the endpoint.
        client_id: Who asks.
        client_secret: Proves it.
        scope: What is asked for, if the endpoint wants it said.
        tls: Whom to trust.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        scope: str | None,
        tls: ssl.SSLContext,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._tls = tls
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._token: str | None = None
        self._renew_at = 0.0

    async def token(self) -> str:
        """Return a token that is good for a while; connections made at once share it.

        Raises:
            TokenError: The endpoint does not answer, or not with a token.
        """
        async with self._asking:
            if self._token is None or self._monotonic() >= self._renew_at:
                self._token, life_s = await self._ask()
                self._renew_at = self._monotonic() + RENEW_AT * life_s
            return self._token

    async def _ask(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if self._scope is not None:
            form["scope"] = self._scope
        login = f"{self._client_id}:{self._client_secret}"
        try:
            async with (
                aiohttp.ClientSession(
                    headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"},
                    timeout=aiohttp.ClientTimeout(ENDPOINT_TIMEOUT_S),
                ) as session,
                session.post(
                    self._url, data=form, ssl=self._tls, allow_redirects=False
                ) as response,
            ):
                status = response.status
                body = await response.content.read(LARGEST_ANSWER_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._failure(f"does not answer ({error!r})") from error
        if status != 200:  # noqa: PLR2004 - HTTP's own number
            who = "; check security.client_id and its secret" if status in {400, 401, 403} else ""
            raise self._failure(f"answers with status {status}{who}")
        return self._read(body)

    def _read(self, body: bytes) -> tuple[str, float]:
        try:
            answer = orjson.loads(body)
            token, life_s = answer["access_token"], float(answer.get("expires_in", DEFAULT_LIFE_S))
        except (ValueError, TypeError, KeyError, AttributeError):
            # Without its cause, and without the body: it may hold a token.
            raise self._failure("answers with something that holds no access_token") from None
        if not isinstance(token, str) or not token:
            raise self._failure("answers with an access_token that is no text")
        return token, life_s

    def _failure(self, what: str) -> TokenError:
        return TokenError(f"security.token_endpoint: {self._url} {what}")
