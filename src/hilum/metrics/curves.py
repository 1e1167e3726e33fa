"""The points of the figures that a report draws, as tables; folds and seeds are pooled."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hilum.metrics import calibration, metrics
from hilum.metrics.predictions import read_predictions
from hilum.types import HilumError, require_columns

HISTOGRAM_BINS = 20


def confusion_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Counts of one cell's predictions: rows (index) are the truth, columns the prediction."""
    counts = sum(
        metrics.confusion(seed.labels, seed.predicted, len(classes))
        for seed in read_predictions(predictions, classes).seeds
    )
    return pd.DataFrame(
        counts,
        index=pd.Index(list(classes), name="truth"),
        columns=pd.Index(list(classes), name="prediction"),
    )


def roc_points(predictions: pd.DataFrame, class_: str) -> pd.DataFrame:
    """Columns class, false_positive_rate, true_positive_rate, threshold (positive: p >= threshold).

    One point per distinct probability, from (0, 0) at infinity to (1, 1); a rate is nan where the
    class, or every other, has no image. Fawcett 2006, doi:10.1016/j.patrec.2005.10.010.
    """
    tp, fp, thresholds = _cumulated(predictions, class_)
    rates = {
        "class": class_,
        "false_positive_rate": metrics.ratio(np.append(0, fp), fp[-1]),
        "true_positive_rate": metrics.ratio(np.append(0, tp), tp[-1]),
        "threshold": np.append(np.inf, thresholds),
    }
    return pd.DataFrame(rates)


def pr_points(predictions: pd.DataFrame, class_: str) -> pd.DataFrame:
    """Columns class, recall, precision, threshold (positive: p >= threshold).

    One point per distinct probability, falling; starts at recall 0 with the first point's
    precision, so that no precision is shown that was not seen. Davis & Goadrich 2006,
    doi:10.1145/1143844.1143874.
    """
    tp, fp, thresholds = _cumulated(predictions, class_)
    precision = metrics.ratio(tp, tp + fp)
    points = {
        "class": class_,
        "recall": np.append(0, metrics.ratio(tp, tp[-1])),
        "precision": np.append(precision[0], precision),
        "threshold": np.append(np.inf, thresholds),
    }
    return pd.DataFrame(points)


def reliability_curve(
    predictions: pd.DataFrame, classes: Sequence[str], bins: int = calibration.BINS
) -> pd.DataFrame:
    """One row per bin of the winning class's probability, see `reliability_bins`."""
    seeds = read_predictions(predictions, classes).seeds
    confidence = np.concatenate([seed.p.max(1) for seed in seeds])
    right = np.concatenate([seed.predicted == seed.labels for seed in seeds])
    return calibration.reliability_bins(confidence, right, bins)


def score_histogram(
    predictions: pd.DataFrame, class_: str, bins: int = HISTOGRAM_BINS
) -> pd.DataFrame:
    """How a class's probability is spread over its own images and over all others.

    Columns class, left, right, truth ("own" or "other") and n, one row per truth and bin.
    """
    positive, p = _one_class(predictions, class_)
    borders = np.linspace(0, 1, bins + 1)
    where = calibration.bin_of(p, borders)
    parts = [
        pd.DataFrame(
            {
                "class": class_,
                "left": borders[:-1],
                "right": borders[1:],
                "truth": truth,
                "n": np.bincount(where[members], minlength=bins),
            }
        )
        for truth, members in (("own", positive), ("other", ~positive))
    ]
    return pd.concat(parts, ignore_index=True)


def _one_class(predictions: pd.DataFrame, class_: str) -> tuple[metrics.Bools, metrics.Array]:
    """Truth and probability (image,) of one class. Raises HilumError for what has no curve."""
    require_columns(predictions, ("label", f"p_{class_}"), "a predictions table")
    p = predictions[f"p_{class_}"].to_numpy(dtype=np.float64)
    labels = predictions["label"]
    bad = int((~np.isfinite(p) | labels.isna().to_numpy()).sum())
    if bad or not len(p):
        raise HilumError(
            f"a curve of '{class_}' needs images with a label and a probability; got {len(p)}, "
            f"{bad} of them without; leave these out."
        )
    return (labels == class_).to_numpy(dtype=bool), p


def _cumulated(
    predictions: pd.DataFrame, class_: str
) -> tuple[metrics.Array, metrics.Array, metrics.Array]:
    """True positives, false positives (threshold,) at each distinct probability, falling."""
    positive, p = _one_class(predictions, class_)
    values, where = np.unique(-p, return_inverse=True)
    tp = np.bincount(where, positive, len(values)).cumsum()
    return tp, np.bincount(where, ~positive, len(values)).cumsum(), -values
