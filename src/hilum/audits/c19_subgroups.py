"""C-19: is somebody served worse? Differences between each group and everybody else."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import intervals, metrics
from hilum.types import Finding, Labels, Probabilities

RULE = AuditRule(
    id="C-19",
    title="Subgroup gaps",
    rule="a gap of more than 0.05 in AUROC, sensitivity or false alarms between a group and "
    "all others that is significant at a false discovery rate of 5% fails",
    source="Seyyed-Kalantari et al. 2021, doi:10.1038/s41591-021-01595-0; Benjamini & Hochberg "
    "1995",
    remedy="add images of that group, and report its scores separately",
    severity=130,
)
GAP, RATE = 0.05, 0.05
LEAST = 10  # images with and without the class, in the group and outside
BANDS = (0, 40, 65, 200)  # years
BAND_NAMES = ["age below 40", "age 40 to 64", "age 65 and above"]
ATTRIBUTES = ("sex", "age", "view", "source")


@dataclass(frozen=True, slots=True)
class Gap:
    """One figure of a group against the same of all others."""

    group: str
    class_: str
    what: str
    inside: float
    outside: float
    p: float


def audit(evidence: Evidence) -> Finding:
    """Sensitivity, false alarms and AUROC by sex, age band, view and source."""
    tested = predictions.one_seed(evidence)
    at = predictions.predicted_rows(evidence, tested)
    labels, p = predictions.labels_and_probabilities(evidence, tested[at >= 0])
    table = evidence.manifest.iloc[at[at >= 0]]
    names = [name for name in ATTRIBUTES if table[name].notna().any()]
    gaps = [gap for name in names for gap in _of(evidence, _groups(table, name), labels, p)]
    if not gaps:
        why = (
            f"no group by {', '.join(names)} has at least {LEAST} images with and "
            f"{LEAST} without a class, both inside and outside the group"
            if names
            else "the sex, age, view and source of the images are unknown"
        )
        return RULE.unknown(why)
    return _finding(gaps)


def _finding(gaps: list[Gap]) -> Finding:
    """The widest gap that is significant at a false discovery rate of RATE.

    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    from scipy.stats import false_discovery_control

    adjusted = false_discovery_control([gap.p for gap in gaps])
    bad = [
        (abs(gap.inside - gap.outside), gap)
        for gap, q in zip(gaps, adjusted, strict=True)
        if q < RATE and abs(gap.inside - gap.outside) > GAP
    ]
    if bad:
        size, gap = max(bad, key=lambda pair: pair[0])
        sentence = (
            f"For {gap.group}, the {gap.what} of {gap.class_} is {gap.inside:.2f}, "
            f"against {gap.outside:.2f} for all others; {len(bad)} of {len(gaps)} gaps "
            "are more than chance."
        )
        return RULE.finding("fail", size, sentence)
    size = max(abs(gap.inside - gap.outside) for gap in gaps)
    groups = len({gap.group for gap in gaps})
    sentence = (
        f"None of {len(gaps)} gaps between {groups} groups and the others is larger than chance."
    )
    return RULE.finding("pass", size, sentence)


def _groups(table: pd.DataFrame, name: str) -> pd.Series:
    """(image,) the group's name, or missing; ages in bands."""
    if name != "age":
        return f"{name} " + table[name].astype("string")
    years = pd.to_numeric(table["age"], errors="coerce")
    return pd.cut(years, BANDS, right=False, labels=BAND_NAMES).astype("string")


def _of(evidence: Evidence, groups: pd.Series, labels: Labels, p: Probabilities) -> Iterator[Gap]:
    stated = groups.notna().to_numpy(bool)
    predicted = p.argmax(1)
    for group in groups.dropna().unique():
        inside = (groups == group).to_numpy(bool, na_value=False)
        outside = stated & ~inside
        for i, name in enumerate(evidence.classes):
            truth = labels == i
            sides = [(side & truth, side & ~truth) for side in (inside, outside)]
            if min(int(part.sum()) for side in sides for part in side) < LEAST:
                continue
            yield _rate("sensitivity", (group, name), predicted == i, (sides[0][0], sides[1][0]))
            yield _rate(
                "rate of false alarms", (group, name), predicted == i, (sides[0][1], sides[1][1])
            )
            yield _areas((group, name), truth, p[:, i], (inside, outside))


def _rate(
    what: str,
    of: tuple[str, str],
    called: npt.NDArray[np.bool_],
    sides: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> Gap:
    """Fisher's exact test of two proportions (Fisher 1922, doi:10.2307/2340521)."""
    from scipy.stats import fisher_exact

    counts = [(int(called[side].sum()), int(side.sum())) for side in sides]
    p = float(fisher_exact([[k, n - k] for k, n in counts]).pvalue)
    return Gap(*of, what, counts[0][0] / counts[0][1], counts[1][0] / counts[1][1], p)


def _areas(
    of: tuple[str, str],
    truth: npt.NDArray[np.bool_],
    score: npt.NDArray[np.float64],
    sides: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> Gap:
    """Two independent areas by DeLong's variances (1988, doi:10.2307/2531595).

    `truth`, `score` (image,), `sides` two of (image,). Where one side has no error at all these are
    0, as if it were certain: half an image is put in their place.
    """
    from scipy.stats import norm

    areas = [metrics.auroc(truth[side], score[side]) for side in sides]
    spread = 0.0
    for side, area in zip(sides, areas, strict=True):
        delong = float(intervals.delong(truth[side], score[None, side])[1][0, 0])
        few = min(int(truth[side].sum()), int((~truth[side]).sum()))
        spread += max(delong, area * (1 - area) / few, (0.5 / few) ** 2)
    p = 2 * float(norm.sf(abs(areas[0] - areas[1]) / np.sqrt(spread)))
    return Gap(*of, "AUROC", areas[0], areas[1], p)
