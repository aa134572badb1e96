"""What an image student is told of its teacher, apart from probabilities."""

import torch

from inference.training.image_loops import misjudged


def test_likenesses_are_compared_and_not_features():
    """A student of another width that sees the same images as alike has nothing to learn."""
    chance = torch.Generator().manual_seed(0)
    theirs = torch.randn(32, 40, generator=chance)
    turned, _ = torch.linalg.qr(torch.randn(64, 40, generator=chance))
    assert misjudged(3 * theirs @ turned.T + 5, theirs) < 1e-6


def test_a_student_that_knows_nothing_is_far_off():
    """1 is said of one that finds no two images alike."""
    chance = torch.Generator().manual_seed(0)
    theirs = torch.randn(32, 1, generator=chance) @ torch.randn(1, 40, generator=chance)
    nothing = torch.eye(32) * 1e6
    assert 0.9 < misjudged(nothing, theirs) < 1.1
