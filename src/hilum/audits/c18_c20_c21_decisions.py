"""C-18, C-20 and C-21: would deciding by this classifier keep its promises, and help anyone?"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.inference import conformal
from hilum.metrics import thresholds
from hilum.metrics.intervals import FEW_OF_A_CLASS, Interval, Proportion, proportion
from hilum.types import Finding, HilumError, Status

SENSITIVITY = 0.9  # what the thresholds stored with a model aim at
PREVALENCES = (0.01, 0.1, 0.5)
THRESHOLD = AuditRule(
    "C-18",
    "Threshold",
    f"a threshold chosen on validation for {SENSITIVITY:.0%} sensitivity that keeps less on test "
    "than chance explains in both sets (p < 0.01 over all classes) warns, less than 80 % fails; "
    f"classes with fewer than {FEW_OF_A_CLASS} test images, or others, are not checked",
    "Wilson 1927; Altman & Bland 1994, doi:10.1136/bmj.309.6947.102 (predictive values)",
)
BENEFIT = AuditRule(
    "C-20",
    "Decision curve",
    "net benefit that is nowhere above both treating all and treating none, beyond chance (p < "
    "0.01 over all thresholds), warns",
    "Vickers & Elkin 2006, doi:10.1177/0272989X06295361",
)
ABSTENTION = AuditRule(
    "C-21",
    "Conformal coverage",
    "a class, or all images together, covered less than the 90 % promised by more than chance "
    "explains in test and validation (p < 0.05 over all classes, or of all images) fails; more "
    "than half abstained from, with the whole interval, warns",
    "Angelopoulos & Bates 2021, arXiv:2107.07511; Vovk 2012, arXiv:1209.2673",
)
SURE = 0.01  # an audit is one of 27: one clean study in four would be spared by 0.05 in each
LESS_SURE = 0.05  # of a promise to each class, whose images are few
POOR = 0.8  # a sensitivity that nobody would call 90 %
ODDS = tuple(round(0.05 * i, 2) for i in range(1, 11))  # threshold probabilities: 5 % to 50 %


def audit_threshold(evidence: Evidence) -> Finding:
    """Sensitivity on test at the model's thresholds, of the class that keeps it least."""
    if evidence.model is None or not evidence.model.facts.thresholds:
        return THRESHOLD.unknown("no threshold was chosen on validation images")
    labels, p = predictions.labels_and_probabilities(evidence, predictions.predictions(evidence))
    limits = evidence.model.facts.thresholds
    points = {
        name: thresholds.sweep(labels == i, p[:, i], [limits[name]])[0]
        for i, name in enumerate(evidence.classes)
        if name in limits and thresholds.enough((labels == i).sum(), (labels != i).sum())
    }
    if not points:
        most = max(min((labels == i).sum(), (labels != i).sum()) for i in range(p.shape[1]))
        return THRESHOLD.unknown(
            f"only {most} test images of a class, or of the others; at least {FEW_OF_A_CLASS} of "
            "each are needed"
        )
    held = predictions.validated(evidence)
    name = min(points, key=lambda name: broken(points[name].sensitivity, held[name]))
    found, spared = points[name].sensitivity, points[name].specificity
    sentence = (
        f"At the threshold chosen for {SENSITIVITY:.0%} sensitivity {name} is found in {found.k} "
        f"of {found.n} ({found.low:.0%} to {found.high:.0%}). {spared.k} of {spared.n} others are "
        f"left alone ({spared.low:.0%} to {spared.high:.0%}){_worth(found, spared)}."
    )
    short = broken(found, held[name]) * len(points) < SURE
    status: Status = "pass" if not short else "fail" if found.value < POOR else "warn"
    return THRESHOLD.found(status, found.value, sentence, (found.low, found.high))


def _worth(found: Proportion, spared: Proportion) -> str:
    """In what share a positive answer would be right at other prevalences, with its interval."""
    ends = Interval(found.low, found.high), Interval(spared.low, spared.high)
    values = thresholds.predictive_values(found.value, spared.value, PREVALENCES)
    carried = thresholds.predictive_intervals(*ends, PREVALENCES)
    told = ", ".join(
        f"{row.ppv:.0%} ({at.ppv_low:.0%} to {at.ppv_high:.0%}) where {row.prevalence:.0%} have it"
        for row, at in zip(values.itertuples(), carried.itertuples(), strict=True)
        if not np.isnan(row.ppv)
    )
    return f"; a positive answer would be right in {told}" if told else ""


def audit_benefit(evidence: Evidence) -> Finding:
    """The greatest gain in net benefit over treating all and treating none."""
    labels, p = predictions.labels_and_probabilities(evidence, predictions.one_seed(evidence))
    gains = {}
    for name in predictions.positive_classes(evidence):
        i = evidence.classes.index(name)
        if (labels == i).any() and (labels != i).any():
            curve = thresholds.decision_curve(labels == i, p[:, i], ODDS)
            gain = (curve["model"] - curve[["all", "none"]].max(axis=1)).to_numpy()
            luck = min(no_gain(labels == i, p[:, i], t) for t in ODDS)
            gains[name] = (luck, float(gain.max()), float((gain > 0).mean()))
    if not gains:
        raise HilumError("the tested images are all of one class")
    name = max(gains, key=lambda name: gains[name][0])
    luck, gain, share = gains[name]
    if luck * len(ODDS) >= SURE:
        sentence = (
            f"For {name} the classifier is at no threshold from 5 % to 50 % above both by more "
            f"than chance (at most {gain:.3f}): whoever treats all, or none, does as well."
        )
        return BENEFIT.found("warn", gain, sentence)
    sentence = (
        f"For {name} it is worth up to {gain:.3f} in net benefit over treating all or none, at "
        f"{share:.0%} of the thresholds from 5 % to 50 %."
    )
    return BENEFIT.found("pass", gain, sentence)


def audit_coverage(evidence: Evidence) -> Finding:
    """Coverage on test of the classes that stay possible, class by class, and how many abstain."""
    if evidence.model is None or not evidence.model.facts.conformal:
        return ABSTENTION.unknown(
            f"coverage can only be guaranteed with at least {conformal.least_images()} validation "
            "images per class"
        )
    labels, p = predictions.labels_and_probabilities(evidence, predictions.predictions(evidence))
    kept = conformal.sets(p, evidence.classes, evidence.model.facts.conformal)
    covered = kept[np.arange(len(labels)), labels]
    shares = {
        name: proportion(int(covered[labels == i].sum()), int((labels == i).sum()))
        for i, name in enumerate(evidence.classes)
        if (labels == i).any()
    }
    held, goal = predictions.validated(evidence), 1 - conformal.ALPHA
    luck = {n: broken(share, held[n], goal) for n, share in shares.items()}
    name = min(luck, key=lambda name: luck[name])
    share, every = shares[name], proportion(int(covered.sum()), len(covered))
    least = min(luck[name] * len(luck), broken(every, sum(held.values()), goal))
    abstained = proportion(int((kept.sum(1) > 1).sum()), len(kept))
    sentence = (
        f"The true class stays possible in {share.k} of {share.n} images of {name} "
        f"and in {every.k} of {every.n} of all (promised: {goal:.0%}); {abstained.value:.0%} of "
        "the images are abstained from."
    )
    status: Status = "fail" if least < LESS_SURE else "warn" if abstained.low > 0.5 else "pass"
    return ABSTENTION.found(status, share.value, sentence, (share.low, share.high))


def broken(share: Proportion, held: int, promised: float = SENSITIVITY) -> float:
    """p that a share on test is no less than `promised`, which `held` validation images stand for.

    A limit that keeps 90 % of 20 validation images keeps 90 % of all patients only on average.
    """
    spread = promised * (1 - promised) * (1 / max(share.n, 1) + (1 / held if held else 0))
    return float(ndtr((share.value - promised) / np.sqrt(spread)))


def no_gain(positive: npt.NDArray[np.bool_], p: npt.NDArray[np.float64], t: float) -> float:
    """p that the net benefit at a threshold is no higher than that of treating all, or none.

    Both gains are means over images; the less sure one counts (intersection-union test, Berger
    1982, doi:10.1080/00401706.1982.10487790).
    """
    called, odds = p >= t, t / (1 - t)
    worth = np.where(positive, 1.0, -odds)  # of treating an image
    gains = np.stack([np.where(called, worth, 0), np.where(called, 0, -worth)])
    error = gains.std(1, ddof=1) / np.sqrt(len(p))
    sure = np.divide(gains.mean(1), error, out=np.zeros(2), where=error > 0)
    return float(ndtr(-sure.min()))
