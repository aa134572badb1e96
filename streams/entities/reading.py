"""Reads gazetteers from CSV and JSONL; tells of all that is wrong with one at once."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from schemas.errors import ConfigurationError, shown
from streams.entities.rows import COLUMNS, LIST_SEPARATOR, LISTS, Row, row_of

SHIPPED = Path(__file__).with_name("companies.csv")
MOST_BYTES = 256 * 1024 * 1024
MOST_TOLD = 20
"""Problems of a file that its error names."""


class Content(NamedTuple):
    """A file as it was read."""

    path: Path
    data: bytes


class GazetteerError(ConfigurationError):
    """A gazetteer cannot be used.

    Args:
        problems: What is wrong, in the order of the file; not empty.
    """

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - MOST_TOLD
        told = problems[:MOST_TOLD] + ([f"and {more:,} more"] if more > 0 else [])
        super().__init__("\n".join(told))
        self.problems = problems


def read_content(path: Path) -> Content:
    """Read a file.

    Raises:
        GazetteerError: It cannot be read, is too large, or is of neither kind.
    """
    if path.suffix.lower() not in _CELLS:
        raise GazetteerError([f"{path}: has another ending than .csv and .jsonl; give it its own"])
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise GazetteerError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(data) > MOST_BYTES:
        raise GazetteerError([f"{path}: has more than {MOST_BYTES:,} bytes; leave rows out"])
    return Content(path, data)


def rows_of(content: Content) -> list[Row]:
    """Read the companies of a file.

    Raises:
        GazetteerError: Rows cannot be used; names file, row, column, value and remedy of each.
    """
    rows, problems = usable_rows(content)
    if problems:
        raise GazetteerError(problems)
    return rows


def usable_rows(content: Content) -> tuple[list[Row], list[str]]:
    """Read those companies of a file that can be used, and what is wrong with the others.

    Raises:
        GazetteerError: None can be, whatever they hold: it is not UTF-8, or has no good row.
    """
    name = content.path.name
    try:
        text = content.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.data[: error.start].count(b"\n") + 1
        raise GazetteerError(
            [f"{name}: line {line} is not UTF-8; save the file as UTF-8"]
        ) from None
    rows: list[Row] = []
    problems: list[str] = []
    for where, cells in _CELLS[content.path.suffix.lower()](text, name):
        if isinstance(cells, str):
            problems.append(f"{where}: {cells}")
            continue
        row, wrong = row_of(cells, where)
        problems += map(str, wrong)
        if row is not None:
            rows.append(row)
    if not rows:
        raise GazetteerError(problems or [f"{name}: has no rows; write one company a line"])
    return rows, problems


def _csv_cells(text: str, name: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield rows by column, or what is wrong with one."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if wrong := _header_problem(header):
            yield f"{name}: row 1", wrong
            return
        last = reader.line_num
        for cells in reader:
            # A cell may hold line breaks: told is where its row begins.
            where, last = f"{name}: row {last + 1}", reader.line_num
            if not any(cells):
                continue
            if len(cells) > len(header):
                yield (
                    where,
                    (
                        f"has {len(cells)} cells where the first row has {len(header)}; put cells "
                        f"with commas into double quotes, and separate lists by {LIST_SEPARATOR}"
                    ),
                )
                continue
            yield (
                where,
                {
                    column: _list(cell) if column in LISTS else cell
                    for column, cell in zip(header, cells, strict=False)
                    if cell or column == "name"
                },
            )
    except csv.Error as error:
        yield f"{name}: row {reader.line_num}", f"is no CSV: {error}; check its double quotes"


def _header_problem(header: list[str]) -> str | None:
    for column in header:
        if column not in COLUMNS:
            return f"{shown(column)} is no column; use {', '.join(COLUMNS)}"
        if header.count(column) > 1:
            return f"column {column} comes twice; leave one out"
    return None if "name" in header else f"has no column name; use {', '.join(COLUMNS)}"


def _list(cell: str) -> list[str]:
    return [part for part in cell.split(LIST_SEPARATOR) if part.strip()]


def _jsonl_cells(text: str, name: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}: row {number}"
        try:
            cells = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield where, f"is not JSON: {error.msg}; write one object a line"
            continue
        if not isinstance(cells, dict):
            yield where, f"value is {shown(cells)}; write one object a line"
            continue
        yield where, cells


_CELLS = {".csv": _csv_cells, ".jsonl": _jsonl_cells}
