"""hilum prepare with marker steps: what is written is what the steps give, parameters included."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum import phantom
from hilum.experiment import prepare
from hilum.preprocess.marker_steps import CropBorders, FindMarkers, RemoveMarkers
from hilum.preprocess.step import Step
from hilum.types import Grey8

FILM = phantom.generate(phantom.Request(images=1, size=448)).images[0]


def written(folder: Path, words: str) -> Grey8:
    (folder / "in").mkdir()
    cv2.imwrite(str(folder / "in" / "film.png"), FILM)
    steps = prepare.steps_named(words.split(","))
    made = prepare.prepare_folder(folder / "in", steps, folder / "out", lambda _: lambda *_: None)
    assert (made.written, made.left_out) == (1, [])
    assert made.sheet.is_file()
    return np.asarray(cv2.imread(str(made.folder / "film.png"), cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("find_markers", FindMarkers()),
        ("find_markers:method=threshold", FindMarkers("threshold")),
        ("remove_markers:fill=navier_stokes", RemoveMarkers(fill="navier_stokes")),
        ("remove_markers:radius=5.0", RemoveMarkers(radius=5.0)),
        ("crop_borders", CropBorders()),
    ],
)
def test_files_are_what_the_steps_give(tmp_path: Path, words: str, step: Step) -> None:
    np.testing.assert_array_equal(written(tmp_path, words), step(FILM))


def test_steps_follow_each_other(tmp_path: Path) -> None:
    found = written(tmp_path, "remove_markers,find_markers")
    assert (found > 0).sum() < 0.2 * (FindMarkers()(FILM) > 0).sum()


def test_study_001s_paste_is_on_one_class_alone(tmp_path: Path) -> None:
    """A preparation does not know the label, but a folder of one class does (Fig. 11)."""
    donor, clean = tmp_path / "covid", tmp_path / "no_finding"
    for place in (donor, clean):
        place.mkdir()
    bare = phantom.generate(phantom.Request(images=2, size=448, markers=False)).images[1]
    cv2.imwrite(str(donor / "marked.png"), FILM)
    cv2.imwrite(str(clean / "film.png"), bare)
    steps = prepare.steps_named([f"transplant_markers:method=threshold:donor={donor}"])
    made = prepare.prepare_folder(clean, steps, tmp_path / "out", lambda _: lambda *_: None)
    after = np.asarray(cv2.imread(str(made.folder / "film.png"), cv2.IMREAD_GRAYSCALE))
    pasted = FindMarkers("threshold")(FILM) > 0
    assert pasted.any()
    np.testing.assert_array_equal(after[pasted], FILM[pasted])
    np.testing.assert_array_equal(after[~pasted], bare[~pasted])
