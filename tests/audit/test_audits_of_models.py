"""Audits of a model: planted they complain, clean they pass, blind they say so."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import readers_of
from readers_of import CLASSES, corners, middle, texture

from hilum.audit import AUDITS, Evidence, attention, laterality, marks, masked, transplant
from hilum.audit.attention import Look
from hilum.evaluate.model import Facts
from hilum.explain import heat
from hilum.models import backbones
from hilum.models.heads import Head, Standardise
from hilum.prepare.markers import Box
from hilum.types import Finding, Floats

OF_MARKS = ["C-06", "C-07", "C-08"]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Films whose hospital, and so the corner of the marker, is the label."""
    return readers_of.evidence(tmp_path_factory.mktemp("films"), shortcut=1.0)


def told_by(evidence: Evidence, sees: readers_of.Sees) -> Evidence:
    """The films' labels as the reader itself would give them, and its model, cut at the median."""
    assert evidence.stack is not None
    found = np.array([sees(image) for image in evidence.stack])
    margin = found[:, 0] - found[:, 1]
    cut = float(np.median(margin))
    labels = np.where(margin > cut, *CLASSES)
    table = evidence.manifest.assign(label=labels)
    return replace(evidence, manifest=table, model=readers_of.model(sees, cut), features=None)


@pytest.fixture(scope="module")
def reads_marks(hospitals: Evidence) -> Evidence:
    return replace(hospitals, model=readers_of.model(corners))


@pytest.fixture(scope="module")
def reads_middle(hospitals: Evidence) -> Evidence:
    return told_by(hospitals, middle)


@pytest.fixture(scope="module")
def boxes(hospitals: Evidence) -> list[masked.Box]:
    """The box around the lungs of each film, found once."""
    found, known = masked.lung_boxes(hospitals, np.arange(len(hospitals.manifest)))
    assert known >= 0.9 * len(found)
    return found


@pytest.fixture
def found_once(boxes: list[masked.Box], monkeypatch: pytest.MonkeyPatch) -> None:
    """All films are in the audit's sample, in order."""
    monkeypatch.setattr(
        masked, "lung_boxes", lambda evidence, rows: ([boxes[row] for row in rows], len(rows))
    )


@pytest.mark.usefixtures("found_once")
@pytest.mark.parametrize("name", [*OF_MARKS, "C-01"])
def test_a_reader_of_marks_is_found(reads_marks: Evidence, name: str) -> None:
    found = AUDITS[name](reads_marks)
    assert (found.id, found.status) == (name, "fail"), found.sentence
    assert found.low is not None
    assert found.low <= (found.value or 0) <= (found.high or 0)


@pytest.mark.usefixtures("found_once")
@pytest.mark.parametrize("name", [*OF_MARKS, "C-01", "C-25"])
def test_a_reader_of_the_middle_passes(reads_middle: Evidence, name: str) -> None:
    found = AUDITS[name](reads_middle)
    assert (found.id, found.status) == (name, "pass"), found.sentence
    assert found.sentence.endswith(".")


def test_a_reader_of_fine_texture_is_lost_on_worse_images(hospitals: Evidence) -> None:
    found = AUDITS["C-25"](told_by(hospitals, texture))
    assert found.status == "warn", found.sentence


@pytest.mark.parametrize("name", [*OF_MARKS, "C-01", "C-13", "C-14", "C-16", "C-25"])
def test_without_a_model_nothing_passes(hospitals: Evidence, name: str) -> None:
    found = AUDITS[name](hospitals)
    assert found.status == "unknown"
    assert found.sentence == "Cannot be checked, because the model is not at hand."


def test_images_that_the_model_was_fitted_on_do_not_count(reads_marks: Evidence) -> None:
    seen = tuple(reads_marks.manifest["sha256"])
    found = AUDITS["C-06"](replace(reads_marks, model=readers_of.model(corners, seen=seen)))
    assert found.status == "unknown"
    assert "not fitted on" in found.sentence


def test_films_without_marks_cannot_be_checked_for_them(tmp_path: Path) -> None:
    bare = readers_of.evidence(tmp_path, shortcut=0.0, images=12, markers=False)
    for name in OF_MARKS:
        found = AUDITS[name](replace(bare, model=readers_of.model(corners)))
        assert found.status == "unknown"
        assert "of 12 films bear burnt-in marks, fewer than 10" in found.sentence


def test_films_that_have_moved_are_named(reads_marks: Evidence) -> None:
    table = reads_marks.manifest.assign(path="/nowhere/film.png")
    found = AUDITS["C-06"](replace(reads_marks, manifest=table))
    assert found.status == "unknown"
    assert "/nowhere/film.png" in found.sentence


@pytest.mark.usefixtures("found_once")
def test_a_reader_of_nothing_cannot_be_checked_for_masked_lungs(hospitals: Evidence) -> None:
    random = np.random.default_rng(0)
    table = hospitals.manifest.assign(label=random.permutation(hospitals.manifest["label"]))
    blind = replace(hospitals, manifest=table, model=readers_of.model(lambda image: [0.5, 0.5]))
    found = AUDITS["C-01"](blind)
    assert found.status == "unknown"
    assert "cannot be told apart on whole images" in found.sentence


def test_blacking_out_leaves_what_is_outside(
    reads_marks: Evidence, boxes: list[masked.Box]
) -> None:
    assert reads_marks.stack is not None
    image = reads_marks.stack[0]
    dark = masked.blacked(image, boxes[0])
    assert (dark[boxes[0]] == 0).all()
    changed = dark != image
    changed[boxes[0]] = False
    assert not changed.any()
    slices = replace(reads_marks, manifest=reads_marks.manifest.assign(modality="CT"))
    ct, found = masked.lung_boxes(slices, np.arange(2))
    assert found == 0
    assert ct[0] == ct[1]


def test_a_marker_moves_to_the_mirrored_place_and_stays_readable() -> None:
    film = np.full((40, 60), 50, np.uint8)
    film[5:10, 3:9] = np.arange(200, 230).reshape(5, 6)
    mask = film > 50
    moved = laterality.moved(film, mask, (Box(3, 5, 6, 5),))
    assert (moved[5:10, 51:57] == film[5:10, 3:9]).all()
    moved[5:10, 51:57] = 50
    assert np.abs(moved.astype(int) - 50).max() <= 3  # filled in from around


def test_marks_are_pasted_at_the_recipients_size(reads_marks: Evidence) -> None:
    donor = marks.marked(reads_marks)[0]
    bare = np.zeros((128, 128), np.uint8)
    pasted = transplant.pasted(bare, donor)
    share = (pasted > 0).mean() / donor.marks.mask.mean()
    assert share == pytest.approx(1, abs=0.15)


# --- heat maps ------------------------------------------------------------------------------------


def with_heat(evidence: Evidence, maps: Floats) -> Evidence:
    """The same, with heat maps that are known."""
    assert evidence.stack is not None
    fresh, count = replace(evidence), len(maps)
    classes = np.zeros(count, np.int64)
    look = Look(np.arange(count), evidence.stack[:count], classes, maps.astype(np.float32))
    fresh.shared["heat maps"] = look
    return fresh


def bands(hot: slice) -> Floats:
    """12 maps whose heat lies in the same rows, a little elsewhere."""
    maps = np.full((12, readers_of.SIDE, readers_of.SIDE), 0.01, np.float32)
    maps[:, hot, 20:-20] = 1
    return maps


@pytest.mark.parametrize(("hot", "status"), [(slice(0, 12), "fail"), (slice(45, 70), "pass")])
def test_heat_outside_the_lungs_is_found(reads_middle: Evidence, hot: slice, status: str) -> None:
    found = AUDITS["C-13"](with_heat(reads_middle, bands(hot)))
    assert found.status == status, found.sentence


@pytest.mark.parametrize(("sign", "status"), [(1, "fail"), (-1, "pass")])
def test_heat_where_nothing_matters_is_worse_than_chance(
    reads_middle: Evidence, sign: int, status: str
) -> None:
    """The reader looks at the middle, and nothing but the middle is bright."""
    stack = np.random.default_rng(0).integers(0, 60, (12, readers_of.SIDE, readers_of.SIDE))
    stack[:, 40:-40, 30:-30] += 180
    known = replace(reads_middle, stack=stack.astype(np.uint8), model=readers_of.model(middle))
    across = np.abs(np.linspace(-1, 1, readers_of.SIDE))
    away = np.maximum(across[:, None], across)  # from the middle
    maps = np.repeat((sign * (away - 0.5) + 0.5)[None], 12, axis=0)
    found = AUDITS["C-16"](with_heat(known, maps))
    assert found.status == status, found.sentence


@pytest.mark.parametrize(("at", "status"), [(3, "warn"), (64, "pass")])
def test_heat_beside_the_lesion_is_found(
    reads_middle: Evidence, tmp_path: Path, at: int, status: str
) -> None:
    lesion = np.zeros((256, 256), np.uint8)
    lesion[110:146, 110:146] = 255
    cv2.imwrite(str(tmp_path / "lesion.png"), lesion)
    known = replace(
        reads_middle,
        manifest=reads_middle.manifest.assign(lesion_path=str(tmp_path / "lesion.png")),
    )
    maps = bands(slice(0, 0))
    maps[:, at, at] = 1
    found = AUDITS["C-15"](with_heat(known, maps))
    assert found.status == status, found.sentence
    assert ("12 of 12" in found.sentence) == (status == "pass")
    assert AUDITS["C-15"](with_heat(reads_middle, maps)).status == "unknown"


@pytest.fixture(scope="module")
def lite(hospitals: Evidence) -> Evidence:
    """The embedded ImageNet network with a random head, and a film to explain."""
    weight = np.random.default_rng(0).normal(size=(2, 1280)) / 36
    plain = readers_of.model(middle)
    model = replace(
        plain,
        facts=Facts(CLASSES, "signed", "fp32", mirror=False),
        backbone=backbones.build("tf_efficientnet_lite0"),
        head=Head(Standardise.none(1280), ((weight, np.zeros(2)),)),
    )
    return with_heat(replace(hospitals, model=model), bands(slice(0, 0))[:1])


def test_grad_cam_depends_on_the_weights_and_edges_do_not(
    lite: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert AUDITS["C-14"](lite).status == "pass"

    def edges(asked: object, film: np.ndarray, class_: int) -> Floats:
        return np.abs(cv2.Laplacian(film.astype(np.float32), cv2.CV_32F, ksize=3))

    monkeypatch.setattr(heat, "heat", edges)
    found: Finding = AUDITS["C-14"](lite)
    assert found.status == "fail", found.sentence
    assert found.value == pytest.approx(1)


def test_an_interval_of_equal_images_is_a_point() -> None:
    same = np.full(20, 0.3)
    low, high = attention.interval(lambda rows: float(same[rows].mean()), 20, 0)
    assert low == pytest.approx(0.3)
    assert high == pytest.approx(0.3)
