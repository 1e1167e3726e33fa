"""Heat maps of test images for the class that the model gives them: drawn once for all audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hilum.audit import films
from hilum.audit.evidence import Evidence
from hilum.types import Floats, Labels, Stack8

if TYPE_CHECKING:
    from hilum.explain.subject import Subject

FEW, MANY = 32, 64  # images in a run, and in `hilum audit`
REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class Look:
    """Prepared films (image, height, width), the class given to each, and its Grad-CAM map."""

    rows: npt.NDArray[np.int64]  # (image,) places in the manifest
    films: Stack8
    classes: Labels
    maps: Floats  # (image, height, width), 0 and more

    def head(self, count: int) -> Look:
        """The first so many images."""
        return Look(self.rows[:count], self.films[:count], self.classes[:count], self.maps[:count])


def looked(evidence: Evidence) -> Look:
    """Maps of images that the model was not fitted on. Raises HilumError where there are none."""
    return evidence.once("heat maps", lambda: _looked(evidence))


def subject(evidence: Evidence) -> Subject:
    """The model made ready to be asked for its reasons."""
    from hilum.explain import subject as subjects

    return subjects.of(films.model(evidence))


def interval(
    figure: Callable[[npt.NDArray[np.int64]], float], count: int, seed: int
) -> tuple[float, float]:
    """95 % percentile interval of `figure` over resampled images (image,)."""
    random = np.random.default_rng([seed, 13])
    found = [figure(random.integers(0, count, count)) for _ in range(REPLICATES)]
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)


def _looked(evidence: Evidence) -> Look:
    from hilum.explain import heat

    model, stack = films.model(evidence), films.stack(evidence)
    rows = films.unseen(evidence, MANY if evidence.thorough else FEW)
    rows = np.random.default_rng([evidence.seed, 13]).permutation(rows)  # so that `head` is a draw
    chosen = np.ascontiguousarray(stack[rows])
    classes = model.probabilities(chosen).argmax(1).astype(np.int64)
    asked = subject(evidence)
    maps = [heat.heat(asked, film, int(c)) for film, c in zip(chosen, classes, strict=True)]
    return Look(rows, chosen, classes, np.stack(maps))
