"""The phantom: physics in closed form, anatomy, radiology of each class, dials, round trip."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.stats.contingency import association

from hilum import phantom
from hilum.data import manifest
from hilum.phantom import (
    acquisition,
    anatomy,
    burnt_in,
    processes,
    skeleton,
    solids,
    stickers,
    thorax,
    vessels,
)
from hilum.phantom.hospitals import HOSPITALS
from hilum.phantom.roles import role
from hilum.types import Grey8, HilumError

SMALL = phantom.Request(images=6, size=96)
ONE_EACH = phantom.Request(images=10, size=128, images_per_patient=1, hospitals=("A",), seed=4)


def of_class(label: str, **dials: float) -> phantom.Phantom:
    return phantom.generate(replace(ONE_EACH, classes=(label,), **dials))


@pytest.fixture(scope="module")
def by_class() -> dict[str, phantom.Phantom]:
    return {label: of_class(label) for label in phantom.CLASSES}


# ---- physics ------------------------------------------------------------------------------


def slab(**lengths: float) -> acquisition.Paths:
    tissues = {"soft": 0.0, "lung": 0.0, "bone": 0.0, "fat": 0.0} | lengths
    return acquisition.Paths(
        **{name: np.full((4, 4), cm, np.float32) for name, cm in tissues.items()}
    )


def test_slab_follows_beer_lambert() -> None:
    water_like = acquisition.transmit(acquisition.optical_path(slab(soft=10.0)))
    assert water_like == pytest.approx(np.exp(-10 * 0.2048 * 1.06), rel=1e-5)
    two = acquisition.transmit(acquisition.optical_path(slab(soft=4.0, lung=12.0, fat=1.5)))
    parts = (
        np.exp(-4 * acquisition.SOFT)
        * np.exp(-12 * acquisition.LUNG)
        * np.exp(-1.5 * acquisition.FAT)
    )
    assert two == pytest.approx(parts, rel=1e-5)


def test_bone_takes_the_place_of_soft_tissue() -> None:
    behind = acquisition.optical_path(slab(soft=10.0, bone=1.0))
    assert behind == pytest.approx(9 * acquisition.SOFT + 1 * acquisition.BONE, rel=1e-5)


def test_half_value_layer_of_soft_tissue() -> None:
    half = np.log(2) / acquisition.SOFT
    assert acquisition.transmit(acquisition.optical_path(slab(soft=half))) == pytest.approx(
        0.5, rel=1e-5
    )
    assert 3.0 < half < 3.5  # cm at 60 keV


@pytest.mark.parametrize("photons", [20.0, 500.0, 20_000.0])
def test_quantum_noise_is_poisson(photons: float) -> None:
    counted = acquisition.count(np.full((300, 300), photons, np.float32), np.random.default_rng(1))
    spread = photons * np.sqrt(2 / counted.size)  # standard error of a variance
    assert counted.mean() == pytest.approx(photons, abs=5 * np.sqrt(photons / counted.size))
    assert counted.var() == pytest.approx(photons, abs=6 * spread)


def test_four_times_the_exposure_halves_the_noise() -> None:
    lungs, path = np.ones((256, 256), np.float32), np.full((256, 256), 2.0, np.float32)
    chain = replace(HOSPITALS["A"].film, heel=0.0, exposure_spread=0.0, photons=1_000.0)
    noise = []
    for photons in (1_000.0, 4_000.0):
        seen = acquisition.expose(
            path, lungs, replace(chain, photons=photons), 6.4, np.random.default_rng(0)
        )
        noise.append(float(seen.std() / seen.mean()))
    assert noise[0] == pytest.approx(1 / np.sqrt(1_000), rel=0.02)
    assert noise[0] / noise[1] == pytest.approx(2.0, rel=0.03)


def test_scatter_of_a_slab_is_even_and_proportional() -> None:
    path = np.full((256, 256), 1.5, np.float32)
    primary = acquisition.transmit(path)
    once = acquisition.scatter(primary, path, 0.5, 6.4)
    assert once == pytest.approx(0.5 * 1.5 * np.exp(-1.5), rel=1e-4)
    assert acquisition.scatter(primary, path, 1.0, 6.4) == pytest.approx(2 * once, rel=1e-5)


def test_display_shows_the_attenuating_white() -> None:
    path = np.tile(np.linspace(0, 6, 128, dtype=np.float32), (128, 1))
    chain = replace(HOSPITALS["A"].film, grain=0.0, harmony=0.0, edges=0.0)
    grey = acquisition.develop(
        acquisition.transmit(path), np.ones_like(path), chain, np.random.default_rng(0)
    )
    assert (np.diff(grey[0].astype(int)) >= 0).all()
    middle = float(path.mean()) * chain.speed
    assert grey[0, np.abs(path[0] - middle).argmin()] == pytest.approx(chain.top_grey / 2, abs=3)


# ---- solids -------------------------------------------------------------------------------


def test_chords_of_an_ellipsoid_sum_to_its_volume() -> None:
    board = solids.board(8.0)
    solid = solids.Ellipsoid((3.0, -2.0), (5.0, 3.0), 8.0, tilt=30.0)
    chord = solids.ellipsoid(board, solid)
    assert chord.max() == pytest.approx(8.0, rel=1e-2)
    volume = 4 / 3 * np.pi * 5.0 * 3.0 * 4.0
    assert chord.sum() / board.pitch**2 == pytest.approx(volume, rel=1e-3)


def test_chords_of_a_capsule_sum_to_its_volume() -> None:
    board = solids.board(16.0)
    chord = solids.capsule(board, np.array([-4.0, 1.0]), np.array([4.0, 7.0]), (1.5, 1.5))
    volume = np.pi * 1.5**2 * 10 + 4 / 3 * np.pi * 1.5**3
    assert chord.max() == pytest.approx(3.0, rel=1e-3)
    assert chord.sum() / board.pitch**2 == pytest.approx(volume, rel=2e-3)


def test_curve_agrees_with_scipy_away_from_the_ends() -> None:
    x, y = np.array(anatomy.CAGE).T
    at = np.linspace(x[1], x[-2], 301)
    assert solids.curve(anatomy.CAGE, at) == pytest.approx(PchipInterpolator(x, y)(at), abs=1e-5)
    assert solids.curve(anatomy.CAGE, x) == pytest.approx(y, abs=1e-5)
    assert solids.curve(anatomy.CAGE, [-99.0, 99.0]) == pytest.approx(y[[0, -1]], abs=1e-6)


def test_filled_strip_has_the_area_of_a_rectangle() -> None:
    board = solids.board(16.0)
    path = np.stack([np.linspace(-5, 5, 20), np.linspace(0, 3, 20)], axis=1)
    covered = solids.fill(board, [solids.strip(path, 1.2)]).sum() / board.pitch**2
    length = np.hypot(10, 3)
    rim = (2 * length + 2 * 1.2) / board.pitch  # OpenCV paints up to a pixel beyond the edge
    assert 1.2 * length <= covered <= 1.2 * length + rim


def test_vessels_alike_are_drawn_together_as_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid, tree = solids.board(4.0), vessels.grow(anatomy.patient(0, 0))
    together, alike = vessels.draw_vessels(grid, tree), []

    def draw(canvas: Grey8, lines: list[npt.NDArray[np.int32]], **look: Any) -> None:
        alike.append(len(lines))
        look = {name: value for name, value in look.items() if name != "isClosed"}
        for start, end in lines:
            cv2.line(canvas, start.tolist(), end.tolist(), **look)

    monkeypatch.setattr(cv2, "polylines", draw)
    assert np.array_equal(vessels.draw_vessels(grid, tree), together)
    assert sum(alike) == len(tree) > 4 * len(alike)


def test_vessels_branch_by_murrays_law_and_taper() -> None:
    n = 60
    tips = vessels.Tips(np.zeros((n, 2)), np.zeros(n), np.full(n, 0.4))
    young = vessels._branch(np.random.default_rng(2), tips)
    assert len(young.radius) > n
    assert (young.radius**3).sum() == pytest.approx(n * 0.4**3, rel=1e-9)
    tree = vessels.grow(anatomy.patient(0, 0))
    far = np.abs(tree[:, 0]) > 10
    near = np.abs(tree[:, 0]) < 5
    assert tree[far, 4].mean() < 0.7 * tree[near, 4].mean()


def test_ribs_descend_from_the_spine_to_the_sternum() -> None:
    who, how = anatomy.patient(0, 1), anatomy.posture(np.random.default_rng(0))
    shares = np.tile(np.linspace(0.02, 0.9, 30), (skeleton.RIBS, 1))
    right = skeleton.rib_paths(who, replace(how, rotation=0.0), -1, shares)
    left = skeleton.rib_paths(who, replace(how, rotation=0.0), 1, shares)
    assert left == pytest.approx(right * (-1, 1))
    assert (left[:, -1, 1] - left[:, 0, 1] > 2.5).all()
    assert (np.diff(left[:, 0, 1]) > 2).all()
    widest = np.abs(left[2:9, :, 0]).max(axis=1)
    assert ((widest > 9) & (widest < 17)).all()


# ---- anatomy ------------------------------------------------------------------------------


def test_the_lungs_lie_inside_the_body() -> None:
    board = solids.board(4.0)
    ratios = []
    for index in range(12):
        who = anatomy.patient(7, index)
        how = anatomy.posture(np.random.default_rng(index))
        parts = thorax.build_thorax(board, who, how)
        inside = parts.fields > 0
        assert (parts.body - parts.lung)[inside].min() > 1.5  # cm of chest wall in the beam
        assert parts.lung.min() >= 0
        right, left = inside[:, board.u[0] < 0].sum(), inside[:, board.u[0] > 0].sum()
        ratios.append(right / left)
        middle, flank = np.abs(board.u[0]).argmin(), np.abs(board.u[0] - 20.0).argmin()
        assert not inside[:, middle].any()
        assert not inside[:, flank].any()
    assert 1.05 < np.mean(ratios) < 1.5  # the heart lies to the left
    assert min(ratios) > 0.85


def test_the_right_dome_stands_higher_and_breath_lowers_both() -> None:
    how = anatomy.posture(np.random.default_rng(0))
    people = [anatomy.patient(0, index) for index in range(50)]
    levels = np.array([anatomy.dome_levels(who, how) for who in people])
    assert (levels[:, 0] < levels[:, 1]).mean() > 0.95
    deep = anatomy.dome_levels(people[0], replace(how, inspiration=1.0))
    shallow = anatomy.dome_levels(people[0], replace(how, inspiration=0.6))
    assert shallow[0] < deep[0]
    assert shallow[1] < deep[1]


def test_people_vary_within_reason() -> None:
    people = [anatomy.patient(1, index) for index in range(400)]
    assert 0.4 < np.mean([who.sex == "F" for who in people]) < 0.56
    ages = np.array([who.age for who in people])
    assert ages.min() >= 19
    assert ages.max() <= 92
    assert 48 < ages.mean() < 60
    assert all(who.breast == 0 for who in people if who.sex == "M")


def test_a_film_looks_like_a_film(by_class: dict[str, phantom.Phantom]) -> None:
    normal = by_class["normal"]
    for image, lungs in zip(normal.images, normal.lungs, strict=True):
        wide = cv2.dilate(lungs.astype(np.uint8), np.ones((9, 9))) > 0
        abdomen = image[-16:, 48:80]
        assert 0.15 < lungs.mean() < 0.5
        assert image[lungs].mean() + 40 < abdomen.mean()
        assert image[lungs].mean() + 25 < image[wide & ~lungs].mean()
        assert image[:6, :6].mean() < 60  # beside the neck the beam is open


def test_grey_levels_and_lungs_match_real_films(shared: Path) -> None:
    real = sorted((shared / "nih-chestxray14" / "images").glob("*.jpg"))[:40]
    films = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in real]
    levels = np.median([np.percentile(film, [25, 50, 75]) for film in films], axis=0)
    ours = of_class("normal").images
    drawn = np.median([np.percentile(film, [25, 50, 75]) for film in ours], axis=0)
    assert np.abs(drawn - levels).max() < 60
    masks = sorted((shared / "v7-lung-masks" / "masks").glob("*"))[:60]
    areas = [(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0).mean() for path in masks]
    share = of_class("normal").lungs.mean()
    assert np.percentile(areas, 1) < share < np.percentile(areas, 99)


def test_a_persons_films_are_more_alike_than_two_peoples() -> None:
    request = phantom.Request(
        images=36, size=96, images_per_patient=4, hospitals=("A",), classes=("normal",), seed=9
    )
    made = phantom.generate(replace(request, markers=False))
    flat = np.array([centred(i, m) for i, m in zip(made.images, made.lungs, strict=True)])
    likeness = np.corrcoef(flat)
    people = made.table["patient_id"].to_numpy()
    same = people[:, None] == people[None, :]
    off = ~np.eye(len(people), dtype=bool)
    assert likeness[same & off].mean() > likeness[~same].mean() + 0.03


def centred(image: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(lungs)
    shift = np.array([[1, 0, 48 - columns.mean()], [0, 1, 48 - rows.mean()]])
    moved = cv2.warpAffine(image, shift, (96, 96)).astype(float)[16:80, 16:80]
    return (moved - cv2.GaussianBlur(moved, (0, 0), 8)).ravel()


# ---- radiology ----------------------------------------------------------------------------


def sides(made: phantom.Phantom) -> np.ndarray:
    """Share of each lung (image, 2) that its lesions cover."""
    found = []
    for lungs, lesions in zip(made.lungs, made.lesions, strict=True):
        middle = round(float(np.nonzero(lungs)[1].mean()))
        halves = ((slice(None), slice(None, middle)), (slice(None), slice(middle, None)))
        found.append([lesions[half].sum() / lungs[half].sum() for half in halves])
    return np.array(found)


def test_normal_lungs_have_no_lesion(by_class: dict[str, phantom.Phantom]) -> None:
    assert not by_class["normal"].lesions.any()
    assert (by_class["normal"].table["severity"] == 0).all()


def test_lesions_lie_in_the_lungs(by_class: dict[str, phantom.Phantom]) -> None:
    for label in set(phantom.CLASSES) - {"normal"}:
        made = by_class[label]
        assert made.lesions.any(axis=(1, 2)).all(), label
        assert not (made.lesions & ~made.lungs).any(), label


def test_covid_is_bilateral_low_and_peripheral(by_class: dict[str, phantom.Phantom]) -> None:
    made = by_class["covid19"]
    assert (sides(made).min(axis=1) > 0.02).mean() >= 0.9
    low, outer = [], []
    for lungs, lesions in zip(made.lungs, made.lesions, strict=True):
        rows = np.nonzero(lungs)[0]
        low.append((np.nonzero(lesions)[0] > np.median(rows)).mean())
        depth = cv2.distanceTransform(lungs.astype(np.uint8), cv2.DIST_L2, 3)
        central = np.nonzero(lungs)[1].mean()
        reach = np.abs(np.nonzero(lungs)[1] - central)
        outer.append((np.abs(np.nonzero(lesions)[1] - central) > np.median(reach)).mean())
        assert depth[lesions].min() >= 0
    assert np.mean(low) > 0.6
    assert np.mean(outer) > 0.6


def test_bacterial_pneumonia_takes_one_lung(by_class: dict[str, phantom.Phantom]) -> None:
    shares = sides(by_class["bacterial_pneumonia"])
    dominance = shares.max(axis=1) / shares.sum(axis=1)
    assert (dominance > 0.9).all()
    assert {0, 1} == set(shares.argmax(axis=1))  # and not always the same one


def test_viral_pneumonia_takes_both_lungs_about_the_hila(
    by_class: dict[str, phantom.Phantom],
) -> None:
    viral, covid = by_class["viral_pneumonia"], by_class["covid19"]
    assert (sides(viral).min(axis=1) > 0.05).all()

    def reach(made: phantom.Phantom) -> float:
        pairs = zip(made.lungs, made.lesions, strict=True)
        return float(
            np.mean([np.abs(np.nonzero(b)[1] - np.nonzero(a)[1].mean()).mean() for a, b in pairs])
        )

    assert reach(viral) + 4 < reach(covid)  # pixels from the midline


def test_pneumonia_is_a_mixture() -> None:
    made = of_class("pneumonia", images=16, seed=2)
    shares = sides(made)
    one_sided = shares.max(axis=1) / shares.sum(axis=1) > 0.9
    assert 2 <= one_sided.sum() <= 14


def test_opacities_brighten_the_film_with_severity() -> None:
    clear = of_class("normal").images.astype(float)
    worst = of_class("covid19", severity=1.0).lesions
    added = [
        (of_class("covid19", severity=level).images - clear)[worst].mean()
        for level in (0.1, 0.5, 1.0)
    ]
    assert 0 < added[0] < added[1] < added[2]
    assert added[2] > 2 * added[0]


def test_without_signal_the_sick_are_as_the_healthy() -> None:
    sick = of_class("bacterial_pneumonia", signal=0.0)
    well = of_class("normal")
    assert np.array_equal(sick.images, well.images)
    assert not sick.lesions.any()


# ---- dials --------------------------------------------------------------------------------


def cramers_v(request: phantom.Request, what: str) -> float:
    people = [role(request, index) for index in range(600)]
    table = pd.crosstab([one.label for one in people], [getattr(one, what) for one in people])
    return float(association(table.to_numpy(), method="cramer"))


@pytest.mark.parametrize("dial", [0.0, 0.3, 0.7, 1.0])
def test_the_dial_is_cramers_v(dial: float) -> None:
    request = phantom.Request(images=1, shortcut=dial, seed=3)
    assert cramers_v(request, "hospital") == pytest.approx(dial, abs=0.1)
    assert cramers_v(request, "marker") == cramers_v(request, "hospital")
    assert cramers_v(request, "exposure") == cramers_v(request, "hospital")


def test_marker_and_exposure_have_dials_of_their_own() -> None:
    only_marker = phantom.Request(images=1, marker_shortcut=1.0)
    assert cramers_v(only_marker, "marker") == pytest.approx(1.0)
    assert cramers_v(only_marker, "hospital") < 0.12
    assert cramers_v(only_marker, "exposure") < 0.12
    only_exposure = phantom.Request(images=1, exposure_shortcut=1.0)
    assert cramers_v(only_exposure, "exposure") == pytest.approx(1.0)
    assert cramers_v(only_exposure, "marker") < 0.12


def test_a_full_shortcut_gives_each_of_many_classes_one_hospital() -> None:
    request = phantom.Request(images=1, shortcut=1.0, classes=phantom.CLASSES)
    assert cramers_v(request, "hospital") == pytest.approx(1.0)


def test_classes_are_balanced_over_patients() -> None:
    labels = [role(SMALL, index).label for index in range(100)]
    assert labels.count("covid19") == labels.count("normal") == 50
    assert labels != ["covid19", "normal"] * 50  # the number must not give the label away


def test_table_agrees_with_the_roles() -> None:
    made = phantom.generate(replace(SMALL, images=12, shortcut=1.0))
    tied = made.table.groupby("label")["source"].nunique()
    assert (tied == 1).all()
    assert (made.table["marker_style"] == made.table["source"]).all()
    assert made.table["sample_id"].is_unique
    portable = made.table["marker"].str.contains("PORTABLE")
    assert (portable == (made.table["source"] == "B")).all()


def test_hospital_b_is_noisier() -> None:
    lungs, path = np.ones((256, 256), np.float32), np.full((256, 256), 2.0, np.float32)
    noise = []
    for name in ("A", "B"):
        chain = replace(HOSPITALS[name].film, heel=0.0, exposure_spread=0.0)
        seen = acquisition.expose(path, lungs, chain, 6.4, np.random.default_rng(0))
        noise.append(float(seen.std() / seen.mean()))
    photons = HOSPITALS["A"].film.photons / HOSPITALS["B"].film.photons
    assert noise[1] / noise[0] == pytest.approx(np.sqrt(photons), rel=0.03)
    assert photons > 2


# ---- markers ------------------------------------------------------------------------------


def test_markers_change_nothing_but_their_mask() -> None:
    with_marker = phantom.generate(SMALL)
    without = phantom.generate(replace(SMALL, markers=False))
    changed = with_marker.images != without.images
    assert not (changed & ~with_marker.markers).any()
    assert changed.any(axis=(1, 2)).all()
    assert not without.markers.any()
    assert with_marker.table["has_marker"].all()
    assert not without.table["has_marker"].any()


@pytest.mark.parametrize("name", list(HOSPITALS))
def test_a_stamp_stays_in_its_corner_and_is_legible(name: str) -> None:
    card = HOSPITALS[name].marker
    for number in range(8):
        drawn = burnt_in.stamp(card, 256, np.random.default_rng(number))
        rows, columns = np.nonzero(drawn.ink)
        assert 60 < len(rows) < 2500
        assert rows.max() < 80
        assert (columns.mean() > 180) if name == "A" else (columns.mean() < 76)
        assert drawn.text.split()[0] in card.letters


def test_stickers_change_nothing_but_their_pixels() -> None:
    plain = phantom.generate(SMALL)
    stuck = phantom.generate(replace(SMALL, stickers=3))
    added = stuck.markers & ~plain.markers
    assert added.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(stuck.images[~stuck.markers], plain.images[~stuck.markers])
    assert (stuck.images != plain.images).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(stuck.lungs, plain.lungs)


@pytest.mark.parametrize("kind", list(stickers.KINDS))
def test_a_planted_mark_is_where_its_mask_says(kind: str) -> None:
    grey = np.full((300, 200), 120, np.uint8)
    out, mask = stickers.plant(grey, kind, np.random.default_rng(3))
    np.testing.assert_array_equal(out[~mask], grey[~mask])
    # a plate's letter may by chance have the grey beneath it on its edge
    assert (out[mask] != grey[mask]).mean() > 0.95
    _, _, wide, high = cv2.boundingRect(mask.astype(np.uint8))
    assert min(wide, high) >= 5
    assert max(wide, high) <= 200


# ---- promises -----------------------------------------------------------------------------


def test_shapes_types_and_columns() -> None:
    made = phantom.generate(SMALL)
    assert made.images.shape == (6, 96, 96)
    assert made.images.dtype == np.uint8
    for mask in (made.lungs, made.lesions, made.markers):
        assert mask.shape == (6, 96, 96)
        assert mask.dtype == np.bool_
    wanted = {"sample_id", "label", "patient_id", "source", "age", "sex", "view", "modality"}
    assert wanted | {"has_marker"} <= set(made.table.columns)
    assert set(made.table["view"]) == {"PA"}


def test_the_same_request_gives_the_same_films() -> None:
    first, second = phantom.generate(SMALL), phantom.generate(SMALL)
    assert np.array_equal(first.images, second.images)
    pd.testing.assert_frame_equal(first.table, second.table)
    other = phantom.generate(replace(SMALL, seed=1))
    assert (first.images != other.images).any(axis=(1, 2)).all()


def test_a_longer_set_begins_with_the_shorter() -> None:
    short, long = phantom.generate(SMALL), phantom.generate(replace(SMALL, images=11))
    for part in ("images", "lungs", "lesions", "markers"):
        assert np.array_equal(getattr(long, part)[:6], getattr(short, part)), part
    pd.testing.assert_frame_equal(long.table.head(6), short.table)


def test_patients_have_several_films() -> None:
    made = phantom.generate(replace(SMALL, images=20, images_per_patient=3))
    counts = made.table["patient_id"].value_counts()
    assert counts.max() == 3
    assert made.table.groupby("patient_id")["age"].nunique().max() == 1
    assert (made.images[0] != made.images[1]).any()


def test_progress_counts_every_film() -> None:
    seen: list[tuple[int, int]] = []
    phantom.generate(SMALL, lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def stored(folder: Path, part: str) -> np.ndarray:
    """(image, height, width) of the PNG files that `write_phantom` has left."""
    table = pd.read_csv(folder / "phantom.csv")
    paths = [str(folder / part / name) for name in table["file"]]
    return np.stack([cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in paths])


def test_written_films_come_back(tmp_path: Path) -> None:
    written = phantom.write_phantom(SMALL, tmp_path)
    made = phantom.generate(SMALL)
    assert np.array_equal(stored(tmp_path, "images"), made.images)
    for part in ("lungs", "lesions", "markers"):
        assert np.array_equal(stored(tmp_path, f"masks/{part}"), getattr(made, part) * 255), part
    table = pd.read_csv(tmp_path / "phantom.csv", keep_default_na=False, dtype={"marker": str})
    pd.testing.assert_frame_equal(table.drop(columns="file"), made.table, check_dtype=False)
    assert list(written.table["sample_id"]) == list(made.table["sample_id"])
    assert list(written.table["patient_id"]) == list(made.table["patient_id"])
    manifest.require_manifest(written.table)
    assert all(Path(path).is_file() for path in written.table["mask_path"])
    first = cv2.imread(written.table["path"][0], cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(first, made.images[0])


@pytest.mark.parametrize(
    ("dials", "words"),
    [
        ({"shortcut": 1.5}, "between 0 and 1; got 1.5"),
        ({"images": 0}, "images must lie between 1"),
        ({"size": 8}, "got 8"),
        ({"classes": ("covid",)}, "did you mean 'covid19'"),
        ({"classes": ()}, r"got \(\)"),
        ({"classes": ("normal", "normal")}, "name each once"),
        ({"hospitals": ("A", "C")}, "got 'C'"),
        ({"marker_shortcut": -0.1}, "got -0.1"),
    ],
)
def test_impossible_dials_are_refused(dials: dict[str, object], words: str) -> None:
    with pytest.raises(HilumError, match=words):
        replace(SMALL, **dials)


@pytest.mark.slow
def test_three_hundred_films_in_time() -> None:
    begin = time.process_time()
    phantom.generate(phantom.Request(images=300))
    assert time.process_time() - begin < 20


@pytest.mark.parametrize("cores", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_films_are_the_same_whoever_draws_them(
    cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ENOUGH", 1)
    monkeypatch.setattr("hilum.files.available_cpus", lambda: cores)
    assert processes.crew(SMALL) == cores
    told: list[tuple[int, int]] = []
    phantom.write_phantom(SMALL, tmp_path, lambda *at: told.append(at))
    assert told == [(k + 1, SMALL.images) for k in range(SMALL.images)]
    here = phantom.generate(SMALL)
    assert np.array_equal(stored(tmp_path, "images"), here.images)
    names = pd.read_csv(tmp_path / "phantom.csv")["sample_id"]
    assert list(names) == list(here.table["sample_id"])


def test_a_process_that_cannot_draw_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ENOUGH", 1)
    monkeypatch.setattr("hilum.files.available_cpus", lambda: 2)
    with pytest.raises(HilumError, match=r"exit code 1 \(FileNotFoundError"):
        processes.gather(SMALL, tmp_path / "none", lambda share: iter(()), None)


def test_few_films_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilum.files.available_cpus", lambda: 8)
    assert processes.crew(SMALL) == 1
    assert processes.crew(replace(SMALL, images=480, size=256)) == 5
