"""Films with burnt-in marks, and whether changing them changes the answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from hilum.audits import sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.metrics import intervals
from hilum.preprocess import markers
from hilum.preprocess.markers import Markers
from hilum.types import Finding, Grey8, HilumError, Mask, Probabilities, Status

FEW, MANY = 48, 256  # films in a run, and in `hilum audit`
LEAST = 10  # films with marks, or no audit of marks is made
SHARE, SURE = 0.02, 0.05
RULE_TEXT = (
    "more than 2% of answers change, and more than with a placebo (McNemar, p < 0.05): "
    "warns; fails where the interval of the share lies above 2%"
)


@dataclass(frozen=True, slots=True)
class MarkedFilm:
    """A film as it was read (height, width), its place in the manifest, and its marks."""

    row: int
    pixels: Grey8
    marks: Markers
    bare: Grey8  # with its marks filled in

    @property
    def placebo(self) -> Mask:
        """(height, width) as many pixels where no mark is: the marks' mask upside down."""
        return np.flipud(self.marks.mask) & ~self.marks.mask


@dataclass(frozen=True, slots=True)
class MarkerAnswers:
    """Probabilities (film, class) of films as they were, changed, and changed as a placebo."""

    before: Probabilities
    after: Probabilities
    placebo: Probabilities

    @property
    def flips(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """(film,) whether the answer changed, by the change and by the placebo."""
        classes = self.before.argmax(1)
        return self.after.argmax(1) != classes, self.placebo.argmax(1) != classes


def sampled_films(evidence: Evidence) -> list[MarkedFilm]:
    """Films that the model was not fitted on, read once for all audits of marks.

    Raises HilumError where none can be read.
    """
    return evidence.once("marked films", lambda: _sampled_films(evidence))


def films_with_marks(evidence: Evidence) -> list[MarkedFilm]:
    """Those that have markers; raises HilumError where they are too few."""
    films = [film for film in sampled_films(evidence) if film.marks.boxes]
    if len(films) < LEAST:
        several = "no test film has" if not films else f"only {len(films)} test films have"
        some = "only 1 test film has" if len(films) == 1 else several
        raise HilumError(f"{some} burnt-in markers; at least {LEAST} are needed")
    return films


def answers_before_and_after(
    evidence: Evidence,
    films: Sequence[MarkedFilm],
    change: Callable[[MarkedFilm], tuple[Grey8, Grey8]],
) -> MarkerAnswers:
    """The model's answers to films as they are and after `change`: (changed, placebo) films."""
    triples = [(film.pixels, *change(film)) for film in films]
    return MarkerAnswers(*probabilities(evidence, triples))


def probabilities(evidence: Evidence, tuples: Sequence[Sequence[Grey8]]) -> list[Probabilities]:
    """Tuples of films -> probabilities (tuple, class) of each place in them.

    A tuple is left out where the preparation refuses one of its films. No film is shown to the
    model twice, whichever audits ask for it. Raises HilumError where too few are left.
    """
    model = sampling.model(evidence)
    kept = [row for row in (_prepared(model.pipeline, row) for row in tuples) if row]
    if len(kept) < LEAST:
        raise HilumError(
            f"only {len(kept)} of {len(tuples)} test films pass the model's preprocessing; "
            f"at least {LEAST} are needed"
        )
    cache: dict[bytes, Probabilities] = evidence.once("answers to films", dict)
    new = {key: film for row in kept for film in row if (key := _key(film)) not in cache}
    if new:
        cache |= zip(new, model.probabilities(np.stack([*new.values()])), strict=True)
    return [np.stack([cache[_key(film)] for film in place]) for place in zip(*kept, strict=True)]


def finding(rule: AuditRule, answers: MarkerAnswers, what: str, more: str = "") -> Finding:
    """The finding of a change that ought to leave the answers alone.

    Against the placebo by the exact test of McNemar 1947, doi:10.1007/BF02295996; the share's
    interval is Wilson's (1927, doi:10.1080/01621459.1927.10502953).
    """
    real, placebo = answers.flips
    flips, n = int(real.sum()), len(real)
    only = int((real & ~placebo).sum()), int((placebo & ~real).sum())
    beyond = sum(only) > 0 and binomtest(only[0], sum(only), alternative="greater").pvalue < SURE
    low, high = intervals.wilson(flips, n)
    status: Status = "pass"
    if flips / n > SHARE and beyond:
        status = "fail" if low > SHARE else "warn"
    moved = float(np.abs(answers.after - answers.before).max(1).mean())
    sentence = (
        f"{what} changes {flips} of {n} answers, and the same change away from the "
        "markers "
        f"{int(placebo.sum())}{': the classifier reads the markers' if status != 'pass' else ''}. "
        f"Probabilities change by {moved:.2f} on average.{more}"
    )
    return rule.finding(status, flips / n, sentence, (low, high))


def fill_marks(film: MarkedFilm) -> tuple[Grey8, Grey8]:
    """The film (height, width) with its marks filled in, and with the placebo filled in."""
    return film.bare, without(film.pixels, film.placebo)


def without(film: Grey8, mask: Mask) -> Grey8:
    """(height, width) with what the mask covers filled in from around it, in the film's type."""
    return np.asarray(markers.remove(film, mask), np.uint8)


def _sampled_films(evidence: Evidence) -> list[MarkedFilm]:
    sampling.model(evidence)  # raises before anything is read
    rows = sampling.unseen(evidence, MANY if evidence.thorough else FEW)
    films = [_film(row, film) for row, film in sampling.read_sampled(evidence, rows)]
    if not films:
        first = evidence.manifest["path"].iloc[rows[0]]
        raise HilumError(f"the images cannot be found any more ({first})")
    return films


def _film(row: int, pixels: Grey8) -> MarkedFilm:
    marks = markers.find_markers(pixels)
    return MarkedFilm(row, pixels, marks, without(pixels, marks.mask) if marks.boxes else pixels)


def _key(film: Grey8) -> bytes:
    return blake2b(film.tobytes(), digest_size=16).digest()


def _prepared(pipeline: Callable[[Grey8], Grey8], row: Sequence[Grey8]) -> list[Grey8] | None:
    try:
        return [pipeline(film) for film in row]
    except HilumError:
        return None
