"""Do probabilities mean what they say: calibration errors and reliability."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.metrics.intervals import wilson
from hilum.types import HilumError

Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
BINS = 15  # Guo et al. 2017


def edges(confidence: Array, bins: int = BINS, mass: bool = False) -> Array:
    """(bin + 1,) borders from 0 to 1: of equal width, or such that each bin has as many images.

    Equal confidences never part, so bins of equal mass may be fewer than asked.
    """
    if bins < 1:
        raise HilumError(f"calibration needs at least one bin; got {bins}; ask for 10 or 15.")
    if not mass or not len(confidence):
        return np.linspace(0, 1, bins + 1)
    # a border is the first value of its bin, so that ties stay together
    ordered = np.sort(confidence)
    inner = ordered[len(ordered) * np.arange(1, bins) // bins]
    return np.unique(np.concatenate([[0.0], inner, [1.0]]))


def bin_of(confidence: Array, borders: Array) -> npt.NDArray[np.int64]:
    """(image,) number of the bin [left, right) of each confidence; 1 belongs to the last."""
    inside = np.searchsorted(borders, confidence, side="right") - 1
    return np.clip(inside, 0, len(borders) - 2).astype(np.int64)


def ece(confidence: Array, right: Bools, bins: int = BINS, mass: bool = False) -> float:
    """Expected calibration error: mean |share right - mean confidence| of the bins, by their size.

    `confidence` and `right` are (image,); nan without images. Biased upwards in small samples.
    Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599.
    """
    if not len(confidence):
        return float("nan")
    borders = edges(confidence, bins, mass)
    gaps = np.bincount(bin_of(confidence, borders), right - confidence, len(borders) - 1)
    return float(np.abs(gaps).sum() / len(confidence))


def reliability_bins(
    confidence: Array, right: Bools, bins: int = BINS, mass: bool = False
) -> pd.DataFrame:
    """One row per bin: left, right, confidence (mean), k of n right, accuracy, low, high (Wilson).

    `confidence` and `right` are (image,). Empty bins stay, with n = 0 and nan.
    """
    borders = edges(confidence, bins, mass)
    where = bin_of(confidence, borders)
    n = np.bincount(where, minlength=len(borders) - 1)
    k = np.bincount(where[right], minlength=len(n))
    ends = np.array([wilson(int(a), int(b)) for a, b in zip(k, n, strict=True)])
    total = np.bincount(where, confidence, len(n))
    nan = np.full(len(n), np.nan)
    return pd.DataFrame(
        {
            "left": borders[:-1],
            "right": borders[1:],
            "confidence": np.divide(total, n, out=nan.copy(), where=n > 0),
            "k": k,
            "n": n,
            "accuracy": np.divide(k, n, out=nan.copy(), where=n > 0),
            "low": ends[:, 0],
            "high": ends[:, 1],
        }
    )
