"""Burnt-in marks: found on phantoms and real films, removed, moved, and nothing else touched."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marker_truth import MARGIN, OTHER, Film, Tally, films, frames, paint, planted

from hilum import images, phantom
from hilum.phantom import stickers
from hilum.preprocess import markers
from hilum.preprocess.markers import FILLS
from hilum.preprocess.step import as_uint8
from hilum.types import Grey8, HilumError, Mask


@pytest.fixture(scope="module")
def bare() -> list[Grey8]:
    """Phantom films (448, 448) without any mark."""
    request = phantom.Request(images=8, size=448, images_per_patient=1, markers=False)
    return list(phantom.generate(request).images)


# ---- finding ------------------------------------------------------------------------------


def test_marks_of_every_kind_are_found_on_phantoms(bare: list[Grey8]) -> None:
    found = planted(bare)["all"]
    assert found.marks == len(bare) * len(stickers.KINDS)
    assert found.precision >= 0.9
    assert found.recall >= 0.9


@pytest.mark.slow
def test_no_kind_of_mark_is_overlooked() -> None:
    request = phantom.Request(images=40, size=448, images_per_patient=1, markers=False, seed=5)
    every = planted([*phantom.generate(request).images])
    assert every["all"].precision >= 0.9
    assert every["all"].recall >= 0.9
    assert min(tally.recall for tally in every.values()) >= 0.8


def test_the_papers_threshold_takes_bone_and_misses_dark_marks(bare: list[Grey8]) -> None:
    """Study 001, section 5.2: "the threshold unfortunately extracted other parts"."""
    assert planted(bare[:4], "threshold")["black_sticker"].recall < 0.5
    for film in bare:  # films without any mark
        assert len(markers.find_markers(film, "threshold").boxes) > 5


def test_a_film_without_marks_has_few(bare: list[Grey8]) -> None:
    found = [len(markers.find_markers(film).boxes) for film in bare]
    assert np.mean(found) <= 0.5


def test_the_hospitals_own_marks_are_covered() -> None:
    made = phantom.generate(phantom.Request(images=6, size=448, images_per_patient=1))
    for film, ink in zip(made.images, made.markers, strict=True):
        solid = cv2.erode(ink.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
        assert (markers.find_markers(film).mask & solid).sum() >= 0.8 * solid.sum()


@pytest.mark.parametrize("factor", [2, 3])
def test_a_larger_film_has_its_marks_at_the_same_places(bare: list[Grey8], factor: int) -> None:
    film, mask = stickers.plant(bare[0], "black_sticker", np.random.default_rng(1))
    large = cv2.resize(film, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    found = markers.find_markers(large)
    assert found.mask.shape == large.shape
    inside = cv2.resize(mask.astype(np.uint8), large.shape[::-1]) > 0
    assert found.mask[inside].mean() > 0.9
    assert found.mask[~inside].mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("half", ["tuning", "held-out"])
def test_marks_on_real_films(shared: Path, half: str) -> None:
    """200 films annotated by hand; weights and limits were chosen on the tuning half alone."""
    tally, threshold = Tally(), Tally()
    chosen = [film for film in films() if film.half == half]
    assert len(chosen) in (99, 101)
    for film in chosen:
        pixels = as_uint8(images.read(shared / film.path).pixels)
        tally.add(film, frames(markers.find_markers(pixels).boxes), pixels.shape)
        threshold.add(film, frames(markers.find_markers(pixels, "threshold").boxes), pixels.shape)
    assert tally.precision >= 0.8
    assert tally.recall >= 0.8
    assert threshold.precision < 0.4


def test_most_of_what_the_threshold_takes_is_no_mark(shared: Path) -> None:
    """Why study 001 pasted more than symbols (section 5.2): bright bone is above it too."""
    taken = {"threshold": [0, 0], "shape": [0, 0]}  # pixels on marks, and all
    for film in [film for film in films() if film.half == "held-out"][::5]:
        pixels = as_uint8(images.read(shared / film.path).pixels)
        marks = paint(film.marks + film.of(OTHER), pixels.shape, round(MARGIN * max(pixels.shape)))
        for method, counts in taken.items():
            mask = markers.find_markers(pixels, method).mask  # type: ignore[arg-type]
            counts[0] += int((mask & marks).sum())
            counts[1] += int(mask.sum())
    right = {method: on / every for method, (on, every) in taken.items()}
    assert right["threshold"] < 0.5
    assert right["shape"] > 0.8


def test_the_table_of_real_films_is_whole() -> None:
    every = films()
    assert len(every) == 200
    assert sum(not film.marks for film in every) == 22
    assert sum(len(film.marks) for film in every) == 347
    assert len({film.path for film in every}) == 200


def test_the_rule_of_matching_by_hand() -> None:
    tally = Tally()
    film = Film(
        "x", "", {"letter": [(10, 10, 10, 10), (50, 50, 10, 10)], "ignore": [(80, 0, 9, 9)]}
    )
    # half of the first; a stranger; one in what is ignored
    tally.add(film, [(10, 10, 5, 10), (30, 30, 8, 8), (81, 1, 5, 5)], (100, 100))
    assert (tally.found, tally.marks, tally.right, tally.boxes) == (1, 2, 1, 2)
    assert (tally.precision, tally.recall) == (0.5, 0.5)


# ---- removing and moving ------------------------------------------------------------------

masks = st.tuples(*[st.integers(0, 63)] * 2, *[st.integers(1, 40)] * 2)


@settings(max_examples=30, deadline=None)
@given(place=masks, fill=st.sampled_from(list(FILLS)), deep=st.booleans(), seed=st.integers(0, 9))
def test_removal_changes_nothing_outside_the_mask(
    place: tuple[int, int, int, int], fill: markers.Fill, deep: bool, seed: int
) -> None:
    noise = np.random.default_rng(seed).random((64, 64), np.float32)
    film = noise if deep else as_uint8(noise)
    mask: Mask = np.zeros(film.shape, np.bool_)
    top, left, high, wide = place
    mask[top : top + high, left : left + wide] = True
    out = markers.remove(film, mask, fill)
    assert out.dtype == film.dtype
    np.testing.assert_array_equal(out[~mask], film[~mask])
    assert out.min() >= 0
    assert out.max() <= (1 if deep else 255)


@pytest.mark.parametrize("fill", list(FILLS))
def test_a_letter_on_even_grey_is_gone(fill: markers.Fill) -> None:
    clean = np.full((200, 200), 90, np.uint8)
    film = clean.copy()
    cv2.putText(film, "L", (90, 100), cv2.FONT_HERSHEY_DUPLEX, 0.8, (250,), 2, cv2.LINE_AA)
    out = markers.remove(film, markers.find_markers(film).mask, fill)
    assert np.abs(out.astype(int) - clean).max() <= 2


def test_an_outlined_arrowhead_goes_with_its_inside() -> None:
    clean = np.full((300, 300), 150, np.uint8)
    film = clean.copy()
    corners = np.array([[140, 150], [176, 136], [176, 164]], np.int32)
    cv2.fillPoly(film, [corners], (250,))
    cv2.polylines(film, [corners], True, (5,), 3, cv2.LINE_AA)
    out = markers.remove(film, markers.find_markers(film).mask)
    assert np.abs(out.astype(int) - clean).max() <= 12


def test_removal_brings_back_what_lay_beneath(bare: list[Grey8]) -> None:
    before, after = 0.0, 0.0
    for number, clean in enumerate(bare):
        film, mask = stickers.plant(clean, "letter", np.random.default_rng(number))
        out = markers.remove(film, markers.find_markers(film).mask)
        before += np.abs(film[mask].astype(int) - clean[mask]).sum()
        after += np.abs(out[mask].astype(int) - clean[mask]).sum()
    assert after < 0.3 * before


def test_a_mask_of_everything_leaves_the_film(bare: list[Grey8]) -> None:
    film = bare[0]
    np.testing.assert_array_equal(markers.remove(film, np.ones(film.shape, np.bool_)), film)


@settings(max_examples=8, deadline=None)
@given(kind=st.sampled_from(list(stickers.KINDS)), deep=st.booleans(), seed=st.integers(0, 99))
def test_transplants_change_masked_pixels_only(
    bare: list[Grey8], kind: str, deep: bool, seed: int
) -> None:
    donor, _ = stickers.plant(bare[1], kind, np.random.default_rng(seed))
    target = bare[2].astype(np.float32) / 255 if deep else bare[2]
    found = markers.find_markers(donor).mask
    out = markers.transplant(target, donor)
    np.testing.assert_array_equal(out[~found], target[~found])
    np.testing.assert_array_equal(as_uint8(out[found]), donor[found])


# ---- borders ------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    widths=st.tuples(*[st.integers(0, 90)] * 4),
    level=st.sampled_from([0, 4, 250, 255]),
    seed=st.integers(0, 9),
)
def test_borders_are_exact(widths: tuple[int, int, int, int], level: int, seed: int) -> None:
    top, right, bottom, left = widths
    noise = np.random.default_rng(seed).integers(60, 200, (400, 400), np.uint8)
    film = np.pad(noise, ((top, bottom), (left, right)), constant_values=level)
    assert markers.borders(film) == widths


def test_air_beside_the_patient_is_no_border() -> None:
    air = np.clip(np.linspace(-20, 150, 300), 0, 255).astype(np.uint8)
    film = np.tile(air, (300, 1))
    assert markers.borders(film) == (0, 0, 0, 0)


# ---- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["shape", "threshold"])
@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("shape", [(64, 64), (30, 30), (1, 500), (500, 33), (1, 1)])
def test_an_even_image_has_no_marks(
    shape: tuple[int, int], grey: int, method: markers.Method
) -> None:
    found = markers.find_markers(np.full(shape, grey, np.uint8), method)
    assert found.mask.shape == shape
    assert not found.mask.any()
    assert found.boxes == ()
    assert markers.borders(np.full(shape, grey, np.uint8)) == (0, 0, 0, 0)


def test_too_small_to_read_is_empty_and_noise_is_bounded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 400), np.uint8)
    assert markers.find_markers(noise[:30, :30]).boxes == ()
    found = markers.find_markers(noise)  # no chest at all: any answer, but a whole one
    assert found.mask.shape == noise.shape
    for box in found.boxes:
        assert box.left >= 0 <= box.top
        assert box.left + box.width <= 400
        assert box.top + box.height <= 500


@pytest.mark.parametrize(
    ("film", "sentence"),
    [
        (np.zeros((64, 64), np.float32), "got float32 of shape"),
        (np.zeros((64, 64, 3), np.uint8), r"shape \(64, 64, 3\)"),
    ],
)
def test_other_arrays_are_refused(film: Grey8, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        markers.find_markers(film)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(HilumError, match="got 'ocr'"):
        markers.find_markers(np.zeros((64, 64), np.uint8), "ocr")  # type: ignore[arg-type]
