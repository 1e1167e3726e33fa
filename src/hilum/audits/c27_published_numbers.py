"""C-27: are the numbers that the paper prints arithmetically possible?"""

from collections.abc import Sequence

import pandas as pd

from hilum.audits import published_arithmetic, published_table
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Published

RULE = AuditRule(
    id="C-27",
    title="Published numbers",
    rule="any printed figure that no table of counts can produce warns; this says nothing "
    "about the classifier",
    source="Brown & Heathers 2017, doi:10.1177/1948550616673876 (GRIM)",
    severity=10,
)


def audit(evidence: Evidence) -> Finding:
    """How many of the published figures contradict each other or arithmetic."""
    if not evidence.published:
        return RULE.unknown("the recipe states no published numbers")
    result = published_arithmetic.check_arithmetic(
        *published_table.parse_published_table(as_table(evidence.published))
    )
    if not result.checks:
        return RULE.unknown("none of the published numbers can be checked against another")
    wrong = len(result.violations)
    if wrong:
        sentence = f"{wrong} of {result.checks} checks fail: {result.violations[0].sentence}"
        return RULE.finding("warn", float(wrong), sentence)
    sentence = f"{result.checks} checks of the published numbers find no contradiction."
    return RULE.finding("pass", 0.0, sentence)


def as_table(published: Sequence[Published]) -> pd.DataFrame:
    """Published numbers as `check-table` reads them; each place in the paper is an experiment."""
    rows = [
        {
            "study": "published",
            "dataset": "",
            "model": number.where,
            "init": "",
            "freeze": "",
            "class": number.class_,
            "metric": number.name
            if number.threshold is None
            else f"{number.name}@{number.threshold}",
            "value": f"{number.published:g}",
            "where": number.where,
        }
        for number in published
    ]
    return pd.DataFrame(rows, columns=list(published_table.COLUMNS), dtype=str)
