"""What each patient is in the set: the dials that tie hospital, marker, exposure to the label."""

from dataclasses import dataclass

import numpy as np

from hilum.phantom.request import Request

ROLE_STREAM, BLOCK_STREAM = 3, 4  # keys of the random streams, apart from those of anatomy


@dataclass(frozen=True, slots=True)
class Role:
    """What a patient is in this set: the label and what the dials tie to it."""

    label: str
    hospital: str
    marker: str  # hospital whose markers are burnt in
    exposure: str  # hospital whose exposure is used
    images: int


def role(request: Request, index: int) -> Role:
    """Label, hospital and number of images of patient `index`; labels come in shuffled blocks."""
    rng = np.random.default_rng([request.seed, ROLE_STREAM, index])
    kinds = len(request.classes)
    block = np.random.default_rng([request.seed, BLOCK_STREAM, index // kinds])
    number = int(block.permutation(kinds)[index % kinds])
    images = int(rng.integers(1, request.images_per_patient + 1))
    hospital = _tied(request, number, request.shortcut, rng)
    marker, exposure = (
        hospital if dial is None else _tied(request, number, dial, rng)
        for dial in (request.marker_shortcut, request.exposure_shortcut)
    )
    return Role(request.classes[number], hospital, marker, exposure, images)


def _tied(request: Request, number: int, dial: float, rng: np.random.Generator) -> str:
    # with probability `dial` the label decides, else chance: Cramér's V of the pair is `dial`
    decided, chance = rng.random(), int(rng.integers(len(request.hospitals)))
    chosen = number % len(request.hospitals) if decided < dial else chance
    return request.hospitals[chosen]
