"""C-02: does the source of an image give its label away?"""

import numpy as np
import pandas as pd

from hilum.audit.evidence import Evidence
from hilum.audit.question import Question
from hilum.types import Finding, Status

QUESTION = Question(
    "C-02",
    "Label and source",
    "Cramér's V of source and label: above 0.3 warns, 0.9 or more fails",
    "Zech et al. 2018, doi:10.1371/journal.pmed.1002683: AUC 0.861 from the hospital alone",
)


def cramers_v(first: pd.Series, second: pd.Series) -> float:
    """Association of two categorical columns, 0 none to 1 complete (Cramér 1946, ch. 21)."""
    table = pd.crosstab(first, second).to_numpy(float)
    if min(table.shape) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / table.sum() / (min(table.shape) - 1)))


def audit(evidence: Evidence) -> Finding:
    """Cramér's V between the manifest's source and label columns."""
    sources = evidence.manifest["source"]
    if sources.isna().any():
        share = sources.isna().mean()
        return QUESTION.unknown(f"the source of {share:.0%} of the images is unknown")
    v = cramers_v(sources, evidence.manifest["label"])
    status: Status = "fail" if v >= 0.9 else "warn" if v > 0.3 else "pass"
    return QUESTION.found(status, v, _sentence(sources.nunique(), v))


def _sentence(sources: int, v: float) -> str:
    if sources == 1:
        return "All images come from one source, so the source cannot give the label away."
    if v >= 0.9:
        return (
            f"The classes come from different sources (V = {v:.2f}): whoever recognises the "
            "source knows the label, and no figure within this set can tell the two apart."
        )
    if v > 0.3:
        return f"Sources differ in their mix of classes (V = {v:.2f}): part of any score may be it."
    return f"Source and label are almost unrelated (V = {v:.2f})."
