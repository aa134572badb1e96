"""Kinds of fields: a rule checks a value, words what it wants and gives its JSON Schema."""

import re
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from schemas import images
from schemas.errors import InvalidEventError, OversizedError, shown
from schemas.limits import Limits

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_WHOLE = 2**53 - 1
"""Largest whole number that every JSON reader keeps exact."""

# What is left of a text when nothing can be seen of it: white space, controls, zero widths.
_BLANK = (
    "\\u0000-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200d"
    "\\u2028\\u2029\\u202f\\u205f\\u2060\\u3000\\ufeff"
)
_CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f"
_SEEN = f"[^{_BLANK}]"
_TEXT_PATTERN = "^[^\\u0000]*$"
_VISIBLE_TEXT_PATTERN = f"^[^\\u0000]*{_SEEN}[^\\u0000]*$"
_NAME_PATTERN = f"^[^{_CONTROLS}]*{_SEEN}[^{_CONTROLS}]*$"
_MOMENT_PATTERN = (
    r"^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
)
_has_seen = re.compile(_SEEN).search
_has_control = re.compile(f"[{_CONTROLS}]").search


class Rule(Protocol):
    """What one field must look like."""

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Raise :class:`InvalidEventError` unless the value is as it should be."""

    def wanted(self, limits: Limits, /) -> str:
        """Say what is accepted, as the end of "send …"."""

    def schema(self, limits: Limits, /) -> dict[str, Any]:
        """Return the JSON Schema keywords that say the same."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text.

    Attributes:
        limit: The field of :class:`Limits` that bounds its characters.
        visible: It must have a character that can be seen.
        one_line: It must have no control characters.
    """

    limit: str
    visible: bool = False
    one_line: bool = False

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Bound the length; refuse what cannot be read or shown."""
        most = getattr(limits, self.limit)
        if len(value) > most:
            raise OversizedError(
                f"{field}: {shown(value)} is too long; send {self.wanted(limits)}", field=field
            )
        if self.visible and not _has_seen(value):
            what = "is blank" if value else "is empty"
            raise InvalidEventError(
                f"{field}: {shown(value)} {what}; send {self.wanted(limits)}", field=field
            )
        if "\0" in value or (self.one_line and _has_control(value)):
            raise InvalidEventError(
                f"{field}: {shown(value)} has a control character; send {self.wanted(limits)}",
                field=field,
            )

    def wanted(self, limits: Limits, /) -> str:
        """Say what is accepted."""
        least = "1" if self.visible else "0"
        most = getattr(limits, self.limit)
        without = "control characters" if self.one_line else "NUL"
        return f"a string of {least} to {most:,} characters without {without}"

    def schema(self, limits: Limits, /) -> dict[str, Any]:
        """Return the JSON Schema keywords that say the same."""
        keywords: dict[str, Any] = {"maxLength": getattr(limits, self.limit)}
        if self.visible:
            keywords["minLength"] = 1
        pattern = _VISIBLE_TEXT_PATTERN if self.visible else _TEXT_PATTERN
        keywords["pattern"] = _NAME_PATTERN if self.one_line else pattern
        return keywords


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """A list of texts, at most ``limits.<limit>`` of them."""

    limit: str
    each: Text

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Bound the number, and check each text."""
        if len(value) > getattr(limits, self.limit):
            raise OversizedError(
                f"{field}: {shown(value)} is too many; send {self.wanted(limits)}", field=field
            )
        for index, text in enumerate(value):
            self.each.check(text, f"{field}[{index}]", limits)

    def wanted(self, limits: Limits, /) -> str:
        """Say what is accepted."""
        most = getattr(limits, self.limit)
        return f"an array of at most {most} items, each {self.each.wanted(limits)}"

    def schema(self, limits: Limits, /) -> dict[str, Any]:
        """Return the JSON Schema keywords that say the same."""
        return {
            "maxItems": getattr(limits, self.limit),
            "items": {"type": "string", **self.each.schema(limits)},
        }


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number from ``least`` to ``most``, both included."""

    most: float
    least: float = 0
    whole: bool = True

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Bound the value; NaN is in no bounds."""
        if not self.least <= value <= self.most:
            raise InvalidEventError(
                f"{field}: {shown(value)} is out of bounds; send {self.wanted(limits)}", field=field
            )

    def wanted(self, _limits: Limits, /) -> str:
        """Say what is accepted."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.least:g} to {self.most:,}"

    def schema(self, _limits: Limits, /) -> dict[str, Any]:
        """Return the JSON Schema keywords that say the same."""
        return {"minimum": self.least, "maximum": self.most}


class Flag(msgspec.Struct, frozen=True):
    """True or false; its type says it all."""

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Accept both."""

    def wanted(self, _limits: Limits, /) -> str:
        """Say what is accepted."""
        return "true or false"

    def schema(self, _limits: Limits, /) -> dict[str, Any]:
        """Return nothing beyond the type."""
        return {}


class Moment(msgspec.Struct, frozen=True):
    """A time with an offset, from 1970; how far ahead it may lie is for whoever knows the time."""

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Refuse times without an offset, and before 1970."""
        if value.tzinfo is None:
            raise InvalidEventError(
                f"{field}: {value.isoformat()} does not say its offset from UTC; "
                f"send {self.wanted(limits)}",
                field=field,
            )
        if value < EPOCH:
            raise InvalidEventError(
                f"{field}: {value.isoformat()} is before 1970; send the real time or none",
                field=field,
            )

    def wanted(self, _limits: Limits, /) -> str:
        """Say what is accepted."""
        return "an RFC 3339 time with Z or an offset, such as 2026-03-02T08:00:00Z"

    def schema(self, _limits: Limits, /) -> dict[str, Any]:
        """Return the form; how far ahead it may lie is beyond a schema."""
        return {"format": "date-time", "pattern": _MOMENT_PATTERN}


class Image(msgspec.Struct, frozen=True):
    """An encoded JPEG or PNG."""

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Check size, magic bytes and dimensions, without decoding."""
        if len(value) > limits.image_bytes:
            raise OversizedError(
                f"{field}: {len(value):,} bytes; send {self.wanted(limits)}", field=field
            )
        media = images.media_type(value)
        if media is None:
            raise InvalidEventError(
                f"{field}: {shown(value)} is neither JPEG nor PNG; send {self.wanted(limits)}",
                field=field,
            )
        size = images.dimensions(value)
        if size is None:
            raise InvalidEventError(
                f"{field}: the {media} of {len(value):,} bytes is cut off or damaged before its "
                "dimensions; send the whole file",
                field=field,
            )
        if size[0] * size[1] > limits.image_pixels:
            raise OversizedError(
                f"{field}: {size[0]} x {size[1]} pixels; send {self.wanted(limits)}", field=field
            )

    def wanted(self, limits: Limits, /) -> str:
        """Say what is accepted."""
        return (
            f"a JPEG or PNG file of at most {limits.image_bytes:,} bytes and "
            f"{limits.image_pixels:,} pixels (in JSON: as base64)"
        )

    def schema(self, limits: Limits, /) -> dict[str, Any]:
        """Return the keywords of its base64 form."""
        return {"minLength": 1, "maxLength": 4 * ((limits.image_bytes + 2) // 3)}


class Choice(msgspec.Struct, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]

    def check(self, value: Any, field: str, limits: Limits, /) -> None:
        """Refuse any other word."""
        if value not in self.words:
            raise InvalidEventError(
                f"{field}: {shown(value)} is not accepted; send {self.wanted(limits)}", field=field
            )

    def wanted(self, _limits: Limits, /) -> str:
        """Say what is accepted."""
        return " or ".join(self.words)

    def schema(self, _limits: Limits, /) -> dict[str, Any]:
        """Return the JSON Schema keywords that say the same."""
        return {"enum": list(self.words)}
