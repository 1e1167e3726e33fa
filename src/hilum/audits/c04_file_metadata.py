"""C-04: what the file's size, shape and grey-level statistics tell about the label."""

import numpy as np

from hilum.audits import cross_validated_probe
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Status

RULE = AuditRule(
    id="C-04",
    title="File and grey levels only",
    rule="AUROC of a model on file size, shape and grey statistics: above 0.7 warns where its "
    "interval lies above 0.5, above 0.9 fails where it lies above 0.7",
    source="Ong Ly et al. 2024, doi:10.1038/s41746-024-01118-4; DeGrave et al. 2021",
    remedy="export all images in one format, size and bit depth, and take every class "
    "from the same sources",
    severity=140,
    before_training=True,
)


def audit(evidence: Evidence) -> Finding:
    """Logistic regression on the numeric facts of each file, cross-validated by patient."""
    if evidence.facts is None:
        return RULE.unknown("the files' sizes and formats were not recorded")
    facts = evidence.facts.reindex(evidence.manifest["sample_id"])
    numbers = facts.select_dtypes("number").astype(float)
    numbers = numbers.assign(aspect=numbers["width"] / numbers["height"])
    table = np.nan_to_num(numbers.to_numpy(), nan=0.0)
    value, (low, high) = cross_validated_probe.auroc_with_interval(
        table, evidence.labels, evidence.groups, evidence.seed
    )
    fails, warns = value > 0.9 and low > 0.7, value > 0.7 and low > 0.5
    status: Status = "fail" if fails else "warn" if warns else "pass"
    sentence = (
        f"A model that is given only {', '.join(numbers.columns)}, never the image "
        f"itself, reaches AUROC {value:.2f}."
    )
    return RULE.finding(status, value, sentence, (low, high))
