"""Temperature scaling: logits over one number, so that probabilities mean what they say."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.types import HilumError, Labels, Probabilities

Array: TypeAlias = npt.NDArray[np.float64]
COLDEST, HOTTEST = 0.05, 20.0  # temperatures outside say that the validation set cannot tell


@dataclass(frozen=True, slots=True)
class Temperature:
    """The divisor of the logits, the validation log loss before and after, and why it is 1 if so.

    `reason` is empty where the fit succeeded.
    """

    value: float
    before: float
    after: float
    reason: str = ""


def fit_temperature(labels: Labels, logits: Array) -> Temperature:
    """The temperature that minimises the log loss of validation logits (image, class).

    Log probabilities serve as logits. The loss is convex in 1 / temperature, so its slope's root is
    the optimum. A validation set that cannot tell (no images, nothing wrong, or an optimum outside
    0.05-20) leaves the temperature at 1. Guo et al. 2017, arXiv:1706.04599.
    """
    from scipy.optimize import brentq

    if not np.isfinite(logits).all():
        raise HilumError(
            "temperature scaling needs finite logits; got "
            f"{int((~np.isfinite(logits)).sum())} that are not; take the logarithms of "
            "probabilities above 0."
        )
    if not len(labels):
        return Temperature(1.0, float("nan"), float("nan"), "no validation images")
    before = _loss(labels, logits, 1.0)
    cold, hot = (_slope(labels, logits, 1 / t) for t in (COLDEST, HOTTEST))
    if cold <= 0:
        return Temperature(
            1.0, before, before, "the fit on validation images pushes probabilities to 0 and 1"
        )
    if hot >= 0:
        return Temperature(1.0, before, before, "the validation logits do not predict the labels")
    sharpness = float(brentq(lambda b: _slope(labels, logits, b), 1 / HOTTEST, 1 / COLDEST))
    return Temperature(1 / sharpness, before, _loss(labels, logits, sharpness))


def apply_temperature(logits: Array, temperature: float) -> Probabilities:
    """Logits or log probabilities (image, class) -> probabilities (image, class).

    The order of the classes, and so every prediction, stays.
    Guo et al. 2017, arXiv:1706.04599.
    """
    if not temperature > 0:
        raise HilumError(f"a temperature must be above 0; got {temperature}; 1 changes nothing.")
    return softmax(logits / temperature)


def softmax(logits: Array) -> Array:
    """(image, class) logits -> probabilities; scipy's own, bit by bit, takes long to load."""
    # without the largest logit nothing overflows
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _loss(labels: Labels, logits: Array, sharpness: float) -> float:
    from scipy.special import log_softmax

    return float(-log_softmax(logits * sharpness, axis=1)[np.arange(len(labels)), labels].mean())


def _slope(labels: Labels, logits: Array, sharpness: float) -> float:
    """Derivative of the loss by 1 / temperature: expected logit minus the true class's logit."""
    expected = (softmax(logits * sharpness) * logits).sum(1)
    return float((expected - logits[np.arange(len(labels)), labels]).mean())
