"""Thresholds: the rule, monotony, the choice on validation data, Bayes and net benefit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.metrics import intervals, thresholds
from hilum.types import HilumError

seeds = st.integers(0, 2**32 - 1)


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(50) < 0.3
    positive[:2] = [True, False]
    return positive, rng.integers(0, 21, 50) / 20


def test_an_image_on_the_threshold_is_positive() -> None:
    positive = np.array([True, False])
    point = thresholds.sweep_thresholds(positive, np.array([0.5, 0.5]), [0.5])[0]
    assert (point.sensitivity.k, point.specificity.k) == (1, 0)
    above = thresholds.sweep_thresholds(positive, np.array([0.5, 0.5]), [np.nextafter(0.5, 1)])[0]
    assert (above.sensitivity.k, above.specificity.k) == (0, 1)


@settings(deadline=None, max_examples=80)
@given(seeds)
def test_sweep_counts_and_is_monotone(seed: int) -> None:
    positive, p = draw(seed)
    grid = np.linspace(0, 1.05, 22)
    points = thresholds.sweep_thresholds(positive, p, grid)
    for t, point in zip(grid, points, strict=True):
        assert point.sensitivity.k == int((p[positive] >= t).sum())
        assert point.specificity.k == int((p[~positive] < t).sum())
        assert point.sensitivity.n + point.specificity.n == 50
    found = np.array([point.sensitivity.value for point in points])
    spared = np.array([point.specificity.value for point in points])
    assert (np.diff(found) <= 0).all()
    assert (np.diff(spared) >= 0).all()
    assert found[0] == 1
    assert spared[-1] == 1


@settings(deadline=None, max_examples=80)
@given(seeds, st.floats(0.01, 1))
def test_choice_is_the_most_specific_that_is_sensitive_enough(seed: int, target: float) -> None:
    positive, p = draw(seed)
    chosen = thresholds.choose_threshold(positive, p, target)
    assert chosen.sensitivity.value >= target - 1e-9
    every = thresholds.sweep_thresholds(positive, p, np.unique(np.append(p, 1.1)))
    good = [point for point in every if point.sensitivity.value >= target - 1e-9]
    assert chosen.specificity.k == max(point.specificity.k for point in good)
    assert chosen.threshold == max(point.threshold for point in good)


def test_choice_of_nine_in_ten_is_exact() -> None:
    positive, p = np.ones(10, bool), np.arange(10) / 10
    assert thresholds.choose_threshold(positive, p, 0.9).threshold == 0.1
    with pytest.raises(HilumError, match="at least one positive"):
        thresholds.choose_threshold(~positive, p)
    with pytest.raises(HilumError, match="got 90"):
        thresholds.choose_threshold(positive, p, 90)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 100), st.integers(0, 300))
def test_predictive_values_at_the_test_prevalence_are_the_counted_ones(tp: int, tn: int) -> None:
    table = thresholds.predictive_values(tp / 100, tn / 300, [100 / 400])
    named = tp + 300 - tn
    assert table["ppv"][0] == pytest.approx(tp / named if named else np.nan, nan_ok=True)
    rest = 400 - named
    assert table["npv"][0] == pytest.approx(tn / rest if rest else np.nan, nan_ok=True)


def test_predictive_values_move_with_prevalence() -> None:
    table = thresholds.predictive_values(0.9, 0.8)
    assert (np.diff(table["ppv"]) > 0).all()
    assert (np.diff(table["npv"]) < 0).all()
    assert tuple(table["prevalence"]) == thresholds.PREVALENCES


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_net_benefit_is_its_definition(seed: int) -> None:
    positive, p = draw(seed)
    grid = [0, 0.1, 0.25, 0.5, 0.8, 0.95]
    table = thresholds.net_benefit(positive, p, grid)
    for t, row in zip(grid, table.itertuples(), strict=True):
        named = p >= t
        benefit = (named & positive).sum() - (named & ~positive).sum() * t / (1 - t)
        assert row.model == pytest.approx(benefit / 50)
        everyone = positive.sum() - (~positive).sum() * t / (1 - t)
        assert row.all == pytest.approx(everyone / 50)
        assert row.none == 0
    assert table["model"][0] == table["all"][0] == pytest.approx(positive.mean())


def test_net_benefit_of_treating_all_is_nought_at_the_prevalence() -> None:
    positive = np.arange(10) < 2
    table = thresholds.net_benefit(positive, positive.astype(float), [0.2])
    assert table["all"][0] == pytest.approx(0)
    assert table["model"][0] == pytest.approx(0.2)
    with pytest.raises(HilumError, match=r"got 1\.0"):
        thresholds.net_benefit(positive, positive.astype(float), [0.5, 1.0])


def test_rows_are_flat() -> None:
    positive, p = draw(0)
    row = thresholds.sweep_thresholds(positive, p, [0.5])[0].row
    assert row["sensitivity"] == row["sensitivity_k"] / row["sensitivity_n"]
    assert row["specificity_low"] < row["specificity"] < row["specificity_high"]
    assert row["threshold"] == 0.5


def test_eighteen_of_eighteen_promise_little_where_one_in_a_hundred_has_it() -> None:
    """By hand: Wilson's lower end of 18 of 18 is 18 / (18 + 1.96^2)."""
    found, spared = (intervals.proportion(n, n) for n in (20, 18))
    ends = [intervals.Interval(one.low, one.high) for one in (found, spared)]
    row = thresholds.predictive_intervals(*ends, [0.01]).iloc[0]
    low = [n / (n + 1.959964**2) for n in (20, 18)]
    by_hand = 0.01 * low[0] / (0.01 * low[0] + 0.99 * (1 - low[1]))
    assert row["ppv_low"] == pytest.approx(by_hand, rel=1e-6)
    assert row["ppv_low"] < 0.05
    assert row["ppv_high"] == 1


@pytest.mark.slow
def test_predictive_intervals_hold_the_truth_as_often_as_they_promise() -> None:
    """Simulated tests of 40 positives and 60 negatives, at three prevalences."""
    rng = np.random.default_rng(5)
    truth = thresholds.predictive_values(0.85, 0.9, (0.01, 0.1, 0.5))
    held = np.zeros((3, 2))
    for _ in range(1000):
        counts = (rng.binomial(40, 0.85), 40), (rng.binomial(60, 0.9), 60)
        ends = [intervals.wilson(int(k), n) for k, n in counts]
        found = thresholds.predictive_intervals(*ends, (0.01, 0.1, 0.5))
        for i, name in enumerate(("ppv", "npv")):
            inside = (found[f"{name}_low"] <= truth[name]) & (truth[name] <= found[f"{name}_high"])
            held[:, i] += inside
    assert (held / 1000 > 0.93).all()


def test_ten_with_and_ten_without_are_enough() -> None:
    assert thresholds.enough(10, 10)
    assert not thresholds.enough(9, 500)
    assert not thresholds.enough(500, 4)
