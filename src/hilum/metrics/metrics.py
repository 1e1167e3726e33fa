"""Metrics as pure functions of confusion matrices, of rankings and of probabilities.

Anything divided by zero is nan, never 0 or 1: "no image of this class" is not "none was found".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.metrics import calibration
from hilum.types import Labels, Probabilities

Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Counts: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]  # (..., class, class)
SMALLEST = float(np.finfo(np.float64).eps)  # probabilities are held above this before a logarithm


def ratio(top: npt.ArrayLike, bottom: npt.ArrayLike) -> Array:
    """`top / bottom` elementwise, nan where `bottom` is 0."""
    above, below = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


# --- of confusion matrices (..., class, class): rows are the truth, columns the prediction --------


def confusion(labels: Labels, said: Labels, classes: int) -> npt.NDArray[np.int64]:
    """(image,) truth and prediction -> counts (class, class); rows are the truth."""
    cells = np.bincount(labels * classes + said, minlength=classes**2)
    return cells.reshape(classes, classes).astype(np.int64)


class OneVsRest(NamedTuple):
    """Counts of each class against all others, (..., class) each."""

    tp: Array
    fp: Array
    fn: Array
    tn: Array


def one_vs_rest(matrix: Counts) -> OneVsRest:
    """(..., class, class) -> true and false positives and negatives of each class."""
    counts = np.asarray(matrix, float)
    tp = np.diagonal(counts, axis1=-2, axis2=-1)
    fn, fp = counts.sum(-1) - tp, counts.sum(-2) - tp
    return OneVsRest(tp, fp, fn, counts.sum((-2, -1))[..., None] - tp - fp - fn)


def sensitivity(matrix: Counts) -> Array:
    """(..., class) TP / (TP + FN), also called recall; nan for a class without images."""
    c = one_vs_rest(matrix)
    return ratio(c.tp, c.tp + c.fn)


def specificity(matrix: Counts) -> Array:
    """(..., class) TN / (TN + FP); nan where every image is of the class."""
    c = one_vs_rest(matrix)
    return ratio(c.tn, c.tn + c.fp)


def precision(matrix: Counts) -> Array:
    """(..., class) TP / (TP + FP), the positive predictive value; nan for a class never named."""
    c = one_vs_rest(matrix)
    return ratio(c.tp, c.tp + c.fp)


def npv(matrix: Counts) -> Array:
    """(..., class) TN / (TN + FN), negative predictive value; nan for a class always named."""
    c = one_vs_rest(matrix)
    return ratio(c.tn, c.tn + c.fn)


def f1(matrix: Counts) -> Array:
    """(..., class) 2 TP / (2 TP + FP + FN); nan for a class neither there nor named."""
    c = one_vs_rest(matrix)
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def accuracy(matrix: Counts) -> Array:
    """(...) share of all images that are classified correctly."""
    return ratio(np.trace(matrix, axis1=-2, axis2=-1), np.asarray(matrix).sum((-2, -1)))


def balanced_accuracy(matrix: Counts) -> Array:
    """(...) mean sensitivity of the classes that have images."""
    return macro(sensitivity, matrix)


def mcc(matrix: Counts) -> Array:
    """(...) Matthews correlation, multiclass R_K; nan where truth or prediction is constant.

    Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006.
    """
    total, chance, truth, said = _margins(matrix)
    spread = np.sqrt(total**2 - (truth**2).sum(-1)) * np.sqrt(total**2 - (said**2).sum(-1))
    return ratio(np.trace(matrix, axis1=-2, axis2=-1) * total - chance, spread)


def kappa(matrix: Counts) -> Array:
    """(...) Cohen's kappa; nan where truth and prediction are one and the same class.

    Cohen 1960, doi:10.1177/001316446002000104.
    """
    total, chance, _, _ = _margins(matrix)
    right = np.trace(matrix, axis1=-2, axis2=-1)
    return ratio(right * total - chance, total**2 - chance)


def _margins(matrix: Counts) -> tuple[Array, Array, Array, Array]:
    """Total (...), sum of the products of the margins (...), and both margins (..., class)."""
    counts = np.asarray(matrix, float)
    truth, said = counts.sum(-1), counts.sum(-2)
    return truth.sum(-1), (truth * said).sum(-1), truth, said


def macro(metric: Callable[[Counts], Array], matrix: Counts) -> Array:
    """(...) mean over the classes that have images; nan where one of these has no value."""
    present = np.asarray(matrix).sum(-1) > 0
    return ratio(np.where(present, metric(matrix), 0.0).sum(-1), present.sum(-1))


def weighted(metric: Callable[[Counts], Array], matrix: Counts) -> Array:
    """(...) mean over the classes, weighed by their images; nan where one of these has no value."""
    support = np.asarray(matrix, float).sum(-1)
    total = np.where(support > 0, metric(matrix) * support, 0.0).sum(-1)
    return ratio(total, support.sum(-1))


def micro(metric: Callable[[Counts], Array], matrix: Counts) -> Array:
    """(...) the metric of all classes' one-versus-rest counts added up."""
    tp, fp, fn, tn = (part.sum(-1) for part in one_vs_rest(matrix))
    pooled = np.stack([np.stack([tn, fp], -1), np.stack([fn, tp], -1)], -2)
    return metric(pooled)[..., 1]


# --- of rankings: positive (image,) and score (image,) ------------------------------------------


@dataclass(frozen=True, slots=True)
class Ranking:
    """Images in the order of their score: `order` (image,), positives in it, starts of the ties."""

    order: npt.NDArray[np.int64]
    positive: Bools
    starts: npt.NDArray[np.int64]


def rank(positive: Bools, score: Array) -> Ranking:
    """Sort once, so that areas for many weights (replicate, image) cost one pass each."""
    order = np.argsort(score, kind="stable")
    new = np.diff(score[order], prepend=-np.inf) != 0
    return Ranking(order, np.asarray(positive, bool)[order], np.flatnonzero(new))


def areas(ranking: Ranking, weights: Array) -> tuple[Array, Array]:
    """(..., image) weights -> areas (...) under the ROC curve and under the precision-recall curve.

    Ties count one half in the first; the second is the average precision.
    """
    positive, negative = _tie_sums(ranking, weights)
    below = negative.cumsum(-1)
    yes, no = positive.sum(-1), negative.sum(-1)
    roc = ratio((positive * (below - negative / 2)).sum(-1), yes * no)
    # from here on: at or above each distinct score
    found = yes[..., None] - positive.cumsum(-1) + positive
    named = found + no[..., None] - below + negative
    precise = np.divide(found, named, out=np.zeros_like(found), where=named > 0)
    return roc, ratio((positive * precise).sum(-1), yes)


def _tie_sums(ranking: Ranking, weights: Array) -> tuple[Array, Array]:
    """Weight of positives and of negatives at each distinct score, rising: (..., tie) each."""
    every = weights[..., ranking.order]
    positive = every * ranking.positive
    if len(ranking.starts) < len(ranking.order):
        positive = np.add.reduceat(positive, ranking.starts, axis=-1)
        every = np.add.reduceat(every, ranking.starts, axis=-1)
    return positive, every - positive


def auroc(positive: Bools, score: Array) -> float:
    """Area under the ROC curve: P(score of a positive > of a negative) + P(equal) / 2.

    `positive` and `score` are (image,); nan where one kind is missing. Mann & Whitney 1947,
    doi:10.1214/aoms/1177730491; Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    return float(areas(rank(positive, score), np.ones(len(score)))[0])


def auprc(positive: Bools, score: Array) -> float:
    """Average precision: precision at each distinct score, weighed by the recall it adds.

    `positive` and `score` are (image,); nan without positives. Not interpolated, so not too high.
    """
    return float(areas(rank(positive, score), np.ones(len(score)))[1])


# --- of probabilities (image, class) --------------------------------------------------------------


def squared_errors(labels: Labels, p: Probabilities) -> Array:
    """(image, class) squared distance between probability and truth."""
    return (p - np.eye(p.shape[1])[labels]) ** 2


def surprisals(labels: Labels, p: Probabilities) -> Array:
    """(image,) -log of the true class's probability, in nats; held below 36.05 (p = 2.2e-16)."""
    return -np.log(np.clip(p[np.arange(len(labels)), labels], SMALLEST, 1.0))


def brier(labels: Labels, p: Probabilities) -> float:
    """Mean over the images of the squared error summed over the classes: 0 best, 2 worst.

    `p` is (image, class). Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    return float(squared_errors(labels, p).sum(1).mean())


def log_loss(labels: Labels, p: Probabilities) -> float:
    """Mean surprisal of the truth in nats; `p` is (image, class)."""
    return float(surprisals(labels, p).mean())


def ece(labels: Labels, p: Probabilities) -> float:
    """Expected calibration error of the winning class, 15 bins of equal width; `p` (image, class).

    Guo et al. 2017, arXiv:1706.04599.
    """
    return calibration.ece(p.max(1), p.argmax(1) == labels)


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is: its function, what that takes, what it means, and how to read it.

    Kinds: "proportion" (k of n images, from a confusion matrix), "counts" (another function of the
    matrix), "curve" (positive, score), "probabilities" (labels, p). Scopes: one figure per "class",
    or one "overall".
    """

    function: Callable[..., Any]
    kind: Literal["proportion", "counts", "curve", "probabilities"]
    scope: Literal["class", "overall"]
    meaning: str
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "proportion", "overall", "share of all images that are right"),
    "balanced_accuracy": Metric(
        balanced_accuracy, "counts", "overall", "mean sensitivity of the classes"
    ),
    "sensitivity": Metric(
        sensitivity, "proportion", "class", "share of the class's images that are found"
    ),
    "specificity": Metric(
        specificity, "proportion", "class", "share of the other images that are not so named"
    ),
    "precision": Metric(
        precision, "proportion", "class", "share of the images so named that are of the class"
    ),
    "npv": Metric(
        npv, "proportion", "class", "share of the images not so named that are not of the class"
    ),
    "f1": Metric(f1, "counts", "class", "harmonic mean of precision and sensitivity"),
    "auroc": Metric(
        auroc, "curve", "class", "chance that an image of the class scores above another image"
    ),
    "auprc": Metric(auprc, "curve", "class", "mean precision over all sensitivities"),
    "mcc": Metric(mcc, "counts", "overall", "correlation of truth and prediction"),
    "kappa": Metric(kappa, "counts", "overall", "agreement beyond chance"),
    "brier": Metric(
        brier,
        "probabilities",
        "overall",
        "mean squared error of the probabilities",
        higher_is_better=False,
    ),
    "log_loss": Metric(
        log_loss, "probabilities", "overall", "mean surprise at the truth", higher_is_better=False
    ),
    "ece": Metric(
        ece,
        "probabilities",
        "overall",
        "mean distance between confidence and accuracy",
        higher_is_better=False,
    ),
}
