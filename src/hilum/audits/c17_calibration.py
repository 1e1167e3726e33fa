"""C-17: do the probabilities mean what they say?"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import calibration
from hilum.types import Finding, told_apart

RULE = AuditRule(
    id="C-17",
    title="Calibration",
    rule="expected calibration error (bins of equal mass) above 0.05, and above what 99% of "
    "calibrated models would show on as many images, warns",
    source="Guo et al. 2017, arXiv:1706.04599; Bröcker & Smith 2007, doi:10.1175/WAF993.1",
    severity=110,
)
RESAMPLINGS = 1000


def audit(evidence: Evidence) -> Finding:
    """Expected calibration error of the winning class's probability, against chance."""
    columns = [f"p_{name}" for name in evidence.classes]
    p = evidence.predictions[columns].to_numpy(float)
    right = p.argmax(1) == evidence.predictions["label"].map(evidence.classes.index).to_numpy()
    confidence, bins = p.max(1), min(15, max(1, len(p) // 10))
    value = calibration.ece(confidence, right, bins, mass=True)
    limit = by_chance(confidence, bins, evidence.seed)
    plain = among_the_scores(evidence.predictions, confidence, right)
    points, below = told_apart(100 * value, 100 * limit, 1)
    sentence = (
        f"Probabilities are {points} points off on average ({bins} bins of "
        f"equal mass); a calibrated model would stay below {below} on "
        f"{len(p)} images. The ECE among the scores is {plain:.3f}, because it uses "
        f"{calibration.BINS} bins of equal width."
    )
    if value > 0.05 and value > limit:
        return RULE.finding("warn", value, sentence)
    return RULE.finding("pass", value, sentence)


def among_the_scores(
    predictions: pd.DataFrame, confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]
) -> float:
    """The error as the scores have it: bins of equal width (Guo et al. 2017), the seeds' mean.

    `confidence` (image,) is the probability of the class given, `right` (image,) whether it is so.
    """
    seeds = predictions["seed"].to_numpy() if "seed" in predictions else np.zeros(len(confidence))
    each = [calibration.ece(confidence[seeds == s], right[seeds == s]) for s in np.unique(seeds)]
    return float(np.mean(each)) if each else float("nan")


def by_chance(confidence: npt.NDArray[np.float64], bins: int, seed: int) -> float:
    """The 99th percentile of the error when each image (image,) is right with its own probability.

    Consistency resampling of Bröcker & Smith 2007, doi:10.1175/WAF993.1.
    """
    random = np.random.default_rng([seed, 17])
    outcomes = random.random((RESAMPLINGS, len(confidence))) < confidence
    errors = [calibration.ece(confidence, right, bins, mass=True) for right in outcomes]
    return float(np.quantile(errors, 0.99))
