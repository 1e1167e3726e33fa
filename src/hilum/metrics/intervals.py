"""Intervals in closed form: of proportions (Wilson, Clopper-Pearson) and of AUROC (DeLong)."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri

from hilum.types import HilumError

Array: TypeAlias = npt.NDArray[np.float64]
LEVEL = 0.95
# Below so many test images a classifier is not judged: even with all of 30 right the true accuracy
# may be 0.89, and with 20 of 30 anything from 0.49 to 0.81 (Wilson).
FEW_IMAGES = 30
# Below so many images with, or without, a class no rate of it is carried further: with 10 of 10
# right the true share may be 0.72.
FEW_OF_A_CLASS = 10


class Interval(NamedTuple):
    """Lower and upper end; both nan where there is nothing to estimate."""

    low: float
    high: float


NOWHERE = Interval(float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Proportion:
    """k of n, as a value with its Wilson interval; all three nan where n is 0."""

    k: int
    n: int
    value: float
    low: float
    high: float


def quantile(level: float) -> float:
    """Standard normal quantile of a two-sided interval: 0.95 -> 1.96."""
    return float(ndtri(0.5 + level / 2))


def wilson(k: int, n: int, level: float = LEVEL) -> Interval:
    """Score interval of k out of n. Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Raises HilumError unless 0 <= k <= n.
    """
    _check(k, n)
    if n == 0:
        return NOWHERE
    z, share = quantile(level), k / n
    middle = share + z * z / (2 * n)
    spread = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    # the ends are 0 and 1 exactly where k is 0 or n; rounding must not say otherwise
    low = 0.0 if k == 0 else (middle - spread) / scale
    return Interval(low, 1.0 if k == n else (middle + spread) / scale)


def proportion(k: int, n: int, level: float = LEVEL) -> Proportion:
    """k of n with its Wilson interval."""
    low, high = wilson(k, n, level)
    return Proportion(k, n, k / n if n else float("nan"), low, high)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise HilumError(
            f"a proportion needs 0 <= k <= n; got k = {k}, n = {n}; check the counting."
        )


# --- areas under the ROC curve --------------------------------------------------------------------


def midranks(values: Array) -> Array:
    """(image,) ranks from 1, ties share their mean rank."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return np.asarray((last - (counts - 1) / 2)[where])


def delong(positive: npt.NDArray[np.bool_], scores: Array) -> tuple[Array, Array]:
    """Areas (model,) and their covariance (model, model) of scores (model, image).

    DeLong et al. 1988, doi:10.2307/2531595, in the fast form of Sun & Xu 2014,
    doi:10.1109/LSP.2014.2337313. The covariance is nan with fewer than two of either kind.
    """
    yes, no = scores[:, positive], scores[:, ~positive]
    m, n = yes.shape[1], no.shape[1]
    if min(m, n) == 0:
        return np.full(len(scores), np.nan), np.full((len(scores),) * 2, np.nan)
    both = np.stack([midranks(row) for row in np.hstack([yes, no])])
    above = (both[:, :m] - np.stack([midranks(row) for row in yes])) / n  # per positive
    below = 1 - (both[:, m:] - np.stack([midranks(row) for row in no])) / m  # per negative
    if min(m, n) == 1:
        return above.mean(1), np.full((len(scores),) * 2, np.nan)
    spread = np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n
    return above.mean(1), spread


def delong_by_patient(
    positive: npt.NDArray[np.bool_], scores: Array, patients: npt.NDArray[np.int64]
) -> tuple[Array, Array]:
    """The same where a patient has several images, of either kind; `patients` (image,).

    Obuchowski 1997, doi:10.2307/2533958. With one image a patient it is `delong`.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    _, code = np.unique(patients, return_inverse=True)
    groups = [len(np.unique(code[side])) for side in (positive, ~positive)]
    if min(m, n) == 0 or min(groups) < 2:
        return delong(positive, scores)[0], np.full((len(scores),) * 2, np.nan)
    both = np.stack(
        [midranks(row) for row in np.hstack([scores[:, positive], scores[:, ~positive]])]
    )
    above = (both[:, :m] - np.stack([midranks(row) for row in scores[:, positive]])) / n
    below = 1 - (both[:, m:] - np.stack([midranks(row) for row in scores[:, ~positive]])) / m
    areas = above.mean(1)
    own, other = (
        np.stack([np.bincount(code[side], row - area, code.max() + 1)
                  for row, area in zip(parts, areas, strict=True)])
        for side, parts in ((positive, above), (~positive, below))
    )  # fmt: skip
    count = len(np.unique(code))
    spread = groups[0] / (groups[0] - 1) * own @ own.T / m**2
    spread += groups[1] / (groups[1] - 1) * other @ other.T / n**2
    across = count / (count - 1) * own @ other.T / (m * n)
    return areas, spread + across + across.T


def auroc_interval(positive: npt.NDArray[np.bool_], score: Array, level: float = LEVEL) -> Interval:
    """DeLong interval of the area of `score` (image,) on the logit scale; images independent.

    Where DeLong's variance is nought or undefined (perfect separation, all scores tied, a single
    positive) the score interval of Newcombe answers instead, so that no sample claims certainty.
    """
    areas, spread = delong(positive, score[None])
    area, error = float(areas[0]), float(np.sqrt(spread[0, 0]))
    m = int(positive.sum())
    if not error > 0 or area in (0.0, 1.0):
        return newcombe(area, m, len(positive) - m, level)
    step = quantile(level) * error / (area * (1 - area))
    return Interval(float(expit(logit(area) - step)), float(expit(logit(area) + step)))


def newcombe(area: float, positives: int, negatives: int, level: float = LEVEL) -> Interval:
    """Score interval of an area under the ROC curve from the area and the two counts alone.

    Method 5 of Newcombe 2006, doi:10.1002/sim.2324: the variance of Hanley & McNeil 1982,
    doi:10.1148/radiology.143.1.7063747, at the end that is sought, both groups of mean size.
    """
    if min(positives, negatives) == 0 or np.isnan(area):
        return NOWHERE
    z2, star = quantile(level) ** 2, (positives + negatives) / 2 - 1

    def gap(theta: float) -> float:
        shape = 1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)
        variance = theta * (1 - theta) * shape / (positives * negatives)
        return float((area - theta) ** 2 - z2 * variance)

    nearly = 1e-12  # theta = area is a root too where the area is 0 or 1: step off it
    low = 0.0 if area == 0 else float(brentq(gap, 0.0, min(area, 1 - nearly)))
    return Interval(low, 1.0 if area == 1 else float(brentq(gap, max(area, nearly), 1.0)))
