"""Dead letters: the original record untouched, with headers beside it that say what was wrong."""

from datetime import UTC
from typing import Any

import msgspec

from schemas.cloudevents import RESERVED_PREFIX
from schemas.errors import UndecodableError
from schemas.limits import DEFAULT_LIMITS, Limits
from schemas.records import Header, Outbound, Record
from schemas.results import DeadLetter, Source

ATTEMPTS = "headrace_attempts"
NULL_VALUE = "headrace_value_null"
"""The original's value was null; the letter has an empty one, for the topic may be compacted."""
VALUE_OMITTED = "headrace_value_omitted"
"""The broker refused the original's value for its size; the letter says what is missing."""
HEADERS_OMITTED = "headrace_headers_omitted"
"""How many of the original's headers did not fit into the letter."""
REDACTED = "headrace_redacted"
"""Something of the original was masked, or all of its value withheld, as the worker's settings
ask; says which."""

TRACEPARENT = "headrace_traceparent"
"""W3C trace context of the letter itself, where its event was followed: below the original's, which
stays as it was."""

_MESSAGE_CHARS = 1_000
_FIELDS = (
    "error",
    "message",
    "field",
    "event_id",
    "modality",
    "content_type",
    "failed_at",
    "attempts",
    "stack_digest",
)


def encode_dead_letter(
    letter: DeadLetter,
    record: Record,
    *,
    limits: Limits = DEFAULT_LIMITS,
    traceparent: str | None = None,
) -> Outbound:
    """Write a dead letter: value and key are the original's, and so are its headers.

    What is wrong stands in headers that begin with ``headrace_``. Those that the record has brought
    along from an earlier letter are replaced, and the attempts that it tells of are added.

    Args:
        letter: What is wrong; its ``attempts`` are those since the record was read.
        record: The original.
        limits: How many and how large the original's headers may be; what is beyond is left out.
        traceparent: The letter's own trace context, if it has one.
    """
    kept = _kept(record, limits)
    headers = [*kept, *_description(letter, letter.attempts + previous_attempts(record))]
    omitted = len(_own(record)) - len(kept)
    if omitted:
        headers.append((HEADERS_OMITTED, str(omitted).encode()))
    if record.value is None:
        headers.append((NULL_VALUE, b"true"))
    if traceparent is not None:
        headers.append((TRACEPARENT, traceparent.encode()))
    return Outbound(key=record.key, value=record.value or b"", headers=headers)


def decode_dead_letter(record: Record) -> DeadLetter:
    """Read what the headers of a dead letter say.

    Raises:
        UndecodableError: The record is no dead letter, or a header is damaged.
    """
    found = {
        name.removeprefix(RESERVED_PREFIX): value.decode("utf-8", "replace")
        for name, value in record.headers
        if value is not None and name.startswith(RESERVED_PREFIX)
    }
    fields: dict[str, Any] = {name: found[name] for name in _FIELDS if name in found}
    fields["source"] = {
        name: found[f"source_{name}"]
        for name in Source.__struct_fields__
        if f"source_{name}" in found
    }
    try:
        # Headers are text; lax conversion reads the numbers in them.
        return msgspec.convert(fields, DeadLetter, strict=False)
    except msgspec.ValidationError as error:
        raise UndecodableError(
            f"headers: do not describe a dead letter: {error}; read a dead letter topic",
            field="headers",
        ) from None


def encode_redrive(record: Record) -> Outbound:
    """Restore the original of a dead letter, to be sent in again.

    Key, value and headers are the original's, byte for byte and in order; the one addition is
    ``headrace_attempts``, which the next letter, should it fail again, counts on from.

    Raises:
        UndecodableError: The letter does not have all of the original.
    """
    names = {name for name, _ in record.headers}
    for missing in (VALUE_OMITTED, HEADERS_OMITTED, REDACTED):
        if missing in names:
            raise UndecodableError(
                f"{missing}: the letter at {record.topic}/{record.partition}/{record.offset} does "
                "not have all of its original; send that again from its source topic",
                field=missing,
            )
    attempts = str(previous_attempts(record)).encode()
    return Outbound(
        key=record.key,
        value=None if NULL_VALUE in names else record.value,
        headers=[*_own(record), (ATTEMPTS, attempts)],
    )


def previous_attempts(record: Record) -> int:
    """Count how often a redriven record has failed before; 0 for a fresh one."""
    for name, value in record.headers:
        if name == ATTEMPTS and value and value.isdigit() and len(value) < len(str(2**31)):
            return int(value)
    return 0


def _description(letter: DeadLetter, attempts: int) -> list[Header]:
    source = letter.source
    fields: dict[str, Any] = {name: getattr(letter, name) for name in _FIELDS}
    fields |= {
        "message": letter.message[:_MESSAGE_CHARS],
        "failed_at": msgspec.to_builtins(letter.failed_at.astimezone(UTC)),
        "attempts": attempts,
        "source_topic": source.topic,
        "source_partition": source.partition,
        "source_offset": source.offset,
    }
    return [
        (f"{RESERVED_PREFIX}{name}", str(value).encode("utf-8", "replace"))
        for name, value in fields.items()
        if value is not None
    ]


def _own(record: Record) -> list[Header]:
    return [header for header in record.headers if not header[0].startswith(RESERVED_PREFIX)]


def _kept(record: Record, limits: Limits) -> list[Header]:
    kept: list[Header] = []
    size = 0
    for name, value in _own(record)[: limits.headers]:
        size += len(name) + len(value or b"")
        if size > limits.header_bytes:
            break
        kept.append((name, value))
    return kept
