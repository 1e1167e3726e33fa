"""C-20: would deciding by this classifier be better than treating everybody, or nobody?"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import thresholds
from hilum.types import Finding, HilumError

RULE = AuditRule(
    id="C-20",
    title="Decision curve",
    rule="net benefit that is nowhere above both treating everyone and treating no one, "
    "beyond chance (p < 0.01 over all thresholds), warns",
    source="Vickers & Elkin 2006, doi:10.1177/0272989X06295361",
    severity=80,
)
SURE = 0.01
ODDS = tuple(round(0.05 * i, 2) for i in range(1, 11))  # threshold probabilities: 5% to 50%


def audit(evidence: Evidence) -> Finding:
    """The greatest gain in net benefit over treating all and treating none.

    Vickers & Elkin 2006, doi:10.1177/0272989X06295361.
    """
    labels, p = predictions.labels_and_probabilities(evidence, predictions.one_seed(evidence))
    gains = {}
    for name in predictions.positive_classes(evidence):
        i = evidence.classes.index(name)
        if (labels == i).any() and (labels != i).any():
            curve = thresholds.net_benefit(labels == i, p[:, i], ODDS)
            gain = (curve["model"] - curve[["all", "none"]].max(axis=1)).to_numpy()
            luck = min(no_gain(labels == i, p[:, i], t) for t in ODDS)
            gains[name] = (luck, float(gain.max()), float((gain > 0).mean()))
    if not gains:
        raise HilumError("the tested images are all of one class")
    name = max(gains, key=lambda name: gains[name][0])
    luck, gain, share = gains[name]
    if luck * len(ODDS) >= SURE:
        sentence = (
            "At no threshold from 5% to 50% is the classifier clearly better for "
            f"{name} than treating everyone or treating no one (net benefit at most "
            f"{gain:.3f} higher)."
        )
        return RULE.finding("warn", gain, sentence)
    sentence = (
        f"For {name}, the classifier adds up to {gain:.3f} in net benefit over treating "
        f"everyone or no one, at {share:.0%} of the thresholds from 5% to 50%."
    )
    return RULE.finding("pass", gain, sentence)


def no_gain(positive: npt.NDArray[np.bool_], p: npt.NDArray[np.float64], t: float) -> float:
    """p that the net benefit at a threshold is no higher than that of treating all, or none.

    `positive`, `p` (image,), `t` a threshold probability. Both gains are means over images; the
    less sure one counts (intersection-union test, Berger 1982,
    doi:10.1080/00401706.1982.10487790).
    """
    called, odds = p >= t, t / (1 - t)
    worth = np.where(positive, 1.0, -odds)  # of treating an image
    gains = np.stack([np.where(called, worth, 0), np.where(called, 0, -worth)])
    error = gains.std(1, ddof=1) / np.sqrt(len(p))
    sure = np.divide(gains.mean(1), error, out=np.zeros(2), where=error > 0)
    return float(ndtr(-sure.min()))
