"""Metrics as pure functions of confusion matrices, of rankings and of probabilities.

Anything divided by zero is nan, never 0 or 1: "no image of this class" is not "none was found".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

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


def confusion(labels: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """(image,) truth and prediction -> counts (class, class); rows are the truth."""
    cells = np.bincount(labels * classes + predicted, minlength=classes**2)
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
    """(..., class) TP / (TP + FN), also called recall; nan for a class without images.

    Altman & Bland 1994, doi:10.1136/bmj.308.6943.1552.
    """
    c = one_vs_rest(matrix)
    return ratio(c.tp, c.tp + c.fn)


def specificity(matrix: Counts) -> Array:
    """(..., class) TN / (TN + FP); nan where every image is of the class.

    Altman & Bland 1994, doi:10.1136/bmj.308.6943.1552.
    """
    c = one_vs_rest(matrix)
    return ratio(c.tn, c.tn + c.fp)


def precision(matrix: Counts) -> Array:
    """(..., class) TP / (TP + FP), the positive predictive value; nan for a class never named.

    Altman & Bland 1994, doi:10.1136/bmj.309.6947.102.
    """
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
    """(...) mean sensitivity of the classes that have images.

    Brodersen et al. 2010, doi:10.1109/ICPR.2010.764.
    """
    return macro(sensitivity(matrix), np.asarray(matrix).sum(-1))


def mcc(matrix: Counts) -> Array:
    """(...) Matthews correlation, multiclass R_K; nan where truth or prediction is constant.

    Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006.
    """
    total, chance, truth, predicted = _margins(matrix)
    spread = np.sqrt(total**2 - (truth**2).sum(-1)) * np.sqrt(total**2 - (predicted**2).sum(-1))
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
    truth, predicted = counts.sum(-1), counts.sum(-2)
    return truth.sum(-1), (truth * predicted).sum(-1), truth, predicted


def macro(each: Array, support: Array) -> Array:
    """Values and images of each class (..., class) -> the mean over the classes with images (...).

    nan where one of these has no value.
    """
    present = support > 0
    return ratio(np.where(present, each, 0.0).sum(-1), present.sum(-1))


def weighted(each: Array, support: Array) -> Array:
    """The same, weighed by the images of each class."""
    total = np.where(support > 0, each * support, 0.0).sum(-1)
    return ratio(total, support.sum(-1))


def micro(metric: Callable[[Counts], Array], matrix: Counts) -> Array:
    """(...) the metric of all classes' one-versus-rest counts added up.

    Sokolova & Lapalme 2009, doi:10.1016/j.ipm.2009.03.002.
    """
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


class TieSums(NamedTuple):
    """Weights of the images at each distinct score, from the lowest up: all that a curve needs."""

    positive: Array  # (..., tie)
    negative: Array  # (..., tie)
    below: Array  # (..., tie) of negatives at or below this score
    positives: Array  # (...) of all positives
    negatives: Array  # (...) of all negatives


def tie_sums(ranking: Ranking, weights: Array) -> TieSums:
    """(..., image) weights summed over the images of one score."""
    every = weights[..., ranking.order]
    positive = every * ranking.positive
    if len(ranking.starts) < len(ranking.order):
        positive = np.add.reduceat(positive, ranking.starts, axis=-1)
        every = np.add.reduceat(every, ranking.starts, axis=-1)
    negative = every - positive
    return TieSums(positive, negative, negative.cumsum(-1), positive.sum(-1), negative.sum(-1))


def roc_area(ties: TieSums) -> Array:
    """(...) area under the ROC curve; images of one score count one half.

    Mann & Whitney 1947, doi:10.1214/aoms/1177730491.
    """
    wins = ties.positive * (ties.below - ties.negative / 2)
    return ratio(wins.sum(-1), ties.positives * ties.negatives)


def average_precision(ties: TieSums) -> Array:
    """(...) precision at each distinct score, weighed by the recall it adds; nan without positives.

    Not interpolated, so not too high. Davis & Goadrich 2006, doi:10.1145/1143844.1143874.
    """
    # at or above each distinct score
    true = ties.positives[..., None] - ties.positive.cumsum(-1) + ties.positive
    named = true + ties.negatives[..., None] - ties.below + ties.negative
    precise = np.divide(true, named, out=np.zeros_like(true), where=named > 0)
    return ratio((ties.positive * precise).sum(-1), ties.positives)


def roc_areas(ranking: Ranking, weights: Array) -> Array:
    """(..., image) weights -> areas (...) under the ROC curve."""
    return roc_area(tie_sums(ranking, weights))


def auroc(positive: Bools, score: Array) -> float:
    """Area under the ROC curve: P(score of a positive > of a negative) + P(equal) / 2.

    `positive` and `score` are (image,); nan where one kind is missing. Mann & Whitney 1947,
    doi:10.1214/aoms/1177730491; Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    return float(roc_areas(rank(positive, score), np.ones(len(score))))


# --- of probabilities (image, class) --------------------------------------------------------------


def squared_errors(labels: Labels, p: Probabilities) -> Array:
    """(image, class) squared distance between probability and truth.

    Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    return (p - np.eye(p.shape[1])[labels]) ** 2


def surprisals(labels: Labels, p: Probabilities) -> Array:
    """(image,) -log of the true class's probability, in nats; held below 36.05 (p = 2.2e-16).

    Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x.
    """
    return -np.log(np.clip(p[np.arange(len(labels)), labels], SMALLEST, 1.0))


def log_loss(labels: Labels, p: Probabilities) -> float:
    """Mean surprisal of the truth in nats; `p` is (image, class)."""
    return float(surprisals(labels, p).mean())


def calibration_gaps(labels: Labels, p: Probabilities) -> Array:
    """(image, bin) right (0 or 1) less the winning class's probability, in the bin of that.

    15 bins of equal width. Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602; Guo et al. 2017,
    arXiv:1706.04599.
    """
    confidence, right = p.max(1), p.argmax(1) == labels
    bins = np.eye(calibration.BINS)[calibration.bin_of(confidence, calibration.edges(confidence))]
    return np.asarray(bins * (right - confidence)[:, None])
