"""C-18, C-20 and C-21: would deciding by this classifier keep its promises, and help anyone?"""

import numpy as np

from hilum.audit import own
from hilum.audit.evidence import Evidence
from hilum.audit.question import Question
from hilum.evaluate import conformal, thresholds
from hilum.evaluate.intervals import proportion
from hilum.types import Finding, HilumError, Status

SENSITIVITY = 0.9  # what the thresholds stored with a model aim at
PREVALENCES = (0.01, 0.1, 0.5)
THRESHOLD = Question(
    "C-18",
    "Threshold",
    f"a threshold chosen on validation for {SENSITIVITY:.0%} sensitivity whose 95 % interval on "
    "test lies below that fails; a sensitivity below it warns",
    "Wilson 1927; Altman & Bland 1994, doi:10.1136/bmj.309.6947.102 (predictive values)",
)
BENEFIT = Question(
    "C-20",
    "Decision curve",
    "net benefit that is nowhere above both treating all and treating none warns",
    "Vickers & Elkin 2006, doi:10.1177/0272989X06295361",
)
ABSTENTION = Question(
    "C-21",
    "Conformal coverage",
    "a class covered less than 90 % minus two standard errors fails; more than half abstained from "
    "warns",
    "Angelopoulos & Bates 2021, arXiv:2107.07511; Vovk 2012, arXiv:1209.2673",
)
ODDS = tuple(round(0.05 * i, 2) for i in range(1, 11))  # threshold probabilities: 5 % to 50 %


def audit_threshold(evidence: Evidence) -> Finding:
    """Sensitivity on test at the model's thresholds, of the class that keeps it least."""
    if evidence.model is None or not evidence.model.facts.thresholds:
        return THRESHOLD.unknown("no threshold was chosen on validation images")
    labels, p = own.judged(evidence, own.predictions(evidence))
    limits = evidence.model.facts.thresholds
    points = {
        name: thresholds.sweep(labels == i, p[:, i], [limits[name]])[0]
        for i, name in enumerate(evidence.classes)
        if name in limits and (labels == i).any()
    }
    if not points:
        raise HilumError("no tested image has a class with a threshold")
    name = min(points, key=lambda name: points[name].sensitivity.value)
    found, spared = points[name].sensitivity, points[name].specificity
    values = thresholds.predictive_values(found.value, spared.value, PREVALENCES)
    told = ", ".join(
        f"{row.ppv:.0%} where {row.prevalence:.0%} have it"
        for row in values.itertuples()
        if not np.isnan(row.ppv)
    )
    sentence = (
        f"At its threshold {name} is found in {found.k} of {found.n} "
        f"({found.low:.0%} to {found.high:.0%}), {spared.value:.0%} of the others are left alone"
        + (f"; a positive answer is right in {told}." if told else ".")
    )
    worst = found.high < SENSITIVITY
    status: Status = "fail" if worst else "warn" if found.value < SENSITIVITY else "pass"
    return THRESHOLD.found(status, found.value, sentence, (found.low, found.high))


def audit_benefit(evidence: Evidence) -> Finding:
    """The greatest gain in net benefit over treating all and treating none."""
    labels, p = own.judged(evidence, own.one_seed(evidence))
    gains = {}
    for name in own.target(evidence):
        i = evidence.classes.index(name)
        if (labels == i).any() and (labels != i).any():
            curve = thresholds.decision_curve(labels == i, p[:, i], ODDS)
            gain = curve["model"] - curve[["all", "none"]].max(axis=1)
            gains[name] = (float(gain.max()), float((gain > 0).mean()))
    if not gains:
        raise HilumError("the tested images are all of one class")
    name = min(gains, key=lambda name: gains[name][0])
    gain, share = gains[name]
    if gain <= 0:
        sentence = (
            f"For {name} the classifier is never above both at any threshold from 5 % to 50 %: "
            "whoever treats all, or none, does as well."
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
            f"a promise wants {conformal.least_images()} validation images of every class"
        )
    labels, p = own.judged(evidence, own.predictions(evidence))
    kept = conformal.sets(p, evidence.classes, evidence.model.facts.conformal)
    covered = kept[np.arange(len(labels)), labels]
    shares = {
        name: proportion(int(covered[labels == i].sum()), int((labels == i).sum()))
        for i, name in enumerate(evidence.classes)
        if (labels == i).any()
    }
    goal = 1 - conformal.ALPHA
    short = {n: s.value - goal + 2 * np.sqrt(goal * (1 - goal) / s.n) for n, s in shares.items()}
    name = min(short, key=lambda name: short[name])
    share, abstained = shares[name], float((kept.sum(1) > 1).mean())
    sentence = (
        f"The true class stays possible in {share.k} of {share.n} images of {name} "
        f"(promised: {goal:.0%}); {abstained:.0%} of the images are abstained from."
    )
    status: Status = "fail" if short[name] < 0 else "warn" if abstained > 0.5 else "pass"
    return ABSTENTION.found(status, share.value, sentence, (share.low, share.high))
