"""Two classifiers on the same images: paired differences, their intervals and their tests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import bdtr, ndtr

from hilum.metrics import bootstrap, intervals, resampled
from hilum.metrics.intervals import Interval
from hilum.metrics.metrics import Array, Bools
from hilum.metrics.predictions import CellPredictions, read_predictions
from hilum.metrics.registry import METRICS, classes_of
from hilum.metrics.shares import right_of_counted
from hilum.types import HilumError


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both classifiers, second minus first, and how sure the difference is.

    `p` tests "no difference"; `p_holm` corrects it for all rows of the comparison.
    """

    name: str
    class_: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    method: str


def compare_paired(
    first: pd.DataFrame, second: pd.DataFrame, classes: Sequence[str], seed: int = 0
) -> list[Difference]:
    """Differences of two predictions tables (one cell each) over the very same images.

    Shares of images are tested by McNemar (mid-p), AUROC of a class by DeLong, where both tables
    hold one seed and one image per patient; everything else by the bootstrap by patient, which
    draws the same patients for both and the seeds of each apart. Raises HilumError where the images
    or their labels differ.
    """
    ordered = [table.sort_values("sample_id", kind="stable") for table in (first, second)]
    pair = [read_predictions(table, classes) for table in ordered]
    _same_images(ordered[0], ordered[1])
    values, replicates = _bootstrap(pair, np.random.default_rng([seed, 2]))
    ends = np.stack(bootstrap.percentile(replicates), -1)
    p_values = [bootstrap_p(column) for column in replicates.T]
    rows = [
        _difference(key, values[:, i], Interval(*ends[i]), p_values[i], pair[0].unit)
        for i, key in enumerate(_keys(classes))
    ]
    if all(samples.independent for samples in pair):
        rows = [_closed_form(pair, row) for row in rows]
    corrected = holm([row.p for row in rows])
    return [replace(row, p_holm=p) for row, p in zip(rows, corrected, strict=True)]


def _difference(
    key: resampled.Key, values: Array, ends: Interval, p: float, unit: str
) -> Difference:
    """The row of one figure, `values` (run,), before the closed forms and the correction."""
    first, second = float(values[0]), float(values[1])
    return Difference(
        name=key[0],
        class_=key[1],
        first=first,
        second=second,
        difference=second - first,
        low=float(ends.low),
        high=float(ends.high),
        p=p,
        p_holm=float("nan"),
        method=f"bootstrap by {unit}",
    )


def _keys(classes: Sequence[str]) -> list[resampled.Key]:
    """The scores worth a test; of a symmetric metric and two classes one is enough."""
    keys: list[resampled.Key] = []
    for row in METRICS.values():
        own = [(row.name, c) for scope in row.compared for c in classes_of(scope, classes)]
        keys += own if len(classes) > 2 or not row.symmetric else own[1:2]
    return keys


def _same_images(first: pd.DataFrame, second: pd.DataFrame) -> None:
    columns = ["sample_id", "label", "patient_id"]
    one, other = (t[columns].drop_duplicates("sample_id").astype("string") for t in (first, second))
    apart = set(one["sample_id"]) ^ set(other["sample_id"])
    if apart:
        raise HilumError(
            f"a comparison needs the same images in both runs; got {len(apart)} in only one, such "
            f"as '{min(apart)}'; compare runs on the same test images."
        )
    differ = (one.fillna("").to_numpy() != other.fillna("").to_numpy()).any(1)
    if differ.any():
        raise HilumError(
            "a comparison needs the same label and patient for each image in both runs; got "
            f"{int(differ.sum())} that differ, such as '{one['sample_id'][differ].iloc[0]}'; run "
            "both from one manifest."
        )


def _bootstrap(pair: Sequence[CellPredictions], rng: np.random.Generator) -> tuple[Array, Array]:
    """Values (run, figure) and replicates of the difference (replicate, figure)."""
    keys, patients = _keys(pair[0].classes), pair[0].patients
    runs = [[resampled.summarise(s, run.classes, patients) for s in run.seeds] for run in pair]
    seeds = rng.spawn(len(runs))

    def each(summaries: Sequence[resampled.PatientSums], weights: Array) -> Array:
        """(seed, replicate, figure)."""
        values_by_seed = [resampled.all_metrics(summary, weights) for summary in summaries]
        return np.stack(
            [resampled.stacked({key: one[key] for key in keys}) for one in values_by_seed]
        )

    def statistic(weights: Array) -> Array:
        means = []
        for summaries, own in zip(runs, seeds, strict=True):
            count = len(summaries)
            shares = bootstrap.draws(count, len(weights), own).T[..., None] / count
            means.append((each(summaries, weights) * shares).sum(0))
        return np.asarray(means[1] - means[0])

    once = np.ones((1, patients))
    values = np.stack([each(summaries, once).mean(0)[0] for summaries in runs])
    images = max(len(sample.labels) for run in pair for sample in run.seeds)
    return values, bootstrap.replicate(statistic, patients, rng, width=images)


def _closed_form(pair: Sequence[CellPredictions], row: Difference) -> Difference:
    """McNemar or DeLong in the place of the bootstrap's p, where one of them applies."""
    first, second = (samples.seeds[0] for samples in pair)
    unsure = ", patients unknown" if any(samples.unknown for samples in pair) else ""
    shares = [
        right_of_counted(METRICS[row.name], row.class_, pair[0].classes, sample)
        for sample in (first, second)
    ]
    if shares[0] is not None and shares[1] is not None:
        return _mcnemar_of(row, shares[0], shares[1], unsure)
    if METRICS[row.name].interval != "delong" or row.class_ not in pair[0].classes:
        return row
    c = pair[0].classes.index(row.class_)
    ends, p = delong_test(first.labels == c, first.p[:, c], second.p[:, c])
    if np.isnan(p):
        return row
    return replace(row, p=p, low=ends.low, high=ends.high, method="delong" + unsure)


def _mcnemar_of(
    row: Difference, first: tuple[Bools, Bools], second: tuple[Bools, Bools], unsure: str
) -> Difference:
    """McNemar's p of two shares (right, counted), where both are taken over the same images."""
    if not np.array_equal(first[1], second[1]):
        return row
    p = mcnemar(int((first[0] & ~second[0]).sum()), int((second[0] & ~first[0]).sum()))
    return replace(row, p=p, method="mcnemar mid-p, interval by bootstrap" + unsure)


# --- tests ----------------------------------------------------------------------------------------


def mcnemar(only_first: int, only_second: int, mid: bool = True) -> float:
    """Two-sided p from the images that only one of two classifiers gets right.

    Exact binomial, or its mid-p version (default), which is less conservative. McNemar 1947,
    doi:10.1007/BF02295996; Fagerland et al. 2013, doi:10.1186/1471-2288-13-91.
    """
    fewer, n = min(only_first, only_second), only_first + only_second
    if min(only_first, only_second) < 0:
        raise HilumError(
            f"McNemar's test needs counts; got {only_first} and {only_second}; check the counting."
        )
    below = float(bdtr(fewer, n, 0.5))
    here = below - (float(bdtr(fewer - 1, n, 0.5)) if fewer else 0.0)
    if only_first == only_second:
        return 1 - here / 2 if mid and n else 1.0
    return 2 * below - here if mid else min(1.0, 2 * below)


def delong_test(
    positive: Bools, first: Array, second: Array, patients: npt.NDArray[np.int64] | None = None
) -> tuple[Interval, float]:
    """Interval of the difference of two areas (second - first) on the same images, and p.

    `positive`, `first` and `second` are (image,), and `patients` where some have several images;
    nan where the variance is nought or undefined and the areas differ. DeLong et al. 1988,
    doi:10.2307/2531595; Obuchowski 1997, doi:10.2307/2533958.
    """
    both = np.stack([first, second])
    clustered = patients is not None and len(np.unique(patients)) < len(patients)
    areas, spread = (
        intervals.delong_by_patient(positive, both, patients)
        if patients is not None and clustered
        else intervals.delong(positive, both)
    )
    gap = float(areas[1] - areas[0])
    # rounding can leave a variance of -1e-19
    error = float(np.sqrt(max(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1], 0.0)))
    if np.isnan(spread).any() or (error < 1e-12 and abs(gap) > 1e-12):
        return intervals.NOWHERE, float("nan")
    if error < 1e-12:
        return Interval(gap, gap), 1.0
    step = intervals.quantile(intervals.LEVEL) * error
    return Interval(gap - step, gap + step), float(2 * ndtr(-abs(gap) / error))


def bootstrap_p(differences: npt.ArrayLike) -> float:
    """Two-sided p of "no difference" from bootstrap differences (replicate,).

    Twice the share on the far side of 0, one added to both counts so that p is never 0. Davison &
    Hinkley 1997, doi:10.1017/CBO9780511802843, section 4.2.
    """
    defined = np.asarray(differences, float)
    defined = defined[~np.isnan(defined)]
    if not len(defined):
        return float("nan")
    far = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (1 + far) / (1 + len(defined))))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values, in their order; nan is left out of the count.

    Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    values = np.asarray(p, float)
    order = np.argsort(values)[: int((~np.isnan(values)).sum())]
    steps = values[order] * np.arange(len(order), 0, -1)
    out = np.full(len(values), np.nan)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(x) for x in out]
