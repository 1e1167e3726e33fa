"""C-18: does the threshold hold its sensitivity on test images?"""

import numpy as np
from scipy.special import ndtr

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import thresholds
from hilum.metrics.intervals import FEW_OF_A_CLASS, Interval, Proportion
from hilum.types import Finding, Status, counted, told_apart

SENSITIVITY = 0.9  # what the thresholds stored with a model aim at
PREVALENCES = (0.01, 0.1, 0.5)
RULE = AuditRule(
    id="C-18",
    title="Threshold",
    rule=f"a threshold chosen on validation for {SENSITIVITY:.0%} sensitivity that keeps "
    "less on test than chance explains in both sets (p < 0.01 over all classes) warns, "
    f"less than 80% fails; classes with fewer than {FEW_OF_A_CLASS} test images, or "
    "others, are not checked",
    source="Wilson 1927; Altman & Bland 1994, doi:10.1136/bmj.309.6947.102 (predictive values)",
    remedy="choose the threshold again on more validation images",
    severity=100,
)
SURE = 0.01  # with 0.05 for each of 27 audits only one clean study in four would pass them all
POOR = 0.8  # a sensitivity that nobody would call 90%


def audit(evidence: Evidence) -> Finding:
    """Sensitivity on test at the model's thresholds, of the class that keeps it least."""
    if evidence.model is None or not evidence.model.facts.thresholds:
        return RULE.unknown("no threshold was chosen on validation images")
    labels, p = predictions.labels_and_probabilities(evidence, predictions.predictions(evidence))
    limits = evidence.model.facts.thresholds
    points = {
        name: thresholds.sweep_thresholds(labels == i, p[:, i], [limits[name]])[0]
        for i, name in enumerate(evidence.classes)
        if name in limits and thresholds.enough((labels == i).sum(), (labels != i).sum())
    }
    if not points:
        most = max(min((labels == i).sum(), (labels != i).sum()) for i in range(p.shape[1]))
        return RULE.unknown(
            f"at least {FEW_OF_A_CLASS} test images of a class and {FEW_OF_A_CLASS} "
            f"others are needed; there are only {most}"
        )
    validated = predictions.validated(evidence)
    name = min(points, key=lambda name: p_kept(points[name].sensitivity, validated[name]))
    kept, spared = points[name].sensitivity, points[name].specificity
    p_chance = p_kept(kept, validated[name]) * len(points)
    sentence = (
        f"At the threshold chosen for {SENSITIVITY:.0%} sensitivity, {name} is found in "
        f"{kept.k} of {kept.n} ({kept.low:.0%} to {kept.high:.0%})."
        f"{why_passed(kept, SENSITIVITY, p_chance, SURE, validated[name])} Specificity is "
        f"{spared.value:.0%}, {spared.k} of {spared.n} ({spared.low:.0%} to "
        f"{spared.high:.0%}).{_ppv(kept, spared)}"
    )
    status: Status = "pass" if p_chance >= SURE else "fail" if kept.value < POOR else "warn"
    return RULE.finding(status, kept.value, sentence, (kept.low, kept.high))


def _ppv(kept: Proportion, spared: Proportion) -> str:
    """In what share a positive answer would be right at other prevalences, with its interval."""
    ends = Interval(kept.low, kept.high), Interval(spared.low, spared.high)
    values = thresholds.predictive_values(kept.value, spared.value, PREVALENCES)
    intervals = thresholds.predictive_intervals(*ends, PREVALENCES)
    values_at_prevalences = ", ".join(
        (
            f"{row.ppv:.0%} ({at.ppv_low:.0%} to {at.ppv_high:.0%}) at {row.prevalence:.0%} "
            "prevalence"
        )
        for row, at in zip(values.itertuples(), intervals.itertuples(), strict=True)
        if not np.isnan(row.ppv)
    )
    return f" The PPV would be {values_at_prevalences}." if values_at_prevalences else ""


def why_passed(share: Proportion, promised: float, p: float, sure: float, validated: int) -> str:
    """Why a share passes whose interval lies below what was promised; "" where it does not.

    `p` is of all that was looked at, `validated` the images on which the promise was made.
    """
    if share.high >= promised or p < sure:
        return ""
    measured, _ = told_apart(min(p, 1.0), sure)
    few = f", with {counted(validated, 'validation image')}" if validated else ""
    return f" Chance alone may explain less than {promised:.0%} (p = {measured}{few})."


def p_kept(share: Proportion, validated: int, promised: float = SENSITIVITY) -> float:
    """p that a share on test is no less than `promised`, on which `validated` images agree.

    A limit that keeps 90% of 20 validation images keeps 90% of all patients only on average.
    """
    spread = promised * (1 - promised) * (1 / max(share.n, 1) + (1 / validated if validated else 0))
    return float(ndtr((share.value - promised) / np.sqrt(spread)))
