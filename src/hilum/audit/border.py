"""C-03: what the outer frame of the film, where no lung is, tells about the label."""

import cv2
import numpy as np

from hilum.audit import shallow
from hilum.audit.evidence import Evidence
from hilum.types import Finding, HilumError, Status

ID, TITLE = "C-03", "Border only"
RULE = "AUROC of a model that sees only the outer 10 % frame: above 0.6 warns, above 0.8 fails"
REFERENCE = "DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7; Maguolo & Nanni 2021"
SIDE = 30  # the frame is 3 of 30 pixels wide on each side


def audit(evidence: Evidence) -> Finding:
    """Logistic regression on the frame of 30 x 30 thumbnails, cross-validated by patient."""
    if evidence.stack is None:
        sentence = "Cannot be checked, because the prepared pixels are not at hand."
        return Finding(ID, "unknown", None, RULE, REFERENCE, sentence, TITLE)
    small = np.stack(
        [cv2.resize(i, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for i in evidence.stack]
    )
    frame = np.ones((SIDE, SIDE), bool)
    width = SIDE // 10
    frame[width:-width, width:-width] = False
    table = small[:, frame].astype(float)
    try:
        value = shallow.auroc(table, evidence.labels, evidence.groups, evidence.seed)
    except HilumError as error:
        sentence = f"Cannot be checked, because {error}"
        return Finding(ID, "unknown", None, RULE, REFERENCE, sentence, TITLE)
    status: Status = "fail" if value > 0.8 else "warn" if value > 0.6 else "pass"
    sentence = f"A model that sees only the outer frame reaches AUROC {value:.2f}; " + (
        "what lies outside the lungs gives the label away."
        if value > 0.6
        else "the frame tells little."
    )
    return Finding(ID, status, value, RULE, REFERENCE, sentence, TITLE)
