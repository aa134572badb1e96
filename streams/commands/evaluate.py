"""``headrace evaluate``."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
import structlog

from schemas.errors import ConfigurationError
from streams.terminal.tables import aligned

if TYPE_CHECKING:  # torch takes seconds
    from inference.measured import Measured

FILE = click.Path(path_type=Path)
SPLITS = ("train", "val", "test", "all")
ALL = "all"
FIGURES: dict[str, Callable[[float], str]] = {
    "accuracy": "{:.4f}".format,
    "macro_f1": "{:.4f}".format,
    "ece": "{:.4f}".format,
    "brier": "{:.4f}".format,
    "nll": "{:.4f}".format,
    "mean_layers": "{:.2f}".format,
    "active_share": "{:.1%}".format,
    "multiply_adds": lambda count: f"{count / 1e6:,.1f} M",
    "work": "{:.1%}".format,
    "events_per_s": "{:,.0f}".format,
}


@click.command()
@click.argument("model")
@click.argument("data", type=FILE)
@click.option("--against", metavar="MODEL2", help="Another model, on the same events.")
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option("--effort", default=None, metavar="NAME|all", help="The model's full effort else.")
@click.option("--precision", default="auto", show_default=True, help="Such as bf16 or fp32.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--text-field", help="Column of the texts, if its name does not tell.")
@click.option("--label-field", help="Column of the labels, if its name does not tell.")
@click.option("--labels", type=FILE, help="Labels of images, where they do not lie with them.")
@click.option("--per-class", is_flag=True, help="Also precision, recall and F1 of each class.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document in place of tables.")
def command(*, as_json: bool, **options: Any) -> None:
    """Measure MODEL on labelled DATA, through the engine that a worker runs.

    MODEL is a checkpoint's directory or name, a Hugging Face classifier, or an ONNX file. DATA is
    what headrace train takes; of a table that names no parts, all rows are measured.

    Work is the multiply-adds that were done against the dense teacher's (of a checkpoint without
    evaluation.json: against those of all its layers and experts). With --against, the difference
    is given with the interval in which it lies with 95 % confidence (paired bootstrap), and what
    only one has right.

    \b
    Examples:
      headrace evaluate news-sentiment headlines.csv
      headrace evaluate ./my-model calls/ --split val --effort all --per-class
      headrace evaluate ./my-model test.jsonl --against ./my-older-model --json
    """  # noqa: D301 - click reads \b itself
    if options["against"] and options["effort"] == ALL:
        raise ConfigurationError("--effort all goes without --against; name one effort, or none")
    from inference.measured import Request, measure  # noqa: PLC0415 - torch takes seconds

    with _quiet():
        measured = measure(Request(**options))
    if as_json:
        click.echo(orjson.dumps(measured.document(), option=orjson.OPT_INDENT_2))
        return
    _show(measured, with_classes=options["per_class"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Let through warnings alone; how a model is loaded is not what is asked for."""
    was_configured, before = structlog.is_configured(), structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.reset_defaults()
        if was_configured:
            structlog.configure(**before)


def _show(measured: "Measured", *, with_classes: bool) -> None:
    for note in measured.notes:
        click.echo(note, err=True)
    document = measured.document()
    columns = [f"{run['model']} {run['effort']}" for run in document["runs"]]
    click.echo(f"{document['events']:,} events, {document['data']}\n")
    rows = [["", *columns]]
    for name, show in FIGURES.items():
        values = [run["figures"][name] for run in document["runs"]]
        if any(value is not None for value in values):
            shown = ["-" if value is None else show(value) for value in values]
            rows.append([name.replace("_", " "), *shown])
    click.echo(aligned(rows))
    if comparison := document.get("comparison"):
        _show_comparison(comparison, columns)
    if with_classes:
        for run, title in zip(document["runs"], columns, strict=True):
            _show_classes(run["per_class"], title)


def _show_comparison(found: dict[str, Any], columns: list[str]) -> None:
    click.echo(f"\n{columns[0]} less {columns[1]}, with 95 % confidence")
    rows = [
        [
            name.replace("_", " "),
            f"{found[name]['difference']:+.4f}",
            f"{found[name]['low']:+.4f} to {found[name]['high']:+.4f}",
        ]
        for name in ("accuracy", "macro_f1")
    ]
    click.echo(aligned(rows))
    click.echo(
        f"\nonly the first is right {found['only_first_right']:,} times, only the second "
        f"{found['only_second_right']:,} times (McNemar, exact: p = {found['p_value']:.3g}); "
        f"they agree on {found['agreement']:.1%}"
    )


def _show_classes(classes: list[dict[str, Any]], title: str) -> None:
    rows = [["class", "precision", "recall", "F1", "events"]]
    rows += [
        [
            each["label"],
            *(f"{each[name]:.3f}" for name in ("precision", "recall", "f1")),
            f"{each['events']:,}",
        ]
        for each in classes
    ]
    click.echo(f"\n{title}\n{aligned(rows)}")
