"""Augmentation's parameters: bounds and distributions, and on what they depend."""

from dataclasses import replace
from hashlib import blake2b

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hilum.augment import sample
from hilum.augment.apply import COLUMNS
from hilum.augment.sample import AugmentationRanges
from hilum.types import HilumError

IDS = [f"set/{i}.png" for i in range(10_000)]
WIDE = AugmentationRanges(
    rotation=25, zoom=0.2, shear=10, shift=0.1, flip=0.5, vertical_flip=0.5, value=0.3, contrast=0.2
)


def test_ten_thousand_draws_stay_in_their_ranges_and_fill_them() -> None:
    drawn = sample.sample(WIDE, IDS, seed=1, epoch=3)
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
    whole = sample.sample(WIDE, IDS[:50], 1, 2)
    turned = sample.sample(WIDE, IDS[:50][::-1], 1, 2).iloc[::-1]
    assert whole.equals(turned)
    assert not whole.equals(sample.sample(WIDE, IDS[:50], 1, 3))
    assert not whole.equals(sample.sample(WIDE, IDS[:50], 2, 2))


OLD_DRAWS = [
    "rotation",
    "zoom_x",
    "zoom_y",
    "shear",
    "shift_x",
    "shift_y",
    "flip",
    "vertical_flip",
    "value",
    "contrast",
]
LETTERBOX = AugmentationRanges(
    aspect=0.3,
    placed_scale=(0.75, 1.5),
    rotation=15,
    rotation_probability=0.5,
    flip=0.5,
    value=1.5,
    fill=128,
)  # study 003's published values


def split_mix(start: int, number: int) -> float:
    """SplitMix64 in Python's own integers."""
    whole = 2**64
    z = (start + number * 0x9E3779B97F4A7C15) % whole
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % whole
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % whole
    return ((z ^ (z >> 31)) >> 11) / 2**53


def uniform(column: pd.Series, low: float, high: float) -> float:
    """Kolmogorov and Smirnov's p of a column against the uniform distribution."""
    return float(stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue)


def test_old_draws_keep_their_numbers() -> None:
    assert sample.DRAWS[:10] == tuple(OLD_DRAWS) == COLUMNS[:10]
    newer = "rotates wider narrower placed_scale placed_left placed_top crop_left crop_top"
    assert " ".join(sample.DRAWS[10:18]) == newer
    assert sample.DRAWS[18::10] == ("crop_scale_0", "crop_aspect_0")
    start = int.from_bytes(blake2b(b"1/3/set/0.png", digest_size=8).digest(), "little")
    u = [split_mix(start, number) for number in range(1, 11)]
    row = sample.sample(WIDE, IDS[:1], seed=1, epoch=3).iloc[0]
    assert row["rotation"] == pytest.approx(25 * (2 * u[0] - 1), abs=1e-12)
    assert row["zoom_x"] == pytest.approx(1 + 0.2 * (2 * u[1] - 1), abs=1e-12)
    assert row["shift_y"] == pytest.approx(0.1 * (2 * u[5] - 1), abs=1e-12)
    assert bool(row["flip"]) is (u[6] < 0.5)
    assert row["contrast"] == pytest.approx(1 + 0.2 * (2 * u[9] - 1), abs=1e-12)
    # asking for something new moves nothing old
    more = replace(WIDE, crop_scale=(0.5, 0.9), fill=0)
    pd.testing.assert_frame_equal(
        sample.sample(more, IDS[:50], 1, 3)[OLD_DRAWS],
        sample.sample(WIDE, IDS[:50], 1, 3)[OLD_DRAWS],
    )


def test_keras_ranges_of_study_000() -> None:
    drawn = sample.sample(AugmentationRanges(rotation=25, keras_zoom=0.2, flip=0.5), IDS, 0, 0)
    seen = 1 / drawn[["zoom_x", "zoom_y"]]  # Keras' zx and zy: how much an axis shows
    assert uniform(seen["zoom_x"], 0.8, 1.2) > 0.001
    assert uniform(seen["zoom_y"], 0.8, 1.2) > 0.001
    assert uniform(drawn["rotation"], -25, 25) > 0.001
    assert seen.min().min() >= 0.8
    assert seen.max().max() <= 1.2 + 1e-12
    assert abs(np.corrcoef(seen.T)[0, 1]) < 0.03
    assert drawn["flip"].sum() == pytest.approx(5000, abs=5 * 50)
    assert not drawn["vertical_flip"].any()
    assert (drawn["fill"] == -1).all()  # fill_mode "nearest"
    assert (drawn[["shear", "shift_x", "shift_y"]] == 0).all().all()


def test_rotation_happens_as_often_as_asked() -> None:
    always = sample.sample(AugmentationRanges(rotation=15), IDS, 0, 0)["rotation"]
    half = sample.sample(AugmentationRanges(rotation=15, rotation_probability=0.5), IDS, 0, 0)[
        "rotation"
    ]
    turned = half != 0
    assert turned.sum() == pytest.approx(5000, abs=5 * 50)
    pd.testing.assert_series_equal(half[turned], always[turned])  # the angle itself is as before
    assert uniform(half[turned], -15, 15) > 0.001
    assert (sample.sample(AugmentationRanges(rotation=15, rotation_probability=0), IDS, 0, 0) == 0)[
        "rotation"
    ].all()


def torchvision_crops(scale: tuple[float, float], aspect: tuple[float, float]) -> np.ndarray:
    """(draw, 4) left, top, width, height as fractions, from torchvision itself."""
    from hilum.models import torchvision_compat  # noqa: F401 - makes torchvision importable beside a CPU torch

    torch = pytest.importorskip("torch")
    transforms = pytest.importorskip("torchvision.transforms")
    side = 100_000  # so that whole pixels hardly round
    film = torch.empty((1, side, side), device="meta")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        crops = [
            transforms.RandomResizedCrop.get_params(film, list(scale), list(aspect))
            for _ in range(4000)
        ]
    return np.array([[left, top, width, height] for top, left, height, width in crops]) / side


@pytest.mark.parametrize(
    ("scale", "aspect"),
    [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.8, 1.0), (0.75, 4 / 3)), ((0.2, 0.9), (0.3, 0.9))],
)
def test_resized_crops_are_distributed_as_torchvisions(
    scale: tuple[float, float], aspect: tuple[float, float]
) -> None:
    ours = sample.sample(AugmentationRanges(crop_scale=scale, crop_aspect=aspect), IDS, 0, 0)
    left, top, width, height = ours[["box_left", "box_top", "box_width", "box_height"]].T.to_numpy()
    theirs = torchvision_crops(scale, aspect).T
    for mine, other in zip((left, top, width, height), theirs, strict=True):
        assert stats.ks_2samp(mine, other).pvalue > 0.001
    assert stats.ks_2samp(width * height, theirs[2] * theirs[3]).pvalue > 0.001
    assert stats.ks_2samp(width / height, theirs[2] / theirs[3]).pvalue > 0.001
    slack = 1e-9
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + slack
    assert scale[0] - slack <= (width * height).min() <= (width * height).max() <= scale[1] + slack
    assert aspect[0] - slack <= (width / height).min()
    assert (width / height).max() <= aspect[1] + slack


@pytest.mark.parametrize("aspect", [(2.0, 3.0), (0.25, 0.5)])
def test_a_crop_that_never_fits_is_torchvisions_centre(aspect: tuple[float, float]) -> None:
    ours = sample.sample(
        AugmentationRanges(crop_scale=(0.9, 1.0), crop_aspect=aspect), IDS[:20], 0, 0
    )
    boxes = ours[["box_left", "box_top", "box_width", "box_height"]].to_numpy()
    theirs = torchvision_crops((0.9, 1.0), aspect)[:20]
    np.testing.assert_allclose(boxes, theirs, atol=2e-5)


def test_placement_is_distributed_as_in_the_published_code() -> None:
    drawn = sample.sample(LETTERBOX, IDS, 0, 0)
    width, height = 1 / drawn["box_width"], 1 / drawn["box_height"]  # film's, of the frame's
    left, top = -drawn["box_left"] * width, -drawn["box_top"] * height
    longer = np.maximum(width, height)
    assert uniform(longer, 0.75, 1.5) > 0.001
    assert 0.7 / 1.3 <= (width / height).min() < (width / height).max() <= 1.3 / 0.7
    for start, size in ((left, width), (top, height)):
        assert (start >= np.minimum(0, 1 - size) - 1e-12).all()  # a large film covers the frame,
        assert (start <= np.maximum(0, 1 - size) + 1e-12).all()  # a small one lies inside it
    # the published arithmetic on a frame of 10,000 pixels
    random, side = np.random.default_rng(0), 10_000
    shape = random.uniform(0.7, 1.3, 5000) / random.uniform(0.7, 1.3, 5000)
    scale = random.uniform(0.75, 1.5, 5000)
    nw = np.where(shape < 1, scale * side * shape, scale * side)
    nh = np.where(shape < 1, scale * side, scale * side / shape)
    dx, dy = random.uniform(0, 1, 5000) * (side - nw), random.uniform(0, 1, 5000) * (side - nh)
    for mine, theirs in ((width, nw), (height, nh), (left, dx), (top, dy)):
        assert stats.ks_2samp(mine, theirs / side).pvalue > 0.001


def test_published_value_jitter_reaches_black_and_the_corrected_one_does_not() -> None:
    wild = sample.sample(LETTERBOX, IDS, 0, 0)["value"]
    assert uniform(wild, -0.5, 2.5) > 0.001
    assert (wild <= 0).mean() == pytest.approx(1 / 6, abs=0.02)  # these come out black
    held = sample.sample(replace(LETTERBOX, value_limit=0.5), IDS, 0, 0)["value"]
    np.testing.assert_array_equal(held, wild.clip(0.5, 1.5))
    assert (held == 0.5).mean() == pytest.approx(1 / 3, abs=0.02)


def test_ranges_that_change_nothing_are_known() -> None:
    for still in (
        AugmentationRanges(),
        AugmentationRanges(rotation_probability=0.5, value_limit=0.5, fill=128),
    ):
        assert sample.is_identity(still)
        drawn = sample.sample(still, IDS[:40], 0, 0)
        assert (drawn[["box_width", "box_height", "zoom_x", "zoom_y", "value"]] == 1).all().all()
        assert (drawn[["box_left", "box_top", "rotation", "shear"]] == 0).all().all()
    moving = [
        AugmentationRanges(crop_scale=(0.5, 1.0)),
        AugmentationRanges(crop_aspect=(0.9, 1.1)),
        AugmentationRanges(placed_scale=(1.0, 1.5)),
        AugmentationRanges(aspect=0.1),
        AugmentationRanges(keras_zoom=0.1),
        AugmentationRanges(rotation=1),
        AugmentationRanges(value=0.1),
    ]
    assert not any(sample.is_identity(ranges) for ranges in moving)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crop_scale": (0.9, 0.5)}, r"crop_scale must lie in .* got \(0.9, 0.5\)"),
        ({"crop_scale": (0.0, 0.5)}, r"crop_scale must lie in .* got \(0.0, 0.5\)"),
        ({"crop_aspect": (0.0, 1.0)}, "crop_aspect"),
        ({"placed_scale": (-1.0, 1.0)}, "placed_scale"),
        ({"zoom": 1.0}, "zoom must lie in .* got 1.0"),
        ({"keras_zoom": float("nan")}, "keras_zoom must lie in .* got nan"),
        ({"flip": 50}, "flip must lie in .* got 50"),
        ({"rotation_probability": -0.1}, "rotation_probability"),
        ({"fill": 256}, "fill must lie in .* got 256"),
        ({"zoom": 0.1, "keras_zoom": 0.2}, "zoom = 0.1 and keras_zoom = 0.2"),
        ({"crop_scale": (0.5, 1.0), "aspect": 0.3}, "crop_scale = .* and aspect = 0.3"),
    ],
)
def test_impossible_ranges_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(HilumError, match=words):
        AugmentationRanges(**values)
