"""Metrics against scikit-learn, closed forms and hand calculations."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from hilum.metrics import metrics, resampled
from hilum.metrics.predictions import SeedPredictions
from hilum.metrics.registry import METRICS

SAME = {"rel": 0, "abs": 1e-12}
seeds = st.integers(0, 2**32 - 1)


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Truth (image,) and probabilities (image, class), coarse so that ties and gaps abound."""
    rng = np.random.default_rng(seed)
    classes, n = int(rng.integers(2, 6)), int(rng.integers(1, 60))
    present = rng.choice(classes, rng.integers(1, classes + 1), replace=False)
    labels = rng.choice(present, n).astype(np.int64)
    p = rng.integers(0, 6, (n, classes)) + 0.25
    p = p / p.sum(1, keepdims=True)
    return labels, p, classes


def quiet(function: Callable[..., object], *args: object, **options: object) -> object:
    """scikit-learn warns where something is undefined; the comparison is about the number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


def auprc(positive: np.ndarray, score: np.ndarray) -> float:
    """Average precision of one score (image,), every image once."""
    ties = metrics.tie_sums(metrics.rank(positive, score), np.ones(len(score)))
    return float(metrics.average_precision(ties))


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_per_class_figures_equal_scikit_learn(seed: int) -> None:
    labels, p, classes = draw(seed)
    said, names = p.argmax(1), list(range(classes))
    matrix = metrics.confusion(labels, said, classes)
    assert (matrix == reference.confusion_matrix(labels, said, labels=names)).all()
    expected = reference.precision_recall_fscore_support(
        labels, said, labels=names, zero_division=np.nan
    )
    assert metrics.precision(matrix) == pytest.approx(expected[0], nan_ok=True, **SAME)
    assert metrics.sensitivity(matrix) == pytest.approx(expected[1], nan_ok=True, **SAME)
    assert metrics.f1(matrix) == pytest.approx(expected[2], nan_ok=True, **SAME)
    for c in names:  # specificity and NPV are sensitivity and precision of "not this class"
        two = quiet(
            reference.precision_recall_fscore_support,
            labels != c,
            said != c,
            labels=[True],
            zero_division=np.nan,
        )
        assert metrics.npv(matrix)[c] == pytest.approx(two[0][0], nan_ok=True, **SAME)
        assert metrics.specificity(matrix)[c] == pytest.approx(two[1][0], nan_ok=True, **SAME)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_overall_figures_equal_scikit_learn(seed: int) -> None:
    labels, p, classes = draw(seed)
    said = p.argmax(1)
    matrix = metrics.confusion(labels, said, classes)
    assert metrics.accuracy(matrix) == pytest.approx(reference.accuracy_score(labels, said), **SAME)
    balanced = quiet(reference.balanced_accuracy_score, labels, said)
    assert metrics.balanced_accuracy(matrix) == pytest.approx(balanced, **SAME)
    if len(np.unique(labels)) > 1 and len(np.unique(said)) > 1:
        mcc = reference.matthews_corrcoef(labels, said)
        assert metrics.mcc(matrix) == pytest.approx(mcc, rel=0, abs=1e-11)
    else:
        assert np.isnan(metrics.mcc(matrix))  # scikit-learn says 0: neither is wrong, ours is loud
    if len(np.union1d(labels, said)) > 1:
        kappa = reference.cohen_kappa_score(labels, said)
        assert metrics.kappa(matrix) == pytest.approx(kappa, **SAME)
    else:
        assert np.isnan(metrics.kappa(matrix))


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_averages_equal_scikit_learn_where_defined(seed: int) -> None:
    labels, p, classes = draw(seed)
    said = p.argmax(1)
    matrix, present = metrics.confusion(labels, said, classes), np.unique(labels)
    for place, metric in enumerate((metrics.precision, metrics.sensitivity, metrics.f1)):
        for average, mine in (("macro", metrics.macro), ("weighted", metrics.weighted)):
            value = mine(metric(matrix), matrix.sum(1))
            undefined = np.isnan(metric(matrix)[present]).any()
            assert np.isnan(value) == undefined
            if not undefined:
                expected = reference.precision_recall_fscore_support(
                    labels, said, labels=present, average=average, zero_division=np.nan
                )[place]
                assert value == pytest.approx(expected, **SAME)


def test_micro_averages_are_accuracy_on_a_thousand_matrices() -> None:
    """S0-27: with one label per image, micro precision = recall = F1 = accuracy."""
    rng = np.random.default_rng(27)
    for _ in range(1000):
        classes = int(rng.integers(2, 8))
        matrix = rng.integers(0, 40, (classes, classes))
        matrix[0, 0] += 1
        accuracy = metrics.accuracy(matrix)
        for metric in (metrics.precision, metrics.sensitivity, metrics.f1):
            assert metrics.micro(metric, matrix) == pytest.approx(accuracy, **SAME)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_areas_equal_scikit_learn(seed: int) -> None:
    labels, p, _ = draw(seed)
    for c in range(p.shape[1]):
        positive = labels == c
        if 0 < positive.sum() < len(labels):
            expected = reference.roc_auc_score(positive, p[:, c])
            assert metrics.auroc(positive, p[:, c]) == pytest.approx(expected, **SAME)
        else:
            assert np.isnan(metrics.auroc(positive, p[:, c]))
        if positive.any():
            expected = reference.average_precision_score(positive, p[:, c])
            assert auprc(positive, p[:, c]) == pytest.approx(expected, **SAME)
        else:
            assert np.isnan(auprc(positive, p[:, c]))


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_weighted_areas_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.arange(40) % 3 == 0
    score = rng.integers(0, 12, 40) / 12 if seed % 2 else rng.normal(size=40)
    weights = rng.integers(0, 4, (5, 40)).astype(float)
    ties = metrics.tie_sums(metrics.rank(positive, score), weights)
    roc, precision_recall = metrics.roc_area(ties), metrics.average_precision(ties)
    for i, row in enumerate(weights):
        expected = reference.roc_auc_score(positive, score, sample_weight=row)
        assert roc[i] == pytest.approx(expected, **SAME)
        expected = reference.average_precision_score(positive, score, sample_weight=row)
        assert precision_recall[i] == pytest.approx(expected, **SAME)


def test_auroc_is_the_mann_whitney_statistic() -> None:
    rng = np.random.default_rng(3)
    positive, score = rng.random(50) < 0.4, rng.integers(0, 9, 50).astype(float)
    yes, no = score[positive], score[~positive]
    pairs = (yes[:, None] > no).sum() + (yes[:, None] == no).sum() / 2
    assert metrics.auroc(positive, score) == pytest.approx(pairs / (len(yes) * len(no)), **SAME)
    assert metrics.auroc(positive, np.zeros(50)) == 0.5
    assert auprc(positive, np.zeros(50)) == pytest.approx(positive.mean(), **SAME)
    assert metrics.auroc(positive, positive.astype(float)) == 1
    assert metrics.auroc(~positive, positive.astype(float)) == 0


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_losses_equal_scikit_learn(seed: int) -> None:
    labels, p, classes = draw(seed)
    names = list(range(classes))
    expected = reference.log_loss(labels, p, labels=names)
    assert metrics.log_loss(labels, p) == pytest.approx(expected, rel=1e-12)
    brier = reference.brier_score_loss(labels, p, labels=names, scale_by_half=False)
    each = metrics.squared_errors(labels, p).mean(0)
    assert each.sum() == pytest.approx(brier, rel=1e-12, abs=1e-12)
    one = quiet(reference.brier_score_loss, labels == 0, p[:, 0], pos_label=True)
    assert each[0] == pytest.approx(one, rel=1e-12, abs=1e-12)


def test_log_loss_of_an_impossible_truth_is_finite_and_known() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert metrics.log_loss(np.array([1, 0]), p) == pytest.approx(-np.log(2.0**-52) / 2)
    assert metrics.squared_errors(np.array([1, 0]), p).tolist() == [[1, 1], [0, 0]]


def test_nothing_divided_by_nothing_is_nan() -> None:
    only_first = np.array([[5, 0], [0, 0]])
    assert np.isnan(metrics.sensitivity(only_first)).tolist() == [False, True]
    assert np.isnan(metrics.specificity(only_first)).tolist() == [True, False]
    assert np.isnan(metrics.precision(only_first)).tolist() == [False, True]
    assert np.isnan(metrics.npv(only_first)).tolist() == [True, False]
    assert np.isnan(metrics.f1(only_first)).tolist() == [False, True]
    assert metrics.balanced_accuracy(only_first) == 1
    never_named = np.array([[5, 0], [3, 0]])
    assert metrics.f1(never_named)[1] == 0
    assert np.isnan(metrics.macro(metrics.precision(never_named), never_named.sum(1)))
    assert np.isnan(metrics.accuracy(np.zeros((3, 3))))


def test_matrices_may_be_stacked() -> None:
    stack = np.random.default_rng(0).integers(1, 30, (4, 5, 3, 3))
    for metric in (metrics.sensitivity, metrics.f1, metrics.mcc, metrics.kappa, metrics.accuracy):
        assert metric(stack)[2, 3] == pytest.approx(metric(stack[2, 3]), **SAME)
    assert metrics.micro(metrics.npv, stack).shape == (4, 5)


def test_ranges_and_directions_of_every_row() -> None:
    """Perfect predictions reach each metric's best value, and spoiling them never helps."""
    labels = np.arange(60) % 3
    perfect, wrong = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
    best, worst = (_values(labels, p) for p in (perfect, wrong))
    for name, row in METRICS.items():
        assert best[row.key] == pytest.approx(1 if row.higher_is_better else 0, abs=1e-12), name
        above, below = (best, worst) if row.higher_is_better else (worst, best)
        assert above[row.key] > below[row.key], name
        assert row.definition
        assert row.function.__doc__
    assert len(METRICS) == 14


def _values(labels: np.ndarray, p: np.ndarray) -> dict[tuple[str, str], float]:
    """Every score of these images, each of another patient, by its name and class."""
    number = np.arange(len(labels))
    sample = SeedPredictions(labels, p, number, np.zeros_like(number), number.astype(object))
    summary = resampled.summarise(sample, [str(c) for c in range(p.shape[1])], len(labels))
    values = resampled.all_metrics(summary, np.ones((1, len(labels))))
    return {key: float(value[0]) for key, value in values.items()}


def test_study_000s_printed_legend_is_not_recall() -> None:
    """El Azhari 2022, figure 4 and equation 1: the two readings of its legend on one matrix."""
    covid_right, covid_wrong, other_right, other_wrong = 90, 20, 70, 10  # by predicted class
    matrix = np.array([[covid_right, other_wrong], [covid_wrong, other_right]])  # truth x said
    # consistent: named after what was said, T and F after whether it is right
    assert metrics.sensitivity(matrix)[0] == covid_right / (covid_right + other_wrong) == 0.9
    # as printed: n-Covid_T is "TP" and Covid_T "FN", so that TP / (TP + FN) mixes the two classes
    printed = other_right / (other_right + covid_right)
    right = metrics.confusion(np.array([0] * 90 + [1] * 70), np.zeros(160, int), 2)
    assert (
        printed == right[1, 0] / right[:, 0].sum() == 0.4375
    )  # a share of true answers: no recall


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        test_per_class_figures_equal_scikit_learn,
        test_overall_figures_equal_scikit_learn,
        test_averages_equal_scikit_learn_where_defined,
        test_areas_equal_scikit_learn,
        test_losses_equal_scikit_learn,
    ],
)
def test_ten_thousand_random_cases(check: Callable[[], None]) -> None:
    for seed in range(2000):
        check.hypothesis.inner_test(seed)  # type: ignore[attr-defined]
