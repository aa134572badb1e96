"""Masks results and dead letters before they are published."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from schemas.events import Modality
from schemas.kafka import Outbound, Record, encode_dead_letter
from schemas.letters import REDACTED
from schemas.records import Header
from schemas.results import Classification, DeadLetter, Entity
from streams.redaction.personal_data import PersonalData
from streams.redaction.settings import Redaction

MASK = "[redacted]"
KEPT = 4096
"""Ids and keys whose masked form is remembered."""
_QUOTED = re.compile(r"b?'(?:[^'\\]|\\.)*+(?:'|$)|b?\"(?:[^\"\\]|\\.)*+(?:\"|$)", re.DOTALL)
_ASCII = re.compile(rb"[\x20-\x7e]+")
_NAME = re.compile(r"\w+")
_OWN_WORDS = frozenset({"undecodable", "invalid", "oversized"})
"""Letters whose message is ours; that of others is what somebody's code has raised."""
_OPAQUE = frozenset({"data_base64", "image"})


class _OpaqueError(Exception):
    """A value cannot be looked through."""


class Redactor:
    """Masks what the settings name; what cannot be looked through is withheld.

    Args:
        settings: What to mask.
        modality: Of the events.

    Raises:
        ConfigurationError: Libraries are missing, or a setting cannot be used.
    """

    def __init__(self, settings: Redaction, modality: Modality) -> None:
        self._data = PersonalData(settings.kinds, settings.phone_region)
        # Keys come again with every event of a session.
        self._masked_short = lru_cache(KEPT)(self._data.masked)
        self._fields = frozenset(settings.fields)
        self._header_fields = frozenset(map(_as_attribute, settings.fields))
        self._max_bytes = settings.max_bytes
        self._is_image = modality is Modality.CAMERA

    def result(self, result: Classification, key: bytes | None) -> tuple[Classification, bytes]:
        """Return what is to be published of a result, and its key."""
        event_id = self._id(result.event_id)
        reason = None if result.reason is None else self._message(result.reason)
        kept = msgspec.structs.replace(
            result,
            event_id=event_id,
            reason=reason,
            tickers=tuple(str(self._short("tickers", one)) for one in result.tickers),
            entities=self._entities(result.entities),
            session_id=self._short("session_id", result.session_id),
            segment=None if "segment" in self._fields else result.segment,
            camera_id=self._short("camera_id", result.camera_id),
            speaker=self._short("speaker", result.speaker),
            is_question=None if "is_question" in self._fields else result.is_question,
        )
        return kept, event_id.encode() if key is None else self._bytes(key, self._masked_short)

    def letter(
        self, letter: DeadLetter, record: Record, *, traceparent: str | None = None
    ) -> Outbound:
        """Return a dead letter; a header says of one that is not all of the original, and why."""
        value, withheld = self._value(record.value)
        kept = msgspec.structs.replace(
            record,
            key=None if record.key is None else self._bytes(record.key),
            value=value,
            headers=[self._header(*header) for header in record.headers],
        )
        # What is wrong with a field that is masked could tell its value.
        named = letter.field is not None and not self._fields.isdisjoint(
            _NAME.findall(letter.field)
        )
        ours = letter.error in _OWN_WORDS and not named
        outbound = encode_dead_letter(
            msgspec.structs.replace(
                letter,
                message=self._message(letter.message) if ours else f"{MASK} {letter.error}",
                field=None if letter.field is None else self._data.masked(letter.field),
                event_id=None if letter.event_id is None else self._id(letter.event_id),
                content_type=letter.content_type and self._data.masked(letter.content_type),
            ),
            kept,
            traceparent=traceparent,
        )
        original = record.key, record.value, list(record.headers)
        if withheld is not None or original != (kept.key, kept.value, kept.headers):
            note = "masked" if withheld is None else f"value withheld: {withheld}"
            outbound.headers.append((REDACTED, note.encode()))
        return outbound

    def _entities(self, entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
        """Leave out companies whose tickers must not be seen; their names come from a list."""
        if not self._fields.isdisjoint(("tickers", "entities")):
            return ()
        return tuple(
            msgspec.structs.replace(one, ticker=self._masked_short(one.ticker)) for one in entities
        )

    def _id(self, event_id: str) -> str:
        return MASK if "id" in self._fields else self._masked_short(event_id)

    def _short(self, field: str, value: str | None) -> str | None:
        if value is None:
            return None
        return MASK if field in self._fields else self._masked_short(value)

    def _message(self, message: str) -> str:
        """Keep what is said of an event without what is quoted of it."""
        return self._data.masked(_QUOTED.sub(MASK, message))

    def _header(self, name: str, value: bytes | None) -> Header:
        if value is None:
            return self._data.masked(name), None
        is_named = _as_attribute(name) in self._header_fields
        return self._data.masked(name), MASK.encode() if is_named else self._bytes(value)

    def _bytes(self, value: bytes, mask: Callable[[str], str] | None = None) -> bytes:
        """Mask what is found in bytes; in those that are no UTF-8, in each run of ASCII."""
        mask = mask or self._data.masked
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return _ASCII.sub(lambda run: mask(run[0].decode()).encode(), value)
        masked = mask(text)
        return value if masked == text else masked.encode()

    def _value(self, value: bytes | None) -> tuple[bytes | None, str | None]:
        """Return what is kept of a value, and why not all of it is, if it is withheld."""
        if not value:
            return value, None
        try:
            return self._document(value), None
        except _OpaqueError as error:
            return b"", f"{len(value)} bytes, {error}"

    def _document(self, value: bytes) -> bytes:
        if len(value) > self._max_bytes:
            raise _OpaqueError(f"more than the {self._max_bytes} that are looked through")
        try:
            document = json.loads(value.decode(), object_pairs_hook=_object)
            kept = self._masked(document)
            if kept == document:
                return value
            return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
        except (ValueError, RecursionError) as error:
            # Without the error: it may quote the value.
            raise _OpaqueError("not JSON of this worker's kind") from error

    def _masked(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {self._data.masked(name): self._member(name, node[name]) for name in node}
        if isinstance(node, list):
            return [self._masked(one) for one in node]
        if isinstance(node, str):
            return self._data.masked(node)
        if isinstance(node, bool) or node is None:
            return node
        text = str(node)
        masked = self._data.masked(text)
        return node if masked == text else masked

    def _member(self, name: str, value: Any) -> Any:
        if name in self._fields:
            return MASK
        if name in _OPAQUE and isinstance(value, str):
            return self._base64(value)
        return self._masked(value)

    def _base64(self, text: str) -> str:
        """Look into what is packed in base64; images, and what is no JSON, are taken out."""
        if self._is_image:
            return MASK
        try:
            packed = base64.b64decode(text, validate=True)
            kept = self._document(packed)
        except (binascii.Error, ValueError, _OpaqueError):
            return MASK
        return text if kept == packed else base64.b64encode(kept).decode()


def redactor_of(settings: Redaction, modality: Modality) -> Redactor | None:
    """Return what masks the events of a modality, if anything does.

    Raises:
        ConfigurationError: Libraries are missing, or a setting cannot be used.
    """
    wanted = settings.enabled and modality in settings.modalities
    return Redactor(settings, modality) if wanted else None


def _as_attribute(name: str) -> str:
    """Write a field's name as a CloudEvents header has it: ``camera_id`` as ``cameraid``."""
    return name.lower().removeprefix("ce_").replace("_", "")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse names that come twice: what is hidden behind the second would stay."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError
        found[name] = value
    return found
