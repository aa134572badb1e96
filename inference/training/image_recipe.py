"""From labelled images to a calibrated sparse model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from inference.model import SparseEncoderConfig, SparseEncoderForImageClassification
from inference.pixels import PixelFormat
from inference.stem import fold_norms
from inference.storage import round_weights
from inference.training.calibrate import calibrate
from inference.training.image_loops import (
    Normal,
    distil_images,
    fine_tune_images,
    teacher_logits,
)
from inference.training.image_parts import ImageParts, digest_of_image, sort_images
from inference.training.image_student import image_student_config, student_from_teacher
from inference.training.image_teacher import (
    TEACHER,
    TEACHER_LICENCE,
    TEACHER_SOURCE,
    ImageTeacher,
    load_image_teacher,
)
from inference.training.images import (
    ImageSet,
    LabelledImage,
    Sizes,
    are_grey,
    choose_sizes,
    decode_all,
    read_images,
    usual_size,
)
from inference.training.learning import Schedule
from inference.training.made import Made, Teacher
from inference.training.progress import Report
from inference.training.settings import TrainingSettings
from inference.training.views import Views
from inference.training.workspace import Workspace, digest_of

STORAGE_BITS = {"attention": 8, "experts": 8}
TEACHER_VIEWS, TEACHER_EPOCHS = 12_000, (10, 40)
"""Views that a teacher needs over all epochs, as far as the fewest and the most epochs allow."""
STUDENT_VIEWS, STUDENT_EPOCHS = 25_000, (20, 80)
"""Likewise for a student."""
FEW = 4_000
"""Up to so many images, steps are taken on few of them, else there would be few steps."""
STATISTICS = 2_000
"""Images that mean and deviation of the pixels are taken of."""
CONTRAST = 2.0
"""Deviations of the data's pixels that make 1: about what the teacher's ImageNet images had."""
MAKING = (
    "fine-tuned on images of {} x {}. The student's stem began as the teacher's first {} stages, "
    "its layers from nothing; all of it was distilled from the teacher on random views."
)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """What is chosen for images unless the settings say otherwise; see there.

    Attributes:
        layers: Each attention, experts and an exit.
        width: Of a token; a multiple of 32.
        experts: Experts per layer.
        expert_size: Neurons of an expert.
        experts_per_token: Routed experts per token at full effort.
        stem_stages: Stages of the teacher that make the student's stem.
        teacher_side: Side of a square as large as the images that the teacher is given.
        batch_size: ``None`` goes by how many images there are, as do the epochs.
        teacher_epochs: Times through the data for the teacher.
        epochs: Times through the data for the student.
        teacher_rate: Peak learning rate of the teacher.
        rate: Peak learning rate of the student.
        flips: Whether a mirrored image is still of its class.
        test_share: Share that is split off for testing where the table names no test images.
        held_out: Share of the training images that is held out where it names none.
        seed: Seeds everything that is drawn.
    """

    layers: int = 4
    width: int = 192
    experts: int = 24
    expert_size: int = 128
    experts_per_token: int = 2
    stem_stages: int = 4
    teacher_side: int = 224
    batch_size: int | None = None
    teacher_epochs: int | None = None
    epochs: int | None = None
    teacher_rate: float = 5e-4
    rate: float = 1e-3
    flips: bool = True
    test_share: float = 0.2
    held_out: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Teaching:
    """What the teacher's stage leaves to the student's.

    Attributes:
        train: The training images as the teacher takes them.
    """

    teacher: ImageTeacher
    normal: Normal
    sizes: Sizes
    train: ImageSet


def make_image_model(settings: TrainingSettings, report: Report) -> tuple[Made, Workspace]:
    """Read the images, train a teacher and its student, calibrate.

    Raises:
        ConfigurationError: The data or a setting cannot be used.
    """
    torch.set_flush_denormal(True)
    recipe = settings.chosen(ImageRecipe)
    parts = sort_images(
        read_images(settings.data, settings.labels),
        test_share=recipe.test_share,
        held_out_share=recipe.held_out,
        seed=recipe.seed,
    )
    for note in parts.notes:
        report(note)
    counts = "{} to train, {} to calibrate, {} to test".format(*parts.counts)
    report(f"data: {counts}, labels {', '.join(parts.labels)}")
    sizes, channels = choose_shape(parts.train, recipe, report)
    everything = (parts.train, parts.held_out, parts.test)
    told = [[f"{each.label}\0{digest_of_image(each)}" for each in part] for part in everything]
    work = Workspace(settings.out, settings.what_matters() | {"data_digest": digest_of(told)})
    work.begin(report, resume=settings.resume)
    form = PixelFormat(*sizes.teacher, channels)
    teaching = train_teacher(recipe, parts, form, sizes, work, report)
    student = train_student(recipe, teaching, parts, work, report)
    teacher = _teacher_facts(teaching, decode_all(parts.test, parts.labels, form))
    calibrate(
        student,
        for_student(parts.held_out, student),
        accuracy_loss=settings.accuracy_loss,
        most_layers=affordable_layers(student.config, settings.most_work * teacher.multiply_adds),
    )
    made = Made(
        model=student,
        encoder=None,
        test=for_student(parts.test, student),
        counts=parts.counts,
        teacher=teacher,
        notes=tuple(parts.notes),
        sentences=MAKING.format(*sizes.teacher, recipe.stem_stages),
    )
    return made, work


def affordable_layers(config: SparseEncoderConfig, multiply_adds: float) -> float:
    """Return how many layers an image can run through, its stem paid for; at least one."""
    tokens, experts = config.max_position_embeddings, config.experts_per_token
    stem, one = (config.multiply_adds(layers, experts, tokens) for layers in (0, 1))
    return max(1.0, (multiply_adds - stem) / (one - stem))


def normal_of(images: ImageSet) -> Normal:
    """Return how images are normalised: by the mean and deviation of each channel."""
    some = images.pixels[:: max(1, len(images) // STATISTICS)].float() / 255
    mean, std = some.mean(dim=(0, 2, 3)), some.std(dim=(0, 2, 3)).clamp(min=0.01)
    return Normal(
        [round(each, 4) for each in mean.tolist()],
        [round(CONTRAST * each, 4) for each in std.tolist()],
    )


def choose_shape(
    images: Sequence[LabelledImage], recipe: ImageRecipe, report: Report
) -> tuple[Sizes, int]:
    """Choose the sizes of teacher and student, and the channels, from the training images."""
    channels, native = 1 if are_grey(images) else 3, usual_size(images)
    sizes = choose_sizes(native, recipe.teacher_side**2)
    report(
        f"images: {native[0]} x {native[1]}, {'grey' if channels == 1 else 'colour'}; "
        f"teacher at {sizes.teacher[0]} x {sizes.teacher[1]}, "
        f"student at {sizes.student[0]} x {sizes.student[1]}"
    )
    return sizes, channels


def train_teacher(  # noqa: PLR0917 - what is learned, from what, where it is kept
    recipe: ImageRecipe,
    parts: ImageParts,
    form: PixelFormat,
    sizes: Sizes,
    work: Workspace,
    report: Report,
) -> Teaching:
    """Fine-tune the dense teacher on images of its size."""
    train = decode_all(parts.train, parts.labels, form)
    normal = normal_of(train)
    torch.manual_seed(recipe.seed)
    teacher = load_image_teacher(form.channels, len(parts.labels))
    schedule = Schedule(
        epochs=recipe.teacher_epochs or _epochs(len(train), TEACHER_VIEWS, TEACHER_EPOCHS),
        rate=recipe.teacher_rate,
        fresh_rate=5 * recipe.teacher_rate,
        batch_size=recipe.batch_size or _batch_size(len(train)),
        seed=recipe.seed,
    )
    fine_tune_images(
        teacher,
        train,
        schedule,
        report,
        normal=normal,
        views=Views(flips=recipe.flips),
        state=work.state("teacher"),
    )
    return Teaching(teacher, normal, sizes, train)


def train_student(
    recipe: ImageRecipe,
    teaching: Teaching,
    parts: ImageParts,
    work: Workspace,
    report: Report,
) -> SparseEncoderForImageClassification:
    """Distil a student; its norms are folded and its weights as they will be stored."""
    config = image_student_config(
        parts.labels,
        size=teaching.sizes.student,
        channels=teaching.train.pixels.shape[1],
        mean=teaching.normal.mean,
        std=teaching.normal.std,
        width=recipe.width,
        layers=recipe.layers,
        experts=recipe.experts,
        expert_size=recipe.expert_size,
        experts_per_token=recipe.experts_per_token,
        stem_stages=recipe.stem_stages,
    )
    torch.manual_seed(recipe.seed)
    student = student_from_teacher(teaching.teacher, config)
    student.config.storage_bits = dict(STORAGE_BITS)
    count = len(teaching.train)
    schedule = Schedule(
        epochs=recipe.epochs or _epochs(count, STUDENT_VIEWS, STUDENT_EPOCHS),
        rate=0.3 * recipe.rate,
        fresh_rate=recipe.rate,
        batch_size=recipe.batch_size or _batch_size(count),
        seed=recipe.seed,
    )
    distil_images(
        student,
        teaching.teacher,
        for_student(parts.train, student),
        teaching.train,
        schedule,
        report,
        normal=teaching.normal,
        views=Views(flips=recipe.flips),
        state=work.state("student"),
    )
    fold_norms(student)
    round_weights(student, student.config.storage_bits)
    return student


def for_student(
    images: Sequence[LabelledImage], student: SparseEncoderForImageClassification
) -> ImageSet:
    """Decode images as a student takes them."""
    config = student.config
    form = PixelFormat(config.image_height, config.image_width, config.image_channels)
    return decode_all(images, config.labels, form, config.max_position_embeddings)


def _teacher_facts(teaching: Teaching, test: ImageSet) -> Teacher:
    teacher = teaching.teacher
    return Teacher(
        name=TEACHER,
        source=TEACHER_SOURCE,
        licence=TEACHER_LICENCE,
        scores=teacher_logits(teacher, test, teaching.normal).softmax(dim=1),
        multiply_adds=teacher.multiply_adds(teaching.sizes.teacher),
        parameters=sum(weight.numel() for weight in teacher.parameters()),
    )


def _epochs(images: int, sees: int, bounds: tuple[int, int]) -> int:
    """Return epochs within bounds that show as many views as are needed."""
    fewest, most = bounds
    return min(most, max(fewest, round(sees / images)))


def _batch_size(images: int) -> int:
    return 32 if images <= FEW else 64
