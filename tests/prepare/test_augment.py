"""Augmentation: sampled, applied, recorded; independent of order and workers."""

import numpy as np
import pytest

from hilum.prepare import augment
from hilum.prepare.augment import Ranges

IDS = [f"set/{i}.png" for i in range(10_000)]
WIDE = Ranges(
    rotation=25, zoom=0.2, shear=10, shift=0.1, flip=0.5, vertical_flip=0.5, value=0.3, contrast=0.2
)


def test_ten_thousand_draws_stay_in_their_ranges_and_fill_them() -> None:
    drawn = augment.sample(WIDE, IDS, seed=1, epoch=3)
    for name, low, high in [
        ("rotation", -25, 25),
        ("zoom_x", 0.8, 1.2),
        ("zoom_y", 0.8, 1.2),
        ("shear", -10, 10),
        ("value", 0.7, 1.3),
        ("contrast", 0.8, 1.2),
    ]:
        column, width = drawn[name], high - low
        assert low <= column.min() < low + 0.01 * width
        assert high - 0.01 * width < column.max() <= high
        # a uniform variable: variance width^2 / 12
        assert column.var() == pytest.approx(width**2 / 12, rel=0.05)
    assert drawn["flip"].mean() == pytest.approx(0.5, abs=0.02)
    assert abs(drawn["zoom_x"].corr(drawn["zoom_y"])) < 0.03


def test_parameters_depend_on_seed_epoch_and_image_only() -> None:
    whole = augment.sample(WIDE, IDS[:50], 1, 2)
    turned = augment.sample(WIDE, IDS[:50][::-1], 1, 2).iloc[::-1]
    assert whole.equals(turned)
    assert not whole.equals(augment.sample(WIDE, IDS[:50], 1, 3))
    assert not whole.equals(augment.sample(WIDE, IDS[:50], 2, 2))


def test_result_is_independent_of_the_number_of_workers() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (16, 40, 32), np.uint8)
    drawn = augment.sample(WIDE, IDS[:16], 0, 0)
    np.testing.assert_array_equal(
        augment.apply(stack, drawn, workers=1), augment.apply(stack, drawn, workers=4)
    )


def test_zero_ranges_change_nothing() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (4, 40, 32), np.uint8)
    assert augment.is_identity(Ranges())
    drawn = augment.sample(Ranges(), IDS[:4], 0, 0)
    np.testing.assert_array_equal(augment.apply(stack, drawn), stack)


def test_flip_is_an_exact_mirror() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (3, 41, 33), np.uint8)
    drawn = augment.sample(Ranges(flip=1.0), IDS[:3], 0, 0)
    np.testing.assert_array_equal(augment.apply(stack, drawn), stack[:, :, ::-1])
    drawn = augment.sample(Ranges(vertical_flip=1.0), IDS[:3], 0, 0)
    np.testing.assert_array_equal(augment.apply(stack, drawn), stack[:, ::-1])


def test_a_quarter_turn_equals_numpys() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (1, 31, 31), np.uint8)
    drawn = augment.sample(Ranges(), IDS[:1], 0, 0).assign(rotation=90.0)
    turned = augment.apply(stack, drawn)[0]
    assert any(np.abs(turned.astype(int) - np.rot90(stack[0], k)).max() <= 1 for k in (1, 3))


def test_zoom_magnifies_about_the_centre() -> None:
    film = np.zeros((1, 101, 101), np.uint8)
    film[0, 40:61, 40:61] = 255  # 21 pixels wide
    drawn = augment.sample(Ranges(), IDS[:1], 0, 0).assign(zoom_x=2.0, zoom_y=1.0)
    out = augment.apply(film, drawn)[0]
    assert (out[50] > 127).sum() == pytest.approx(42, abs=1)
    assert (out[:, 50] > 127).sum() == 21


def test_value_and_contrast_follow_the_closed_form() -> None:
    film = np.array([[[50, 100], [150, 100]]], np.uint8)
    drawn = augment.sample(Ranges(), IDS[:1], 0, 0).assign(value=1.2)
    np.testing.assert_array_equal(augment.apply(film, drawn)[0], [[60, 120], [180, 120]])
    drawn = augment.sample(Ranges(), IDS[:1], 0, 0).assign(contrast=0.5)
    np.testing.assert_array_equal(augment.apply(film, drawn)[0], [[75, 100], [125, 100]])
