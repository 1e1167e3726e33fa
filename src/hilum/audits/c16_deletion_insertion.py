"""C-16: do the pixels that the heat maps name matter more than others?"""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hilum.audits import sampled_maps, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Floats, Grey8, Stack8, Status

Values: TypeAlias = npt.NDArray[np.float64]
RULE = AuditRule(
    id="C-16",
    title="Deletion and insertion",
    rule="gain over random maps in the area under the deletion and insertion curves, mean: not "
    "above 0 warns, below 0 with its whole interval fails",
    source="Petsiuk et al. 2018, arXiv:1806.07421",
    remedy="do not use heat maps to explain this model",
    severity=40,
    expensive=True,
)
IMAGES, STEPS = 16, 14
PLACES = 7  # of a random map along a side, as coarse as a network's last map


def audit(evidence: Evidence) -> Finding:
    """Pixels go, or come, the hottest first; the same with maps of random heat.

    Areas under the curves of Petsiuk et al. 2018, arXiv:1806.07421.
    """
    sample, model = sampled_maps.heat_maps(evidence).head(IMAGES), sampling.model(evidence)
    random = np.random.default_rng([evidence.seed, 16])
    gains = []
    for film, class_, heat in zip(sample.films, sample.classes, sample.maps, strict=True):

        def p(stack: Stack8, class_: int = int(class_)) -> Values:
            return model.probabilities(stack)[:, class_]

        gains.append(_gain(p, film, heat, _random(film, random)))
    gain = np.array(gains)
    low, high = sampled_maps.interval(
        lambda rows: float(gain[rows].mean()), len(gain), evidence.seed
    )
    value = float(gain.mean())
    status: Status = "fail" if high < 0 else "warn" if value <= 0 else "pass"
    sentence = (
        "Deleting or inserting the hottest regions changes the probability by "
        f"{abs(value):.3f} {'more' if value > 0 else 'less'} than random regions do."
    )
    return RULE.finding(status, value, sentence, (low, high))


def _gain(p: Callable[[Stack8], Values], film: Grey8, heat: Floats, chance: Floats) -> float:
    """Mean of what both curves gain over a map of chance."""
    from hilum.explain.sanity_checks import deletion_or_insertion_curve

    deleted = [
        deletion_or_insertion_curve(p, film, order, "deletion", STEPS).area
        for order in (chance, heat)
    ]
    inserted = [
        deletion_or_insertion_curve(p, film, order, "insertion", STEPS).area
        for order in (heat, chance)
    ]
    return (deleted[0] - deleted[1] + inserted[0] - inserted[1]) / 2


def _random(film: Grey8, random: np.random.Generator) -> Floats:
    places = random.random((PLACES, PLACES), dtype=np.float32)
    size = film.shape[1], film.shape[0]
    return np.asarray(cv2.resize(places, size, interpolation=cv2.INTER_LINEAR), np.float32)
