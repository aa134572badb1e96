"""Traces as the settings ask for them; OpenTelemetry is imported only where they do."""

import os

import structlog

from schemas.errors import ConfigurationError
from streams.security.credentials import read_secret_file
from streams.tracing.settings import TracingSettings
from streams.tracing.traced import Tracing

log = structlog.get_logger(__name__)

HEADERS_FIELD = "tracing.headers_file"


def open_tracing(settings: TracingSettings, *, group: str) -> Tracing | None:
    """Return what follows events, or ``None`` if no traces are wanted.

    Args:
        settings: Where they go, and of which events.
        group: Consumer group of the worker.

    Raises:
        ConfigurationError: The extra is not installed, or a file cannot be used.
    """
    if settings.endpoint is None:
        return None
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        log.warning("traces_off", reason="OTEL_SDK_DISABLED is true")
        return None
    headers = read_headers(settings.headers_file) if settings.headers_file else None
    try:
        from streams.tracing.provider import to_receiver  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise ConfigurationError(
            f"tracing.endpoint: needs {error.name}; install it with "
            "`pip install 'headrace[tracing]'`, or leave the setting out"
        ) from error
    log.info("traces_sent", url=settings.url)
    return to_receiver(settings, headers, group=group)


def read_headers(file: str) -> dict[str, str]:
    """Read headers from a file.

    Raises:
        ConfigurationError: It cannot be read, or a line is no header; the message repeats none.
    """
    headers = {}
    for number, line in enumerate(read_secret_file(HEADERS_FIELD, file).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, value = line.partition(":")
        if not name.strip() or not value.strip():
            raise ConfigurationError(
                f"{HEADERS_FIELD}: line {number} of {file} is no header; write one `Name: value` "
                "a line"
            )
        headers[name.strip()] = value.strip()
    return headers
