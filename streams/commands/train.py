"""``headrace train``."""

import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from inference.training.progress import Report
from inference.training.settings import TrainingSettings
from streams.terminal.bars import reporter

Command = Callable[..., None]
DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainingSettings)}
EXIT_STOPPED = 130
"""As a shell reports a command that Ctrl-C ended."""
FILE = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)
RATE = click.FloatRange(min=0, max=0.1, min_open=True)
SHARE = click.FloatRange(min=0.01, max=0.5)
LOSS = click.FloatRange(min=0, max=0.5)
WORK = click.FloatRange(min=0, max=1, min_open=True)


def _option(name: str, kind: click.ParamType, text: str) -> Callable[[Command], Command]:
    """Make the option of a setting; a default is shown where there is one."""
    default = DEFAULTS[name]
    flag = f"--{name.replace('_', '-')}"
    shown = default not in {None, ""}
    return click.option(flag, name, type=kind, default=default, show_default=shown, help=text)


@click.command()
@click.argument("data", type=FILE)
@click.option("--out", type=FILE, required=True, help="Directory of the checkpoint.")
@_option("test", FILE, "Table to measure on; else DATA's test part, or one split off at random.")
@_option("val", FILE, "Table to calibrate on; else DATA's validation part, or one split off.")
@_option("labels", FILE, "Labels of images, where they do not lie with them.")
@_option("text_field", click.STRING, "Column of the texts, if its name does not tell.")
@_option("label_field", click.STRING, "Column of the labels, if its name does not tell.")
@_option("test_share", SHARE, "Share of the data to split off for testing.")
@_option("held_out", SHARE, "Share of the training data to calibrate on; a tenth, a fifth of few.")
@click.option("--keep-duplicates", is_flag=True, help="Learn from texts that are tested on too.")
@_option("name", click.STRING, "Name in results; the directory's where left out.")
@_option("version", click.STRING, "Version in results.")
@_option("data_name", click.STRING, "Name of the data set, for the card.")
@_option("data_licence", click.STRING, "Licence of the data, for the card.")
@_option("data_notice", click.STRING, "Source of the data and more, for the card.")
@_option("licence", click.STRING, "Licence of the checkpoint, for the card.")
@_option("seed", click.INT, "Seeds all that is drawn.")
@_option("threads", COUNT, "Threads to train with; one per usable core where left out.")
@_option("teacher_epochs", COUNT, "Times through the data for the teacher; by its size else.")
@_option("epochs", COUNT, "Times through the data for the student; by its size else.")
@_option("layers", COUNT, "Layers of the student; 6 for texts, 4 for images.")
@_option("experts", click.IntRange(min=2), "Experts per layer; 12 for texts, 24 for images.")
@_option("experts_per_token", COUNT, "Experts per token at full effort.")
@_option("max_tokens", click.IntRange(min=8, max=512), "Longer texts are truncated.")
@_option("vocabulary", COUNT, "Pieces of the vocabulary to keep.")
@_option("batch_size", COUNT, "Examples per step.")
@_option("width", COUNT, "Of a token, for images; a multiple of 32.")
@_option("expert_size", COUNT, "Neurons of an expert, for images.")
@click.option("--flips/--no-flips", default=True, help="Whether mirrored images keep their class.")
@_option("teacher_rate", RATE, "Peak learning rate of the teacher.")
@_option("rate", RATE, "Peak learning rate of the student.")
@_option("most_work", WORK, "Share of the teacher's work that full effort may take.")
@_option("accuracy_loss", LOSS, "Accuracy that early exits may cost on held-out examples.")
@click.option(
    "--resume/--no-resume",
    default=None,
    help="Insist on taking a stopped run up again, or never do; else it is done where it fits.",
)
def command(**options: Any) -> None:
    """Make a sparse model of labelled DATA and write it to --out with its model card.

    DATA is a table of texts (.jsonl, .csv, .tsv, .parquet), a folder with train.csv, test.csv and
    so on, a folder of images with labels.csv, or an .npz of images. The columns of text and label
    go by their names; a column "split" (train, val, test) is heeded.

    A dense teacher is fine-tuned, cut into experts, distilled, given early exits, calibrated on
    held-out data and measured on test data. After Ctrl-C the same command goes on where the last
    whole epoch ended.

    \b
    Examples:
      headrace train headlines.csv --out my-model
      headrace train calls/train.jsonl --test calls/test.jsonl --label-field intent --out intents
      headrace train steel-images/ --out steel-defects
      headrace run --modality news --model ./my-model
    """  # noqa: D301 - click reads \b itself
    settings = TrainingSettings(**options)
    _quieten()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with reporter() as report:
            _train(settings, report)
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(settings: TrainingSettings, report: Report) -> None:
    from inference.training.recipe import train  # noqa: PLC0415 - torch takes seconds

    try:
        train(settings, report)
    except KeyboardInterrupt:
        report("stopped; the same command goes on after the last whole epoch")
        sys.exit(EXIT_STOPPED)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Let SIGTERM end a run as Ctrl-C does."""
    raise KeyboardInterrupt


def _quieten() -> None:
    """Leave the terminal to our own lines."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("transformers").setLevel(logging.ERROR)
