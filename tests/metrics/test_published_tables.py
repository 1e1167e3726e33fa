"""The tables of two published studies, re-derived from their counts; figures copied by hand."""

import numpy as np
import pytest

from hilum.metrics import intervals, metrics, thresholds

# Cuijpers et al., Table 2: TP, FP, FN, TN of 42 COVID-19 and 282 normal test images, then what is
# printed for precision, recall, F1 of COVID-19 and of normal, and accuracy
STUDY_002 = {
    "InceptionV3": ((25, 2, 17, 280), (0.93, 0.60, 0.72), (0.94, 0.99, 0.97), 0.94),
    "InceptionResNetV2": ((27, 1, 15, 281), (0.96, 0.64, 0.77), (0.95, 1.00, 0.97), 0.95),
    "ResNet101V2": ((37, 1, 5, 281), (0.97, 0.88, 0.93), (0.98, 1.00, 0.99), 0.98),
    "DenseNet201": ((38, 3, 4, 279), (0.93, 0.90, 0.92), (0.99, 0.99, 0.99), 0.98),
}
BALANCED = {
    "InceptionV3": 0.794073,
    "InceptionResNetV2": 0.819656,
    "ResNet101V2": 0.938703,
    "DenseNet201": 0.947062,
}
# Yamani & Malek, Table 1: threshold, sensitivity, specificity; 100 positives, 3,000 negatives
STUDY_004 = ((0.10, 1.0, 0.725), (0.15, 0.976, 0.899), (0.20, 0.943, 0.919), (0.25, 0.9, 0.956))


def matrix_of(counts: tuple[int, int, int, int]) -> np.ndarray:
    tp, fp, fn, tn = counts
    return np.array([[tp, fn], [fp, tn]])


@pytest.mark.parametrize("net", STUDY_002)
def test_every_cell_of_study_002_follows_from_its_counts(net: str) -> None:
    """S2-16, S2-17: `%.2f` of each figure is what was printed; 0.925 prints as 0.93."""
    counts, *by_class, accuracy = STUDY_002[net]
    matrix = matrix_of(counts)
    figures = (metrics.precision, metrics.sensitivity, metrics.f1)
    for c in (0, 1):
        shown = tuple(f"{figure(matrix)[c]:.2f}" for figure in figures)
        assert shown == tuple(f"{value:.2f}" for value in by_class[c])
    assert f"{metrics.accuracy(matrix):.2f}" == f"{accuracy:.2f}"


@pytest.mark.parametrize("net", STUDY_002)
def test_baselines_that_study_002_did_not_print(net: str) -> None:
    """S2-19."""
    matrix = matrix_of(STUDY_002[net][0])
    assert matrix.sum(1).tolist() == [42, 282]
    assert metrics.balanced_accuracy(matrix) == pytest.approx(BALANCED[net], abs=5e-7)
    assert matrix[1].sum() / matrix.sum() == pytest.approx(0.8704, abs=5e-5)


def test_intervals_of_study_002_overlap() -> None:
    """S2-19: DenseNet's sensitivity is 38 of 42, and ResNet's 37 of 42 cannot be told from it."""
    dense, res = intervals.wilson(38, 42), intervals.wilson(37, 42)
    assert dense == pytest.approx((0.779, 0.962), abs=5e-4)
    assert res.high > dense.low


def test_intervals_of_study_004() -> None:
    """S4-13."""
    assert intervals.wilson(100, 100) == pytest.approx((0.963, 1), abs=5e-4)
    assert intervals.wilson(90, 100) == pytest.approx((0.826, 0.945), abs=5e-4)


def test_predictive_values_of_study_004() -> None:
    """S4-14: at the test set's prevalence 100 in 3,100, and at 1 %."""
    found = [
        thresholds.predictive_values(sensitivity, specificity, [100 / 3100, 0.01])["ppv"]
        for _, sensitivity, specificity in STUDY_004
    ]
    assert [ppv[0] for ppv in found] == pytest.approx([0.108, 0.244, 0.280, 0.405], abs=5e-4)
    assert found[0][1] == pytest.approx(0.035, abs=5e-4)
    assert found[-1][1] == pytest.approx(0.171, abs=5e-4)


def test_a_sweep_reproduces_study_004_where_it_is_possible() -> None:
    """S4-12: 2175, 2697, 2757 and 2868 of 3,000 negatives lie below the four thresholds."""
    below = np.array([2175, 2697, 2757, 2868])
    steps = np.diff(below, prepend=0, append=3000)
    negative = np.repeat([0.05, 0.12, 0.17, 0.22, 0.6], steps)
    positive = np.repeat([0.22, 0.9], [10, 90])  # 90 of 100 at 0.25
    p = np.concatenate([positive, negative])
    points = thresholds.sweep_thresholds(np.arange(3100) < 100, p, [row[0] for row in STUDY_004])
    assert [point.specificity.k for point in points] == below.tolist()
    assert [point.specificity.value for point in points] == [row[2] for row in STUDY_004]
    assert points[0].sensitivity.value == 1
    assert points[3].sensitivity.value == STUDY_004[3][1]
