"""C-09: are whole classes children and others adults?"""

from hilum.audit.evidence import Evidence
from hilum.types import Finding

ID, TITLE = "C-09", "Children and adults"
RULE = "a class of children only beside a class of adults fails"
REFERENCE = "Roberts et al. 2021, doi:10.1038/s42256-021-00307-0 (paediatric controls)"


def audit(evidence: Evidence) -> Finding:
    """Age groups per class, from the datasets' cards and the manifest's ages."""
    there = set(evidence.manifest["label"])  # an external test may lack a class
    groups = {name: _age_groups(evidence, name) for name in evidence.classes if name in there}
    if any(not found for found in groups.values()):
        unknown = ", ".join(name for name, found in groups.items() if not found)
        sentence = f"Cannot be checked, because nothing is known of the ages in: {unknown}."
        return Finding(ID, "unknown", None, RULE, REFERENCE, sentence, TITLE)
    children = [name for name, found in groups.items() if found == {"children"}]
    without = [name for name, found in groups.items() if "children" not in found]
    if children and without:
        sentence = (
            f"{', '.join(children)} are children and {', '.join(without)} are not: "
            "a classifier of age would score as well."
        )
        return Finding(ID, "fail", None, RULE, REFERENCE, sentence, TITLE)
    return Finding(
        ID, "pass", None, RULE, REFERENCE, "No class differs from the others by age group.", TITLE
    )


def _age_groups(evidence: Evidence, name: str) -> set[str]:
    rows = evidence.manifest[evidence.manifest["label"] == name]
    known = {evidence.populations.get(str(dataset), "unknown") for dataset in rows["dataset"]}
    if "unknown" not in known:
        return known
    ages = rows["age"].dropna().astype(float)
    if len(ages) < len(rows) / 2:
        return set()
    return {"children" if age < 16 else "adults" for age in ages}
