"""Audits of a model: what they cannot see they say, and how they change films."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import readers_of
from controls_of_films import Studio
from readers_of import corners
from scipy.stats import wilcoxon
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from hilum import images, phantom
from hilum.audits import (
    AUDITS,
    Evidence,
    c01_lungs_blacked_out,
    c07_marks_transplanted,
    c08_marker_side,
    c15_lesion_localisation,
    c25_corruption,
    marked_films,
    predictions,
    sampled_maps,
    sampling,
)
from hilum.preprocess import from_list
from hilum.preprocess.lungs import ct
from hilum.preprocess.markers import MarkerBox, Markers
from hilum.types import HilumError, Split

PLACE = (30, 100, 20, 110)  # rows and columns where lungs usually are, of 128 x 128
BOX = (slice(*PLACE[:2]), slice(*PLACE[2:]))
OF_MARKS = ["C-06", "C-07", "C-08"]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Films whose mark, and so the bright corner, is the label."""
    return Studio(0, tmp_path_factory.mktemp("films"), images=12).films(1.0)


@pytest.fixture(scope="module")
def reads_marks(marked: Evidence) -> Evidence:
    return replace(marked, model=readers_of.model(corners))


@pytest.mark.parametrize(
    ("shape", "small"),
    [((2048, 1024), (1024, 512)), ((4096, 1), (1024, 1)), ((1024, 700), (1024, 700))],
)
def test_films_are_audited_at_a_bounded_size(
    shape: tuple[int, int], small: tuple[int, int]
) -> None:
    assert sampling._small(np.zeros(shape, np.uint8)).shape == small


def test_a_film_is_asked_for_by_its_digest(
    marked: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    store = SimpleNamespace(read=lambda *about: asked.append(about))
    monkeypatch.setattr("hilum.audits.evidence.open_source_images", lambda: store)
    marked.source_image(1, 64)
    replace(marked, manifest=marked.manifest.assign(sha256=pd.NA)).source_image(0, None)
    first, second = marked.manifest["path"].iloc[[1, 0]]
    assert asked == [(first, marked.manifest["sha256"].iloc[1], 64), (second, "", None)]


def test_bars_beside_a_film_are_no_lesion() -> None:
    steps = [{"step": "letterbox", "fill": 255}, {"step": "resize", "side": 32}]
    place = c15_lesion_localisation.geometry(from_list([*steps, {"step": "clahe"}]))
    assert [step.name for step in place.steps] == ["letterbox", "resize"]
    mask = place(np.full((64, 32), 255, np.uint8))
    assert mask.shape == (32, 32)
    assert mask.mean() == pytest.approx(255 / 2, rel=0.05)  # the film; each bar is a quarter


@pytest.mark.parametrize("hits", [9, 2])
def test_hits_on_lesions_are_counted_against_chance(
    reads_marks: Evidence, monkeypatch: pytest.MonkeyPatch, hits: int
) -> None:
    """Twelve maps, of which so many point at the lesion, where chance would hit one in four."""
    rule, answers = c15_lesion_localisation, iter([True] * hits + [False] * (12 - hits))
    maps = SimpleNamespace(
        rows=np.arange(12) % len(reads_marks.manifest), maps=np.zeros((12, 8, 8))
    )
    monkeypatch.setattr(rule.sampled_maps, "heat_maps", lambda evidence: maps)
    monkeypatch.setattr(rule, "_lesion", lambda *about: np.ones((8, 8), bool))
    monkeypatch.setattr(rule, "_chance", lambda *about: 0.25)
    monkeypatch.setattr(rule, "_overlap", lambda *about: 0.5)
    pointing = "hilum.explain.sanity_checks.pointing_game"
    monkeypatch.setattr(pointing, lambda *about: next(answers))
    outlined = reads_marks.manifest.assign(**{rule.COLUMN: "a.png"})
    found = AUDITS["C-15"](replace(reads_marks, manifest=outlined))
    assert (found.status, found.value) == ("pass" if hits == 9 else "warn", hits / 12)
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, 12, method="wilson"))
    assert f"in {hits} of 12 images; chance would hit 25%" in found.sentence


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (-0.1, "left the probabilities unchanged"),
        (0.004, "left the prob"),
        (0.006, "hardly raised"),
    ],
)
def test_what_pasted_marks_change_is_said(
    reads_marks: Evidence, monkeypatch: pytest.MonkeyPatch, by: float, said: str
) -> None:
    rise = c07_marks_transplanted.Rise("normal", np.full(20, by), 1.0)
    monkeypatch.setattr(c07_marks_transplanted, "_rise", lambda evidence, class_: rise)
    found = AUDITS["C-07"](reads_marks)
    assert (found.status, found.value, found.low, found.high) == ("pass", by, by, by)
    assert said in found.sentence
    assert f"(median change {max(by, 0):.2f}, 20 films)" in found.sentence


@pytest.mark.parametrize("thorough", [True, False])
def test_a_thorough_audit_looks_at_more_maps(
    marked: Evidence, monkeypatch: pytest.MonkeyPatch, thorough: bool
) -> None:
    asked: list[int] = []

    def unseen(evidence: Evidence, most: int) -> None:
        asked.append(most)
        raise HilumError("enough")

    monkeypatch.setattr(sampled_maps.sampling, "model", lambda evidence: None)
    monkeypatch.setattr(sampled_maps.sampling, "unseen", unseen)
    with pytest.raises(HilumError, match="enough"):
        sampled_maps.heat_maps(replace(marked, thorough=thorough))
    assert asked == [sampled_maps.MANY if thorough else sampled_maps.FEW]
    assert sampled_maps.MANY > sampled_maps.FEW


@pytest.mark.parametrize("right", [True, False])
def test_a_model_that_names_one_class_has_nothing_to_lose(
    marked: Evidence, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    """Its balanced accuracy is that of chance, to the last digit."""
    labels = marked.labels
    answers = np.eye(2)[labels if right else np.zeros_like(labels)]
    model = SimpleNamespace(probabilities=lambda pixels: answers)
    monkeypatch.setattr(c25_corruption.sampling, "model", lambda evidence: model)
    monkeypatch.setattr(
        c25_corruption.sampling, "unseen", lambda evidence, most: np.arange(len(labels))
    )
    found = AUDITS["C-25"](marked)
    assert (found.status, found.value) == (("pass", 0.0) if right else ("unknown", None))
    assert ("no better than chance" in found.sentence) != right


@pytest.mark.parametrize("name", [*OF_MARKS, "C-01", "C-13", "C-14", "C-16", "C-25"])
def test_without_a_model_nothing_passes(marked: Evidence, name: str) -> None:
    found = AUDITS[name](marked)
    assert found.status == "unknown"
    assert found.sentence == "Not checked: the model is not available."


def test_images_that_the_model_was_fitted_on_do_not_count(reads_marks: Evidence) -> None:
    seen = tuple(reads_marks.manifest["sha256"])
    found = AUDITS["C-06"](replace(reads_marks, model=readers_of.model(corners, seen=seen)))
    assert found.status == "unknown"
    assert "used to fit the model" in found.sentence


@pytest.mark.parametrize("count", [0, 1, 7])
def test_films_without_marks_cannot_be_checked_for_them(
    reads_marks: Evidence, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    drawn = marked_films.sampled_films(reads_marks)
    mask = np.zeros(drawn[0].pixels.shape, bool)
    films = [
        replace(film, marks=Markers(mask, (MarkerBox(0, 0, 2, 2),) if i < count else ()))
        for i, film in enumerate(drawn)
    ]
    monkeypatch.setattr(marked_films, "sampled_films", lambda _evidence: films)
    few = {0: "no test film has", 1: "only 1 test film has", 7: "only 7 test films have"}
    for name in OF_MARKS:
        found = AUDITS[name](replace(reads_marks))
        assert found.status == "unknown"
        assert found.sentence == (
            f"Not checked: {few[count]} burnt-in markers; at least 10 are needed."
        )


def test_marks_that_lower_every_probability_raise_none(
    reads_marks: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    fall = c07_marks_transplanted.Rise("a", np.full(12, -0.3), 1.0)
    monkeypatch.setattr(c07_marks_transplanted, "_rise", lambda _evidence, _class: fall)
    found = AUDITS["C-07"](reads_marks)
    assert (found.status, found.value) == ("pass", pytest.approx(-0.3))
    assert "left the probabilities unchanged (median change 0.00, 12 films)" in found.sentence


def test_films_that_have_moved_are_named(reads_marks: Evidence) -> None:
    table = reads_marks.manifest.assign(path="/nowhere/film.png")
    found = AUDITS["C-06"](replace(reads_marks, manifest=table))
    assert found.status == "unknown"
    assert "/nowhere/film.png" in found.sentence


def test_a_reader_of_nothing_cannot_be_checked_for_masked_lungs(
    marked: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = np.array([[PLACE]])
    monkeypatch.setattr(
        c01_lungs_blacked_out,
        "lung_boxes",
        lambda evidence, rows: (boxes.repeat(len(rows), 0), len(rows)),
    )
    blind = replace(marked, model=readers_of.model(lambda image: [0.5, 0.5]))
    found = AUDITS["C-01"](blind)
    assert found.status == "unknown"
    assert "cannot be separated on whole images" in found.sentence


@pytest.mark.parametrize(
    ("without", "said"),
    [([0.67, 0.44, 0.78], "unknown"), ([0.67, 0.6, 0.7], "fail"), ([0.52, 0.46, 0.6], "pass")],
)
def test_too_few_films_are_no_pass_for_masked_lungs(
    without: list[float], said: str, reads_marks: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    areas = np.array([[0.71, area] for area in [without[0], *without[1:] * 20]])
    monkeypatch.setattr(c01_lungs_blacked_out.cross_validated_probe, "resampled", lambda *_: areas)
    found = AUDITS["C-01"](reads_marks)
    assert found.status == said, found.sentence
    if said != "unknown":  # the classifier's own answers to dark films are not what is measured
        assert found.sentence.startswith("A probe on the classifier's features ")
        assert f"(AUROC {without[0]} against 0.71)" in found.sentence
    if said == "unknown":
        assert "AUROC of a probe 0.67" in found.sentence
        assert "too few to say" in found.sentence
        assert "R lies between -0.29 and 1.33" in found.sentence


@pytest.mark.parametrize(("taught", "tested"), [(10, 2), (8, 3), (6, 3), (2, 7), (0, 9)])
def test_a_third_of_the_films_without_lungs_are_unseen(
    taught: int, tested: int, reads_marks: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(reads_marks.manifest["sha256"].iloc[:taught])
    model = readers_of.model(lambda image: [0.5, 0.5], seen=names)
    evidence = replace(reads_marks, model=model)
    monkeypatch.setattr(
        c01_lungs_blacked_out,
        "lung_boxes",
        lambda _, rows: (np.array([[PLACE]]).repeat(len(rows), 0), len(rows)),
    )
    monkeypatch.setattr(c01_lungs_blacked_out, "FEW", 9)
    rows = c01_lungs_blacked_out.hidden(evidence).rows
    assert len(rows) == len(set(rows.tolist())) == 9
    assert (~evidence.seen[rows]).sum() == tested


def test_every_fold_tests_a_network_that_was_not_tuned(reads_marks: Evidence) -> None:
    names = reads_marks.manifest["sample_id"]
    splits = [
        (name, fold, "test" if i % 3 == fold else "train")
        for fold in range(3)
        for i, name in enumerate(names)
    ]
    table = pd.DataFrame(splits, columns=["sample_id", "fold", "part"])
    seen = tuple(reads_marks.manifest["sha256"].iloc[4:])
    evidence = replace(reads_marks, split=Split(table, "kfold", "patient", 0))
    general, tuned = (
        replace(evidence, model=readers_of.model(corners, seen=seen, tuned=tuned))
        for tuned in (False, True)
    )
    assert predictions.folds(general).tolist() == [i % 3 for i in range(len(names))]
    assert predictions.folds(tuned).tolist() == [0] * 4 + [-1] * (len(names) - 4)
    once = replace(general, split=Split(table[table["fold"] == 1], "holdout", "patient", 0))
    assert predictions.folds(once).tolist() == predictions.folds(tuned).tolist()


def test_a_probe_is_never_tested_on_its_own_fold() -> None:
    """Two images of each patient, who alone is known by heart: nothing can be learnt."""
    random = np.random.default_rng(5)
    labels = np.repeat(random.integers(0, 2, 60), 2)
    table = np.repeat(np.eye(60, dtype=np.float32), 2, axis=0)
    apart = np.repeat(np.arange(60) % 4, 2)
    tested, p = c01_lungs_blacked_out._probe_probabilities(table, labels, np.arange(120), apart, 0)
    assert tested.tolist() == list(range(120))
    assert roc_auc_score(labels, p[:, 1]) < 0.6
    across = np.tile(np.arange(2), 60)  # a patient's two images in two folds
    _, p = c01_lungs_blacked_out._probe_probabilities(table, labels, np.arange(120), across, 0)
    assert roc_auc_score(labels, p[:, 1]) > 0.99
    tested, _ = c01_lungs_blacked_out._probe_probabilities(
        table, labels, np.arange(120), np.where(apart == 0, 0, -1), 0
    )
    assert tested.tolist() == np.flatnonzero(apart == 0).tolist()


def test_blacking_out_leaves_what_is_outside(reads_marks: Evidence) -> None:
    assert reads_marks.stack is not None
    image = reads_marks.stack[0]
    dark = c01_lungs_blacked_out.blacked(image, np.array([PLACE]))
    assert (dark[BOX] == 0).all()
    changed = dark != image
    changed[BOX] = False
    assert not changed.any()


def test_slices_of_ct_lose_their_own_lungs(reads_marks: Evidence, shared: Path) -> None:
    paths = sorted((shared / "sarscov2-ctscan-dataset" / "COVID").iterdir())[::40]
    prepared = from_list([{"step": "letterbox", "side": readers_of.SIDE}])
    stack = np.stack([prepared(images.read(path).pixels) for path in paths])
    table = reads_marks.manifest.iloc[[0] * len(stack)].assign(modality="CT")
    slices = replace(reads_marks, stack=stack, manifest=table)
    boxes, found = c01_lungs_blacked_out.lung_boxes(slices, np.arange(len(stack)))
    assert found >= 0.8 * len(stack)
    for image, ((top, bottom, left, right),) in zip(stack, boxes, strict=True):
        lungs = ct.lungs(image)
        inside = lungs.mask[top:bottom, left:right]
        assert not lungs.good or inside.sum() == lungs.mask.sum()


def test_of_two_pictures_of_a_film_each_loses_its_own_lungs(reads_marks: Evidence) -> None:
    films_of = phantom.generate(phantom.Request(images=12, size=256, seed=3))
    small = from_list([{"step": "resize", "side": readers_of.SIDE}])
    single = np.stack([small(film) for film in films_of.images])
    table = reads_marks.manifest.iloc[[0] * len(single)]
    alone, _ = c01_lungs_blacked_out.lung_boxes(
        replace(reads_marks, stack=single, manifest=table), np.arange(len(single))
    )
    pairs = np.concatenate([single, single[::-1]], axis=1)
    both = replace(reads_marks, stack=pairs, manifest=table)
    boxes, found = c01_lungs_blacked_out.lung_boxes(both, np.arange(len(single)))
    assert both.panels == 2
    assert found > 0.8 * len(single)
    assert (boxes[:, 0] == alone[:, 0]).all()
    below = boxes[:, 1] - [readers_of.SIDE, readers_of.SIDE, 0, 0]
    assert (below == alone[::-1, 0]).all()


def test_a_marker_moves_to_the_mirrored_place_and_stays_readable() -> None:
    film = np.full((40, 60), 50, np.uint8)
    film[5:10, 3:9] = np.arange(200, 230).reshape(5, 6)
    mask = film > 50
    moved = c08_marker_side.moved(film, mask, (MarkerBox(3, 5, 6, 5),))
    assert (moved[5:10, 51:57] == film[5:10, 3:9]).all()
    moved[5:10, 51:57] = 50
    assert np.abs(moved.astype(int) - 50).max() <= 3  # filled in from around


def test_marks_are_pasted_at_the_recipients_size(reads_marks: Evidence) -> None:
    donor = marked_films.films_with_marks(reads_marks)[0]
    bare = np.zeros((128, 128), np.uint8)
    pasted = c07_marks_transplanted.pasted(bare, donor)
    share = (pasted > 0).mean() / donor.marks.mask.mean()
    assert share == pytest.approx(1, abs=0.15)


def test_an_interval_of_equal_images_is_a_point() -> None:
    same = np.full(20, 0.3)
    low, high = sampled_maps.interval(lambda rows: float(same[rows].mean()), 20, 0)
    assert low == pytest.approx(0.3)
    assert high == pytest.approx(0.3)


@pytest.mark.parametrize("count", [3, 6, 8, 14])
@pytest.mark.parametrize("kind", ["plain", "tied", "zero"])
def test_the_p_of_no_rise_is_scipys(count: int, kind: str) -> None:
    by = np.random.default_rng(count).normal(0.02, 0.05, count)
    if kind != "plain":
        by = np.round(by, 1 if kind == "zero" else 2) + (0.0 if kind == "zero" else 0.001)
    by[0] = 0.1
    want = wilcoxon(by, alternative="greater").pvalue
    assert c07_marks_transplanted.no_rise(by) == pytest.approx(want, abs=1e-12)
    assert c07_marks_transplanted.no_rise(np.zeros(count)) == 1.0
