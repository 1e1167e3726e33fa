"""Marks found as print, in any depth and direction; what is said without hilum[text]."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from marker_truth import Film, Frame, Tally, films, frames

from hilum import images, phantom, preprocess
from hilum.preprocess import marker_steps, markers, text_lines, text_network
from hilum.preprocess.marker_steps import FindMarkers, RemoveMarkers
from hilum.preprocess.step import as_uint8
from hilum.types import Floats, Grey8, HilumError, MissingError

installed = pytest.mark.skipif(
    find_spec(text_network.PACKAGE) is None, reason="needs pip install 'hilum[text]'"
)
WORDS: dict[str, tuple[int, int]] = {"PORTABLE": (150, 40), "ERECT AP": (290, 420), "L": (30, 70)}


@pytest.fixture(scope="module")
def bare() -> Grey8:
    """A phantom film (448, 448) without any mark."""
    request = phantom.Request(images=1, size=448, images_per_patient=1, markers=False, seed=3)
    return phantom.generate(request).images[0]


@pytest.fixture(scope="module")
def film(bare: Grey8) -> Grey8:
    """The same with three words, fainter than their surest neighbours."""
    out = bare.copy()
    for word, place in WORDS.items():
        cv2.putText(out, word, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (235,), 2, cv2.LINE_AA)
    return out


@pytest.fixture(scope="module")
def truth() -> list[Frame]:
    """The boxes of the words."""
    sizes = {word: cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 2)[0] for word in WORDS}
    return [(x, y - sizes[word][1], *sizes[word]) for word, (x, y) in WORDS.items()]


def compared(found: markers.Markers, truth: list[Frame]) -> Tally:
    tally = Tally()
    tally.add(Film("film", "", {"text": truth}), frames(found.boxes), found.mask.shape)
    return tally


@installed
@pytest.mark.parametrize("method", markers.READS)
def test_words_are_found_and_nothing_else(
    film: Grey8, truth: list[Frame], method: markers.Method
) -> None:
    tally = compared(markers.find_markers(film, method), truth)
    assert (tally.found, tally.marks) == (3, 3)
    assert tally.right == tally.boxes >= 3


@installed
def test_words_that_run_upwards_are_found_too(film: Grey8, truth: list[Frame]) -> None:
    found = markers.find_markers(np.ascontiguousarray(np.rot90(film)), "text")
    turned = [(top, 448 - left - wide, high, wide) for left, top, wide, high in truth]
    assert compared(found, turned[:2]).found == 2  # a lone L that lies is no print to the network


@installed
def test_a_film_of_12_bits_in_16_has_the_same_words(
    film: Grey8, truth: list[Frame], tmp_path: Path
) -> None:
    """The network is made for 0 to 255; findings/rapidocr_16_bit_reads_another_text.sh."""
    cv2.imwrite(str(tmp_path / "film.png"), film.astype(np.uint16) * 16)
    deep = images.read(tmp_path / "film.png").pixels
    assert deep.dtype == np.float32
    mask = FindMarkers("text")(deep) > 0
    assert mask.mean() < 0.1
    assert all(mask[top : top + high, left : left + wide].mean() > 0.9
               for left, top, wide, high in truth)  # fmt: skip


@installed
def test_removal_fills_the_words_in(film: Grey8, bare: Grey8) -> None:
    mask = markers.find_markers(film, "shape_and_text").mask
    out = RemoveMarkers("shape_and_text")(film)
    np.testing.assert_array_equal(out[~mask], film[~mask])
    ink = film != bare
    before, after = (np.abs(one[ink].astype(int) - bare[ink]).mean() for one in (film, out))
    assert after < 0.2 * before


@installed
def test_a_sliver_of_film_is_searched_as_well() -> None:
    found = markers.find_markers(np.full((3000, 33), 128, np.uint8), "text")
    assert (found.mask.shape, found.mask.any(), found.boxes) == ((3000, 33), False, ())


@installed
@pytest.mark.slow
def test_joined_finds_more_of_the_marks_on_real_films(shared: Path) -> None:
    """Every fourth held-out film, annotated by hand; limits were chosen on the tuning half."""
    tallies = {method: Tally() for method in ("shape", "shape_and_text")}
    for one in [one for one in films() if one.half == "held-out"][::4]:
        pixels = as_uint8(images.read(shared / one.path).pixels)
        for method, tally in tallies.items():
            found = markers.find_markers(pixels, method)  # type: ignore[arg-type]
            tally.add(one, frames(found.boxes), pixels.shape)
    assert tallies["shape_and_text"].found > tallies["shape"].found
    assert tallies["shape_and_text"].precision >= 0.75


def test_a_film_that_is_print_as_a_whole_has_no_line() -> None:
    probabilities = np.full((300, 200), 0.9, np.float32)
    assert [*text_lines.lines_of(probabilities, (600, 400))] == []


def blurred_lines() -> Floats:
    """Probabilities (240, 320) of three lines of different slant, one of them unlikely."""
    plane = np.zeros((240, 320), np.float32)
    for centre, size, angle, p in (
        ((90, 60), (120, 14), 0, 1.0),
        ((200, 160), (90, 12), 25, 0.8),
        ((60, 190), (50, 12), 70, 0.1),
    ):
        cv2.fillPoly(plane, [cv2.boxPoints((centre, size, angle)).astype(np.int32)], (p,))
    return cv2.GaussianBlur(plane, (5, 5), 0)


@installed
def test_lines_are_those_of_the_networks_own_package() -> None:
    """A second opinion: rapidocr's way from probabilities to corners, with the same limits."""
    from rapidocr.ch_ppocr_det.utils import DBPostProcess

    theirs = DBPostProcess(text_lines.INSIDE, text_lines.PRINT, 1000, text_lines.GROWN)
    boxes, _ = theirs(blurred_lines()[None, None], (480, 640))
    ours = sorted(text_lines.lines_of(blurred_lines(), (480, 640)), key=lambda line: line.sum())
    assert len(ours) == len(boxes) == 2
    for one, other in zip(ours, sorted(boxes, key=lambda box: box.sum()), strict=True):
        gaps = np.linalg.norm(one[:, None] - other[None], axis=2)
        assert gaps.min(1).max() < 3  # they round to whole pixels twice


def test_without_the_extra_a_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_network, "find_spec", lambda name: None)
    for name in ("find_markers", "remove_markers", "transplant_markers"):
        block = [{"step": name, "method": "shape_and_text"}, {"step": "letterbox"}]
        with pytest.raises(MissingError, match=r"run pip install 'hilum\[text\]'"):
            preprocess.from_list(block)
    assert RemoveMarkers("shape").method == "shape"


def test_another_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(b"another")
    monkeypatch.setattr(text_network, "require_text_network", lambda: file)
    with pytest.raises(HilumError, match=r"must have the SHA-256 090f04abcd9d9a74\.\.\.; got"):
        text_network._network.__wrapped__(512)


def digest(method: str) -> str:
    steps = [{"step": "remove_markers", "method": method}, {"step": "letterbox"}]
    return preprocess.from_list(steps).digest


def test_what_finds_print_is_a_part_of_a_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker_steps, "require_text_network", lambda: None)
    before = {method: digest(method) for method in markers.WAYS}
    assert len({*before.values()}) == len(before)
    monkeypatch.setattr(preprocess.pipeline, "READS_VERSION", markers.READS_VERSION + 1)
    changed = {method for method, one in before.items() if digest(method) != one}
    assert changed == {*markers.READS}
