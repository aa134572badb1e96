"""Records and images to decode."""

import io
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from PIL import Image

from schemas import Inbound, Modality, Outbound, Record, decode_event

NOW_MS = 1_772_438_400_000  # 2026-03-02T08:00:00Z


@pytest.fixture
def now_ms() -> int:
    """The wall clock of every test: 2026-03-02T08:00:00Z."""
    return NOW_MS


@pytest.fixture
def record() -> Callable[..., Record]:
    """Build a record from bytes, or from what JSON can write."""

    def build(
        value: Any, headers: dict[str, bytes | str | None] | None = None, **fields: Any
    ) -> Record:
        if not isinstance(value, bytes | None):
            value = orjson.dumps(value)
        encoded = [
            (name, header.encode() if isinstance(header, str) else header)
            for name, header in (headers or {}).items()
        ]
        defaults = {"topic": "events.news", "partition": 3, "offset": 41, "timestamp_ms": NOW_MS}
        return Record(value=value, headers=encoded, **(defaults | fields))

    return build


@pytest.fixture
def decode(record: Callable[..., Record]) -> Callable[..., Inbound]:
    """Decode a value with its headers."""

    def run(
        value: Any,
        headers: dict[str, Any] | None = None,
        modality: Modality = Modality.NEWS,
        **fields: Any,
    ) -> Inbound:
        return decode_event(record(value, headers, **fields), modality, now_ms=NOW_MS)

    return run


@pytest.fixture
def sent() -> Callable[[Outbound], Record]:
    """Turn what is sent into what is read."""

    def arrive(outbound: Outbound) -> Record:
        return Record(
            topic="events.news",
            partition=3,
            offset=41,
            timestamp_ms=NOW_MS,
            key=outbound.key,
            value=outbound.value,
            headers=outbound.headers,
        )

    return arrive


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Draw a grey image and encode it."""

    def draw(kind: str = "png", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
        file = io.BytesIO()
        Image.new("L", size, 128).save(file, kind, **options)
        return file.getvalue()

    return draw
