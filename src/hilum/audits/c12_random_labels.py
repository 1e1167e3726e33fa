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
    rule="labels drawn anew for each patient, or cluster of near duplicates, that the nearest "
    "training image predicts better than chance by two standard errors fail",
    source="Yagis et al. 2021, doi:10.1038/s41598-021-01681-w: 96 % of random labels, split by "
    "slice",
    severity=240,
)
PERMUTATIONS = 50


def audit(evidence: Evidence) -> Finding:
    """Share of test images whose new label is that of the nearest training image."""
    if evidence.features is None or evidence.split is None:
        return RULE.unknown("features or split are not at hand")
    train, test = look_alikes.first_fold(evidence)
    if not len(train) or not len(test):
        return RULE.unknown("no training images are among those at hand")
    groups = look_alikes.look_alike_groups(evidence)
    learned, tested = (look_alikes.unit(evidence.features[rows]) for rows in (train, test))
    near = train[(tested @ learned.T).argmax(1)]
    random = np.random.default_rng([evidence.seed, 12])
    permuted = random.permuted(np.tile(_by_group(evidence, groups), (PERMUTATIONS, 1)), axis=1)
    right = float((permuted[:, groups[near]] == permuted[:, groups[test]]).mean())
    apart = groups[near] != groups[test]  # where no leak is, these alone are left
    chance = _chance(_by_group(evidence, groups))
    error = float(np.sqrt(chance * (1 - chance) / len(np.unique(groups[test]))))
    shares = f"{right:.0%} of test images are told right, chance is {chance:.0%} ± {2 * error:.0%}"
    if right > chance + 2 * error:
        sentence = (
            f"With labels drawn anew for each patient or cluster {shares}: "
            f"{int((~apart).sum())} of {len(test)} have their own in training."
        )
        return RULE.finding("fail", right, sentence)
    return RULE.finding("pass", right, f"With random labels {shares}.")


def _by_group(evidence: Evidence, groups: npt.NDArray[np.int64]) -> Labels:
    """(group,) the label of each group's first image."""
    return evidence.labels[np.unique(groups, return_index=True)[1]]


def _chance(labels: Labels) -> float:
    """How often two different groups have one label."""
    counts = np.unique(labels, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / (len(labels) * max(1, len(labels) - 1)))
