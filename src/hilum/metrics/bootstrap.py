"""The bootstrap by patient: draws as weights, so that thousands of replicates are a few products.

A replicate is a row of weights (patient,): how often each patient was drawn. Images of one patient
come and go together, as they would in a new sample of patients.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from hilum.metrics.intervals import LEVEL

Array: TypeAlias = npt.NDArray[np.float64]
Statistic: TypeAlias = Callable[[Array], Array]  # (replicate, patient) -> (replicate, figure)
REPLICATES = 2000
CELLS = 2**21  # weights held at a time: 16 MB


def draws(patients: int, replicates: int, rng: np.random.Generator) -> Array:
    """(replicate, patient): how often each patient is drawn, with replacement."""
    picked = rng.integers(0, patients, (replicates, patients))
    picked += patients * np.arange(replicates)[:, None]
    counts = np.bincount(picked.ravel(), minlength=replicates * patients)
    return counts.reshape(replicates, patients).astype(np.float64)


def chunks(replicates: int, width: int) -> list[int]:
    """Sizes of the portions in which `replicates` rows of `width` cells fit the memory."""
    portion = max(1, CELLS // max(1, width))
    whole, rest = divmod(replicates, portion)
    return [portion] * whole + [rest] * (rest > 0)


def replicate(
    statistic: Statistic,
    patients: int,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    width: int | None = None,
) -> Array:
    """(replicate, figure): the statistic of each resample of the patients.

    `width` is how many cells the statistic holds per replicate (default: one per patient); it
    bounds the memory and changes no result. Efron 1979, doi:10.1214/aos/1176344552.
    """
    portions = chunks(replicates, width or patients)
    return np.concatenate([statistic(draws(patients, size, rng)) for size in portions])


def jackknife(statistic: Statistic, patients: int) -> Array:
    """(patient, figure): the statistic without each patient in turn."""
    out, start = [], 0
    for size in chunks(patients, patients):
        weights = np.ones((size, patients))
        weights[np.arange(size), start + np.arange(size)] = 0
        out.append(statistic(weights))
        start += size
    return np.concatenate(out)


def percentile(replicates: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Ends (figure,) of the percentile interval of (replicate, figure).

    Replicates without a value (a rare class not drawn) are left out; where they are more than half,
    both ends are nan.
    """
    return _quantiles(replicates, np.full(replicates.shape[1], (1 - level) / 2))


def basic(value: Array, replicates: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Ends (figure,) of the basic interval: the percentile interval mirrored at the value.

    It undoes the bias of figures such as calibration errors, which resampling enlarges once more.
    Davison & Hinkley 1997, doi:10.1017/CBO9780511802843, section 5.2.
    """
    low, high = percentile(replicates, level)
    return 2 * value - high, 2 * value - low


def bca(
    value: Array, replicates: Array, left_out: Array, level: float = LEVEL
) -> tuple[Array, Array]:
    """Ends (figure,) of the bias-corrected and accelerated interval.

    `value` is (figure,), `replicates` (replicate, figure), `left_out` (patient, figure) as from
    `jackknife`. Efron 1987, doi:10.1080/01621459.1987.10478410.
    """
    count = len(replicates)
    below = (replicates < value).sum(0) + (replicates == value).sum(0) / 2
    bias = ndtri(np.clip(below / count, 0.5 / count, 1 - 0.5 / count))
    apart = np.nanmean(left_out, axis=0) - left_out
    spread = np.nansum(apart**2, axis=0) ** 1.5
    pull = np.divide(
        np.nansum(apart**3, axis=0), 6 * spread, out=np.zeros_like(spread), where=spread > 0
    )
    z = ndtri((1 - level) / 2)
    tails = [ndtr(bias + (bias + side) / (1 - pull * (bias + side))) for side in (z, -z)]
    return _quantiles(replicates, tails[0], tails[1])


def _quantiles(replicates: Array, lower: Array, upper: Array | None = None) -> tuple[Array, Array]:
    """Quantile `lower` (default mirror: 1 - lower) of each column's defined replicates."""
    upper = 1 - lower if upper is None else upper
    low, high = np.full(lower.shape, np.nan), np.full(lower.shape, np.nan)
    for i, column in enumerate(replicates.T):
        defined = column[~np.isnan(column)]
        if 2 * len(defined) > len(column):
            low[i], high[i] = np.quantile(defined, [lower[i], upper[i]])
    return low, high
