"""The whole way from labelled text to a checkpoint."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.storage import bits_of, rounded
from inference.text import TextEncoder
from inference.training.calibrate import calibrate
from inference.training.card import Facts, write_card
from inference.training.data import (
    Example,
    TokenSet,
    check_apart,
    check_labels,
    hold_out,
    read_examples,
)
from inference.training.distil import Schedule, distil, fine_tune
from inference.training.evaluate import all_exits, quality
from inference.training.progress import Report
from inference.training.resume import State
from inference.training.settings import TrainingSettings
from inference.training.split import split_teacher, student_config
from inference.training.teacher import (
    freeze_embedding,
    load_teacher,
    load_tokenizer,
    teacher_directory,
)
from inference.training.vocabulary import prune
from schemas.errors import ConfigurationError

STORAGE_BITS = {"embedding": 4, "attention": 8, "experts": 4}


@dataclass(frozen=True)
class Sets:
    """The tokenised sets: to learn from, to calibrate on, to report on."""

    train: TokenSet
    held_out: TokenSet
    test: TokenSet


def train(settings: TrainingSettings, report: Report) -> None:
    """Train, calibrate, measure and write a checkpoint.

    Raises:
        ConfigurationError: The data or a setting cannot be used.
    """
    began = time.perf_counter()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    fields = {"text_field": settings.text_field, "label_field": settings.label_field}
    examples = read_examples(settings.data, **fields)
    test = read_examples(settings.test, **fields)
    labels = check_labels(examples, test)
    check_apart(examples, test)
    _make_directory(settings.out)
    report(f"data: {len(examples)} to train, {len(test)} to test, labels {', '.join(labels)}")

    files = teacher_directory()
    tokenizer, pieces = prune(
        load_tokenizer(files), [each.text for each in examples], settings.vocabulary
    )
    encoder = TextEncoder(tokenizer, settings.max_tokens)
    kept, held = hold_out(examples, settings.held_out, settings.seed)
    sets = Sets(*(_tokenise(part, encoder, labels) for part in (kept, held, test)))

    teacher = load_teacher(files, pieces=pieces, max_tokens=settings.max_tokens, labels=labels)
    shape = student_config(
        teacher.config,
        layers=settings.layers,
        experts=settings.experts,
        experts_per_token=settings.experts_per_token,
    )
    freeze_embedding(teacher, STORAGE_BITS["embedding"])
    teacher_schedule = Schedule(
        epochs=settings.teacher_epochs,
        rate=settings.teacher_rate,
        fresh_rate=10 * settings.teacher_rate,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    fine_tune(teacher, sets.train, teacher_schedule, report, state=State())
    student = _student(settings, teacher, shape, sets, report)
    _round_weights(student)
    calibrate(student, sets.held_out, accuracy_loss=settings.accuracy_loss)
    student.config.checkpoint_name = settings.name or settings.out.resolve().name
    student.config.checkpoint_version = settings.version
    student.save_pretrained(settings.out)
    encoder.save(settings.out)
    report(f"written: {settings.out}, {time.perf_counter() - began:.0f} s; measuring")
    facts = Facts(
        settings=settings,
        seconds=time.perf_counter() - began,
        texts=(len(sets.train), len(sets.held_out), len(sets.test)),
        teacher=quality(all_exits(teacher, sets.test, experts=1)[-1].softmax(1), sets.test.targets),
    )
    write_card(settings.out, facts, sets.test, report)


def _student(
    settings: TrainingSettings,
    teacher: SparseEncoderForSequenceClassification,
    shape: SparseEncoderConfig,
    sets: Sets,
    report: Report,
) -> SparseEncoderForSequenceClassification:
    """Split the teacher and distil it."""
    student = split_teacher(teacher, shape, sets.train, seed=settings.seed)
    student.config.storage_bits = dict(STORAGE_BITS)
    teacher_logits = all_exits(teacher, sets.train, experts=1)[-1]
    schedule = Schedule(
        epochs=settings.epochs,
        rate=settings.rate,
        fresh_rate=5 * settings.rate,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    distil(student, teacher_logits, sets.train, schedule, report, state=State())
    return student


def _tokenise(examples: Sequence[Example], encoder: TextEncoder, labels: Sequence[str]) -> TokenSet:
    number = {label: place for place, label in enumerate(labels)}
    targets = torch.tensor([number[example.label] for example in examples])
    return TokenSet(encoder.encode([example.text for example in examples]), targets)


def _make_directory(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be made: {error.strerror}") from error


@torch.no_grad()
def _round_weights(model: SparseEncoderForSequenceClassification) -> None:
    """Give weights the values that they will have once stored; figures then hold for these."""
    for name, weight in model.named_parameters():
        bits = bits_of(name, model.config.storage_bits)
        if bits and not name.startswith("embedding.tokens"):  # that one is rounded since the start
            weight.copy_(rounded(weight, bits))
