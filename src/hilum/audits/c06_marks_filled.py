"""C-06: do answers change when burnt-in letters, arrows and stickers are filled in?"""

from hilum.audits import marked_films
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding

RULE = AuditRule(
    id="C-06",
    title="Burnt-in markers filled in",
    rule=marked_films.RULE_TEXT,
    source="Wirgård Wiklund et al. 2020, section 5.1; DeGrave et al. 2021, "
    "doi:10.1038/s42256-021-00338-7",
    remedy="remove burnt-in markers from all images (step remove_markers), and train again",
    severity=190,
)


def audit(evidence: Evidence) -> Finding:
    """Marks against as many pixels elsewhere, filled in from what lies around them."""
    answers = marked_films.answers_before_and_after(
        evidence, marked_films.films_with_marks(evidence), marked_films.fill_marks
    )
    return marked_films.finding(RULE, answers, "Filling in burnt-in markers")
