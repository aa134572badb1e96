"""From labelled texts to a calibrated sparse model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from inference.model import SparseEncoderConfig, SparseEncoderForSequenceClassification
from inference.storage import round_weights
from inference.text import TextEncoder
from inference.training.augment import Corruptor
from inference.training.calibrate import calibrate
from inference.training.data import Example, TokenSet
from inference.training.distil import distil, fine_tune
from inference.training.evaluate import all_exits
from inference.training.learning import Schedule
from inference.training.made import Made, Teacher
from inference.training.parts import Parts, Source, read_parts
from inference.training.progress import Report
from inference.training.settings import TrainingSettings
from inference.training.split import split_teacher, student_config
from inference.training.teacher import (
    TEACHER,
    TEACHER_LICENCE,
    freeze_embedding,
    load_teacher,
    load_tokenizer,
    teacher_directory,
)
from inference.training.vocabulary import prune
from inference.training.workspace import Workspace, digest_of

STORAGE_BITS = {"embedding": 4, "attention": 8, "experts": 4, "exits": 8}
ROUND = 20_000
"""Texts of one epoch at most: of larger sets, each epoch draws as many anew."""
MAKING = (
    "fine-tuned on the texts, its feed-forward neurons cut into experts, then distilled on the "
    "texts and on corrupted copies of them, from its answers and from what its last layer makes of "
    "each token. The token embedding is its own from before it was fine-tuned, in 4 bits."
)


@dataclass(frozen=True, kw_only=True)
class TextRecipe:
    """What is chosen for texts unless the settings say otherwise; see there."""

    layers: int = 6
    experts: int = 12
    experts_per_token: int = 2
    batch_size: int = 32
    teacher_rate: float = 1e-4
    rate: float = 3e-4
    teacher_epochs: int | None = None
    epochs: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Sets:
    """The tokenised sets: to learn from, to calibrate on, to report on."""

    train: TokenSet
    held_out: TokenSet
    test: TokenSet


def make_text_model(settings: TrainingSettings, report: Report) -> tuple[Made, Workspace]:
    """Read the texts, train a teacher and its student, calibrate.

    Raises:
        ConfigurationError: The data or a setting cannot be used.
    """
    files = teacher_directory()
    recipe = settings.chosen(TextRecipe)
    parts = _read(settings, report)
    everything = (parts.train, parts.held_out, parts.test)
    texts = [[f"{each.label}\0{each.text}" for each in part] for part in everything]
    work = Workspace(settings.out, settings.what_matters() | {"data_digest": digest_of(texts)})

    known = [each.text for each in parts.train + parts.held_out]
    tokenizer, pieces = prune(load_tokenizer(files), known, settings.vocabulary)
    encoder = TextEncoder(tokenizer, settings.max_tokens)
    sets = Sets(*(_tokenise(part, encoder, parts.labels) for part in everything))
    teacher = load_teacher(
        files, pieces=pieces, max_tokens=settings.max_tokens, labels=parts.labels
    )
    shape = student_config(
        teacher.config,
        layers=recipe.layers,
        experts=recipe.experts,
        experts_per_token=recipe.experts_per_token,
    )
    work.begin(report, resume=settings.resume)
    freeze_embedding(teacher, STORAGE_BITS["embedding"])
    schedule = _schedule(recipe, sets.train, student=False)
    some = replace(sets.train, per_round=ROUND)
    fine_tune(teacher, some, schedule, report, state=work.state("teacher"))
    corruptor = Corruptor(sets.train, encoder.mask)
    student = _student(recipe, teacher, shape, sets, corruptor, work, report)
    round_weights(student, student.config.storage_bits)
    calibrate(
        student,
        sets.held_out,
        accuracy_loss=settings.accuracy_loss,
        most_layers=settings.most_work / student.config.active_share(1, recipe.experts_per_token),
    )
    made = Made(
        model=student,
        encoder=encoder,
        test=sets.test,
        counts=(len(sets.train), len(sets.held_out), len(sets.test)),
        teacher=_teacher_facts(teacher, sets.test),
        notes=tuple(parts.notes),
        sentences=MAKING,
    )
    return made, work


def _read(settings: TrainingSettings, report: Report) -> Parts:
    parts = read_parts(
        Source(
            data=settings.data,
            test=settings.test,
            val=settings.val,
            text_field=settings.text_field,
            label_field=settings.label_field,
            test_share=settings.test_share,
            held_out=settings.held_out,
            keep_duplicates=settings.keep_duplicates,
            seed=settings.seed,
        )
    )
    for note in parts.notes:
        report(note)
    few = 12
    more = f", … ({len(parts.labels)} in all)" if len(parts.labels) > few else ""
    report(
        f"data: {len(parts.train)} to train, {len(parts.held_out)} to calibrate, "
        f"{len(parts.test)} to test, labels {', '.join(parts.labels[:few])}{more}"
    )
    return parts


@dataclass(frozen=True)
class Enough:
    """How much learning is enough.

    Attributes:
        steps: As many are enough, as far as the others allow,
        steps_per_class: and so many more for each class.
        least: Passes through small and middling data: all of it is to be seen.
        most: Passes: none of it is to be learned by heart.
        most_steps: However much data there is, more would take hours.
    """

    steps: int
    steps_per_class: int
    least: int
    most: int
    most_steps: int

    def epochs(self, examples: int, classes: int, batch_size: int) -> int:
        """Return how many epochs, of at most ``ROUND`` examples each, that makes."""
        enough = self.steps + self.steps_per_class * classes
        steps = min(self.most * examples / batch_size, enough)
        steps = max(self.least * examples / batch_size, steps)
        return math.ceil(min(self.most_steps, steps) * batch_size / min(examples, ROUND))


FOR_TEACHER = Enough(steps=700, steps_per_class=12, least=2, most=10, most_steps=3_000)
FOR_STUDENT = Enough(steps=3_200, steps_per_class=40, least=3, most=25, most_steps=9_000)


def _schedule(recipe: TextRecipe, train: TokenSet, *, student: bool) -> Schedule:
    examples, classes = len(train), int(train.targets.max()) + 1
    passes = recipe.epochs if student else recipe.teacher_epochs
    enough = FOR_STUDENT if student else FOR_TEACHER
    # A student's step takes a corrupted copy of each text, too.
    size = max(1, recipe.batch_size // 2) if student else recipe.batch_size
    epochs = enough.epochs(examples, classes, size)
    if passes:
        epochs = math.ceil(passes * examples / min(examples, ROUND))
    rate = recipe.rate if student else recipe.teacher_rate
    return Schedule(
        epochs=epochs,
        rate=rate,
        fresh_rate=(5 if student else 10) * rate,
        batch_size=size,
        seed=recipe.seed,
    )


def _student(  # noqa: PLR0917 - what the teacher's stage left
    recipe: TextRecipe,
    teacher: SparseEncoderForSequenceClassification,
    shape: SparseEncoderConfig,
    sets: Sets,
    corruptor: Corruptor,
    work: Workspace,
    report: Report,
) -> SparseEncoderForSequenceClassification:
    """Split the teacher and distil it."""
    student = split_teacher(teacher, shape, sets.train, seed=recipe.seed)
    student.config.storage_bits = dict(STORAGE_BITS)
    schedule = _schedule(recipe, sets.train, student=True)
    some = replace(sets.train, per_round=ROUND)
    distil(student, teacher, some, corruptor, schedule, report, state=work.state("student"))
    return student


def _teacher_facts(teacher: SparseEncoderForSequenceClassification, test: TokenSet) -> Teacher:
    config = teacher.config
    layers = config.num_hidden_layers
    counts = [config.multiply_adds(layers, 1, tokens) for tokens in test.lengths.tolist()]
    return Teacher(
        name=TEACHER,
        source=f"https://huggingface.co/{TEACHER}",
        licence=TEACHER_LICENCE,
        scores=all_exits(teacher, test, experts=1)[-1].softmax(dim=1),
        multiply_adds=sum(counts) / len(counts),
        parameters=layers * config.layer_parameters(1),
    )


def _tokenise(examples: Sequence[Example], encoder: TextEncoder, labels: Sequence[str]) -> TokenSet:
    number = {label: place for place, label in enumerate(labels)}
    targets = torch.tensor([number[example.label] for example in examples])
    return TokenSet(encoder.encode([example.text for example in examples]), targets)
