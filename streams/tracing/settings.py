"""Settings of traces."""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from schemas.errors import ConfigurationError

DEFAULT_RATIO = 0.01
"""Share of the events without a trace that begin one, where neither settings nor environment say
another."""
TRACES_PATH = "/v1/traces"
"""Where OTLP over HTTP takes traces, as its specification has it."""
Text = Annotated[str, msgspec.Meta(min_length=1)]


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where traces go, and of which events.

    The variables of OpenTelemetry (``OTEL_…``) say what is left unset here, except the endpoint:
    nothing is sent anywhere that these settings do not name.
    """

    endpoint: Text | None = None
    """URL of an OTLP/HTTP receiver, such as ``http://localhost:4318``; unset for no traces. Where
    it names no path, ``/v1/traces`` is appended."""
    headers_file: Text | None = None
    """Holds headers for the receiver, such as its token: one ``Name: value`` a line; lines that
    begin with # are comments."""
    sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Share, 0 to 1, of the events without a trace of their own that begin one. Events with one are
    followed if it says that it is sampled. Unset for what ``OTEL_TRACES_SAMPLER`` says, else for
    0.01."""
    service_name: Text | None = None
    """How the worker is called in traces; unset for what ``OTEL_SERVICE_NAME`` says, else for
    ``headrace``."""
    max_queued_spans: Annotated[int, msgspec.Meta(ge=512, le=1_000_000)] = 8_192
    """Spans that wait to be sent; what comes beyond is dropped and counted."""

    def check(self) -> None:
        """Raise a ``ConfigurationError`` if the settings cannot be used."""
        if self.endpoint is None:
            return
        parts = urlsplit(self.endpoint)
        if parts.username or parts.password:
            raise ConfigurationError(
                "tracing.endpoint: holds a name or password; put a header into a file of its own "
                "and name that in tracing.headers_file"
            )
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"tracing.endpoint: {self.endpoint!r} is not an http or https URL; give one such "
                "as http://localhost:4318"
            )
        if self.headers_file and parts.scheme == "http" and not _is_own(parts.hostname):
            raise ConfigurationError(
                f"tracing.endpoint: {self.endpoint!r} is not an https URL; what "
                "tracing.headers_file holds travels there, so plain http is for this machine alone"
            )

    @property
    def url(self) -> str:
        """Return where spans are sent."""
        endpoint = self.endpoint or ""
        if urlsplit(endpoint).path in {"", "/"}:
            return endpoint.rstrip("/") + TRACES_PATH
        return endpoint


def _is_own(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
