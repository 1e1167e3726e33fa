"""Marker steps: declared parameters, donors, and what they leave alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum import phantom, preprocess
from hilum.preprocess import marker_steps, markers
from hilum.preprocess.marker_steps import CropBorders, FindMarkers, RemoveMarkers, TransplantMarkers
from hilum.types import HilumError, MissingError

FILMS = phantom.generate(phantom.Request(images=4, size=448, images_per_patient=1)).images


def test_found_marks_are_a_picture_of_the_mask() -> None:
    wanted = np.where(markers.find_markers(FILMS[0]).mask, 255, 0)
    np.testing.assert_array_equal(FindMarkers()(FILMS[0]), wanted)
    deep = FindMarkers()(FILMS[0].astype(np.float32) / 255)
    np.testing.assert_array_equal(deep, wanted / 255)


@pytest.mark.parametrize("method", ["shape", "threshold"])
def test_removal_leaves_the_rest(method: markers.Method) -> None:
    mask = markers.find_markers(FILMS[1], method).mask
    out = RemoveMarkers(method)(FILMS[1])
    np.testing.assert_array_equal(out[~mask], FILMS[1][~mask])
    assert (out[mask] != FILMS[1][mask]).mean() > 0.5


def test_removal_finds_nothing_left() -> None:
    for film in FILMS:
        once = RemoveMarkers()(film)
        assert len(markers.find_markers(once).boxes) < len(markers.find_markers(film).boxes)


def test_borders_are_cut_before_the_network_sees_them() -> None:
    film = np.pad(FILMS[2][60:400, 120:330], ((30, 0), (0, 45)))
    np.testing.assert_array_equal(CropBorders()(film), FILMS[2][60:400, 120:330])
    assert CropBorders().side_needed(224) == 561
    assert CropBorders().size((448, 448)) is None


def test_a_transplant_without_a_donor_draws_its_mark() -> None:
    out = TransplantMarkers()(FILMS[0])
    changed = out != FILMS[0]
    assert changed.any()
    # the upper right corner alone
    assert not changed[: 448 // 4, : 448 // 2].any()
    assert not changed[448 // 4 :].any()
    assert (
        markers.find_markers(marker_steps.drawn_marker())
        .mask[marker_steps.drawn_marker() > 127]
        .all()
    )


def test_donors_are_chosen_by_the_films_own_pixels(tmp_path: Path) -> None:
    for number in range(2):
        donor = np.zeros((448, 448), np.uint8)
        place = (40 + 300 * number, 60)
        cv2.putText(donor, "R", place, cv2.FONT_HERSHEY_DUPLEX, 1.2, (250,), 3, cv2.LINE_AA)
        cv2.imwrite(str(tmp_path / f"{number}.png"), donor)
    step = TransplantMarkers(donor=str(tmp_path))
    rng = np.random.default_rng(0)
    targets = rng.integers(40, 200, (8, 448, 448), np.uint8)
    sides = set()
    for target in targets:
        out = step(target)
        np.testing.assert_array_equal(out, step(target))
        columns = np.nonzero((out != target).any(0))[0]
        sides.add(bool(columns.mean() > 224))
    assert sides == {True, False}


def test_blocks_round_trip_with_every_parameter() -> None:
    block = [
        {"step": "remove_markers", "method": "threshold", "fill": "navier_stokes", "radius": 5.0},
        {"step": "letterbox"},
    ]
    made = preprocess.from_list(block)
    assert made.as_list()[0] == block[0]
    assert made.decode_side is None  # small print is gone on a small film
    assert made(FILMS[0]).shape == (224, 224)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"step": "remove_markers", "method": "treshold"}, "did you mean 'threshold'"),
        ({"step": "remove_markers", "fill": "tele"}, "did you mean 'telea'"),
        ({"step": "remove_markers", "radius": 0.0}, "got 0.0"),
        ({"step": "find_markers", "method": "mser"}, "got 'mser'"),
        ({"step": "transplant_markers", "doner": "x"}, "did you mean 'donor'"),
    ],
)
def test_wrong_parameters_are_refused(row: dict[str, object], sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        preprocess.from_list([row, {"step": "letterbox"}])


def test_a_missing_donor_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="which does not exist"):
        TransplantMarkers(donor=str(tmp_path / "none"))(FILMS[0])
    with pytest.raises(MissingError, match="got none"):
        TransplantMarkers(donor=str(tmp_path))(FILMS[0])
