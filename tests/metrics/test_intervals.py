"""Intervals against statsmodels, published examples and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from hilum.metrics import intervals, metrics
from hilum.types import HilumError


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_proportions_equal_statsmodels(n: int, share: float, level: float) -> None:
    k = round(share * n)
    expected = proportion_confint(k, n, 1 - level, "wilson")
    assert intervals.wilson(k, n, level) == pytest.approx(expected, rel=0, abs=1e-12)
    assert intervals.wilson(0, n, level).low == 0
    assert intervals.wilson(n, n, level).high == 1


def test_wilson_solves_its_own_equation() -> None:
    """The ends are the shares p at which |k/n - p| is z standard errors of p."""
    z = norm.ppf(0.975)
    for end in intervals.wilson(38, 42):
        assert abs(38 / 42 - end) == pytest.approx(z * np.sqrt(end * (1 - end) / 42), rel=1e-9)


def test_impossible_and_empty_counts() -> None:
    assert np.isnan(intervals.wilson(0, 0)).all()
    with pytest.raises(HilumError, match="k = 5, n = 4"):
        intervals.wilson(5, 4)
    nothing = intervals.proportion(0, 0)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_delong_by_the_published_formula_on_a_hand_example() -> None:
    """Structural components of DeLong 1988, equations 4 to 6, written out."""
    positive = np.array([1, 1, 1, 0, 0, 0, 0], dtype=bool)
    scores = np.array([[0.9, 0.8, 0.4, 0.7, 0.4, 0.3, 0.1], [0.6, 0.9, 0.2, 0.5, 0.4, 0.2, 0.3]])
    areas, spread = intervals.delong(positive, scores)
    v10 = np.array([[1, 1, 2.5 / 4], [1, 1, 0.5 / 4]])  # of each positive, by hand
    v01 = np.array([[2 / 3, 2.5 / 3, 1, 1], [2 / 3, 2 / 3, 2.5 / 3, 2 / 3]])  # of each negative
    assert areas == pytest.approx(v10.mean(1))
    assert areas == pytest.approx(v01.mean(1))
    assert spread == pytest.approx(np.cov(v10) / 3 + np.cov(v01) / 4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_delong_areas_equal_the_metric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.arange(30) % 4 == 0
    scores = rng.integers(0, 8, (3, 30)).astype(float)
    areas, spread = intervals.delong(positive, scores)
    expected = [metrics.auroc(positive, row) for row in scores]
    assert areas == pytest.approx(expected, rel=0, abs=1e-12)
    assert np.linalg.eigvalsh(spread).min() > -1e-12


def test_delong_variance_agrees_with_a_brute_force_bootstrap() -> None:
    rng = np.random.default_rng(11)
    positive = np.arange(300) % 3 == 0
    score = rng.normal(size=300) + 1.2 * positive
    draws = []
    for _ in range(2000):
        yes = rng.choice(score[positive], 100)
        no = rng.choice(score[~positive], 200)
        both = np.concatenate([yes, no])
        draws.append((intervals.midranks(both)[:100].sum() - 5050) / 20000)
    error = float(np.sqrt(intervals.delong(positive, score[None])[1][0, 0]))
    assert np.std(draws) == pytest.approx(error, rel=0.08)


def test_degenerate_areas_have_honest_intervals() -> None:
    positive = np.arange(40) < 10
    perfect = intervals.auroc_interval(positive, positive.astype(float))
    assert perfect.high == 1
    assert 0.7 < perfect.low < 0.95
    reversed_ = intervals.auroc_interval(positive, -positive.astype(float))
    assert reversed_ == pytest.approx((1 - perfect.high, 1 - perfect.low))
    constant = intervals.auroc_interval(positive, np.zeros(40))
    assert constant.low == pytest.approx(1 - constant.high)
    assert constant.low < 0.35
    assert np.isnan(intervals.auroc_interval(np.ones(4, bool), np.arange(4.0))).all()
    single = intervals.auroc_interval(np.arange(9) == 8, np.arange(9.0))
    assert single.low < 0.5


@pytest.mark.parametrize(("area", "m", "n"), [(0.9, 20, 80), (0.55, 7, 5), (1.0, 42, 282)])
def test_newcombe_ends_solve_the_polynomial_form(area: float, m: int, n: int) -> None:
    """The same equation, multiplied out by hand."""
    h, z = (m + n) / 2 - 1, norm.ppf(0.975)
    for end in intervals.newcombe(area, m, n):
        left = m * n * (area - end) ** 2 * (2 - end) * (1 + end)
        flat = end * (1 - end)
        right = z**2 * flat * (2 + h + (1 + 2 * h) * flat)
        assert left == pytest.approx(right, rel=1e-6, abs=1e-6)


def _normal_scores(rng: np.random.Generator, positive: np.ndarray, area: float) -> np.ndarray:
    return rng.normal(size=len(positive)) + np.sqrt(2) * norm.ppf(area) * positive


@pytest.mark.parametrize(
    ("area", "runs"), [(0.8, 400), pytest.param(0.97, 4000, marks=pytest.mark.slow)]
)
def test_delong_interval_covers_the_true_area(area: float, runs: int) -> None:
    rng = np.random.default_rng(5)
    positive = np.arange(90) % 3 == 0
    ends = [
        intervals.auroc_interval(positive, _normal_scores(rng, positive, area)) for _ in range(runs)
    ]
    covered = np.mean([low <= area <= high for low, high in ends])
    assert 0.95 - 3.5 * np.sqrt(0.05 * 0.95 / runs) - 0.01 < covered < 0.99
