"""The two-sample test against other solvers, closed forms and permutations; its false alarms."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom
from sklearn.metrics.pairwise import rbf_kernel

from hilum.inference import two_sample
from hilum.inference.two_sample import Known
from hilum.types import HilumError

if TYPE_CHECKING:
    from peak_memory import PeakMemory


def points(seed: int, count: int, centre: float = 0.0, width: int = 6) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(centre, 1, size=(count, width)).astype(np.float32)


def known_groups(seed: int = 0, each: int = 80) -> Known:
    """Two sources far from each other; of each patient two images."""
    table = np.concatenate([points(seed, each), points(seed + 1, each, 2.0)])
    return Known.of(table, np.repeat([0, 1], each), np.arange(2 * each) // 2)


def test_the_nearest_mixture_is_the_one_that_another_solver_finds() -> None:
    random = np.random.default_rng(0)
    for groups in (1, 2, 5, 8):
        root = random.normal(size=(groups, groups + 2))
        inner, cross = root @ root.T, random.normal(size=groups)
        found = two_sample.nearest_mixture(inner, cross)
        other = minimize(
            lambda w, c=inner, a=cross: w @ c @ w - 2 * a @ w,
            np.full(groups, 1 / groups),
            method="SLSQP",
            bounds=[(0, 1)] * groups,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert found.sum() == pytest.approx(1)
        assert found == pytest.approx(other.x, abs=2e-3)


def test_the_distance_to_one_group_is_the_discrepancy_by_its_definition() -> None:
    table, asked = points(1, 30), points(2, 12, 0.7)
    known = Known.of(table, np.zeros(30, np.int64), np.arange(30))
    found = two_sample.measure_apart(known, asked)

    def mean_kernel(first: np.ndarray, second: np.ndarray) -> float:
        widths = [known.middle * scale for scale in two_sample.SCALES]
        return float(np.mean([rbf_kernel(first, second, 1 / (2 * w**2)).mean() for w in widths]))

    exact = mean_kernel(asked, asked) - 2 * mean_kernel(asked, table) + mean_kernel(table, table)
    assert found.distance == pytest.approx(exact, abs=1e-6)
    assert (found.used, found.shares.tolist()) == (12, [1.0])


def test_a_draw_is_compared_with_all_other_known_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_sample, "DRAWS", 1)
    known, shares = known_groups(), np.array([0.25, 0.75])
    (drawn,) = two_sample.null_distances(known, shares, 20, np.random.default_rng(4))
    chosen = two_sample._draw(
        two_sample._by_group(known), np.array([5, 15]), np.random.default_rng(4)
    )
    assert (known.group[chosen] == 1).sum() == 15
    rest = np.setdiff1d(np.arange(len(known.points)), chosen)
    others = Known(
        known.points[rest],
        known.group[rest],
        known.patient[rest],
        known.kernel[np.ix_(rest, rest)],
        known.middle,
    )
    direct, _ = two_sample._distance(others, others.kernel @ others.members, known.points[chosen])
    assert drawn == pytest.approx(float(direct), abs=1e-9)


def test_p_is_that_of_permutations_where_there_is_one_group() -> None:
    table, random = points(5, 120), np.random.default_rng(7)
    known = Known.of(table, np.zeros(120, np.int64), np.arange(120))
    gaps = []
    for seed, shift in ((11, 0.0), (12, 0.2), (13, 0.25), (14, 0.3), (15, 0.35)):
        asked = points(seed, 20, shift)
        both = np.concatenate([table, asked]).astype(np.float64)
        kernel = two_sample.kernel_of(two_sample.squared_distances(both, both), known.middle)

        def gap(order: np.ndarray, kernel: np.ndarray = kernel) -> float:
            side = np.full(140, -1 / 120)
            side[order[:20]] = 1 / 20
            return float(side @ kernel @ side)

        here = gap(np.arange(139, -1, -1))
        permuted = np.mean([gap(random.permutation(140)) >= here for _ in range(400)])
        gaps.append(two_sample.measure_apart(known, asked).p - permuted)
    # a draw leaves fewer to compare with than a batch: p is a little too large, never too small
    assert min(gaps) > -0.05
    assert max(gaps) < 0.2
    assert np.mean(gaps) < 0.1


def test_false_alarms_are_as_rare_as_said_whatever_the_shares_and_real_ones_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(two_sample, "DRAWS", 39)
    random, batches, alarms, power = np.random.default_rng(3), 120, 0, 0
    for batch in range(batches):
        known = known_groups(seed=10 * batch + 7, each=60)
        size = int(random.choice([10, 20]))
        first = int(random.integers(0, size + 1))
        inside = [points(100_000 + batch, first), points(300_000 + batch, size - first, 2.0)]
        alarms += two_sample.measure_apart(known, np.concatenate(inside)).p <= 0.05
        if batch < 20:  # between both sources, where neither a source nor a mixture of them is
            power += two_sample.measure_apart(known, points(500_000 + batch, size, 1.0)).p <= 0.05
    assert alarms <= binom.ppf(0.99, batches, 0.05)
    assert power >= 18


def test_a_mixture_that_few_known_points_allow_is_compared_with_fewer() -> None:
    known = known_groups(each=14)
    found = two_sample.measure_apart(known, points(9, 40))
    assert found.used == 7
    assert found.p > 0.05


def test_nothing_is_judged_by_one_point() -> None:
    with pytest.raises(HilumError, match="two points or more; got 1"):
        two_sample.measure_apart(known_groups(), points(0, 1))
    with pytest.raises(HilumError, match="number the groups from 0"):
        Known.of(points(0, 3), np.array([0, 2, 2]), np.arange(3))


def test_many_points_take_the_memory_of_few(
    monkeypatch: pytest.MonkeyPatch, peak_memory: "PeakMemory"
) -> None:
    """The kernel of 6,000 points with each other is 288 MB, of a million it is 8 TB."""
    monkeypatch.setattr(two_sample, "DRAWS", 39)
    known = known_groups()
    with peak_memory() as grown:
        found = two_sample.measure_apart(known, points(9, 6000))
    assert grown() < 60e6
    assert found.shares == pytest.approx([1, 0], abs=0.1)
    assert found.p > 0.05


def test_of_very_many_points_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_sample, "DRAWS", 39)
    known, asked = known_groups(), np.concatenate([points(9, 3000), points(10, 9000, 2.0)])
    whole = two_sample.measure_apart(known, asked)
    monkeypatch.setattr(two_sample, "MOST_ASKED", 2000)
    looked_at: list[int] = []
    kernel = two_sample.squared_distances

    def counted(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        looked_at.append(len(first))
        return kernel(first, second)

    monkeypatch.setattr(two_sample, "squared_distances", counted)
    some = two_sample.measure_apart(known, asked)
    assert max(looked_at) <= two_sample.PIECE
    assert sum(looked_at) < 2000 + 2 * len(known.points)
    assert some.shares == pytest.approx(whole.shares, abs=0.05)
    assert (some.p > 0.05, whole.p > 0.05) == (True, True)
