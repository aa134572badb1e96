"""The sparse image student: the teacher's first stages, then layers of routed experts."""

import torch

from inference.model import SparseEncoderConfig, SparseEncoderForImageClassification
from inference.training.image_teacher import ImageTeacher, add_norm
from schemas.errors import ConfigurationError


def image_student_config(
    labels: tuple[str, ...],
    *,
    size: tuple[int, int],
    channels: int,
    mean: list[float],
    std: list[float],
    width: int,
    layers: int,
    experts: int,
    expert_size: int,
    experts_per_token: int,
    stem_stages: int,
) -> SparseEncoderConfig:
    """Describe a student.

    Args:
        labels: Names of the classes.
        size: Height and width of its images.
        channels: 1 for grey images, 3 for colour.
        mean: Per channel, what is taken off pixels of 0 to 1.
        std: Per channel, what they are divided by then.
        width: Of a token; a multiple of 32.
        layers: Attention and experts, each with an exit.
        experts: Experts per layer.
        expert_size: Neurons of each.
        experts_per_token: Routed experts per token at full effort.
        stem_stages: Stages of the teacher that come first.

    Raises:
        ConfigurationError: There can be no such model.
    """
    if width % 32:
        raise ConfigurationError(f"width is {width}; it must be a multiple of 32, a head's size")
    try:
        return SparseEncoderConfig(
            modality="image",
            image_height=size[0],
            image_width=size[1],
            image_channels=channels,
            image_mean=mean,
            image_std=std,
            stem_stages=stem_stages,
            hidden_size=width,
            num_attention_heads=width // 32,
            num_hidden_layers=layers,
            num_experts=experts,
            experts_per_token=experts_per_token,
            intermediate_size=experts * expert_size,
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
        )
    except ValueError as error:
        raise ConfigurationError(f"the student cannot be built like that: {error}") from error


def student_from_teacher(
    teacher: ImageTeacher, config: SparseEncoderConfig
) -> SparseEncoderForImageClassification:
    """Build a student whose stem is the fine-tuned teacher's, with batch norms to be trained.

    ``inference.stem.fold_norms`` makes it what a checkpoint holds, once it is trained.

    Args:
        teacher: Fine-tuned, with as many channels.
        config: As ``image_student_config`` describes it.
    """
    student = SparseEncoderForImageClassification(config)
    ours = student.embedding.stem.convolutions()
    for mine, theirs in zip(ours, teacher.convolutions(), strict=False):
        add_norm(mine)
        mine.load_state_dict(theirs.state_dict())
    return student.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
