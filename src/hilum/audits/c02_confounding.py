"""C-02: does the source of an image give its label away?"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Status

RULE = AuditRule(
    id="C-02",
    title="Label and source",
    rule="Cramér's V of the patients' source and label, corrected for chance: above 0.3 warns, "
    "0.9 or more fails, where they are not independent (chi-squared, p < 0.01)",
    source="Zech et al. 2018, doi:10.1371/journal.pmed.1002683: AUC 0.861 from the hospital alone; "
    "Bergsma 2013, doi:10.1016/j.jkss.2012.10.002 (correction)",
    remedy="add images until every source has every class, or train and test within one source",
    severity=220,
    before_training=True,
    whole_set=True,
)
SURE = 0.01


def corrected_v(first: pd.Series, second: pd.Series) -> float:
    """Association of two categorical columns, 0 none to 1 complete, without what chance adds.

    Ten sources of six images each give Cramér's V = 0.4 by chance.
    Bergsma 2013, doi:10.1016/j.jkss.2012.10.002, section 3.
    """
    table = pd.crosstab(first, second).to_numpy(float)
    if min(table.shape) < 2:
        return 0.0
    rows, columns = table.shape
    others = table.sum() - 1
    kept = max(0.0, _squared(table) - (rows - 1) * (columns - 1) / others)
    sides = rows - (rows - 1) ** 2 / others, columns - (columns - 1) ** 2 / others
    return float(np.sqrt(kept / (min(sides) - 1))) if min(sides) > 1 else 0.0


def _squared(table: npt.NDArray[np.float64]) -> float:
    """Chi-squared of counts (row, column), per count."""
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    return float(((table - expected) ** 2 / expected).sum() / table.sum())


def of_patients(manifest: pd.DataFrame) -> tuple[float, float]:
    """Corrected V of source and label, and the p of their independence.

    The images of one patient at one source with one label are no news of each other.
    """
    from scipy.stats import chi2_contingency

    patient = manifest["patient_id"].fillna(manifest["sample_id"])
    each = manifest[["source", "label"]].assign(patient=patient).drop_duplicates()
    p = chi2_contingency(pd.crosstab(each["source"], each["label"]), correction=False).pvalue
    return corrected_v(each["source"], each["label"]), float(p)


def audit(evidence: Evidence) -> Finding:
    """Cramér's V between the manifest's source and label columns."""
    sources = evidence.manifest["source"]
    if sources.isna().any():
        share = sources.isna().mean()
        return RULE.unknown(f"the source of {share:.0%} of the images is unknown")
    v, p = of_patients(evidence.manifest)
    status: Status = "pass" if v <= 0.3 or p >= SURE else "fail" if v >= 0.9 else "warn"
    return RULE.finding(status, v, _sentence(sources.nunique(), v, status))


def _sentence(sources: int, v: float, status: Status) -> str:
    if sources == 1:
        return "All images come from one source, so the source cannot give the label away."
    if status == "fail":
        return (
            f"The classes come from different sources (V = {v:.2f}): a model that "
            "recognises the source knows the label, and no score within this set can "
            "show the difference."
        )
    if status == "warn":
        return (
            f"The mix of classes differs between sources (V = {v:.2f}), so part of any "
            "score may come from recognising the source."
        )
    if v > 0.3:
        return f"Source and label may be related (V = {v:.2f}), but by no more than chance allows."
    return f"Source and label are almost unrelated (V = {v:.2f})."
