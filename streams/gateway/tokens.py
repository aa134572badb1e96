"""Who may ask: tokens, compared in constant time."""

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping

from schemas.errors import ConfigurationError
from streams.gateway.ingest.settings import INGEST_TOKENS_VARIABLE
from streams.gateway.settings import TOKENS_VARIABLE, GatewaySettings
from streams.security.credentials import read_secret_file

SHORTEST = 16
SCHEME = "Bearer "
OPEN = "anyone"
"""Who a client is where there are no tokens."""
_SESSION = re.compile(r"(?P<expires_s>[0-9]{1,12})\.(?P<signature>[0-9a-f]{64})", re.ASCII)


class Tokens:
    """The tokens of clients, kept as digests.

    Args:
        tokens: None lets everybody in.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def become(self, others: "Tokens") -> bool:
        """Be those of others from now on; say whether that changes anything."""
        changed = set(self._digests) != set(others._digests)  # noqa: SLF001 - of the same kind
        self._digests = list(others._digests)  # noqa: SLF001
        return changed

    def know(self, name: str) -> bool:
        """Say whether somebody of this name may still come in."""
        return not self._digests or any(_name(digest) == name for digest in self._digests)

    def holder(self, header: str | None) -> str | None:
        """Return a name for whoever sends an ``Authorization`` header; ``None`` for a stranger.

        All tokens are compared, whichever fits, so that the time tells nothing.
        """
        if not self._digests:
            return OPEN
        digest = self._known(header)
        return None if digest is None else _name(digest)

    def session(self, header: str | None, expires_s: int) -> str | None:
        """Return a session of whoever sends an ``Authorization`` header.

        It is signed with the token, so every gateway that knows the token knows the session, and
        none does once the token is taken away.

        Args:
            header: With the token.
            expires_s: When it ends, in seconds since the epoch.

        Returns:
            ``None`` for a stranger; nothing where there are no tokens.
        """
        if not self._digests:
            return ""
        digest = self._known(header)
        return None if digest is None else f"{expires_s}.{_signature(digest, expires_s)}"

    def holder_of_session(self, session: str, now_s: float) -> str | None:
        """Return a name for whoever sends a session; ``None`` for none that is valid."""
        found = _SESSION.fullmatch(session)
        if found is None or int(found["expires_s"]) <= now_s:
            return None
        expires_s = int(found["expires_s"])
        holders = [
            _name(digest)
            for digest in self._digests
            if hmac.compare_digest(_signature(digest, expires_s), found["signature"])
        ]
        return holders[0] if holders else None

    def _known(self, header: str | None) -> bytes | None:
        if header is None or not header.startswith(SCHEME):
            return None
        given = _digest(header.removeprefix(SCHEME).strip())
        fits = [hmac.compare_digest(given, known) for known in self._digests]
        return given if any(fits) else None


def read_tokens(settings: GatewaySettings, environment: Mapping[str, str] | None = None) -> Tokens:
    """Read the tokens of those who may read.

    Raises:
        ConfigurationError: A token is too short, or there is none and the address is not this
            machine's own.
    """
    tokens = _read("gateway.tokens_file", settings.tokens_file, TOKENS_VARIABLE, environment)
    if not tokens and not is_loopback(settings.host):
        raise ConfigurationError(
            f"gateway.host: {settings.host} is open to other machines, and there are no tokens; "
            f"set gateway.tokens_file or {TOKENS_VARIABLE}, or listen on 127.0.0.1"
        )
    return Tokens(tokens)


def read_ingest_tokens(
    settings: GatewaySettings, readers: Tokens, environment: Mapping[str, str] | None = None
) -> Tokens | None:
    """Read the tokens of those who may send events; ``None`` where nobody may.

    Raises:
        ConfigurationError: A token is too short, or there is none although readers need one.
    """
    if not settings.ingest.topics:
        return None
    tokens = _read(
        "gateway.ingest.tokens_file",
        settings.ingest.tokens_file,
        INGEST_TOKENS_VARIABLE,
        environment,
    )
    if readers and not tokens:
        raise ConfigurationError(
            "gateway.ingest.topics: events may be sent, and there is no token of those who may; "
            f"set gateway.ingest.tokens_file or {INGEST_TOKENS_VARIABLE}, or name no topics"
        )
    return Tokens(tokens)


def _read(
    field: str, file: str | None, variable: str, environment: Mapping[str, str] | None
) -> list[str]:
    given = os.environ if environment is None else environment
    where, text = variable, given.get(variable, "")
    tokens = [token.strip() for token in text.split(",") if token.strip()]
    if file is not None:
        where = f"{field}: {file}"
        lines = read_secret_file(field, file).splitlines()
        tokens = [line.strip() for line in lines if line.strip() and line.strip()[0] != "#"]
        if not tokens:
            raise ConfigurationError(f"{where} holds no token; write one a line")
    for number, token in enumerate(tokens, 1):
        if len(token) < SHORTEST:
            raise ConfigurationError(
                f"{where}: token {number} has {len(token)} characters; use at least {SHORTEST}, "
                "such as `openssl rand -hex 32` prints"
            )
    return tokens


def _digest(token: str) -> bytes:
    # Headers may hold any bytes, which aiohttp keeps as surrogates.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _name(digest: bytes) -> str:
    return digest.hex()[:SHORTEST]


def _signature(digest: bytes, expires_s: int) -> str:
    return hmac.new(digest, f"headrace session {expires_s}".encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Say whether an address, or its name, is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
