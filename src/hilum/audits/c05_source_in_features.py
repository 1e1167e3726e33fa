"""C-05: do the network's features know the source of an image?"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from hilum.audits import c02_confounding, cross_validated_probe, look_alikes, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Status

RULE = AuditRule(
    id="C-05",
    title="Source in the features",
    rule="AUROC above 0.8 of a linear probe for the source, within a class, with its "
    "interval above 0.5, warns, and fails where source and label are related (C-02: V "
    "above 0.3)",
    source="Zech et al. 2018, doi:10.1371/journal.pmed.1002683; Teixeira et al. 2021, "
    "doi:10.3390/s21217116",
    remedy="add images until every source has every class, or train and test within one source",
    severity=170,
)
MOST = 1000  # images of a probe
LEAST = 10  # images of a class at a source


def audit(evidence: Evidence) -> Finding:
    """The most telling class: AUROC of its images' source from their features."""
    sources = evidence.manifest["source"]
    if evidence.features is None:
        return RULE.unknown("the network's features are not available")
    if sources.isna().any() or sources.nunique() < 2:
        state = "unknown" if sources.isna().any() else "the same for all images"
        return RULE.unknown(f"the source is {state}")
    aurocs: dict[str, tuple[float, tuple[float, float]]] = {}
    for name in evidence.classes:
        eligible = np.flatnonzero(_mixed(sources, evidence.manifest["label"] == name))
        rows = sampling.sample(evidence, eligible, MOST)
        if len(rows):
            codes = pd.factorize(sources.iloc[rows])[0].astype(np.int64)
            table = look_alikes.reduced(evidence.features[rows])
            aurocs[name] = cross_validated_probe.auroc_with_interval(
                table, codes, evidence.groups[rows], evidence.seed
            )
    if not aurocs:
        return RULE.unknown(
            f"no class has {LEAST} images from each of two sources, so source and label "
            "cannot be separated"
        )
    name = max(aurocs, key=lambda name: aurocs[name])
    value, interval = aurocs[name]
    v = c02_confounding.of_patients(evidence.manifest)[0]
    sentence = (
        f"Within {name}, a linear probe recognises the source of an image with AUROC "
        f"{value:.2f} (association of source and label: V = {v:.2f})."
    )
    source_known = value > 0.8 and interval[0] > 0.5
    status: Status = "pass" if not source_known else "fail" if v > 0.3 else "warn"
    return RULE.finding(status, value, sentence, interval)


def _mixed(sources: pd.Series, of_class: pd.Series) -> npt.NDArray[np.bool_]:
    """(image,) whether it is of the class and of a source with enough of it; none where one is."""
    counts = sources[of_class].value_counts()
    enough = counts[counts >= LEAST].index
    kept = of_class & sources.isin(enough)
    return (kept if len(enough) > 1 else kept & ~kept).to_numpy(bool)
