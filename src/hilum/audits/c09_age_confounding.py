"""C-09: are whole classes children and others adults?"""

import pandas as pd

from hilum.audits import c02_confounding
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding

MUCH, ALL = 0.3, 0.9  # V
ADULT = 16  # years
RULE = AuditRule(
    id="C-09",
    title="Children and adults",
    rule="Cramér's V of label and being a child, corrected for chance: above 0.3 warns; 0.9 "
    "or more, or one class of children only and another without any, fails",
    source="Roberts et al. 2021, doi:10.1038/s42256-021-00307-0 (paediatric controls)",
    remedy="take every class from the same age group, or add children and adults to every class",
    severity=210,
    before_training=True,
)


def audit(evidence: Evidence) -> Finding:
    """Age groups per class, from the datasets' cards and the manifest's ages."""
    present = set(evidence.manifest["label"])  # an external test may lack a class
    names = [name for name in evidence.classes if name in present]
    groups = age_groups(evidence)
    share_known = groups.notna().groupby(evidence.manifest["label"]).mean()
    if unknown := [name for name in names if share_known[name] < 0.5]:
        return RULE.unknown(f"the ages are unknown in: {', '.join(unknown)}")
    young = (groups == "children").groupby(evidence.manifest["label"]).mean() / share_known
    v = c02_confounding.corrected_v(groups, evidence.manifest["label"])
    children = [name for name in names if young[name] == 1]
    without = [name for name in names if young[name] == 0]
    if children and without:
        sentence = (
            f"All of {', '.join(children)} and none of {', '.join(without)} are "
            "children: a model that only recognises age would score as well."
        )
        return RULE.finding("fail", v, sentence)
    shares = ", ".join(f"{young[name]:.0%} of {name}" for name in names)
    if v > MUCH:
        part = "nearly as well" if v >= ALL else "part of this"
        sentence = (
            f"Children are {shares} (V = {v:.2f}): a model that only recognises age would "
            f"score {part}."
        )
        return RULE.finding("fail" if v >= ALL else "warn", v, sentence)
    return RULE.finding(
        "pass", v, f"Children are {shares}: age group and label are hardly related."
    )


def age_groups(evidence: Evidence) -> pd.Series:
    """(image,) "children", "adults", or missing: by the dataset's card, else by the age."""
    of_card = pd.Series(
        [evidence.populations.get(str(name), "") for name in evidence.manifest["dataset"]],
        evidence.manifest.index,
        dtype="string",
    )
    years = pd.to_numeric(evidence.manifest["age"], errors="coerce")
    of_age = pd.Series(pd.NA, years.index, dtype="string")
    of_age[years < ADULT] = "children"
    of_age[years >= ADULT] = "adults"
    return of_card.where(of_card.isin(["children", "adults"]), of_age)
