"""One class against the rest: thresholds, predictive values, confusions and score counts.

Predictive values: Altman and Bland 1994, doi:10.1136/bmj.309.6947.102.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hilum.metrics.intervals import Interval
from hilum.metrics.thresholds import (
    enough,
    predictive_intervals,
    predictive_values,
    sweep_thresholds,
)
from hilum.metrics.thresholds import net_benefit as net_benefit_curve
from hilum.report.wording import number

CARRIED = ("ppv_low", "ppv_high", "npv_low", "npv_high")
THRESHOLDS = (0.10, 0.15, 0.20, 0.25)  # Yamani & Malek, study 004, Table 1
PREVALENCES = (0.01, 0.05, 0.2)
BINS = 20  # borders i / 20 are the same floats as the thresholds 0.10, 0.15, ...
REST = "all others"


def points(
    predictions: pd.DataFrame, class_: str, thresholds: Sequence[float] = THRESHOLDS
) -> pd.DataFrame:
    """One row per threshold (positive: p >= threshold): sensitivity and specificity as k of n.

    Intervals are Wilson's, images count as independent. `prevalence` is that of these images;
    ppv and npv are given at it and, as ppv_at_0.01 and so on, where the class is rarer; ppv_low,
    ppv_low_at_0.01 and so on are the ends of their intervals.
    """
    positive = (predictions["label"] == class_).to_numpy(dtype=bool)
    p = predictions[f"p_{class_}"].to_numpy(dtype=np.float64)
    rows = []
    for point in sweep_thresholds(positive, p, thresholds):
        here = float(positive.mean())
        shares = (here, *PREVALENCES)
        values = predictive_values(point.sensitivity.value, point.specificity.value, shares)
        sure, spared = (Interval(x.low, x.high) for x in (point.sensitivity, point.specificity))
        carried = predictive_intervals(sure, spared, shares)
        row = {"class": class_, **point.row, "prevalence": here}
        for i, at in enumerate(("", *(f"_at_{share:g}" for share in PREVALENCES))):
            row |= {f"ppv{at}": values["ppv"].iloc[i], f"npv{at}": values["npv"].iloc[i]}
            row |= {f"{name}{at}": carried[name].iloc[i] for name in CARRIED}
        rows.append(row)
    return pd.DataFrame(rows)


def printable(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `points` as a reader needs it: every proportion with k of n and interval."""
    out = pd.DataFrame({"Threshold": [_level(t) for t in table["threshold"]]})
    for name in ("sensitivity", "specificity"):
        out[name.capitalize()] = [
            f"{number(row[name])} ({row[f'{name}_k']:,} of {row[f'{name}_n']:,}; "
            f"{number(row[f'{name}_low'])} to {number(row[f'{name}_high'])})"
            for row in table.to_dict("records")
        ]
    here = table["prevalence"].iloc[0]
    for at, share in (("", here), *((f"_at_{p:g}", p) for p in PREVALENCES)):
        heading = f"PPV / NPV at {share:.1%}".replace(".0%", "%") + (", as here" if not at else "")
        out[heading] = [
            " / ".join(_with_ends(row, name, at) for name in ("ppv", "npv"))
            if enough(row["sensitivity_n"], row["specificity_n"])
            else "too few images"
            for row in table.to_dict("records")
        ]
    return out


def _with_ends(row: Mapping[Hashable, Any], name: str, at: str) -> str:
    ends = " to ".join(number(row[f"{name}_{end}{at}"]) for end in ("low", "high"))
    return f"{number(row[f'{name}{at}'])} ({ends})"


def _level(threshold: float) -> str:
    """Two decimals, more where they are needed."""
    return f"{threshold:.2f}" if round(threshold, 2) == threshold else f"{threshold:.4g}"


def confusions(
    predictions: pd.DataFrame, class_: str, thresholds: Sequence[float] = THRESHOLDS
) -> pd.DataFrame:
    """One 2 x 2 matrix per threshold in long form (matrix, truth, prediction, n)."""
    rows = []
    for row in points(predictions, class_, thresholds).to_dict("records"):
        tp, yes = row["sensitivity_k"], row["sensitivity_n"]
        tn, no = row["specificity_k"], row["specificity_n"]
        cells = ((class_, class_, tp), (class_, REST, yes - tp), (REST, class_, no - tn))
        title = f"p ≥ {_level(row['threshold'])}"
        rows += [(title, *cell) for cell in (*cells, (REST, REST, tn))]
    return pd.DataFrame(rows, columns=["matrix", "truth", "prediction", "n"])


def decision_curve_table(predictions: pd.DataFrame, class_: str) -> pd.DataFrame:
    """Net benefit (threshold, model, all, none) where the class is called from each threshold."""
    positive = (predictions["label"] == class_).to_numpy(dtype=bool)
    p = predictions[f"p_{class_}"].to_numpy(dtype=np.float64)
    return net_benefit_curve(positive, p, [i / 100 for i in range(1, 100)])


def histogram(predictions: pd.DataFrame, class_: str, groups: "pd.Series[str]") -> pd.DataFrame:
    """How p of `class_` is spread in each group of images (group, left, right, n), none clipped.

    A bin holds left <= p < right, the last one p = 1 as well.
    """
    borders = np.arange(BINS + 1) / BINS
    parts = []
    for name in groups.unique():
        p = predictions.loc[(groups == name).to_numpy(), f"p_{class_}"]
        counts = np.histogram(p, borders)[0]
        whole = {"group": name, "left": borders[:-1], "right": borders[1:], "n": counts}
        parts.append(pd.DataFrame(whole))
    return pd.concat(parts, ignore_index=True)


def groups(predictions: pd.DataFrame, manifest: pd.DataFrame | None) -> "pd.Series[str]":
    """The group of each image: its class; "not COVID-19" is parted where findings are known."""
    named = predictions["label"].astype(str)
    if manifest is None or "finding" not in manifest:
        return named
    findings = manifest.drop_duplicates("sample_id").set_index("sample_id")["finding"]
    finding = predictions["sample_id"].map(findings).astype("object").fillna("").str.lower()
    healthy = finding.str.replace("_", " ").isin(("no finding", "normal"))
    other = predictions["label"] == "non_covid"
    if not (healthy & other).any() or not (~healthy & other).any():
        return named
    both = {True: "not COVID-19, no finding", False: "not COVID-19, other findings"}
    return named.where(~other, healthy.map(both))
