"""C-03: what the outer frame of the film, where no lung is, tells about the label."""

import cv2
import numpy as np

from hilum.audits import cross_validated_probe, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Status

RULE = AuditRule(
    id="C-03",
    title="Border only",
    rule="AUROC of a model that sees only the outer 10% frame: above 0.6 warns where its "
    "interval lies above 0.5, above 0.8 fails where it lies above 0.6",
    source="DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7; Maguolo & Nanni 2021",
    remedy="crop the images to the lungs (step crop_lungs), and take every class from the "
    "same sources",
    severity=150,
    before_training=True,
)
MOST = 1200  # images
SIDE = 30  # the frame is 3 of 30 pixels wide on each side


def audit(evidence: Evidence) -> Finding:
    """Logistic regression on the frame of 30 x 30 thumbnails, cross-validated by patient."""
    if evidence.stack is None:
        return RULE.unknown("the prepared pixels are not available")
    rows = sampling.balanced_sample(evidence, np.flatnonzero(evidence.labels >= 0), MOST)
    small = np.stack(
        [
            cv2.resize(sampling.panels(evidence, i)[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for i in rows.tolist()
        ]
    )
    frame = np.ones((SIDE, SIDE), bool)
    width = SIDE // 10
    frame[width:-width, width:-width] = False
    table = small[:, frame].astype(float)
    labels, groups = evidence.labels[rows], evidence.groups[rows]
    value, (low, high) = cross_validated_probe.auroc_with_interval(
        table, labels, groups, evidence.seed
    )
    fails, warns = value > 0.8 and low > 0.6, value > 0.6 and low > 0.5
    status: Status = "fail" if fails else "warn" if warns else "pass"
    meaning = (
        "what lies outside the lungs gives the label away"
        if warns
        else "the frame says little about the label"
        if value <= 0.6
        else "with so few images this may be chance"
    )
    sentence = f"A model that sees only the outer frame reaches AUROC {value:.2f}; {meaning}."
    return RULE.finding(status, value, sentence, (low, high))
