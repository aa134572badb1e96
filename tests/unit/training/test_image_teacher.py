"""The dense image teacher, and the quick copy that a student learns from."""

import pytest
import torch

from inference.training.image_teacher import ImageTeacher, quick_copy


@pytest.fixture(scope="module")
def teacher() -> ImageTeacher:
    """Return a teacher of drawn weights whose norms have seen some images."""
    torch.manual_seed(0)
    network = ImageTeacher(channels=1, classes=4)
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(16, 1, 32, 32))
    return network


def test_a_quick_copy_classifies_alike(teacher: ImageTeacher):
    """To what bfloat16 can tell, where it computes in that."""
    images = torch.randn(8, 1, 32, 32)
    copy = quick_copy(teacher, images)
    teacher.eval()
    with torch.no_grad():
        quick = copy(images.to(next(copy.parameters()).dtype)).float()
        whole = teacher(images)
    assert (quick - whole).abs().max() < 0.1 * whole.std()
    assert copy(images[:3].to(next(copy.parameters()).dtype)).shape == (3, 4)


def test_a_quick_copy_leaves_its_teacher_as_it_was(teacher: ImageTeacher):
    """Its norms and its number format: the card's figures are of the teacher itself."""
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    quick_copy(teacher, torch.randn(2, 1, 32, 32))
    after = teacher.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
