"""Settings of sending events in over HTTP."""

from typing import Annotated

import msgspec

INGEST_TOKENS_VARIABLE = "HEADRACE_GATEWAY_INGEST_TOKENS"
"""Tokens of those who may send, separated by commas, where no file names them."""

Bytes = Annotated[int, msgspec.Meta(ge=1_048_576, le=17_179_869_184)]


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may send events, to where, and how many at once."""

    topics: tuple[str, ...] = ()
    """Input topics that events may be sent to; none unless they are named."""
    tokens_file: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Holds the tokens of those who may send, one a line; those of readers do not do."""
    max_unacknowledged_events: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    """Events on their way to the brokers at which no more are taken."""
    max_unacknowledged_bytes: Bytes = 67_108_864
    """Bytes of them, and of requests that are being received, at which no more are taken."""
    max_batch_events: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    """Events of one request."""
    max_batch_bytes: Bytes = 4_194_304
    """Bytes of one request of many events; one event may be as large as the worker takes it."""
    timeout_ms: Annotated[float, msgspec.Meta(gt=0, le=600_000)] = 10_000.0
    """How long a request may take to arrive, and then the brokers to acknowledge its events."""
