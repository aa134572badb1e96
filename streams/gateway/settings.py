"""Settings of the gateway."""

from typing import Annotated

import msgspec

from streams.gateway.ingest.settings import IngestSettings
from streams.gateway.page.settings import PageSettings
from streams.subscription.kinds import KINDS
from streams.topics import kind_of

TOKENS_VARIABLE = "HEADRACE_GATEWAY_TOKENS"
"""Tokens of clients, separated by commas, where no file names them."""

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Origin = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#@\sA-Z]+$")]


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask the gateway, and how much it keeps for them."""

    host: str = "127.0.0.1"
    """Address to listen on; any but this machine's own needs tokens."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    """Port to listen on; 0 takes a free one."""
    tokens_file: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Holds the tokens of clients, one a line; lines that begin with # are comments."""
    session_s: Annotated[float, msgspec.Meta(ge=1, le=2_592_000)] = 43_200.0
    """How long a browser that gave a token need not give it again."""
    origins: tuple[Origin, ...] = ()
    """Of web pages that may use the gateway besides its own, such as ``https://desk.example``; also
    that of a proxy before it that does not pass on the name it was called by."""
    topics: tuple[str, ...] = ()
    """Those that may be followed; unset for all whose name begins with ``results.``, ``signals.``
    or ``alerts.``, or ends in ``.dlq``."""
    max_clients: Count = 1_000
    """Streams open at the same time."""
    max_clients_per_token: Count = 100
    """Of them, with the same token."""
    max_queued_events: Count = 2_000
    """Events waiting for a client, at which it is cut; it resumes by the last id that it has."""
    max_queued_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=1_073_741_824)] = 4_194_304
    """Bytes of them, at which it is cut as well."""
    heartbeat_ms: Annotated[float, msgspec.Meta(gt=0, le=3_600_000)] = 15_000.0
    """Silence after which a client is sent a comment."""
    compress: bool = True
    """Whether streams are compressed to clients that take it, once for all who ask the same."""
    ingest: IngestSettings = IngestSettings()
    """Of sending events in over HTTP."""
    page: PageSettings = PageSettings()
    """Of the live page."""


def refused_topic(settings: GatewaySettings, topic: str) -> str | None:
    """Say why a topic cannot be followed; ``None`` if it can."""
    if settings.topics:
        there_are, may = ", ".join(settings.topics), topic in settings.topics
    else:
        there_are = "those named " + ", ".join(kind.named for kind in KINDS.values())
        may = kind_of(topic) in KINDS
    return None if may else f"topic: {topic[:249]!r} cannot be followed; there are {there_are}"
