"""The parts of a labelled text set: to learn from, to calibrate on, to test on."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.training.columns import choose_columns, split_column
from inference.training.data import (
    LEAST_PER_LABEL,
    Example,
    check_known,
    check_labels,
    hold_out,
)
from inference.training.tables import Row, Table, find_part, read_table
from schemas.errors import ConfigurationError, shown

TRAIN, HELD_OUT, TEST = "train", "held_out", "test"
SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": HELD_OUT,
    "valid": HELD_OUT,
    "validation": HELD_OUT,
    "dev": HELD_OUT,
    "held_out": HELD_OUT,
    "test": TEST,
    "testing": TEST,
}
"""Names of parts as data sets spell them."""
LARGEST_TEST = 5_000
"""Examples that are split off for testing at most; more would not make the figures surer."""
ENOUGH_HELD_OUT = 200
"""Examples that are enough to calibrate on, where a fifth of the data allows it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where labelled texts come from, and how to read them.

    Attributes:
        data: A table, or a folder with one table per part (``train.csv``, ``test.csv``, …).
        test: A table to test on; without it the parts of ``data`` are used, or one is split off.
        val: A table to calibrate on; likewise.
        text_field: Column of the texts; ``None`` to go by its name.
        label_field: Column of the labels; likewise.
        test_share: Share that is split off for testing.
        held_out: Share of the rest that is held out for calibration; ``None`` for a tenth, and
            up to a fifth of small sets.
        keep_duplicates: Whether texts that are tested on may be learned from.
        seed: Seeds what is split off.
    """

    data: Path
    test: Path | None = None
    val: Path | None = None
    text_field: str | None = None
    label_field: str | None = None
    test_share: float = 0.2
    held_out: float | None = None
    keep_duplicates: bool = False
    seed: int = 0


@dataclass
class Parts:
    """The examples of each part, and what the user should know about them.

    Attributes:
        labels: All labels, sorted.
        notes: A line per thing that was guessed, left out or found odd.
    """

    train: list[Example] = field(default_factory=list)
    held_out: list[Example] = field(default_factory=list)
    test: list[Example] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def read_parts(source: Source) -> Parts:
    """Read, split and clean a labelled text set.

    Raises:
        ConfigurationError: A file or a row cannot be used, or there is too little to learn from.
    """
    parts = Parts()
    found = _read(source.data, source, parts.notes)
    parts.train, parts.held_out, parts.test = (found[part] for part in (TRAIN, HELD_OUT, TEST))
    if source.val is not None:
        parts.held_out = _whole(source.val, HELD_OUT, source, parts)
    if source.test is not None:
        parts.test = _whole(source.test, TEST, source, parts)
    if not parts.train:
        raise ConfigurationError(f"{source.data}: holds nothing to learn from, no row of 'train'")
    parts.labels = check_labels(parts.train, least=LEAST_PER_LABEL + (not parts.test))
    if not parts.test:
        share = min(source.test_share, LARGEST_TEST / len(parts.train))
        parts.train, parts.test = hold_out(parts.train, share, source.seed)
        parts.notes.append(
            f"no test part was given: {len(parts.test)} examples were split off at random, "
            "label by label"
        )
    if not parts.held_out:
        share = source.held_out or held_out_share(len(parts.train))
        parts.train, parts.held_out = hold_out(parts.train, share, source.seed)
    _keep_apart(parts, keep=source.keep_duplicates)
    _count_conflicts(parts)
    for what, part in (("test", parts.test), ("held-out", parts.held_out)):
        check_known(parts.train, part, what)
    return parts


def held_out_share(examples: int) -> float:
    """Return the share to hold out of so many: few examples say little of a threshold."""
    return max(0.1, min(0.2, ENOUGH_HELD_OUT / examples))


def read_part(source: Source, *wanted: str) -> tuple[list[Example], list[str]]:
    """Read the examples of some parts; of a table without parts, all of them.

    Args:
        source: Only ``data`` and the columns are looked at.
        wanted: Of ``train``, ``held_out`` and ``test``.

    Returns:
        The examples, and notes for the user.

    Raises:
        ConfigurationError: A file or a row cannot be used, or nothing is of these parts.
    """
    notes: list[str] = []
    found = _read(source.data, source, notes, alone=wanted[0], wanted=wanted)
    examples = [each for part in wanted for each in found[part]]
    if not examples:
        counts = {name: len(each) for name, each in found.items() if each}
        raise ConfigurationError(
            f"{source.data}: has no examples of part {' or '.join(wanted)} but {counts}"
        )
    return examples, notes


def _whole(path: Path, part: str, source: Source, parts: Parts) -> list[Example]:
    """Read a file that is one part; where it has several, that one of them."""
    if getattr(parts, part):
        parts.notes.append(
            f"{source.data}: its {len(getattr(parts, part))} examples of part {part!r} are "
            f"replaced by those of {path}"
        )
    return read_part(Source(**vars(source) | {"data": path}), part)[0]


def _read(
    path: Path,
    source: Source,
    notes: list[str],
    alone: str = TRAIN,
    wanted: Sequence[str] = (TRAIN, HELD_OUT, TEST),
) -> dict[str, list[Example]]:
    """Read a table or a folder of tables; rows of no stated part are of part ``alone``.

    Of a folder, only the tables of the parts that are ``wanted`` are read.
    """
    if not path.is_dir():
        return _sort(read_table(path), source, notes, alone)
    found: dict[str, list[Example]] = {TRAIN: [], HELD_OUT: [], TEST: []}
    for part in wanted:
        file = find_part(path, [name for name, meant in SPLITS.items() if meant == part])
        if file:
            found[part] = _sort(read_table(file), source, notes, part)[part]
    if not any(found.values()):
        raise ConfigurationError(
            f"{path}: holds no table {' or '.join(wanted)} (.jsonl, .csv, .tsv, .parquet), and no "
            "images with labels.csv"
        )
    return found


def _sort(table: Table, source: Source, notes: list[str], alone: str) -> dict[str, list[Example]]:
    """Turn rows into examples, sorted by part."""
    text, label = choose_columns(
        table.columns,
        where=str(table.path),
        text_field=source.text_field,
        label_field=source.label_field,
    )
    named = split_column(table.columns)
    found: dict[str, list[Example]] = {TRAIN: [], HELD_OUT: [], TEST: []}
    empty: list[str] = []
    for where, row in table.rows:
        example = _example(row, text, label, where)
        if example is None:
            empty.append(where)
        else:
            found[_part(row, named, where) if named else alone].append(example)
    what = f"{table.path}: texts are read from column {text!r}, labels from {label!r}"
    notes.append(what + (f", parts from {named!r}" if named else ""))
    if empty:
        notes.append(f"{len(empty)} rows without a text or a label are left out, first {empty[0]}")
    if not any(found.values()):
        raise ConfigurationError(f"{table.path}: holds no row with both a text and a label")
    return found


def _example(row: Row, text: str, label: str, where: str) -> Example | None:
    """Return the example of a row, ``None`` for an empty one."""
    said, kind = row.get(text), row.get(label)
    if said is None or kind is None:
        return None
    if isinstance(kind, float) and (kind.is_integer() or math.isnan(kind)):
        # Tables that have gaps hold whole numbers as floats, and nothing as not-a-number.
        kind = "" if math.isnan(kind) else int(kind)
    if not isinstance(said, str):
        raise ConfigurationError(
            f"{where}: field {text!r} must be text, got {shown(said)}; name another with "
            "--text-field"
        )
    if not isinstance(kind, str | int):
        raise ConfigurationError(
            f"{where}: field {label!r} must be text or a whole number, got {shown(kind)}; name "
            "another with --label-field"
        )
    kind = str(kind).strip()
    return Example(said, kind) if said.strip() and kind else None


def _part(row: Row, column: str, where: str) -> str:
    named = row.get(column)
    part = SPLITS.get(str(named).strip().lower())
    if part is None:
        raise ConfigurationError(
            f"{where}: field {column!r} is {shown(named)}; it must be one of {', '.join(SPLITS)}"
        )
    return part


def _keep_apart(parts: Parts, *, keep: bool) -> None:
    """Leave texts that are tested or calibrated on out of what is learned from."""
    tested = {_essence(each.text) for each in parts.test}
    held = {_essence(each.text) for each in parts.held_out} - tested
    twice = sum(_essence(each.text) in tested for each in parts.train + parts.held_out)
    if keep:
        if twice:
            parts.notes.append(
                f"{twice} texts to train or calibrate on are test texts too, and stay: the "
                "figures flatter"
            )
        return
    if twice:
        parts.notes.append(
            f"{twice} texts to train or calibrate on are test texts too; they are left out there "
            "(--keep-duplicates keeps them)"
        )
    parts.held_out = [each for each in parts.held_out if _essence(each.text) not in tested]
    known = tested | held
    parts.train = [each for each in parts.train if _essence(each.text) not in known]
    if not parts.train or not parts.held_out:
        empty = "held-out" if parts.train else "training"
        raise ConfigurationError(
            f"no {empty} text is left once those that are tested on are left out; is one file "
            "given for both? (--keep-duplicates keeps them)"
        )


def _count_conflicts(parts: Parts) -> None:
    """Note how many texts carry several labels; which is right is not ours to say."""
    labels: dict[str, set[str]] = defaultdict(set)
    for each in parts.train:
        labels[_essence(each.text)].add(each.label)
    several = [text for text, named in labels.items() if len(named) > 1]
    if several:
        first = several[0]
        parts.notes.append(
            f"{len(several)} training texts carry several labels and stay as they are, such as "
            f"{shown(first)}: {', '.join(sorted(labels[first]))}"
        )


def _essence(text: str) -> str:
    """Return what the model sees of a text: neither case nor spacing."""
    return " ".join(text.casefold().split())
