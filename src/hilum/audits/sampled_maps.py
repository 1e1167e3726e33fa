"""Heat maps of test images for the class that the model gives them: drawn once for all audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hilum.audits import sampling
from hilum.audits.evidence import Evidence
from hilum.types import Floats, Labels, Stack8

if TYPE_CHECKING:
    from hilum.explain.explainer import ExplainableModel

FEW, MANY = 32, 64  # images in a run, and in `hilum audit`
REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class SampledMaps:
    """Prepared films (image, height, width), the class given to each, and its Grad-CAM map."""

    rows: npt.NDArray[np.int64]  # (image,) places in the manifest
    films: Stack8
    classes: Labels
    maps: Floats  # (image, height, width), 0 and more

    def head(self, count: int) -> SampledMaps:
        """The first so many images."""
        return SampledMaps(
            self.rows[:count], self.films[:count], self.classes[:count], self.maps[:count]
        )


def heat_maps(evidence: Evidence) -> SampledMaps:
    """Maps (image, height, width) of images that the model was not fitted on.

    Raises HilumError where there are none.
    """
    return evidence.once("heat maps", lambda: _heat_maps(evidence))


def explainable(evidence: Evidence) -> ExplainableModel:
    """The model made ready for Grad-CAM and its checks."""
    from hilum.explain import explainer as subjects

    return subjects.make_explainable(sampling.model(evidence))


def interval(
    figure: Callable[[npt.NDArray[np.int64]], float], count: int, seed: int
) -> tuple[float, float]:
    """95% interval of `figure` over resampled images (image,): percentile bootstrap.

    Efron & Tibshirani 1993, doi:10.1201/9780429246593, chapter 13.
    """
    random = np.random.default_rng([seed, 13])
    figures = [figure(random.integers(0, count, count)) for _ in range(REPLICATES)]
    low, high = np.nanquantile(figures, [0.025, 0.975])
    return float(low), float(high)


def _heat_maps(evidence: Evidence) -> SampledMaps:
    from hilum.explain import cam

    model, stack = sampling.model(evidence), sampling.stack(evidence)
    rows = sampling.unseen(evidence, MANY if evidence.thorough else FEW)
    rows = np.random.default_rng([evidence.seed, 13]).permutation(rows)  # so that `head` is a draw
    chosen = np.ascontiguousarray(stack[rows])
    classes = model.probabilities(chosen).argmax(1).astype(np.int64)
    model_to_explain = explainable(evidence)
    maps = [
        cam.heat(model_to_explain, film, int(c)) for film, c in zip(chosen, classes, strict=True)
    ]
    return SampledMaps(rows, chosen, classes, np.stack(maps))
