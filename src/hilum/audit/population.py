"""C-09: are whole classes children and others adults?"""

from hilum.audit.evidence import Evidence
from hilum.audit.question import Question
from hilum.types import Finding

QUESTION = Question(
    "C-09",
    "Children and adults",
    "a class of children only beside a class of adults fails",
    "Roberts et al. 2021, doi:10.1038/s42256-021-00307-0 (paediatric controls)",
)


def audit(evidence: Evidence) -> Finding:
    """Age groups per class, from the datasets' cards and the manifest's ages."""
    there = set(evidence.manifest["label"])  # an external test may lack a class
    groups = {name: _age_groups(evidence, name) for name in evidence.classes if name in there}
    if any(not found for found in groups.values()):
        unknown = ", ".join(name for name, found in groups.items() if not found)
        return QUESTION.unknown(f"nothing is known of the ages in: {unknown}")
    children = [name for name, found in groups.items() if found == {"children"}]
    without = [name for name, found in groups.items() if "children" not in found]
    if children and without:
        sentence = (
            f"{', '.join(children)} are children and {', '.join(without)} are not: "
            "a classifier of age would score as well."
        )
        return QUESTION.found("fail", None, sentence)
    return QUESTION.found("pass", None, "No class differs from the others by age group.")


def _age_groups(evidence: Evidence, name: str) -> set[str]:
    rows = evidence.manifest[evidence.manifest["label"] == name]
    known = {evidence.populations.get(str(dataset), "unknown") for dataset in rows["dataset"]}
    if "unknown" not in known:
        return known
    ages = rows["age"].dropna().astype(float)
    if len(ages) < len(rows) / 2:
        return set()
    return {"children" if age < 16 else "adults" for age in ages}
