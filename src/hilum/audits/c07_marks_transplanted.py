"""C-07: does another class's marks on a film raise that class's probability?"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test, rankdata, wilcoxon

from hilum.audits import marked_films
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.audits.marked_films import MarkedFilm
from hilum.preprocess.step import as_uint8, resized
from hilum.types import Finding, Grey8, HilumError

RULE = AuditRule(
    id="C-07",
    title="Markers of another class",
    rule="a class's probability rises by more than 0.05 (median) when films of other "
    "classes show its markers instead of their own class's (Wilcoxon, Holm-corrected p "
    "< 0.05): fails",
    source="Wirgård Wiklund et al. 2020, section 5.2 and Fig. 11; DeGrave et al. 2021; Wilcoxon "
    "1945",
    remedy="remove burnt-in markers from all images (step remove_markers), and train again",
    severity=200,
)
RISE, SURE = 0.05, 0.05
FEW = 13  # films; scipy tries every sign of so many
REPLICATES = 1000


@dataclass(frozen=True, slots=True)
class Rise:
    """How far a class's probability rises (film,) under its marks, and the p of no rise."""

    class_: str
    by: npt.NDArray[np.float64]
    p: float

    @property
    def median(self) -> float:
        """Of all films."""
        return float(np.median(self.by))


def audit(evidence: Evidence) -> Finding:
    """Paired: each film of another class with marks of class a, and with marks of its own."""
    marked_films.films_with_marks(evidence)  # raises where there is nothing to transplant
    rises = [rise for rise in (_rise(evidence, i) for i in range(len(evidence.classes))) if rise]
    if not rises:
        raise HilumError(
            f"at least {marked_films.LEAST} test films of each of two classes are needed"
        )
    worst = max(rises, key=lambda rise: rise.median)
    fails = [r for r in _holm(rises) if r.median > RISE]
    random = np.random.default_rng([evidence.seed, 7])
    draws = random.choice(worst.by, (REPLICATES, len(worst.by)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    interval = float(low), float(high)
    named = ", ".join(rise.class_ for rise in fails)
    if fails:
        sentence = (
            f"Pasting the markers of {named} films into films of other classes raises "
            f"that class's probability by {worst.median:.2f} (median): the classifier "
            "reads the markers."
        )
        return RULE.finding("fail", worst.median, sentence, interval)
    raised = max(worst.median, 0.0)  # where every class falls, none is raised
    change = (
        "left the probabilities unchanged" if raised < 0.005 else "hardly raised any probability"
    )
    sentence = (
        f"Pasting in another class's markers {change} (median change {raised:.2f}, "
        f"{len(worst.by)} films)."
    )
    return RULE.finding("pass", worst.median, sentence, interval)


def _rise(evidence: Evidence, class_: int) -> Rise | None:
    """Of one class; None where it has too few films, or too few of others have one of their own."""
    every = marked_films.sampled_films(evidence)
    labels = {film.row: int(evidence.labels[film.row]) for film in every}
    random = np.random.default_rng([evidence.seed, 7, class_])
    donors = [film for film in every if labels[film.row] == class_]
    others = [film for film in every if labels[film.row] != class_]
    if min(len(donors), len(others)) < marked_films.LEAST:
        return None
    pairs = []
    for film in others:
        own = [d for d in others if labels[d.row] == labels[film.row] and d.row != film.row]
        if own:
            # a film's own class's marks do not hang on the other class: it is shown them once
            own_class = own[np.random.default_rng([evidence.seed, film.row, 7]).integers(len(own))]
            other_class = donors[random.integers(len(donors))]
            pairs.append([pasted(film.bare, giver) for giver in (other_class, own_class)])
    if len(pairs) < marked_films.LEAST:
        return None
    after, before = marked_films.probabilities(evidence, pairs)
    by = after[:, class_] - before[:, class_]
    return Rise(evidence.classes[class_], by, no_rise(by))


def no_rise(by: npt.NDArray[np.float64]) -> float:
    """One-sided p that (film,) differences of probabilities are not above 0; 1 where all are 0.

    The signed-rank test of Wilcoxon 1945, doi:10.2307/3001968.
    Of few films with ties or zeros scipy tries every sign, one call of Python each: here at once.
    """
    if not np.any(by):
        return 1.0
    changed = by[by != 0]
    if len(by) > FEW or len(np.unique(np.abs(changed))) == len(by):
        return float(wilcoxon(by, alternative="greater").pvalue)
    ranks = rankdata(np.abs(changed))  # a sign turns round, the ranks stay

    def positive(signed: npt.NDArray[np.float64], axis: int = -1) -> npt.NDArray[np.float64]:
        return np.asarray(((signed > 0) * ranks).sum(axis))

    options = {"permutation_type": "samples", "alternative": "greater", "vectorized": True}
    return float(permutation_test((changed,), positive, **options, axis=-1).pvalue)


def pasted(film: Grey8, donor: MarkedFilm) -> Grey8:
    """(height, width) with the donor's marks, stretched to its size, and nothing else of it."""
    if not donor.marks.boxes:
        return film
    size = (film.shape[0], film.shape[1])
    marks = donor.marks.mask.astype(np.uint8)
    mask = cv2.resize(marks, size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return np.where(mask, as_uint8(resized(donor.pixels, size)), film)


def _holm(rises: list[Rise]) -> list[Rise]:
    """Those that hold after the correction of Holm 1979, https://www.jstor.org/stable/4615733."""
    ordered = sorted(rises, key=lambda rise: rise.p)
    kept = []
    for i, rise in enumerate(ordered):
        if rise.p * (len(ordered) - i) >= SURE:
            break
        kept.append(rise)
    return kept
