"""Whether a fold's model in int8 is as good as in full precision, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilum.metrics import metrics
from hilum.types import Labels, Probabilities

ALLOWED = 0.002  # of macro AUROC on validation images


@dataclass(frozen=True, slots=True)
class Trial:
    """One fold's validation part in full precision and in int8, ready for JSON."""

    used: bool
    full: float  # macro AUROC
    small: float
    change: float  # of a probability, the largest
    images: int


def compare(labels: Labels, full: Probabilities, small: Probabilities) -> Trial:
    """(image,) labels and two times (image, class); int8 is not used where AUROC cannot tell."""
    before, after = _auroc(labels, full), _auroc(labels, small)
    change = float(np.abs(full - small).max())
    return Trial(before - after <= ALLOWED, before, after, change, len(labels))


def _auroc(labels: Labels, p: Probabilities) -> float:
    """Mean over the classes that have images; nan where all images are of one class."""
    present = np.unique(labels)
    return float(np.mean([metrics.auroc(labels == i, p[:, i]) for i in present]))


def sentences(trials: Sequence[Trial]) -> list[str]:
    """What a run must say of the models that use int8 and of those that refused it."""
    used = [trial for trial in trials if trial.used]
    refused = [trial for trial in trials if not trial.used]
    told = []
    if used:
        told.append(
            f"Int8: {len(used)} of {len(trials)} models compute in it; AUROC on validation images "
            f"falls by {_most(used):.4f} at most, where {ALLOWED} is allowed, and a probability "
            f"changes by {max(trial.change for trial in used):.3f} at most."
        )
    if refused:
        told.append(
            f"Int8 is refused: {len(refused)} of {len(trials)} models keep full precision, since "
            f"their AUROC on validation images would fall by up to {_most(refused):.4f}, where "
            f"{ALLOWED} is allowed."
        )
    return told


def told(trials: Sequence[Trial]) -> dict[str, list[str]]:
    """The same under its name in `results.json`; nothing where no recipe wants int8."""
    return {"int8": sentences(trials)} if trials else {}


def _most(trials: Sequence[Trial]) -> float:
    return max(0.0, *(trial.full - trial.small for trial in trials))
