"""C-08: does the side on which a marker stands matter, when the patient stays the same?"""

import numpy as np

from hilum.audit import marks
from hilum.audit.evidence import Evidence
from hilum.audit.marks import Film
from hilum.audit.question import Question
from hilum.prepare.markers import Box
from hilum.types import Finding, Grey8, Mask

QUESTION = Question(
    "C-08",
    "Side of the marker",
    marks.RULE,
    "DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7 (laterality markers)",
)


def audit(evidence: Evidence) -> Finding:
    """Marks moved to the other side of the film; and the film mirrored under its marks."""
    found = marks.marked(evidence)
    answers = marks.asked(evidence, found, _change)
    return marks.judged(
        QUESTION, answers, "Moving burnt-in marks to the other side", _mirrored(evidence, found)
    )


def moved(film: Grey8, mask: Mask, boxes: tuple[Box, ...]) -> Grey8:
    """(height, width) with what the mask holds, box by box, at the mirrored place, readable."""
    out = marks.without(film, mask).copy()
    width = film.shape[1]
    for box in boxes:
        rows = slice(box.top, box.top + box.height)
        there = slice(width - box.left - box.width, width - box.left)
        here = slice(box.left, box.left + box.width)
        ink = mask[rows, here]
        out[rows, there][ink] = film[rows, here][ink]
    return out


def _change(film: Film) -> tuple[Grey8, Grey8]:
    height, found = film.pixels.shape[0], film.marks
    below = tuple(
        Box(box.left, height - box.top - box.height, box.width, box.height) for box in found.boxes
    )
    return (
        moved(film.pixels, found.mask, found.boxes),
        moved(film.pixels, film.placebo, below),
    )


def _mirrored(evidence: Evidence, found: list[Film]) -> str:
    """How often mirroring the patient changes the answer, with marks left alone and without any."""
    rows = []
    for film in found:
        turned = np.ascontiguousarray(film.bare[:, ::-1])
        under = np.where(film.marks.mask, film.pixels, turned)
        rows.append((film.pixels, under, film.bare, turned))
    said = [p.argmax(1) for p in marks.told(evidence, rows)]
    with_marks, bare_flips = int((said[0] != said[1]).sum()), int((said[2] != said[3]).sum())
    return (
        f" Mirroring the patient under the marks changes {with_marks}, without marks {bare_flips}."
    )
