"""Tables of other people's making: JSON lines, CSV, TSV, Parquet, as rows of named values."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import ConfigurationError, shown

Row = dict[str, Any]

DELIMITERS = ",;\t|"
LONGEST_CELL = 1 << 24
"""Characters; Python's own limit of 128 KiB is too little for articles."""


@dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
        path: The file.
        columns: Names, in the order in which they first appear.
        rows: Each with the place it came from, for messages.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[tuple[str, Row]]


def read_table(path: Path) -> Table:
    """Read a table; its format is told by its ending, ``.gz`` behind it is unpacked.

    Raises:
        ConfigurationError: The file, or a line of it, cannot be read; names it.
    """
    if not path.exists():
        raise ConfigurationError(f"{path}: there is no such file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = next((each for each in reversed(suffixes) if each != ".gz"), "")
    read = READERS.get(suffix)
    if read is None:
        raise ConfigurationError(
            f"{path}: the ending {suffix!r} is not known; name the file {', '.join(READERS)}, "
            "each but the last with or without .gz, according to what it holds"
        )
    rows = list(read(path))
    if not rows:
        raise ConfigurationError(f"{path}: holds no examples")
    columns = dict.fromkeys(name for _, row in rows for name in row)
    return Table(path, tuple(columns), rows)


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from error


def _json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    """Read an object per line; blank lines are skipped."""
    for number, line in enumerate(_read_bytes(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{where}: is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"{where}: must be a JSON object, got {shown(line)}")
        yield where, row


def _json(path: Path) -> Iterator[tuple[str, Row]]:
    """Read an array of objects, or JSON lines under that name."""
    content = _read_bytes(path)
    if not content.lstrip().startswith(b"["):
        yield from _json_lines(path)
        return
    try:
        rows = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: is not JSON ({error})") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ConfigurationError(f"{path}, item {number}: must be an object, got {shown(row)}")
        yield f"{path}, item {number}", row


def _separated(path: Path, delimiter: str | None) -> Iterator[tuple[str, Row]]:
    """Read values under a first line of names."""
    try:
        text = _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from error
    first = text.partition("\n")[0]
    found = delimiter or max(DELIMITERS, key=first.count)
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=found)
    names: list[str] = []
    try:
        for values in reader:
            if not values:
                continue
            if not names:
                names = [name.strip() for name in values]
                continue
            where = f"{path}, line {reader.line_num}"
            if len(values) != len(names):
                raise ConfigurationError(
                    f"{where}: has {len(values)} values for the {len(names)} columns "
                    f"{names}; put quotes around values that hold the delimiter {found!r}"
                )
            yield where, dict(zip(names, values, strict=True))
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {reader.line_num}: {error}") from error


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    """Read a Parquet file; classes that Hugging Face's metadata names go by these names."""
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"{path}: Parquet needs pyarrow; run: pip install 'headrace[train]'"
        ) from error
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    classes = _class_names((table.schema.metadata or {}).get(b"huggingface"))
    for number, row in enumerate(table.to_pylist(), start=1):
        for column, names in classes.items():
            if isinstance(place := row.get(column), int) and 0 <= place < len(names):
                row[column] = names[place]
        yield f"{path}, row {number}", row


def _class_names(metadata: bytes | None) -> dict[str, list[str]]:
    """Return the names of the classes of each column that ``datasets`` wrote as numbers."""
    try:
        features = orjson.loads(metadata or b"{}")["info"]["features"]
        return {
            column: list(feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError):
        return {}


READERS: dict[str, Callable[[Path], Iterator[tuple[str, Row]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": lambda path: _separated(path, None),
    ".tsv": lambda path: _separated(path, "\t"),
    ".parquet": _parquet,
}


def find_part(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the file of a folder that holds one part of a data set, such as ``train.csv``.

    Args:
        folder: Where to look.
        names: How the part may be called.

    Raises:
        ConfigurationError: There are several.
    """
    found = sorted(
        file
        for file in folder.iterdir()
        if file.name.partition(".")[0].lower() in names
        and any(file.name.lower().removesuffix(".gz").endswith(end) for end in READERS)
    )
    if len(found) > 1:
        raise ConfigurationError(
            f"{folder}: {' and '.join(file.name for file in found)} are one part in two formats; "
            "leave one of them there"
        )
    return found[0] if found else None
