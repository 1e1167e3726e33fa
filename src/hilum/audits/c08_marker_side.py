"""C-08: does the side of a marker matter, when the patient stays the same?"""

import numpy as np

from hilum.audits import marked_films
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.audits.marked_films import MarkedFilm
from hilum.preprocess.markers import MarkerBox
from hilum.types import Finding, Grey8, Mask, counted

RULE = AuditRule(
    id="C-08",
    title="Side of the marker",
    rule=marked_films.RULE_TEXT,
    source="DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7 (laterality markers)",
    remedy="remove burnt-in markers from all images (step remove_markers), and train again",
    severity=180,
)


def audit(evidence: Evidence) -> Finding:
    """Marks moved to the other side of the film; and the film mirrored under its marks."""
    films = marked_films.films_with_marks(evidence)
    answers = marked_films.answers_before_and_after(evidence, films, _change)
    return marked_films.finding(
        RULE, answers, "Moving burnt-in markers to the other side", _mirrored(evidence, films)
    )


def moved(film: Grey8, mask: Mask, boxes: tuple[MarkerBox, ...]) -> Grey8:
    """(height, width) with what the mask holds, box by box, at the mirrored place, readable."""
    out = marked_films.without(film, mask).copy()
    width = film.shape[1]
    for box in boxes:
        rows = slice(box.top, box.top + box.height)
        target = slice(width - box.left - box.width, width - box.left)
        origin = slice(box.left, box.left + box.width)
        ink = mask[rows, origin]
        out[rows, target][ink] = film[rows, origin][ink]
    return out


def _change(film: MarkedFilm) -> tuple[Grey8, Grey8]:
    height, marks = film.pixels.shape[0], film.marks
    below = tuple(
        MarkerBox(box.left, height - box.top - box.height, box.width, box.height)
        for box in marks.boxes
    )
    return (
        moved(film.pixels, marks.mask, marks.boxes),
        moved(film.pixels, film.placebo, below),
    )


def _mirrored(evidence: Evidence, films: list[MarkedFilm]) -> str:
    """How often mirroring the patient changes the answer, with marks left alone and without any."""
    rows = []
    for film in films:
        turned = np.ascontiguousarray(film.bare[:, ::-1])
        under = np.where(film.marks.mask, film.pixels, turned)
        rows.append((film.pixels, under, film.bare, turned))
    classes = [p.argmax(1) for p in marked_films.probabilities(evidence, rows)]
    with_marks, bare_flips = (
        int((classes[0] != classes[1]).sum()),
        int((classes[2] != classes[3]).sum()),
    )
    return (
        f" Mirroring the patient changes {counted(with_marks, 'answer')} with the markers in place "
        f"and {bare_flips} without them."
    )
