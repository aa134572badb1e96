"""Dead letters on a terminal: a table, groups, and one letter in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from schemas import images
from schemas.cloudevents import RESERVED_PREFIX
from schemas.errors import ContractError
from schemas.results import DeadLetter
from streams.dead_letters.letters import Found

NO_LETTER = "no letter"
MESSAGE_CHARS = 100
SHOWN_BYTES = 64
"""Of bytes that are no text."""


@dataclass(slots=True)
class Group:
    """Letters that have something in common.

    Attributes:
        value: What they have in common.
        newest: One of them, as an example.
    """

    value: str
    count: int
    first: float
    newest: Found


class Groups:
    """Counts letters by a field.

    Args:
        field: Of :data:`streams.dead_letters.letters.FIELDS`.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._groups: dict[str, Group] = {}

    def add(self, found: Found) -> None:
        """Count one letter; one without the field under ``-``."""
        value = str(found.document().get(self._field) or "-") if found.letter else NO_LETTER
        group = self._groups.get(value)
        if group is None:
            self._groups[value] = Group(value, 1, found.order[0], found)
            return
        group.count += 1
        group.first = min(group.first, found.order[0])
        group.newest = max(group.newest, found, key=lambda one: one.order)

    def most_frequent(self, limit: int | None) -> list[Group]:
        """Return the groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)[:limit]


def group_lines(groups: Sequence[Group], field: str) -> list[str]:
    """Return groups with their counts, times, and what the newest of each says."""
    rows = [(field, "count", "first", "last", "newest", "its message")]
    rows += [
        (
            printable(group.value),
            f"{group.count:,}",
            _clock(group.first),
            _clock(group.newest.order[0]),
            group.newest.position,
            _message(group.newest),
        )
        for group in groups
    ]
    return _lines(rows, to_the_right={1})


def letter_lines(letters: Sequence[Found]) -> list[str]:
    """Return letters with when, where from, what was wrong and how often."""
    rows = [("failed at", "letter", "from", "event", "error", "attempts", "message")]
    for found in letters:
        letter = found.letter
        source = letter.source if letter else None
        rows.append(
            (
                _clock(found.order[0]),
                found.position + (" redriven" if found.redriven else ""),
                f"{source.topic}/{source.partition}/{source.offset}" if source else "-",
                printable((letter and letter.event_id) or "-"),
                printable(letter.error) if letter else NO_LETTER,
                str(letter.attempts) if letter else "-",
                _message(found),
            )
        )
    return _lines(rows, to_the_right={5})


def in_full(found: Found) -> str:
    """Return all of a letter: what was wrong, the original's headers, and its value."""
    record = found.record
    rows = [("letter", f"{record.topic}/{found.position}"), *_told(found)]
    parts = [aligned_left(rows)]
    own = [header for header in record.headers if not header[0].startswith(RESERVED_PREFIX)]
    kept = [("key", readable(record.key)), *((name, readable(value)) for name, value in own)]
    parts.append(aligned_left(kept))
    parts.append(readable(record.value, indent=True))
    return "\n\n".join(parts)


def _told(found: Found) -> list[tuple[str, str]]:
    if isinstance(found.read, ContractError):
        return [("damaged", str(found.read))]
    document = found.document()
    for position in ("partition", "offset"):
        del document[position]
    source = found.read.source
    for name in ("topic", "partition", "offset"):
        del document[f"source_{name}"]
    document["source"] = f"{source.topic}/{source.partition}/{source.offset}"
    document["redriven"] = "yes" if found.redriven else "no"
    order = (*DeadLetter.__struct_fields__, "redriven")
    told = [(name, document[name]) for name in order if document.get(name) is not None]
    notes = [
        (name.removeprefix(RESERVED_PREFIX), (value or b"").decode("utf-8", "replace"))
        for name, value in found.record.headers
        if name.startswith(RESERVED_PREFIX) and name.endswith(("_omitted", "_null"))
    ]
    return [*told, *notes]


def readable(value: bytes | None, *, indent: bool = False) -> str:
    """Write bytes for a terminal: JSON laid out, text as text, of all else what and how much."""
    if value is None:
        return "null"
    if kind := images.media_type(value):
        size = images.dimensions(value)
        pixels = f"{size[0]} x {size[1]} pixels, " if size else ""
        return f"{kind}, {pixels}{len(value):,} bytes"
    if indent:
        try:
            return printable(orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode())
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    try:
        return printable(value.decode())
    except UnicodeDecodeError:
        more = " …" if len(value) > SHOWN_BYTES else ""
        return f"{len(value):,} bytes: {value[:SHOWN_BYTES].hex(' ')}{more}"


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of showing it."""
    return "".join(
        each
        if each.isprintable() or each in "\n\t"
        else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def aligned_left(rows: Sequence[tuple[str, Any]]) -> str:
    """Return names and what they say in two columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{printable(name):<{width}}  {printable(str(said))}" for name, said in rows)


def _message(found: Found) -> str:
    text = str(found.read) if isinstance(found.read, ContractError) else found.read.message
    cut = printable(text.replace("\n", " "))
    return cut if len(cut) <= MESSAGE_CHARS else f"{cut[:MESSAGE_CHARS]}…"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _lines(rows: Sequence[tuple[str, ...]], to_the_right: set[int]) -> list[str]:
    """Align all columns but the last, which the terminal may break."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[-1] = 0
    return [
        "  ".join(
            cell.rjust(width) if place in to_the_right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
