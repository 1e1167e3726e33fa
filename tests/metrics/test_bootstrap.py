"""The bootstrap by patient: its draws, its three intervals, its coverage."""

import time

import numpy as np
import pytest
from scipy import stats

from hilum.metrics import bootstrap, metrics


def test_draws_are_samples_with_replacement() -> None:
    drawn = bootstrap.draws(50, 4000, np.random.default_rng(0))
    assert drawn.shape == (4000, 50)
    assert (drawn.sum(1) == 50).all()
    assert drawn.mean(0) == pytest.approx(np.ones(50), abs=0.1)
    assert drawn.var() == pytest.approx(1 - 1 / 50, abs=0.02)  # multinomial
    again = bootstrap.draws(50, 4000, np.random.default_rng(0))
    assert (drawn == again).all()


def test_portions_do_not_change_the_draws() -> None:
    def identity(weights: np.ndarray) -> np.ndarray:
        return weights

    whole = bootstrap.replicate(identity, 7, np.random.default_rng(1), 1000)
    parts = bootstrap.replicate(identity, 7, np.random.default_rng(1), 1000, width=2**18)
    assert (whole == parts).all()
    assert bootstrap.chunks(1000, 2**18) == [8] * 125
    assert sum(bootstrap.chunks(1001, 2**18)) == 1001


def _mean_of(x: np.ndarray) -> bootstrap.Statistic:
    return lambda weights: (weights @ x / weights.sum(1))[:, None]


def test_standard_error_of_a_mean_has_its_closed_form() -> None:
    x = np.random.default_rng(2).exponential(size=60)
    found = bootstrap.replicate(_mean_of(x), 60, np.random.default_rng(3), 20_000)
    assert found.std() == pytest.approx(x.std() / np.sqrt(60), rel=0.02)


def test_bca_equals_scipy() -> None:
    """Same formula, other code and other draws: the ends agree within the noise of 20,000 draws."""
    x = np.random.default_rng(4).exponential(size=40)
    rng = np.random.default_rng(5)
    found = bootstrap.replicate(_mean_of(x), 40, rng, 20_000)
    left_out = bootstrap.jackknife(_mean_of(x), 40)
    assert left_out[3, 0] == pytest.approx(np.delete(x, 3).mean())
    low, high = bootstrap.bca(np.array([x.mean()]), found, left_out)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=rng)
    expected = theirs.confidence_interval
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=0.015)
    plain = bootstrap.percentile(found)
    assert low[0] > plain[0][0]  # a skewed mean: both ends move up
    assert high[0] > plain[1][0]


@pytest.mark.parametrize("cells", [1, 40, 3 * 40, 7 * 40, 2**21])
def test_each_patient_is_left_out_once_in_any_portions(
    monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    monkeypatch.setattr(bootstrap, "CELLS", cells)
    x = np.random.default_rng(4).exponential(size=40)
    expected = [np.delete(x, i).mean() for i in range(40)]
    assert bootstrap.jackknife(_mean_of(x), 40)[:, 0] == pytest.approx(expected)


def test_basic_mirrors_percentile() -> None:
    found = np.random.default_rng(6).normal(3, 1, (5000, 2))
    for level in (0.95, 0.6):
        low, high = bootstrap.percentile(found, level)
        expected = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
        assert (low, high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
        mirrored = bootstrap.basic(np.array([3.0, 2.0]), found, level)
        assert mirrored[0] == pytest.approx(np.array([6, 4]) - high)
        assert mirrored[1] == pytest.approx(np.array([6, 4]) - low)


def test_undefined_replicates_are_left_out_until_they_are_most() -> None:
    found = np.tile(np.linspace(0, 1, 1001)[:, None], (1, 2))
    found[1::3, 0] = np.nan
    found[100:, 1] = np.nan
    low, high = bootstrap.percentile(found)
    assert (low[0], high[0]) == pytest.approx((0.025, 0.975), abs=2e-3)
    assert np.isnan([low[1], high[1]]).all()


def _both_areas(ranking: metrics.Ranking, weights: np.ndarray) -> np.ndarray:
    ties = metrics.tie_sums(ranking, weights)
    return np.stack([metrics.roc_area(ties), metrics.average_precision(ties)], -1)


def test_two_thousand_areas_cost_well_under_a_second() -> None:
    rng = np.random.default_rng(7)
    positive, score = rng.random(1000) < 0.3, rng.normal(size=1000)
    ranking = metrics.rank(positive, score)
    start = time.process_time()
    found = bootstrap.replicate(lambda weights: _both_areas(ranking, weights), 1000, rng)
    assert found.shape == (2000, 2)
    assert time.process_time() - start < 2  # about 0.1 s on an idle core


def _clustered_coverage(runs: int, by_patient: bool) -> float:
    """How often the interval of an accuracy holds 0.8; each patient's 8 images are all alike."""
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(runs):
        right = np.repeat(rng.random(60) < 0.8, 8).astype(float)
        sums = right.reshape(60, 8).sum(1) / 8 if by_patient else right
        found = bootstrap.replicate(_mean_of(sums), len(sums), rng, 400)
        low, high = bootstrap.percentile(found)
        hits += low[0] <= 0.8 <= high[0]
    return hits / runs


def test_coverage_by_patient_holds_where_coverage_by_image_fails() -> None:
    assert _clustered_coverage(200, by_patient=True) > 0.88
    assert _clustered_coverage(200, by_patient=False) < 0.65


@pytest.mark.slow
def test_coverage_by_patient_is_near_the_level() -> None:
    assert _clustered_coverage(2000, by_patient=True) == pytest.approx(0.94, abs=0.02)
