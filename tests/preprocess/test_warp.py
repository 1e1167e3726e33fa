"""Augmentation applied: against closed forms, scipy, OpenCV's resize and colour conversion."""

import time

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from hilum.augment import apply, sample
from hilum.augment.sample import AugmentationRanges
from hilum.types import HilumError

IDS = [f"set/{i}.png" for i in range(256)]
WIDE = AugmentationRanges(
    rotation=25,
    zoom=0.2,
    shear=10,
    shift=0.1,
    flip=0.5,
    vertical_flip=0.5,
    value=0.3,
    contrast=0.2,
    crop_scale=(0.5, 1.0),
    crop_aspect=(0.8, 1.25),
)


def plain(images: int = 1) -> pd.DataFrame:
    """Parameters that change nothing, to be changed one by one."""
    return sample.sample(AugmentationRanges(), IDS[:images], 0, 0)


def smooth(height: int, width: int) -> np.ndarray:
    """(1, height, width) blurred noise that fills the grey levels."""
    noise = np.random.default_rng(0).normal(size=(height, width))
    soft = ndimage.gaussian_filter(noise, 4, mode="wrap")
    return np.rint(255 * (soft - soft.min()) / np.ptp(soft)).astype(np.uint8)[None]


def test_result_is_independent_of_the_number_of_workers() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (16, 40, 32), np.uint8)
    drawn = sample.sample(WIDE, IDS[:16], 0, 0)
    np.testing.assert_array_equal(
        sample.apply(stack, drawn, workers=1), sample.apply(stack, drawn, workers=4)
    )


def test_zero_ranges_change_nothing() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (4, 40, 32), np.uint8)
    assert sample.is_identity(AugmentationRanges())
    drawn = sample.sample(AugmentationRanges(), IDS[:4], 0, 0)
    np.testing.assert_array_equal(sample.apply(stack, drawn), stack)


def test_flip_is_an_exact_mirror() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (3, 41, 33), np.uint8)
    drawn = sample.sample(AugmentationRanges(flip=1.0), IDS[:3], 0, 0)
    np.testing.assert_array_equal(sample.apply(stack, drawn), stack[:, :, ::-1])
    drawn = sample.sample(AugmentationRanges(vertical_flip=1.0), IDS[:3], 0, 0)
    np.testing.assert_array_equal(sample.apply(stack, drawn), stack[:, ::-1])


def test_a_quarter_turn_equals_numpys() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (1, 31, 31), np.uint8)
    drawn = plain().assign(rotation=90.0)
    turned = sample.apply(stack, drawn)[0]
    assert any(np.abs(turned.astype(int) - np.rot90(stack[0], k)).max() <= 1 for k in (1, 3))


def test_zoom_magnifies_about_the_centre() -> None:
    film = np.zeros((1, 101, 101), np.uint8)
    film[0, 40:61, 40:61] = 255  # 21 pixels wide
    drawn = plain().assign(zoom_x=2.0, zoom_y=1.0)
    out = sample.apply(film, drawn)[0]
    assert (out[50] > 127).sum() == pytest.approx(42, abs=1)
    assert (out[:, 50] > 127).sum() == 21


def test_value_and_contrast_follow_the_closed_form() -> None:
    film = np.array([[[50, 100], [150, 100]]], np.uint8)
    drawn = plain().assign(value=1.2)
    np.testing.assert_array_equal(sample.apply(film, drawn)[0], [[60, 120], [180, 120]])
    drawn = plain().assign(contrast=0.5)
    np.testing.assert_array_equal(sample.apply(film, drawn)[0], [[75, 100], [125, 100]])


def test_result_is_independent_of_the_order_of_images() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (16, 40, 32), np.uint8)
    turned = sample.apply(stack[::-1], sample.sample(WIDE, IDS[:16][::-1], 0, 0))
    np.testing.assert_array_equal(
        turned[::-1], sample.apply(stack, sample.sample(WIDE, IDS[:16], 0, 0))
    )


def keras(image: np.ndarray, row: pd.Series) -> np.ndarray:
    """Keras' apply_affine_transform and mirror, order 1 and fill "nearest", by scipy."""
    theta, zoom = np.deg2rad(-row["rotation"]), np.diag([1 / row["zoom_y"], 1 / row["zoom_x"]])
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    matrix = turn @ zoom  # (row, column) of the output to those of the input
    centre = (np.array(image.shape) - 1) / 2
    out = ndimage.affine_transform(
        image.astype(float), matrix, centre - matrix @ centre, order=1, mode="nearest"
    )
    return out[:, ::-1] if row["flip"] else out


@pytest.mark.parametrize("number", range(6))
def test_warp_equals_keras_for_study_000s_ranges(number: int) -> None:
    film = smooth(96, 80)
    drawn = sample.sample(
        AugmentationRanges(rotation=25, keras_zoom=0.2, flip=0.5), IDS[number : number + 1], 0, 0
    )
    ours = sample.apply(film, drawn)[0].astype(float)
    theirs = keras(film[0], drawn.iloc[0])
    assert np.abs(ours - theirs).max() <= 2  # OpenCV rounds coordinates to 1/32 pixel
    assert np.abs(ours - theirs).mean() < 0.5
    assert np.abs(theirs - film[0]).mean() > 3  # and something did move


@pytest.mark.parametrize("fill", [-1, 0, 128])
def test_outside_the_film_is_its_edge_or_the_fill(fill: int) -> None:
    film = np.full((1, 41, 41), 250, np.uint8)
    out = sample.apply(film, plain().assign(rotation=45.0, fill=fill))[0]
    corner = 250 if fill < 0 else fill
    assert {int(out[y, x]) for y in (0, -1) for x in (0, -1)} == {corner}
    assert out[20, 20] == 250


def test_resized_crop_equals_opencvs_resize_of_the_crop() -> None:
    film = smooth(64, 64)
    box = {"box_left": 10 / 64, "box_top": 20 / 64, "box_width": 32 / 64, "box_height": 16 / 64}
    out = sample.apply(film, plain().assign(**box))[0]
    crop = np.ascontiguousarray(film[0, 20:36, 10:42])
    theirs = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_LINEAR)
    inside = np.s_[2:-2, 1:-1]  # at its rim the warp sees the film beyond the crop
    assert np.abs(out[inside].astype(int) - theirs[inside]).max() <= 1


def test_placement_equals_resize_and_paste_on_grey() -> None:
    film = smooth(64, 64)
    # the film becomes 48 x 32 pixels and lands at column 10, row 25
    box = {"box_width": 64 / 48, "box_left": -10 / 48, "box_height": 2.0, "box_top": -25 / 32}
    out = sample.apply(film, plain().assign(**box, fill=128))[0]
    theirs = np.full((64, 64), 128, np.uint8)
    theirs[25:57, 10:58] = cv2.resize(film[0], (48, 32), interpolation=cv2.INTER_LINEAR)
    inside, outside = np.zeros((64, 64), bool), np.ones((64, 64), bool)
    inside[26:56, 11:57] = True
    outside[24:58, 9:59] = False
    assert np.abs(out.astype(int) - theirs)[inside].max() <= 2
    assert (out[outside] == 128).all()


def test_a_film_larger_than_the_frame_leaves_no_bars() -> None:
    film = np.full((200, 32, 32), 250, np.uint8)
    drawn = sample.sample(AugmentationRanges(placed_scale=(1.0, 1.5), fill=0), IDS[:200], 0, 0)
    inner = sample.apply(film, drawn)[:, 1:-1, 1:-1]
    assert (inner == 250).all()


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.6, 1.3, 2.5])
def test_value_equals_opencvs_hsv_on_a_grey_image(value: float) -> None:
    film = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    ours = sample.apply(film, plain().assign(value=value))[0]
    hue, saturation, level = cv2.split(
        cv2.cvtColor(cv2.cvtColor(film[0], cv2.COLOR_GRAY2RGB), cv2.COLOR_RGB2HSV)
    )
    assert not hue.any()  # so that factors on hue and saturation do nothing
    assert not saturation.any()
    level = np.clip(level * value, 0, 255).astype(np.uint8)
    theirs = cv2.cvtColor(cv2.merge([hue, saturation, level]), cv2.COLOR_HSV2RGB)
    assert np.abs(theirs.astype(int) - ours[..., None]).max() <= 1  # it truncates, we round
    assert (ours == 0).all() == (value <= 0)


def test_maps_of_many_images_equal_each_ones_own() -> None:
    drawn = sample.sample(WIDE, IDS[:20], 0, 0)
    together = apply.matrices(drawn, (40, 32))
    assert together.shape == (20, 2, 3)
    alone = np.concatenate([apply.matrices(drawn.iloc[[i]], (40, 32)) for i in range(20)])
    np.testing.assert_array_equal(together, alone)


def test_parameters_of_other_images_are_refused() -> None:
    with pytest.raises(HilumError, match="got 3 rows for 2 images"):
        sample.apply(np.zeros((2, 8, 8), np.uint8), plain(3))


@pytest.mark.slow
def test_affine_path_takes_less_than_a_third_of_a_millisecond_of_one_core() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (256, 224, 224), np.uint8)
    drawn = sample.sample(AugmentationRanges(rotation=25, keras_zoom=0.2, flip=0.5), IDS, 0, 0)
    took = []
    for _ in range(5):
        start = time.process_time()  # other programs on the machine do not count
        sample.apply(stack, drawn, workers=1)
        took.append((time.process_time() - start) / len(stack))
    assert min(took) < 0.35e-3
