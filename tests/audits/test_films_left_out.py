"""Audits of films where some, or too many, cannot be used."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import controls_of_films
import cv2
import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort
from scipy.ndimage import distance_transform_edt
from scipy.stats import norm

from hilum.audits import (
    AUDITS,
    Evidence,
    c01_lungs_blacked_out,
    c07_marks_transplanted,
    c15_lesion_localisation,
    cross_validated_probe,
    marked_films,
    sampled_maps,
    sampling,
)
from hilum.audits.c01_lungs_blacked_out import Hidden
from hilum.audits.marked_films import MarkedFilm
from hilum.preprocess import from_list
from hilum.preprocess.lungs.masks import LungMask
from hilum.preprocess.markers import MarkerBox, Markers
from hilum.types import Grey8, HilumError

SIDE = 128


@pytest.fixture(scope="module")
def clean() -> Evidence:
    """600 images of two classes, no films of them."""
    return Cohort(np.random.default_rng(0)).evidence(model=None)


def test_a_part_of_the_score_that_remains_without_lungs_warns(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUROC of two normals d apart is Phi(d / sqrt 2): 1.5 with lungs, a third of it without."""
    monkeypatch.setattr(cross_validated_probe, "REPLICATES", 40)
    monkeypatch.setattr(cross_validated_probe, "FOLDS", 2)
    assert clean.features is not None
    rows = np.arange(len(clean.manifest))
    masked = np.array(clean.features)
    masked[:, 0] -= np.where(clean.labels, 1.0, 0.0)
    boxes = np.zeros((len(rows), 1, 4), np.int64)
    known = replace(clean)
    known.shared["hidden"] = Hidden(rows, boxes, clean.features, masked, len(rows) - 3)
    found = AUDITS["C-01"](known)
    whole, without = (norm.cdf(apart / 2**0.5) - 0.5 for apart in (1.5, 0.5))
    assert (found.status, found.value) == ("warn", pytest.approx(without / whole, abs=0.1))
    assert "features keeps part of its score with the lungs blacked out (AUROC " in found.sentence
    assert found.sentence.endswith(
        " In 3 images no lungs were found; there the box usual for this set was blacked out."
    )


@pytest.mark.parametrize("measured", [10, 9])
def test_where_no_lungs_are_found_the_box_is_usual_or_in_the_centre(measured: int) -> None:
    """A margin of 3 of 100 pixels is around each; ten of them say what is usual."""
    lungs = []
    for shift in range(measured):
        mask = np.zeros((100, 200), bool)
        mask[10 + shift : 60, 40 : 150 - 2 * shift] = True
        lungs.append(LungMask(mask, "ok", 0.3, 1.0))
    none = LungMask(np.zeros((100, 200), bool), "no lungs", 0.0, 1.0)
    *boxes, left = c01_lungs_blacked_out._boxes([*lungs, none], (100, 200)).tolist()
    assert boxes[1] == [8, 63, 37, 151]
    usual = [round(float(end)) for end in np.median(boxes, axis=0)]
    assert left == (usual if measured == 10 else [12, 88, 20, 180])


# --- marks ----------------------------------------------------------------------------------------


def film_of(row: int, *boxes: MarkerBox) -> MarkedFilm:
    """A grey film with a white mark, if it has any."""
    pixels = np.full((32, 32), 60, np.uint8)
    mask = np.zeros_like(pixels, dtype=bool)
    for box in boxes:
        mask[box.place] = True
    return MarkedFilm(row, np.where(mask, np.uint8(255), pixels), Markers(mask, boxes), pixels)


def shows(evidence: Evidence, classes: str, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """Marked films of these classes, of which two are enough, and a model that reads the mark.

    Films of class a have theirs above, and others below.
    """
    above, below = MarkerBox(2, 2, 6, 6), MarkerBox(2, 20, 6, 6)
    films = [film_of(i, above if name == "a" else below) for i, name in enumerate(classes)]
    manifest = evidence.manifest.iloc[: len(classes)].assign(label=[*classes])

    def told(stack: np.ndarray) -> np.ndarray:
        marked = stack[:, :16].max((1, 2)) > 200
        p = np.where(marked, 0.8, 0.2)
        return np.stack([p, *[(1 - p) / 2] * 2], 1)

    monkeypatch.setattr(marked_films, "LEAST", 2)
    model: Any = SimpleNamespace(pipeline=lambda film: film, probabilities=told)
    known = replace(evidence, classes=[*"abc"], manifest=manifest, model=model)
    known.shared["marked films"] = films
    return known


def test_a_film_alone_in_its_class_is_shown_no_marks_of_its_own(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two b and one c with the marks of a, only the b have another's of their own class."""
    rise = c07_marks_transplanted._rise(shows(clean, "aabbc", monkeypatch), 0)
    assert rise is not None
    assert rise.by == pytest.approx([0.6, 0.6])
    assert c07_marks_transplanted._rise(shows(clean, "aabbc", monkeypatch), 2) is None


@pytest.mark.parametrize("classes", ["aabc", "aaab", "abbb"])
def test_too_few_films_of_a_class_for_its_marks(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, classes: str
) -> None:
    found = AUDITS["C-07"](shows(clean, classes, monkeypatch))
    assert found.sentence == (
        "Not checked: at least 2 test films of each of two classes are needed."
    )


def test_a_donor_without_marks_gives_none() -> None:
    film = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert (c07_marks_transplanted.pasted(film, film_of(0)) == film).all()
    pasted = c07_marks_transplanted.pasted(film, film_of(0, MarkerBox(0, 0, 16, 16)))
    assert pasted[:4, :4].tolist() == [[255] * 4] * 4
    assert (pasted[4:] == film[4:]).all()


def test_films_that_the_preparation_refuses_are_left_out_and_none_is_shown_twice(
    clean: Evidence,
) -> None:
    shown: list[int] = []

    def prepared(film: Grey8) -> Grey8:
        if not film.any():
            raise HilumError("it is black")
        return film

    def told(stack: np.ndarray) -> np.ndarray:
        shown.append(len(stack))
        return stack[:, 0] / 255

    model: Any = SimpleNamespace(pipeline=prepared, probabilities=told)
    known = replace(clean, model=model)
    films = [np.full((1, 2), grey, np.uint8) for grey in range(13)]
    pairs = [(films[i], films[12]) for i in range(11)]
    before, after = marked_films.probabilities(known, pairs)
    assert before[:, 0] * 255 == pytest.approx(np.arange(1, 11))
    assert after[:, 0] * 255 == pytest.approx([12] * 10)
    again = marked_films.probabilities(known, pairs[1:])
    assert (again[0] == before).all()
    assert shown == [11]
    with pytest.raises(HilumError, match="only 9 of 10 test films pass the model's preprocessing"):
        marked_films.probabilities(known, pairs[:10])


# --- heat -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("good", [10, 9])
def test_heat_counts_where_lungs_can_be_believed(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    """All of it in a quarter of the image is a lift of 4; of other films nothing is known."""
    mask = np.zeros((16, 16), bool)
    mask[:8, :8] = True
    inside = [mask.astype(np.float32)] * good
    maps = np.stack([*inside, np.zeros((16, 16)), *[~mask] * 2])
    lungs = [[LungMask(mask, "ok" if i <= good else "no", 0.25, 1.0)] for i in range(len(maps))]
    sample = SimpleNamespace(rows=np.arange(len(maps)), maps=maps)
    monkeypatch.setattr(sampled_maps, "heat_maps", lambda evidence: sample)
    monkeypatch.setattr(sampling, "lungs", lambda evidence, rows: lungs)
    found = AUDITS["C-13"](clean)
    if good == 10:
        assert (found.status, found.value, found.low, found.high) == ("pass", 4.0, 4.0, 4.0)
        assert "(lift 4.00, 10 images)" in found.sentence
    else:
        assert found.sentence == (
            "Not checked: only 9 of 12 images have a reliable lung mask and heat; at least 10 are "
            "needed."
        )


def outlined(clean: Evidence, folder: Path, good: int) -> Evidence:
    """So many films whose heat is their lesion, and four that cannot be judged."""
    lesion = np.zeros((SIDE, SIDE), np.uint8)
    lesion[40:60, 30:70] = 255
    cv2.imwrite(str(folder / "film.png"), np.full((SIDE, SIDE), 90, np.uint8))
    cv2.imwrite(str(folder / "lesion.png"), lesion)
    cv2.imwrite(str(folder / "empty.png"), 0 * lesion)
    masks = ["lesion.png"] * good + ["lesion.png", "empty.png", "gone.png"]
    paths: list[object] = [str(folder / name) for name in masks]
    maps = np.stack([lesion / 255] * (len(paths) + 1)).astype(np.float32)
    maps[good] = 0  # a lesion, but no heat
    manifest = clean.manifest.iloc[: len(maps)].assign(
        path=str(folder / "film.png"), lesion_path=pd.Series([*paths, None])
    )
    stack = np.zeros((len(maps), SIDE, SIDE), np.uint8)
    known = replace(clean, manifest=manifest, stack=stack)
    return controls_of_films.with_heat(known, np.arange(len(maps)), maps)


def test_lesions_that_cannot_be_read_are_left_out(clean: Evidence, tmp_path: Path) -> None:
    """Chance hits the lesion and what is up to 9 of 128 pixels away from it."""
    found = AUDITS["C-15"](outlined(clean, tmp_path, 10))
    assert (found.status, found.value) == ("pass", 1.0)
    away = np.ones((SIDE, SIDE), bool)
    away[40:60, 30:70] = False
    chance = (distance_transform_edt(away) <= 9).mean()
    assert found.sentence == (
        f"The hottest place lies on the lesion in 10 of 10 images; chance would hit {chance:.0%}. "
        "Mean overlap (IoU) 1.00."
    )
    few = AUDITS["C-15"](outlined(clean, tmp_path, 9))
    assert few.sentence == (
        "Not checked: at least 10 images with heat and an outlined lesion are needed; got 9."
    )


@pytest.mark.parametrize("step", ["crop_lungs", "crop_borders"])
def test_lesions_do_not_follow_a_step_that_goes_by_what_a_film_shows(step: str) -> None:
    with pytest.raises(HilumError, match=f"step {step} moves pixels depending on what the film"):
        c15_lesion_localisation.geometry(from_list([{"step": step}, {"step": "letterbox"}]))
