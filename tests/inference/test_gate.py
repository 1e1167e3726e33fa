"""The gate: distances against scikit-learn's, poses told apart, looks, and its file."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestNeighbors

from hilum.inference import ood
from hilum.inference.ood import OodDetector
from hilum.types import HilumError

WIDTH = 40


def features(seed: int, count: int, shift: int = 0) -> np.ndarray:
    """(image, feature) around one direction; `shift` bends it a little."""
    random = np.random.default_rng([seed, shift])
    centre = np.zeros(WIDTH)
    centre[:10] = 3
    centre[5 * shift + 5 : 5 * shift + 10] += 1.5 * (shift > 0)
    return (centre + 0.8 * random.normal(size=(count, WIDTH))).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> OodDetector:
    turned = {name: features(2, 40, shift) for shift, name in enumerate(ood.POSES, 1)}
    return ood.fit_detector(features(0, 300), turned, features(1, 200))


def test_the_distance_is_the_cosine_distance_to_the_fifth_neighbour(fitted: OodDetector) -> None:
    asked = features(3, 50)
    known = NearestNeighbors(n_neighbors=5, metric="cosine").fit(features(0, 300))
    assert fitted.distances(asked) == pytest.approx(known.kneighbors(asked)[0][:, 4], abs=1e-3)


def test_its_own_kind_passes_and_the_others_are_refused_in_words(fitted: OodDetector) -> None:
    assert np.mean([fault == "" for fault in fitted.faults(features(4, 300))]) > 0.95
    for shift, (_, words) in enumerate(ood.POSES.values(), 1):
        said = fitted.faults(features(5, 100, shift))
        assert np.mean([fault != "" for fault in said]) > 0.8
        assert np.mean([fault == words for fault in said if "unlike" not in fault]) > 0.7
    strange = -features(6, 100)
    assert all("unlike the images" in fault for fault in fitted.faults(strange))


def test_a_distance_just_beyond_its_limit_reads_so(fitted: OodDetector) -> None:
    asked = -features(6, 1)
    far = float(fitted.distances(asked)[0]) - 1e-4
    said = replace(fitted, far=far).faults(asked)[0]
    measured, most = re.findall(r"distance (\S+), at most (\S+)\)", said)[0]
    assert float(measured) > float(most)
    dim = np.zeros((100, 100), np.uint8)
    dim[:44] = 4  # its spread is 1.986
    assert ood.quick_check(dim).fault.endswith("(spread 1.99 of 255 levels, at least 2.00)")


def test_a_score_above_one_is_a_refusal(fitted: OodDetector) -> None:
    asked = np.concatenate([features(7, 100), features(7, 100, 1), -features(7, 100)])
    assert ((fitted.scores(asked) > 1) == [fault != "" for fault in fitted.faults(asked)]).all()


def test_a_gate_is_read_back_as_it_was_written(fitted: OodDetector, tmp_path: Path) -> None:
    assert ood.load_detector(tmp_path) is None  # a model folder of an older version
    ood.save_detector(fitted, tmp_path)
    again = ood.load_detector(tmp_path)
    assert again is not None
    asked = features(8, 60, 1)
    assert (again.scores(asked) == fitted.scores(asked)).all()
    (tmp_path / ood.FILE).write_bytes(b"not a gate")
    with pytest.raises(HilumError, match="must be readable"):
        ood.load_detector(tmp_path)


def test_poses_undo_each_other() -> None:
    film = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (ood.posed(ood.posed(film, "inverted"), "inverted") == film).all()
    assert (ood.posed(ood.posed(film, "left"), "right") == film).all()
    assert (ood.posed(film, "upside down") == film[::-1, ::-1]).all()


@pytest.mark.parametrize(
    ("film", "colour", "said"),
    [
        (np.tile(np.arange(128, dtype=np.uint8), (20, 1)), 0.0, "has 20 pixels"),
        (np.full((64, 64), 0.5, np.float32), 0.0, "almost uniformly grey"),
        (np.tile(np.arange(128, dtype=np.uint8), (128, 1)), 9.0, "colour picture"),
        (np.tile(np.arange(128, dtype=np.uint8), (128, 1)), 0.0, ""),
    ],
)
def test_the_quick_check_says_what_is_wrong(film: np.ndarray, colour: float, said: str) -> None:
    found = ood.quick_check(film, colour)
    assert (said in found.fault) if said else found.fault == ""


def test_the_quick_check_keeps_a_small_copy() -> None:
    assert ood.quick_check(np.zeros((300, 2000), np.uint8)).small.shape == (77, 512)


def test_too_little_to_fit_on_is_said() -> None:
    with pytest.raises(HilumError, match="two training images"):
        ood.fit_detector(features(0, 1), {}, features(1, 3))


def test_the_discriminants_are_scikit_learns() -> None:
    groups = [features(6, 60), *(features(7, 30, shift) for shift in range(1, 5))]
    table, labels = np.concatenate(groups), np.repeat(np.arange(5), [60, 30, 30, 30, 30])
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(5, 0.2))
    theirs.fit(table.astype(np.float64), labels)
    weights, bias = ood._discriminants(groups)
    np.testing.assert_allclose(weights, theirs.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bias, theirs.intercept_, rtol=1e-4, atol=1e-5)


def test_features_that_never_change_do_no_harm() -> None:
    groups = [features(6, 60), *(features(7, 30, shift) for shift in range(1, 5))]
    for group in groups:
        group[:, 30:34] = 1e-17 * np.arange(len(group))[:, None]
        group[:, 34:] = 0
    weights, bias = ood._discriminants(groups)
    assert np.isfinite(weights).all()
    assert np.isfinite(bias).all()
    told = [(group @ weights.T + bias).argmax(1) for group in groups]
    assert np.mean([(said == i).mean() for i, said in enumerate(told)]) > 0.9
