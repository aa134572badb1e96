"""The whole way from labelled data to a checkpoint with its card."""

import shutil
import tempfile
import time
from pathlib import Path

import torch

from inference.training.card import write_card
from inference.training.figures import Facts
from inference.training.image_recipe import make_image_model
from inference.training.images import is_image_data
from inference.training.made import Made
from inference.training.progress import Report
from inference.training.settings import TrainingSettings
from inference.training.text_recipe import make_text_model
from inference.training.workspace import DRAFT, check_writable, usable_cores
from schemas.errors import ConfigurationError

READABLE = 0o644
"""Checkpoints are read by other users, such as a container's."""


def train(settings: TrainingSettings, report: Report) -> None:
    """Train, calibrate, measure and write a checkpoint.

    Raises:
        ConfigurationError: The data or a setting cannot be used.
    """
    began = time.perf_counter()
    check_writable(settings.out)
    threads = settings.threads or usable_cores()
    torch.set_num_threads(threads)
    torch.manual_seed(settings.seed)
    takes_images = is_image_data(settings.data, settings.labels)
    _refuse_unused(settings, takes_images=takes_images)
    make = make_image_model if takes_images else make_text_model
    made, work = make(settings, report)
    made.model.config.checkpoint_name = settings.name or settings.out.resolve().name
    made.model.config.checkpoint_version = settings.version
    report("measuring")
    with tempfile.TemporaryDirectory(dir=settings.out, prefix=DRAFT) as name:
        draft = Path(name)
        _write(made, draft)
        facts = Facts(
            settings=settings,
            threads=threads,
            seconds=time.perf_counter() - began,
            resumed=work.resumed,
            made=made,
        )
        write_card(draft, facts, report)
        for file in sorted(draft.iterdir()):
            file.chmod(READABLE)
            shutil.move(file, settings.out / file.name)
    work.finish()
    report(f"written: {settings.out}, {time.perf_counter() - began:.0f} s")


def _refuse_unused(settings: TrainingSettings, *, takes_images: bool) -> None:
    """Raise for a setting that this kind of data has no use for: something else was meant."""
    unused: tuple[str, ...] = ("width", "expert_size")
    kind = "texts"
    if takes_images:
        unused = ("test", "val", "text_field", "label_field")
        kind = "images, whose table names labels and parts"
    for name in unused:
        if getattr(settings, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{flag}: {settings.data} holds {kind}; leave {flag} out")


def _write(made: Made, directory: Path) -> None:
    made.model.save_pretrained(directory)
    if made.encoder is not None:
        made.encoder.save(directory)
