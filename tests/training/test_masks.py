"""Training on masks: image and mask move together, the loss is the formula, the best stays."""

import numpy as np
import pytest
import torch
from torch import nn

from hilum.augment.sample import AugmentationRanges
from hilum.training import loop, segmentation
from hilum.types import HilumError

SIDE = 32


class Tiny(nn.Module):
    """Brightness and place decide: enough for a bright disc."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(pixels.float() / 255)
        return found


def discs(images: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    centres = random.uniform(10, 22, (images, 2))
    far = (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2
    truth = np.where(far < 49, 255, 0).astype(np.uint8)
    noise = random.integers(0, 60, truth.shape)
    return (truth * 0.7 + noise).astype(np.uint8), truth


def pairs(images: int = 24) -> segmentation.ImageMaskPairs:
    films, truth = discs(images)
    ids = tuple(f"f{i}" for i in range(images))
    return segmentation.ImageMaskPairs(films, truth, ids, np.arange(16), np.arange(16, images))


def plan(epochs: int = 12, lr: float = 0.03, **more: float) -> segmentation.SegmentationConfig:
    return segmentation.SegmentationConfig(
        loop.learning_rates(lr, epochs, "cosine", 1, 1), AugmentationRanges(), 4, **more
    )


def test_a_bright_disc_is_learnt_and_the_best_epoch_stays() -> None:
    torch.manual_seed(0)
    network, told = Tiny(), []
    course = segmentation.train_segmenter(
        network, pairs(), plan(average=0.5), keep=lambda: told.append(1)
    )
    found = [row["dice"] for row in course.rows if row["part"] == "validation"]
    assert max(found) > 0.95
    assert course.dice == max(found)
    assert segmentation.validate_segmenter(network, pairs(), plan())["dice"] == pytest.approx(
        course.dice
    )
    records = [i for i, value in enumerate(found) if value > max([-1.0, *found[:i]])]
    assert len(told) == len(records)
    assert {tuple(sorted(row)) for row in course.rows} == {
        ("accuracy", "dice", "epoch", "loss", "part")
    }


def test_training_repeats_itself() -> None:
    def once() -> list[dict[str, object]]:
        torch.manual_seed(1)
        return segmentation.train_segmenter(Tiny(), pairs(), plan(2)).rows

    assert once() == once()


def test_the_loss_is_cross_entropy_plus_one_minus_soft_dice() -> None:
    logits = torch.tensor([[[[2.0, -1.0], [0.0, 3.0]]]])
    truth = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    p = 1 / (1 + np.exp(-logits.numpy().ravel()))
    t = truth.numpy().ravel()
    cross = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    soft = (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    assert segmentation.losses(logits, truth).item() == pytest.approx(cross + 1 - soft, rel=1e-5)


def test_an_empty_mask_has_a_finite_loss_that_silence_makes_small() -> None:
    silent, empty = torch.full((1, 1, 8, 8), -20.0), torch.zeros(1, 1, 8, 8)
    assert segmentation.losses(silent, empty).item() < 1e-3
    assert segmentation.losses(-silent, empty).item() > 1


def test_image_and_mask_move_together_and_the_mask_keeps_its_grey_levels() -> None:
    """Masks as images: geometry must agree, and brightness must leave the mask alone."""
    _, truth = discs(8)
    same = segmentation.ImageMaskPairs(truth, truth, tuple("abcdefgh"), np.arange(8), np.arange(1))
    moves = AugmentationRanges(rotation=30, zoom=0.2, shear=8, shift=0.1, flip=0.5, fill=0)
    lights = AugmentationRanges(
        rotation=30, zoom=0.2, shear=8, shift=0.1, flip=0.5, fill=0, value=0.5
    )
    geometry = segmentation.SegmentationConfig((1.0,), moves)
    images, moved = segmentation._warp(same, np.arange(8), geometry, 0)
    torch.testing.assert_close(images.float() / 255, moved)
    darker, kept = segmentation._warp(
        same, np.arange(8), segmentation.SegmentationConfig((1.0,), lights), 0
    )
    torch.testing.assert_close(kept, moved)
    assert not torch.equal(darker, images)


def test_patience_ends_and_an_infinite_loss_is_said() -> None:
    still = segmentation.train_segmenter(Tiny(), pairs(), plan(10, lr=1e-12, patience=2))
    assert len(still.rows) < 20
    with pytest.raises(HilumError, match="finite loss"):
        segmentation.train_segmenter(Tiny(), pairs(), plan(3, lr=1e30))
