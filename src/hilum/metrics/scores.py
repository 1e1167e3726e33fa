"""Every score of a cell's predictions, each with the interval that its data allow.

How the data decide:
- One seed, one image per patient: Wilson for shares of images, DeLong for AUROC, the bootstrap for
  the rest. Where the patients are not recorded, the method says so.
- Patients with several images: the bootstrap by patient, for all.
- Several seeds: a value is the mean of the seeds' values; each replicate draws patients, the same
  for all seeds, and seeds (Owen 2007, doi:10.1214/07-AOAS122). k and n are left empty, because the
  seeds' images are the same images and must not count twice.
- Several folds are pooled; the mean and sd of the folds follow as scores of their own.
- Three classes or more from several sources: also two classes at a time, inside each source too.
- The calibration error is biased upwards, so its interval is the basic one, and approximate: in
  simulations of 400 images it holds the truth in 87% of runs (error 0.1) and in 70% (error 0).
- No spread at all (everything right): the bootstrap would claim certainty, so Wilson and Newcombe
  answer with as many cases as there are patients, or there is no interval.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hilum.metrics import bootstrap, intervals, metrics, pairwise_auroc, registry, resampled
from hilum.metrics.curves import (
    confusion_table,
    pr_points,
    reliability_curve,
    roc_points,
    score_histogram,
)
from hilum.metrics.intervals import Interval
from hilum.metrics.predictions import CellPredictions, SeedPredictions, read_predictions
from hilum.metrics.registry import METRICS, WHOLE
from hilum.metrics.shares import right_of_counted
from hilum.types import Score

__all__ = [
    "confusion_table",
    "pr_points",
    "reliability_curve",
    "roc_points",
    "score",
    "score_histogram",
]
OVER_CLASSES = ("macro", "weighted")  # averages of the classes that have images


@dataclass(frozen=True, slots=True)
class Estimates:
    """All figures of one cell: values, bootstrap ends, and the value of each seed."""

    keys: tuple[resampled.Key, ...]
    values: metrics.Array  # (figure,)
    low: metrics.Array
    high: metrics.Array
    each: metrics.Array  # (seed, figure)


def score(
    predictions: pd.DataFrame, classes: Sequence[str], cell: str, seed: int = 0
) -> list[Score]:
    """Every score of `cell` in a predictions table, undefined ones (0 of 0) as nan.

    The prediction is the class with the highest probability, the first of equals. `seed` draws the
    bootstrap's 2,000 replicates. Raises HilumError for a table that cannot be scored.
    """
    samples = read_predictions(predictions, classes, cell)
    estimates = _estimate(samples, np.random.default_rng([seed, 1]))
    out = [_score(samples, estimates, i) for i in range(len(estimates.keys))]
    two = pairwise_auroc.score_pairs(
        samples, _sources(predictions), np.random.default_rng([seed, 2])
    )
    return [*out, *_over_folds(samples), *_over_seeds(samples, estimates), *two]


def _sources(predictions: pd.DataFrame) -> dict[str, str]:
    rows = predictions.dropna(subset="source").drop_duplicates("sample_id")
    return dict(zip(rows["sample_id"].astype(str), rows["source"].astype(str), strict=True))


def _estimate(samples: CellPredictions, rng: np.random.Generator) -> Estimates:
    summaries = [resampled.summarise(s, samples.classes, samples.patients) for s in samples.seeds]
    once = np.ones((1, samples.patients))
    keys = tuple(resampled.all_metrics(summaries[0], once))
    each = np.concatenate([resampled.stacked(resampled.all_metrics(s, once)) for s in summaries])
    images = max(len(sample.labels) for sample in samples.seeds)
    statistic = _statistic(summaries, rng.spawn(1)[0])
    replicates = bootstrap.replicate(statistic, samples.patients, rng, width=images)
    low, high = bootstrap.percentile(replicates)
    values = each.mean(0)
    # calibration errors grow with noise, and resampling adds noise: mirror them back
    mirrored = np.array([METRICS[name].interval == "basic" for name, _ in keys])
    basic = bootstrap.basic(values, replicates)
    low = np.where(mirrored, np.maximum(basic[0], 0), low)
    return Estimates(keys, values, low, np.where(mirrored, np.maximum(basic[1], 0), high), each)


def _statistic(
    summaries: Sequence[resampled.PatientSums], rng: np.random.Generator
) -> bootstrap.Statistic:
    """(replicate, patient) weights -> (replicate, figure), mean of seeds drawn with replacement."""
    count = len(summaries)

    def statistic(weights: metrics.Array) -> metrics.Array:
        each = np.stack([resampled.stacked(resampled.all_metrics(s, weights)) for s in summaries])
        shares = bootstrap.draws(count, len(weights), rng).T[..., None] / count
        return np.asarray((each * shares).sum(0)) if count > 1 else each[0]

    return statistic


def _score(samples: CellPredictions, estimates: Estimates, i: int) -> Score:
    (name, class_), value = estimates.keys[i], float(estimates.values[i])
    k, n = _k_of_n(samples, name, class_)
    there = _there(samples)
    averaged = class_ in OVER_CLASSES or METRICS[name].mean_of_classes
    over = there if averaged and len(there) < len(samples.classes) else ()
    if np.isnan(value):
        why = _undefined(name, class_, there)
        return Score(samples.cell, name, class_, value, k, n, None, None, why, over=over)
    interval, method = _interval(samples, estimates, i)
    low, high = (None if np.isnan(end) else float(end) for end in interval)
    method += _pooled(samples, name)
    return Score(samples.cell, name, class_, value, k, n, low, high, method, over=over)


def _there(samples: CellPredictions) -> tuple[str, ...]:
    """The classes that have test images: averages are over these."""
    present = {int(c) for sample in samples.seeds for c in np.unique(sample.labels)}
    return tuple(name for c, name in enumerate(samples.classes) if c in present)


def _undefined(name: str, class_: str, there: Sequence[str]) -> str:
    if METRICS[name].basis == "ranking" and len(there) == 1:
        return f"undefined: every image is of {there[0]}"
    if class_ not in (*WHOLE, *there):
        return f"undefined: no image of {class_}"
    return "undefined: 0 of 0"


def _pooled(samples: CellPredictions, name: str) -> str:
    """A ranking across folds compares the scores of different models: say so."""
    folds = max(len(np.unique(sample.folds)) for sample in samples.seeds)
    return f", {folds} folds pooled" if folds > 1 and METRICS[name].basis == "ranking" else ""


def _interval(samples: CellPredictions, estimates: Estimates, i: int) -> tuple[Interval, str]:
    name, class_ = estimates.keys[i]
    closed = _closed_form(samples, name, class_) if samples.independent else None
    if closed is not None:
        return closed[0], closed[1] + (", patients unknown" if samples.unknown else "")
    if estimates.low[i] == estimates.high[i]:
        return _without_spread(samples, name, class_, float(estimates.values[i]))
    if np.isnan(estimates.low[i]):
        return intervals.NOWHERE, "no interval: undefined in most resamples"
    seeds = len(samples.seeds)
    method = f"bootstrap by {samples.unit}" + (
        f" and seed, mean of {seeds} seeds" if seeds > 1 else ""
    )
    method += ", basic" if METRICS[name].interval == "basic" else ""
    if 0 < samples.unknown < samples.patients:
        method += ", some patients unknown"
    return Interval(float(estimates.low[i]), float(estimates.high[i])), method


def _closed_form(samples: CellPredictions, name: str, class_: str) -> tuple[Interval, str] | None:
    """Wilson for shares, DeLong for the AUROC of one class, None for all else."""
    sample = samples.seeds[0]
    which = right_of_counted(METRICS[name], class_, samples.classes, sample)
    if which is not None:
        right, counts = which
        return intervals.wilson(int(right.sum()), int(counts.sum())), "wilson"
    if METRICS[name].interval != "delong" or class_ not in samples.classes:
        return None
    c = samples.classes.index(class_)
    return intervals.auroc_interval(sample.labels == c, sample.p[:, c]), "delong"


def _without_spread(
    samples: CellPredictions, name: str, class_: str, value: float
) -> tuple[Interval, str]:
    """What patients' numbers alone allow, where every replicate of the bootstrap was the same."""
    sample = samples.seeds[0]
    which = right_of_counted(METRICS[name], class_, samples.classes, sample)
    if which is not None:
        n = len(np.unique(sample.patients[which[1]]))
        return intervals.wilson(round(value * n), n), f"wilson over {n} {samples.unit}s: no spread"
    if METRICS[name].interval != "delong":
        return intervals.NOWHERE, "no interval: no spread in this sample"
    chosen = [c for c, own in enumerate(samples.classes) if class_ in (own, "macro")]
    sizes = [_sides(sample, c) for c in chosen if (sample.labels == c).any()]
    widest = min((intervals.newcombe(value, *side) for side in sizes), key=lambda ends: ends.low)
    return widest, f"newcombe over {samples.unit}s: no spread"


def _sides(sample: SeedPredictions, c: int) -> tuple[int, int]:
    """How many patients have an image of class `c`, and how many one of another class."""
    own = sample.labels == c
    return len(np.unique(sample.patients[own])), len(np.unique(sample.patients[~own]))


def _k_of_n(samples: CellPredictions, name: str, class_: str) -> tuple[int | None, int | None]:
    which = right_of_counted(METRICS[name], class_, samples.classes, samples.seeds[0])
    if which is None or len(samples.seeds) > 1:
        return None, None
    return int(which[0].sum()), int(which[1].sum())


# --- how much folds and seeds differ --------------------------------------------------------------


def _over_folds(samples: CellPredictions) -> Iterator[Score]:
    """Mean and sd of every seed's every fold, where there are several folds."""
    parts = [part for sample in samples.seeds for part in _folds(sample)]
    if len(parts) == len(samples.seeds):
        return
    once = np.ones((1, samples.patients))
    rows = [
        resampled.all_metrics(resampled.summarise(part, samples.classes, samples.patients), once)
        for part in parts
    ]
    for name, class_ in (row.key for row in registry.spread()):
        values = np.array([float(row[name, class_][0]) for row in rows])
        yield from _mean_and_sd(samples.cell, (name, class_), "folds", values)


def _folds(sample: SeedPredictions) -> list[SeedPredictions]:
    masks = [sample.folds == fold for fold in np.unique(sample.folds)]
    return [
        SeedPredictions(
            sample.labels[m], sample.p[m], sample.patients[m], sample.folds[m], sample.ids[m]
        )
        for m in masks
    ]


def _over_seeds(samples: CellPredictions, estimates: Estimates) -> Iterator[Score]:
    if len(samples.seeds) > 1:
        for key in (row.key for row in registry.spread()):
            values = estimates.each[:, estimates.keys.index(key)]
            yield from _mean_and_sd(samples.cell, key, "seeds", values)


def _mean_and_sd(cell: str, key: resampled.Key, of: str, values: metrics.Array) -> Iterator[Score]:
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    method = f"{len(values)} {of}, sd {sd:.4f}, from {values.min():.4f} to {values.max():.4f}"
    for name, value in (("mean", mean), ("sd", sd)):
        yield Score(
            cell, f"{key[0]} ({name} of {of})", key[1], value, None, None, None, None, method
        )
