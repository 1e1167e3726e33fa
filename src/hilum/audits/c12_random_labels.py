"""C-12: do features predict random labels, because images of one patient are on both sides?"""

import numpy as np
import numpy.typing as npt

from hilum.audits import look_alikes
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Labels

RULE = AuditRule(
    id="C-12",
    title="Random labels",
    rule="labels shuffled between patients, or clusters of near duplicates, that the "
    "nearest training image predicts better than chance by two standard errors fail",
    source="Yagis et al. 2021, doi:10.1038/s41598-021-01681-w: 96% of random labels, split by "
    "slice",
    remedy="give every image a patient_id, so that the split keeps each patient on one side",
    severity=240,
)
PERMUTATIONS = 50


def audit(evidence: Evidence) -> Finding:
    """Share of test images whose new label is that of the nearest training image."""
    if evidence.features is None or evidence.split is None:
        return RULE.unknown("the features or the split are not available")
    train, test = look_alikes.first_fold(evidence)
    if not len(train) or not len(test):
        return RULE.unknown("none of the training images is available")
    groups = look_alikes.look_alike_groups(evidence)
    learned, tested = (look_alikes.unit(evidence.features[rows]) for rows in (train, test))
    near = train[(tested @ learned.T).argmax(1)]
    random = np.random.default_rng([evidence.seed, 12])
    permuted = random.permuted(np.tile(_by_group(evidence, groups), (PERMUTATIONS, 1)), axis=1)
    right = float((permuted[:, groups[near]] == permuted[:, groups[test]]).mean())
    apart = groups[near] != groups[test]  # where no leak is, these alone are left
    chance = _chance(_by_group(evidence, groups))
    error = float(np.sqrt(chance * (1 - chance) / len(np.unique(groups[test]))))
    limits = f"{chance:.0%} ± {2 * error:.0%}"
    if right > chance + 2 * error:
        sentence = (
            f"Given shuffled labels, the check still gets {right:.0%} of test images "
            f"right (chance: {limits}): {int((~apart).sum())} of {len(test)} have an "
            "image of the same patient or cluster in training."
        )
        return RULE.finding("fail", right, sentence)
    return RULE.finding(
        "pass",
        right,
        f"Given shuffled labels, the check gets {right:.0%} of test images right, as chance "
        f"would ({limits}).",
    )


def _by_group(evidence: Evidence, groups: npt.NDArray[np.int64]) -> Labels:
    """(group,) the label of each group's first image."""
    return evidence.labels[np.unique(groups, return_index=True)[1]]


def _chance(labels: Labels) -> float:
    """How often two different groups have one label."""
    counts = np.unique(labels, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / (len(labels) * max(1, len(labels) - 1)))
