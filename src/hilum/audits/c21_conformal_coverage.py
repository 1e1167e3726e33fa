"""C-21: do the sets of possible classes cover as much as they promise?"""

import numpy as np

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.c18_threshold import p_kept, why_passed
from hilum.audits.evidence import Evidence
from hilum.inference import conformal
from hilum.metrics.intervals import proportion
from hilum.types import Finding, Status

RULE = AuditRule(
    id="C-21",
    title="Conformal coverage",
    rule="a class, or all images together, covered less than the 90% promised, by more than "
    "chance explains in test and validation (p < 0.05 over all classes, or of all "
    "images), fails; abstaining on more than half, with the whole interval, warns",
    source="Angelopoulos & Bates 2021, arXiv:2107.07511; Vovk 2012, arXiv:1209.2673",
    remedy="calibrate on more validation images of each class, and do not rely on abstentions",
    severity=90,
)
SURE = 0.05  # of a promise to each class, whose images are few


def audit(evidence: Evidence) -> Finding:
    """Coverage on test of the classes that stay possible, class by class, and how many abstain.

    Angelopoulos & Bates 2021, arXiv:2107.07511 (class-conditional conformal prediction).
    """
    if evidence.model is None or not evidence.model.facts.conformal:
        return RULE.unknown(
            f"coverage can only be guaranteed with at least {conformal.least_images()} validation "
            "images per class"
        )
    labels, p = predictions.labels_and_probabilities(evidence, predictions.predictions(evidence))
    kept = conformal.prediction_sets(p, evidence.classes, evidence.model.facts.conformal)
    covered = kept[np.arange(len(labels)), labels]
    shares = {
        name: proportion(int(covered[labels == i].sum()), int((labels == i).sum()))
        for i, name in enumerate(evidence.classes)
        if (labels == i).any()
    }
    validated, goal = predictions.validated(evidence), 1 - conformal.ALPHA
    luck = {n: p_kept(share, validated[n], goal) for n, share in shares.items()}
    name = min(luck, key=lambda name: luck[name])
    share, every = shares[name], proportion(int(covered.sum()), len(covered))
    least = min(luck[name] * len(luck), p_kept(every, sum(validated.values()), goal))
    abstained = proportion(int((kept.sum(1) > 1).sum()), len(kept))
    sentence = (
        f"The set of possible classes holds the true one in {share.k} of {share.n} "
        f"images of {name} and in {every.k} of {every.n} of all (promised: {goal:.0%})."
        f"{why_passed(share, goal, least, SURE, validated[name])} The model abstains on "
        f"{abstained.value:.0%} of the images."
    )
    status: Status = "fail" if least < SURE else "warn" if abstained.low > 0.5 else "pass"
    return RULE.finding(status, share.value, sentence, (share.low, share.high))
