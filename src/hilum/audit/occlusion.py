"""C-06: do answers change when burnt-in letters, arrows and stickers are filled in?"""

from hilum.audit import marks
from hilum.audit.evidence import Evidence
from hilum.audit.question import Question
from hilum.types import Finding

QUESTION = Question(
    "C-06",
    "Marks filled in",
    marks.RULE,
    "Wirgård Wiklund et al. 2020, section 5.1; DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7",
)


def audit(evidence: Evidence) -> Finding:
    """Marks against as many pixels elsewhere, filled in from what lies around them."""
    answers = marks.asked(evidence, marks.marked(evidence), marks.filled)
    return marks.judged(QUESTION, answers, "Filling in burnt-in marks")
