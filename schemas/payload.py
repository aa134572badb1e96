"""The value of a record: which form it has, and its bytes as JSON or an image."""

import base64
import binascii
import re
from typing import Any

import orjson

from schemas.cloudevents import STRUCTURED, Attribute
from schemas.errors import OversizedError, UndecodableError, shown
from schemas.events import Modality
from schemas.images import JPEG, PNG
from schemas.images import media_type as sniff
from schemas.limits import Limits
from schemas.records import Record

JSON = "application/json"
_ALIASES = {"text/json": JSON, "image/jpg": JPEG, "image/x-png": PNG}
IMAGES = (JPEG, PNG)
_CHARSETS = ("utf-8", "utf8", "us-ascii")
_NO_NUMBER = re.compile(r"NaN|Infinity", re.IGNORECASE)


def read_value(record: Record, modality: Modality, limits: Limits) -> bytes:
    """Return the record's value; refuse one that is empty or too large."""
    value = record.value
    if not value:
        kind = "null (a tombstone)" if value is None else "empty"
        raise UndecodableError(
            f"value: is {kind}; send the event as JSON, or a camera's image", field="value"
        )
    most = limits.camera_value_bytes if modality is Modality.CAMERA else limits.text_value_bytes
    if len(value) > most:
        raise OversizedError(
            f"value: {len(value):,} bytes; send at most {most:,} in one event",
            field="value",
        )
    return value


def media_type(declared: Attribute | None, modality: Modality) -> str:
    """Return JSON, STRUCTURED or an image type; refuse any other.

    Args:
        declared: The content type with the name that it was found under; ``None`` means JSON.
        modality: Only cameras send images.
    """
    if declared is None or declared[1] == JSON:
        return JSON
    field, content_type = declared
    if not isinstance(content_type, str):
        raise _refused(field, content_type, "send text", "is not text")
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    media = _ALIASES.get(media, media)
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip() == "charset" and charset.strip(' "') not in _CHARSETS:
            raise _refused(field, content_type, "send UTF-8", "has a charset that is not accepted")
    if media.startswith("application/cloudevents-batch"):
        remedy = "send each event as a record of its own"
        raise _refused(field, content_type, remedy, "is batched mode, which is not read")
    if media in (JSON, STRUCTURED) or (media in IMAGES and modality is Modality.CAMERA):
        return media
    if media.endswith("+json") and not media.startswith("application/cloudevents"):
        return JSON
    accepted = [JSON, STRUCTURED, *(IMAGES if modality is Modality.CAMERA else ())]
    remedy = f"send {', '.join(accepted[:-1])} or {accepted[-1]}"
    raise _refused(field, content_type, remedy, f"is not accepted for {modality.value} events")


def _refused(field: str, content_type: object, remedy: str, what: str) -> UndecodableError:
    return UndecodableError(f"{field}: {shown(content_type)} {what}; {remedy}", field=field)


def read_object(value: bytes, field: str, limits: Limits) -> dict[str, Any]:
    """Parse a JSON object; of a repeated key the last counts."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(
            f"{field}: {shown(value)} is not JSON: {_why_not_json(value, error)}", field=field
        ) from None
    if not isinstance(document, dict):
        raise UndecodableError(
            f"{field}: is {shown(document)}; send a JSON object with the event's fields",
            field=field,
        )
    # Counting brackets is quick, and few events have as many as the limit.
    if value.count(b"{") + value.count(b"[") > limits.json_depth:
        _check_depth(document, field, limits)
    return document


def _why_not_json(value: bytes, error: orjson.JSONDecodeError) -> str:
    if found := _NO_NUMBER.match(error.doc, error.pos):
        return f"{found[0]} is no number in JSON; leave the field out or send null"
    if media := sniff(value):
        return f"it looks like {media}; say so in the header content-type"
    return f"{error.msg} (character {error.pos}); send UTF-8 JSON"


def _check_depth(document: Any, field: str, limits: Limits) -> None:
    level = [document]
    for _ in range(limits.json_depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise OversizedError(
        f"{field}: arrays and objects are nested more than {limits.json_depth} deep; "
        "send a flatter document",
        field=field,
    )


def read_base64(encoded: Any, field: str) -> bytes:
    """Decode base64 as RFC 4648 has it, padded and on one line."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise UndecodableError(
            f"{field}: {shown(encoded)} is not base64; send RFC 4648 base64 with padding and "
            "without line breaks",
            field=field,
        ) from None
