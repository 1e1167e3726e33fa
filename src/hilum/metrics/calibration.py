"""Do probabilities mean what they say: calibration errors and logistic recalibration."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from hilum.metrics.intervals import LEVEL, Interval, quantile, wilson
from hilum.types import HilumError

Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
BINS = 15  # Guo et al. 2017
NEAR = 1e-12  # probabilities are held this far from 0 and 1 before a logit
STEPS = 50  # Newton converges in about eight


# --- bins -----------------------------------------------------------------------------------------


def edges(confidence: Array, bins: int = BINS, mass: bool = False) -> Array:
    """(bin + 1,) borders from 0 to 1: of equal width, or such that each bin has as many images.

    Equal confidences never part, so bins of equal mass may be fewer than asked.
    """
    if bins < 1:
        raise HilumError(f"calibration wants at least one bin; got {bins}; ask for 10 or 15.")
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


def reliability(
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


# --- logistic recalibration -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recalibration:
    """logit P(positive) = intercept + slope * logit p, and the intercept at slope 1.

    Slope below 1: too confident. `in_the_large` above 0: probabilities too low on average. Wald
    intervals; all nan where the classes can be separated, so that no finite answer exists.
    """

    slope: float
    slope_interval: Interval
    intercept: float
    intercept_interval: Interval
    in_the_large: float
    in_the_large_interval: Interval


def recalibration(positive: Bools, p: Array, level: float = LEVEL) -> Recalibration:
    """Calibration slope and intercepts of one class's probability (image,).

    Cox 1958, doi:10.1093/biomet/45.3-4.562; Van Calster et al. 2019,
    doi:10.1186/s12916-019-1466-7.
    """
    score = logit(np.clip(p, NEAR, 1 - NEAR))
    both, spread = _newton(positive, np.stack([np.ones_like(score), score], 1), np.zeros_like(p))
    large, large_spread = _newton(positive, np.ones((len(p), 1)), score)
    z = quantile(level)

    def around(value: float, error: float) -> Interval:
        return Interval(value - z * error, value + z * error)

    return Recalibration(
        float(both[1]), around(float(both[1]), float(spread[1])),
        float(both[0]), around(float(both[0]), float(spread[0])),
        float(large[0]), around(float(large[0]), float(large_spread[0])),
    )  # fmt: skip


def _newton(positive: Bools, X: Array, offset: Array) -> tuple[Array, Array]:
    """Maximum likelihood coefficients of a logistic model and their standard errors, or nan."""
    nowhere = np.full(X.shape[1], np.nan)
    beta = np.zeros(X.shape[1])
    for _ in range(STEPS):
        p = expit(X @ beta + offset)
        information = X.T @ (X * (p * (1 - p))[:, None])
        if not len(X) or np.linalg.cond(information) > 1e12:
            return nowhere, nowhere
        step = np.linalg.solve(information, X.T @ (positive - p))
        # halve until the likelihood does not fall: plain Newton can overshoot
        while (
            _likelihood(positive, X @ (beta + step) + offset)
            < _likelihood(positive, X @ beta + offset) - 1e-9
        ):
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return nowhere, nowhere


def _likelihood(positive: Bools, score: Array) -> float:
    return float(-np.logaddexp(0, np.where(positive, -score, score)).sum())
