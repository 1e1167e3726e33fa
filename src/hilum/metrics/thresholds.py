"""Thresholds on one class's probability; everywhere an image is positive when p >= threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.metrics.intervals import FEW_OF_A_CLASS, Interval, Proportion, proportion
from hilum.metrics.metrics import ratio
from hilum.types import HilumError

Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
PREVALENCES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What one threshold does: k of n positives found, k of n negatives left alone."""

    threshold: float
    sensitivity: Proportion
    specificity: Proportion

    @property
    def row(self) -> dict[str, float | int]:
        """One flat row for a table: threshold, sensitivity, sensitivity_k, sensitivity_n, ..."""
        out: dict[str, float | int] = {"threshold": self.threshold}
        for name, share in (("sensitivity", self.sensitivity), ("specificity", self.specificity)):
            out |= {name: share.value, f"{name}_k": share.k, f"{name}_n": share.n}
            out |= {f"{name}_low": share.low, f"{name}_high": share.high}
        return out


def sweep_thresholds(
    positive: Bools, p: Array, thresholds: Sequence[float]
) -> list[OperatingPoint]:
    """Sensitivity and specificity at each threshold, as k of n with Wilson intervals.

    `positive` and `p` are (image,); images count as independent.
    """
    truth = np.asarray(positive, bool)
    yes, no = np.sort(p[truth]), np.sort(p[~truth])
    true_positives = len(yes) - np.searchsorted(yes, thresholds, side="left")
    spared = np.searchsorted(no, thresholds, side="left")
    return [
        OperatingPoint(float(t), proportion(int(a), len(yes)), proportion(int(b), len(no)))
        for t, a, b in zip(thresholds, true_positives, spared, strict=True)
    ]


def choose_threshold(positive: Bools, p: Array, sensitivity: float = 0.9) -> OperatingPoint:
    """The highest threshold with at least this sensitivity: of those the most specific.

    Meant for validation data (image,); the figures that come with the threshold are optimistic, so
    report those of the test data. Raises HilumError without positives or for a target outside 0-1.
    """
    scores = np.sort(p[np.asarray(positive, bool)])[::-1]
    if not 0 < sensitivity <= 1:
        raise HilumError(
            f"a target sensitivity must lie above 0 and up to 1; got {sensitivity}; try 0.9."
        )
    if not len(scores):
        raise HilumError(
            f"choosing a threshold needs at least one positive image; got none of {len(p)}; "
            "use a validation part that has the class."
        )
    needed = int(np.ceil(sensitivity * len(scores) - 1e-9))  # 0.9 * 10 is 9.000000000000002
    return sweep_thresholds(positive, p, [float(scores[needed - 1])])[0]


def predictive_values(
    sensitivity: float, specificity: float, prevalences: Sequence[float] = PREVALENCES
) -> pd.DataFrame:
    """PPV and NPV that a test of this sensitivity and specificity has at each prevalence (Bayes).

    Columns prevalence, ppv, npv; nan where no one would be called positive, or negative.
    """
    share = np.asarray(prevalences, float)
    true_positive, false_negative = share * sensitivity, share * (1 - sensitivity)
    true_negative, false_positive = (1 - share) * specificity, (1 - share) * (1 - specificity)
    return pd.DataFrame(
        {
            "prevalence": share,
            "ppv": ratio(true_positive, true_positive + false_positive),
            "npv": ratio(true_negative, true_negative + false_negative),
        }
    )


def predictive_intervals(
    sensitivity: Interval, specificity: Interval, prevalences: Sequence[float] = PREVALENCES
) -> pd.DataFrame:
    """Columns prevalence, ppv_low, ppv_high, npv_low, npv_high: the ends of both carried through.

    Both values rise with sensitivity and with specificity, so the lower ends give the lower end.
    Two 95% intervals that are wrong apart make one that is a little too wide rather than too
    narrow. Altman & Bland 1994, doi:10.1136/bmj.309.6947.102.
    """
    low = predictive_values(sensitivity.low, specificity.low, prevalences)
    high = predictive_values(sensitivity.high, specificity.high, prevalences)
    return pd.DataFrame(
        {
            "prevalence": low["prevalence"],
            **{f"{name}_{end}": table[name] for name in ("ppv", "npv")
               for end, table in (("low", low), ("high", high))},
        }
    )  # fmt: skip


def enough(positives: int, negatives: int) -> bool:
    """Whether a rate among so many images with and without a class may be carried further."""
    return min(positives, negatives) >= FEW_OF_A_CLASS


def net_benefit(positive: Bools, p: Array, thresholds: Sequence[float]) -> pd.DataFrame:
    """Net benefit of the model, of treating all and of treating none at each threshold.

    TP / n - FP / n * t / (1 - t), `positive` and `p` (image,). Columns threshold, model, all, none.
    Vickers & Elkin 2006, doi:10.1177/0272989X06295361. Raises HilumError unless 0 <= t < 1.
    """
    t = np.asarray(thresholds, float)
    outside = t[~((t >= 0) & (t < 1))]
    if len(outside):
        raise HilumError(
            f"a decision curve needs thresholds from 0 to below 1; got {outside[0]}; leave it out."
        )
    odds, truth = t / (1 - t), np.asarray(positive, bool)
    points = sweep_thresholds(truth, p, [float(x) for x in t])
    true_positives = np.array([point.sensitivity.k for point in points])
    alarms = np.array([point.specificity.n - point.specificity.k for point in points])
    n = len(truth)
    return pd.DataFrame(
        {
            "threshold": t,
            "model": ratio(true_positives, n) - ratio(alarms, n) * odds,
            "all": ratio(truth.sum(), n) - ratio((~truth).sum(), n) * odds,
            "none": 0.0,
        }
    )
