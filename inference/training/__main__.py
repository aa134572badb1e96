"""``python -m inference.training``: train a checkpoint on labelled text."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from transformers.utils.logging import disable_progress_bar

from inference.training.progress import Lines
from inference.training.recipe import train
from inference.training.settings import TrainingSettings
from schemas.errors import HeadraceError

Command = Callable[..., None]
DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainingSettings)}


def _number(name: str, kind: click.ParamType, text: str) -> Callable[[Command], Command]:
    """Make an option of a setting that has a default."""
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, type=kind, default=DEFAULTS[name], show_default=True, help=text)


COUNT = click.IntRange(min=1)
RATE = click.FloatRange(min=0, max=0.1, min_open=True)
SHARE = click.FloatRange(min=0, max=0.5)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Labelled JSONL.")
@click.option("--test", type=click.Path(path_type=Path), required=True, help="Labelled JSONL.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory to write.")
@click.option("--text-field", default="text", show_default=True, help="Field of the text.")
@click.option("--label-field", default="label", show_default=True, help="Field of the label.")
@click.option("--name", default=None, help="Name in results; the directory's where left out.")
@click.option("--version", default="1", show_default=True, help="Version in results.")
@click.option("--data-notice", default="", help="Source and licence of the data, for the card.")
@_number("seed", click.INT, "Seeds all that is drawn.")
@_number("teacher_epochs", COUNT, "Times through the data for the teacher.")
@_number("epochs", COUNT, "Times through the data for the student.")
@_number("layers", COUNT, "Layers of the student.")
@_number("experts", click.IntRange(min=2), "Experts per layer.")
@_number("experts_per_token", COUNT, "Experts per token at full effort.")
@_number("max_tokens", click.IntRange(min=8, max=512), "Longer texts are truncated.")
@_number("vocabulary", COUNT, "Pieces of the vocabulary to keep.")
@_number("batch_size", COUNT, "Texts per step.")
@_number("teacher_rate", RATE, "Peak learning rate of the teacher.")
@_number("rate", RATE, "Peak learning rate of the student.")
@_number("held_out", click.FloatRange(min=0.01, max=0.5), "Share held out for calibration.")
@_number("accuracy_loss", SHARE, "Accuracy that early exits may cost on held-out texts.")
@_number("threads", COUNT, "Threads to train with.")
def main(**options: Any) -> None:
    """Train a sparse text classifier and write it with its model card."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    disable_progress_bar()
    try:
        train(TrainingSettings(**options), Lines(click.echo))
    except HeadraceError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
