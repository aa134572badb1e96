"""How large, long, deep and old an event may be. One table, read by decoder and JSON Schemas."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of what is accepted; an event outside them becomes a dead letter.

    Lengths of text are in Unicode code points, which is what JSON Schema's ``maxLength`` counts.
    The defaults leave real feeds alone and stop what would hurt the worker's other events: the
    whole of a record is read on the event loop, so its size bounds how long that loop stands still.
    """

    id_chars: int = 256
    """Characters of an event's id; it returns in the result's subject and in log lines."""
    headline_chars: int = 2_000
    """Characters of a headline; a longer text is an article's and belongs into ``body``."""
    body_chars: int = 200_000
    """Characters of an article's text: more than 100 printed pages."""
    text_chars: int = 20_000
    """Characters of one transcript segment: about 20 minutes of speech."""
    name_chars: int = 256
    """Characters of a short text beside the content: source, language, speaker, session, camera."""
    url_chars: int = 2_048
    """Characters of a URL, as browsers have it."""
    tickers: int = 64
    """Tickers on one news event."""
    ticker_chars: int = 32
    """Characters of one ticker, exchange prefix included."""
    image_bytes: int = 8 * 1024 * 1024
    """Bytes of an encoded image; JPEGs of 4K surveillance cameras have 1 to 4 MiB."""
    image_pixels: int = 40_000_000
    """Width times height, from the image's header; an 8K frame has 33 million pixels.

    A decoder needs 3 bytes for each, whatever the file's size: 120 MB at this limit.
    """
    text_value_bytes: int = 2 * 1024 * 1024
    """Bytes of a whole news or transcript record: fits ``body_chars`` even when written in escapes.

    JSON of this size costs the event loop about 10 ms.
    """
    camera_value_bytes: int = 8 * 1024 * 1024
    """Bytes of a whole camera record: a raw image of ``image_bytes``, or 6 MiB of it in base64."""
    json_depth: int = 32
    """Arrays and objects inside each other."""
    headers: int = 64
    """Kafka headers on one record."""
    header_bytes: int = 64 * 1024
    """Bytes of all header names and values of one record."""
    min_budget_ms: float = 1.0
    """Smallest latency budget in milliseconds."""
    max_budget_ms: float = 3_600_000.0
    """Largest latency budget in milliseconds: one hour."""
    future_ms: int = 24 * 3_600_000
    """Milliseconds that a time may lie ahead of the worker's clock: 24 h let a wrong zone pass.

    There is no limit in the other direction but 1970, so that old logs can be replayed.
    """


DEFAULT_LIMITS = Limits()
"""What applies unless the caller says otherwise."""
