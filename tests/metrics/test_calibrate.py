"""Calibration errors against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint

from hilum.metrics import calibration
from hilum.types import HilumError


def test_error_of_a_hand_example() -> None:
    """Two bins: 0.25 said and 1/2 right, 0.9 said and 2/3 right; weights 2/5 and 3/5."""
    confidence = np.array([0.2, 0.3, 0.9, 0.9, 0.9])
    right = np.array([True, False, True, True, False])
    expected = 2 / 5 * abs(0.5 - 0.25) + 3 / 5 * abs(2 / 3 - 0.9)
    assert calibration.ece(confidence, right, bins=2) == pytest.approx(expected)
    assert calibration.ece(confidence, right, bins=1) == pytest.approx(abs(0.6 - 0.64))
    assert np.isnan(calibration.ece(np.array([]), np.array([], bool)))


def test_borders_belong_to_the_bin_above_and_one_to_the_last() -> None:
    borders = calibration.edges(np.array([]), bins=4)
    assert borders.tolist() == [0, 0.25, 0.5, 0.75, 1]
    where = calibration.bin_of(np.array([0, 0.25, 0.4999, 0.5, 1.0]), borders)
    assert where.tolist() == [0, 1, 1, 2, 3]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_bins_of_equal_mass_are_equal_without_ties(seed: int, bins: int) -> None:
    confidence = np.random.default_rng(seed).random(97)
    borders = calibration.edges(confidence, bins, mass=True)
    sizes = np.bincount(calibration.bin_of(confidence, borders), minlength=len(borders) - 1)
    assert len(sizes) == bins
    assert sizes.max() - sizes.min() <= 1
    tied = np.round(confidence, 1)
    where = calibration.bin_of(tied, calibration.edges(tied, bins, mass=True))
    for value in np.unique(tied):
        assert len(np.unique(where[tied == value])) == 1


@pytest.mark.parametrize("bins", [1, 2, 10, 15])
def test_bins_of_equal_width_are_those_of_scikit_learn(bins: int) -> None:
    rng = np.random.default_rng(bins)
    confidence = rng.beta(4, 1, 300)
    right = rng.random(300) < confidence**2
    share, mean = calibration_curve(right, confidence, n_bins=bins, strategy="uniform")
    sizes = np.histogram(confidence, bins, (0, 1))[0]
    expected = np.abs(share - mean) @ sizes[sizes > 0] / 300
    assert calibration.ece(confidence, right, bins) == pytest.approx(expected)
    table = calibration.reliability_bins(confidence, right, bins)
    assert table["n"].tolist() == sizes.tolist()
    assert table["left"].to_numpy() == pytest.approx(np.arange(bins) / bins)
    assert table["right"].to_numpy() == pytest.approx(np.arange(1, bins + 1) / bins)
    filled = table[table["n"] > 0]
    assert filled["accuracy"].to_numpy() == pytest.approx(share)
    assert filled["confidence"].to_numpy() == pytest.approx(mean)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_reliability_adds_up_to_the_error(seed: int, mass: bool) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1, 80)
    right = rng.random(80) < confidence
    table = calibration.reliability_bins(confidence, right, 7, mass)
    assert table["n"].sum() == 80
    assert table["k"].sum() == right.sum()
    filled = table[table["n"] > 0]
    gap = (filled["accuracy"] - filled["confidence"]).abs() @ filled["n"] / 80
    assert gap == pytest.approx(calibration.ece(confidence, right, 7, mass))
    low, high = proportion_confint(filled["k"], filled["n"], method="wilson")
    assert filled["low"].to_numpy() == pytest.approx(np.asarray(low), abs=1e-12)
    assert filled["high"].to_numpy() == pytest.approx(np.asarray(high), abs=1e-12)
    assert table.loc[table["n"] == 0, ["accuracy", "low", "confidence"]].isna().all(axis=None)


def test_no_bins_is_refused() -> None:
    with pytest.raises(HilumError, match="got 0"):
        calibration.ece(np.array([0.5]), np.array([True]), bins=0)
