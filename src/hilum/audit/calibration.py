"""C-17: do the probabilities mean what they say?"""

from hilum.audit.evidence import Evidence
from hilum.evaluate import calibrate
from hilum.types import Finding, Status

ID, TITLE = "C-17", "Calibration"
RULE = "expected calibration error (15 bins of equal mass) above 0.05 warns"
REFERENCE = "Guo et al. 2017, arXiv:1706.04599"


def audit(evidence: Evidence) -> Finding:
    """Expected calibration error of the winning class's probability."""
    columns = [f"p_{name}" for name in evidence.classes]
    p = evidence.predictions[columns].to_numpy(float)
    right = p.argmax(1) == evidence.predictions["label"].map(evidence.classes.index).to_numpy()
    value = calibrate.ece(p.max(1), right, bins=min(15, max(1, len(p) // 10)), mass=True)
    status: Status = "warn" if value > 0.05 else "pass"
    sentence = (
        f"Probabilities are {'off by' if status == 'warn' else 'within'} "
        f"{100 * value:.1f} points of the truth on average."
    )
    return Finding(ID, status, value, RULE, REFERENCE, sentence, TITLE)
