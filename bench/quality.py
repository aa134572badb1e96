"""Sparse models beside the dense teachers that they were made from, data set by data set.

    python bench/quality.py news-sentiment=news/test.jsonl defects=steel/
    python bench/quality.py --pairs pairs.toml   # [pairs] news-sentiment = "news/test.jsonl"

Each pair is a checkpoint (name or directory) and labelled data: a table of texts, a folder of
tables, a folder of images with ``labels.csv``, or an ``.npz``; of several parts the test part is
taken. The sparse model is measured here, through the engine that a worker runs; the teacher's
figures are those of the checkpoint's ``evaluation.json``, measured on the test part it was made
with.
"""

import argparse
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from report import facts
from rich.console import Console
from rich.table import Table

from inference.evaluation import classify, summary
from inference.model import SparseEncoderConfig
from inference.optimizer import Optimizer
from inference.training.figures import FIGURES_FILE
from inference.training.labelled import read_labelled
from inference.training.parts import Source
from schemas.errors import HeadraceError

TEACHER = "dense teacher"
PACKAGES = ("headrace", "torch", "transformers")
LOSS = 0.005
"""Macro-F1 that a sparse model may lose against its teacher."""
SHARE = 0.20
"""Parameters and multiply-adds that it may use of the dense encoder's."""
ECE = 0.05


class Measured(msgspec.Struct, kw_only=True):
    """One model at one effort on one data set; the teacher has neither share nor layers.

    Attributes:
        work: Multiply-adds per event as a share of the teacher's; of the same network run whole
            where the teacher's are not known.
        layers: Mean over events.
    """

    model: str
    data: str
    effort: str
    examples: int
    accuracy: float
    macro_f1: float
    ece: float
    active_share: float | None = None
    work: float | None = None
    layers: float | None = None
    events_per_s: float | None = None


def main() -> None:
    """Measure all pairs; print one table and write it as JSON."""
    arguments = _arguments()
    pairs = _pairs(arguments.pair, arguments.pairs)
    measured: list[Measured] = []
    for model, data in pairs:
        try:
            measured += _measure(model, data, arguments)
        except HeadraceError as error:
            raise SystemExit(f"{model}={data}: {error}") from error
    _show(measured)
    print(f"\nwritten to {_save(measured, arguments.out)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("pair", nargs="*", metavar="MODEL=DATA")
    parser.add_argument("--pairs", type=Path, help="TOML with a table [pairs]")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--efforts", action="store_true", help="all efforts, not full alone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def _pairs(given: Sequence[str], file: Path | None) -> list[tuple[str, Path]]:
    found = [tuple(each.partition("=")[::2]) for each in given]
    if file:
        # Paths in a file are relative to where it lies.
        rows = tomllib.loads(file.read_text(encoding="utf-8")).get("pairs", {})
        found += [(model, str(file.parent / data)) for model, data in rows.items()]
    if not found or not all(model and data for model, data in found):
        raise SystemExit("give at least one MODEL=DATA, or --pairs FILE with a table [pairs]")
    return [(model, Path(data)) for model, data in found]


def _measure(model: str, data: Path, arguments: argparse.Namespace) -> list[Measured]:
    """Return the teacher's figures, where there are any, and those of each effort."""
    optimizer = Optimizer(model, threads=arguments.threads)
    engine = optimizer.compile(arguments.precision)
    labelled = read_labelled(Source(data=data), "test")
    events = labelled.events(engine.modalities)
    fields = optimizer.source.config
    is_sparse = fields.get("model_type") == SparseEncoderConfig.model_type
    config = SparseEncoderConfig(**fields) if is_sparse else None
    figures = _figures(optimizer.source.directory)
    teacher: dict[str, Any] = figures.get("teacher", {})
    about = {"model": engine.model.name, "data": str(data)}
    rows = []
    if teacher:
        kept = {name: teacher[name] for name in ("accuracy", "macro_f1", "ece")}
        tested = figures.get("examples", {}).get("test", 0)
        rows.append(Measured(**about, effort=TEACHER, examples=tested, **kept))
    for effort in engine.efforts if arguments.efforts else engine.efforts[:1]:
        found = summary(classify(engine, events, labelled.labels, effort), config)
        adds, whole = found["multiply_adds"], teacher.get("multiply_adds")
        rows.append(
            Measured(
                **about,
                effort=effort.name,
                examples=len(events),
                **{name: found[name] for name in ("accuracy", "macro_f1", "ece", "active_share")},
                work=adds / whole if adds and whole else found["work"],
                layers=found["mean_layers"],
                events_per_s=found["events_per_s"],
            )
        )
    return rows


def _figures(directory: Path) -> dict[str, Any]:
    path = directory / FIGURES_FILE
    return msgspec.json.decode(path.read_bytes()) if path.is_file() else {}


def _show(measured: list[Measured]) -> None:
    console = Console(width=150)
    console.print(", ".join(f"{name} {value}" for name, value in facts(PACKAGES).items()))
    table = Table(title="Sparse models beside their dense teachers", title_justify="left")
    for name in ("model", "data", "effort"):
        table.add_column(name, no_wrap=True)
    for name in ("examples", "accuracy", "macro-F1", "to teacher", "ECE"):
        table.add_column(name, justify="right")
    for name in ("active", "work", "layers", "holds"):
        table.add_column(name, justify="right")
    teacher: Measured | None = None
    for row in measured:
        if row.active_share is None:
            teacher = row
        own = (
            teacher if teacher and (teacher.model, teacher.data) == (row.model, row.data) else None
        )
        table.add_row(
            row.model,
            Path(row.data).name,
            row.effort,
            f"{row.examples:,}",
            f"{row.accuracy:.4f}",
            f"{row.macro_f1:.4f}",
            f"{(row.macro_f1 - own.macro_f1) * 100:+.2f}" if own and own is not row else "-",
            f"{row.ece:.4f}",
            _share(row.active_share),
            _share(row.work),
            f"{row.layers:.2f}" if row.layers is not None else "-",
            _holds(row, own),
        )
    console.print(table)
    console.print(
        f"to teacher: points of macro-F1. holds: at most {LOSS * 100:g} points lost, {SHARE:.0%} "
        f"of parameters and of multiply-adds, ECE {ECE:g}"
    )


def _share(share: float | None) -> str:
    return f"{share:.1%}" if share is not None else "-"


def _holds(row: Measured, teacher: Measured | None) -> str:
    """Say which of the bounds a model at full effort breaks."""
    if row.active_share is None:
        return "-"
    broken = [
        name
        for name, is_broken in (
            ("macro-F1", teacher is not None and row.macro_f1 < teacher.macro_f1 - LOSS),
            ("active", row.active_share > SHARE),
            ("work", row.work is not None and row.work > SHARE),
            ("ECE", row.ece > ECE),
        )
        if is_broken
    ]
    if broken:
        return "not " + ", ".join(broken)
    return "yes" if teacher else "no teacher's figures"


def _save(measured: list[Measured], where: Path) -> Path:
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"quality-{time.strftime('%Y%m%d-%H%M%S')}.json"
    content = {"facts": facts(PACKAGES), "measured": measured}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))
    return path


if __name__ == "__main__":
    main()
