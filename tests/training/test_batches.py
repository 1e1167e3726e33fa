"""Batches of pixels: sizes, order, and images shrunk for a stage."""

import numpy as np
import pytest
import torch

from hilum.augment.sample import AugmentationRanges
from hilum.training.batches import PartIndices, PixelBatches, shrunk

STACK = np.random.default_rng(0).integers(0, 256, (20, 32, 48), np.uint8)
PARTS = PartIndices(np.arange(16), np.arange(16, 20), np.arange(20) % 2)
NAMES = tuple(str(i) for i in range(20))


@pytest.mark.parametrize("side", [0, 8, 16])
def test_a_stage_trains_and_validates_on_images_of_its_side(side: int) -> None:
    batches = PixelBatches(STACK, NAMES, PARTS, AugmentationRanges(flip=0.5), 8, seed=0, side=side)
    height = side or 32
    for part in (batches.train(0), batches.validation()):
        assert {tuple(x.shape[1:]) for x, _ in part} == {(1, height, height * 48 // 32)}


@pytest.mark.parametrize("balanced", [False, True])
def test_an_epoch_of_so_many_images_goes_through_all_of_them_again(balanced: bool) -> None:
    for images, most, least in [(0, 1, 1), (8, 1, 0), (40, 3, 2)]:
        order = PartIndices(PARTS.train, PARTS.validation, PARTS.labels, balanced, images).order(
            0, 0
        )
        times = np.bincount(order, minlength=16)
        assert len(order) == (images or 16)
        assert (times.max(), times.min()) == (most, least)


def test_shrinking_takes_the_mean_over_the_area() -> None:
    blocks = STACK.reshape(20, 16, 2, 24, 2).mean((2, 4))
    assert np.abs(shrunk(STACK, 16) - blocks).max() <= 0.5
    assert shrunk(STACK, 32) is STACK


def test_validation_comes_in_a_fixed_order_and_as_it_is() -> None:
    batches = PixelBatches(STACK, NAMES, PARTS, AugmentationRanges(flip=1.0), 3, seed=0)
    images = torch.cat([x for x, _ in batches.validation()])
    assert np.array_equal(images[:, 0].numpy(), STACK[16:])
