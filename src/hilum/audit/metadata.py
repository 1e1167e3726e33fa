"""C-04: what the file's size, shape and grey-level statistics tell about the label."""

import numpy as np

from hilum.audit import shallow
from hilum.audit.evidence import Evidence
from hilum.types import Finding, HilumError, Status

ID, TITLE = "C-04", "File and grey levels only"
RULE = "AUROC of a model on file size, shape and grey statistics: above 0.7 warns, above 0.9 fails"
REFERENCE = "Ong Ly et al. 2024, doi:10.1038/s41746-024-01118-4; DeGrave et al. 2021"


def audit(evidence: Evidence) -> Finding:
    """Logistic regression on the numeric facts of each file, cross-validated by patient."""
    if evidence.facts is None:
        sentence = "Cannot be checked, because the files' facts were not recorded."
        return Finding(ID, "unknown", None, RULE, REFERENCE, sentence, TITLE)
    facts = evidence.facts.reindex(evidence.manifest["sample_id"])
    numbers = facts.select_dtypes("number").astype(float)
    numbers = numbers.assign(aspect=numbers["width"] / numbers["height"])
    table = np.nan_to_num(numbers.to_numpy(), nan=0.0)
    try:
        value = shallow.auroc(table, evidence.labels, evidence.groups, evidence.seed)
    except HilumError as error:
        sentence = f"Cannot be checked, because {error}"
        return Finding(ID, "unknown", None, RULE, REFERENCE, sentence, TITLE)
    status: Status = "fail" if value > 0.9 else "warn" if value > 0.7 else "pass"
    sentence = (
        f"A model that never sees the picture, only {', '.join(numbers.columns)}, "
        f"reaches AUROC {value:.2f}."
    )
    return Finding(ID, status, value, RULE, REFERENCE, sentence, TITLE)
