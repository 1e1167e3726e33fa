"""Preparation: exact geometry, kept ranges, declared and hashed."""

from dataclasses import fields, replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from hilum import preprocess
from hilum.preprocess.lungs.steps import LungStep, with_finder
from hilum.preprocess.pipeline import STEPS
from hilum.preprocess.step import Step
from hilum.types import HilumError
from known_lungs import Known

# width, height -> bars: (top, bottom, left, right) for side 224
ASPECTS = [
    ((448, 224), (56, 56, 0, 0)),
    ((224, 448), (0, 0, 56, 56)),
    ((224, 224), (0, 0, 0, 0)),
    ((300, 400), (0, 0, 28, 28)),
    ((400, 300), (28, 28, 0, 0)),
    ((1000, 100), (101, 101, 0, 0)),
]


@pytest.mark.parametrize(("size", "bars"), ASPECTS)
@pytest.mark.parametrize("method", ["area", "pillow"])
def test_letterbox_bars_are_exact(
    size: tuple[int, int], bars: tuple[int, int, int, int], method: str
) -> None:
    step = preprocess.from_list([{"step": "letterbox", "side": 224, "method": method}])
    out = step(np.full((size[1], size[0]), 7, np.uint8))
    top, bottom, left, right = bars
    expected = np.full((224, 224), 128, np.uint8)
    expected[top : 224 - bottom, left : 224 - right] = 7
    np.testing.assert_array_equal(out, expected)


def test_published_letterbox_equals_pillow_pixel_by_pixel() -> None:
    film = np.random.default_rng(0).integers(0, 256, (301, 400), np.uint8)
    scale = min(224 / 400, 224 / 301)
    width, height = int(400 * scale), int(301 * scale)
    canvas = Pillow.new("L", (224, 224), 128)
    small = Pillow.fromarray(film).resize((width, height), Pillow.Resampling.BICUBIC)
    canvas.paste(small, ((224 - width) // 2, (224 - height) // 2))
    ours = preprocess.from_list([{"step": "letterbox", "method": "pillow"}])(film)
    np.testing.assert_array_equal(ours, np.asarray(canvas))


def test_shorter_resize_and_centre_crop_sit_where_torchvision_puts_them() -> None:
    film = np.tile(np.arange(300, dtype=np.float32) / 299, (224, 1))
    pipeline = preprocess.from_list([{"step": "resize_shorter"}, {"step": "centre_crop"}])
    np.testing.assert_array_equal(pipeline(film)[0], np.rint(film[0, 38:262] * 255))


def step_of(name: str) -> Step:
    """As named, with lungs that are known and black bars."""
    step = STEPS[name]()
    if isinstance(step, LungStep):
        step = with_finder(replace(step, failed="whole"), Known())
    return replace(step, fill=0) if isinstance(getattr(step, "fill", None), int) else step


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    name=st.sampled_from(sorted(STEPS)),
    deep=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_step_keeps_kind_and_range(
    height: int, width: int, name: str, deep: bool, seed: int
) -> None:
    pixels = np.random.default_rng(seed).random((height, width), np.float32)
    film = pixels if deep else np.rint(pixels * 255).astype(np.uint8)
    step = step_of(name)
    if name == "centre_crop" and min(film.shape) < 224:
        with pytest.raises(HilumError, match="centre_crop needs"):
            step(film)
        return
    out = step(film)
    assert out.ndim == 2
    assert out.min() >= 0
    assert out.max() <= (1 if out.dtype == np.float32 else 255)
    size = step.size(film.shape)
    assert size is None or size == out.shape


def test_steps_table_is_visited_whole() -> None:
    assert len(STEPS) >= 11
    for name, kind in STEPS.items():
        assert kind.name == name
        assert kind.__doc__


def applied(name: str, film: np.ndarray) -> np.ndarray:
    return np.asarray(step_of(name)(film))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_moves_pixels_as_it_says(name: str) -> None:
    """By size alone: linear in the film. Never: the film's own size, and flat stays flat.

    By content: the size, which the film's decides elsewhere, is another on a film with borders.
    """
    random = np.random.default_rng(3)
    one, two = random.random((2, 300, 260), np.float32)
    moves = STEPS[name].moves_pixels
    if moves == "by size":
        mixed = applied(name, (one + two) / 2)
        np.testing.assert_allclose(mixed, (applied(name, one) + applied(name, two)) / 2, atol=1e-6)
    elif moves == "never":
        assert STEPS[name]().size((300, 260)) == (300, 260)
        corner = np.zeros((300, 260), np.float32)
        corner[:60, :50] = one[:60, :50]
        out = applied(name, corner)
        assert out.shape == corner.shape
        assert np.ptp(out[200:, 200:]) == 0  # what is flat and far away is not reached
    else:
        bordered = np.zeros((300, 260), np.float32)
        bordered[40:-40, 30:-30] = one[40:-40, 30:-30]
        assert applied(name, bordered).shape != bordered.shape


def test_block_round_trips_and_the_digest_is_golden() -> None:
    block = [{"step": "border_crop", "fraction": 0.1}, {"step": "letterbox"}]
    pipeline = preprocess.from_list(block)
    again = preprocess.from_list(pipeline.as_list())
    assert again.digest == pipeline.digest
    assert preprocess.from_list([{"step": "letterbox"}]).digest != pipeline.digest
    assert pipeline.shape == (224, 224)


def test_decode_side_allows_for_what_later_steps_cut_away() -> None:
    cropped = preprocess.from_list(
        [{"step": "border_crop", "fraction": 0.25}, {"step": "letterbox"}]
    )
    assert cropped.decode_side == 449
    published = preprocess.from_list([{"step": "letterbox", "method": "pillow"}])
    assert published.decode_side is None


def test_area_averaging_matches_the_closed_form_on_a_ramp() -> None:
    """Each of the 6 x 8 cells is the mean of its 50 x 50 pixels."""
    ramp = np.add.outer(np.arange(300), 2 * np.arange(400)).astype(np.float32) / 1098
    out = preprocess.from_list([{"step": "letterbox", "side": 8}])(ramp)
    cell = np.add.outer(50 * np.arange(6) + 24.5, 2 * (50 * np.arange(8) + 24.5))
    np.testing.assert_array_equal(out[1:7], np.rint(255 * cell / 1098))
    assert (out[[0, 7]] == 128).all()


def test_golden_hash_of_the_default_preparation() -> None:
    """Same weights, same numbers: raise pipeline.VERSION when this hash has to change."""
    film = np.random.default_rng(7).integers(0, 256, (480, 512), np.uint8)
    out = preprocess.from_list([{"step": "letterbox"}])(film)
    assert sha256(out.tobytes()).hexdigest()[:16] == "1038420337b7d747"


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ([{"step": "leterbox"}], "did you mean 'letterbox'"),
        ([{"step": "remove_markers", "fill": 0}], "fill of remove_markers is one of telea"),
        ([{"step": "letterbox", "sde": 3}], "did you mean 'side'"),
        ([{"step": "clahe"}], "must end at a fixed size"),
        ([], "must end at a fixed size"),
        ([{"step": "border_crop", "fraction": 0.5}, {"step": "letterbox"}], "got 0.5"),
        ([{"step": "percentile_window", "low": 60, "high": 40}], "got low 60"),
        ([{"step": "letterbox", "method": "bicubic"}], "one of area, pillow; got 'bicubic'"),
        ([{"step": "keep_lungs", "hull": "no"}], "hull of keep_lungs must be true or false"),
        ([{"step": "letterbox", "side": 1.5}], "a whole number from 1 to 8192; got 1.5"),
    ],
)
def test_bad_blocks_are_refused(block: list[dict[str, object]], sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        preprocess.from_list(block)


def test_every_number_of_every_step_has_bounds_and_a_kind() -> None:
    visited = 0
    for name, step in STEPS.items():
        for field in fields(step):  # type: ignore[arg-type]
            if not isinstance(field.default, int | float):
                continue
            visited += 1
            for wrong in ("x", float("nan"), -1, 1e9, None, True):
                if not (wrong is True and isinstance(field.default, bool)):
                    with pytest.raises(HilumError, match=f"{field.name} of {name} must be|needs 0"):
                        preprocess.from_list([{"step": name, field.name: wrong}])
    assert visited >= 20
    whole = preprocess.from_list([{"step": "letterbox", "side": 96.0}])
    assert repr(whole.as_list()[0]["side"]) == "96"


def test_with_side_sets_every_sized_step() -> None:
    block = preprocess.with_side([{"step": "clahe"}, {"step": "letterbox", "fill": 0}], 299)
    assert block == [{"step": "clahe"}, {"step": "letterbox", "fill": 0, "side": 299}]


def test_percentile_window_matches_the_closed_form() -> None:
    film = np.linspace(0.2, 0.8, 10_000, dtype=np.float32).reshape(100, 100)
    out = STEPS["percentile_window"](low=10, high=90)(film)  # type: ignore[call-arg]
    np.testing.assert_allclose(out, np.clip((film - 0.26) / 0.48, 0, 1), atol=1e-4)


def grainy(side: int) -> np.ndarray:
    """A film of soft shadows with a little grain, 0.2 to 0.7, in 65,536 levels."""
    across = np.linspace(0, 3, side, dtype=np.float32)
    shadows = 0.45 + 0.2 * np.sin(np.add.outer(across, 2 * across))
    grain = 0.01 * np.random.default_rng(5).standard_normal((side, side))
    return (np.rint((shadows + grain) * 65535) / 65535).astype(np.float32)


@pytest.mark.parametrize("side", [224, 900])
def test_clahe_of_a_deep_film_is_that_of_its_8_bits(side: int) -> None:
    film = grainy(side)
    seen = set()
    for clip in (1.0, 2.0, 8.0):
        even = STEPS["clahe"](clip=clip)  # type: ignore[call-arg]
        deep, plain = even(film), even(np.rint(film * 255).astype(np.uint8))
        assert deep.dtype == np.float32
        np.testing.assert_allclose(deep, plain.astype(np.float32) / 255, atol=1e-6)
        seen.add(deep.tobytes())
    assert len(seen) == 3  # of 65,536 bins the three limits are one


def test_what_clahe_makes_of_a_film_is_in_its_digest_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def digests() -> list[str]:
        blocks = [[{"step": name}, {"step": "letterbox"}] for name in ("clahe", "equalise")]
        return [preprocess.from_list(block).digest for block in blocks]

    before = digests()
    monkeypatch.setattr(preprocess.pipeline, "CLAHE_VERSION", 1)
    assert [a == b for a, b in zip(before, digests(), strict=True)] == [False, True]
