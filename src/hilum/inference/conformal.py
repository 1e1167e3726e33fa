"""Sets of classes that stay possible, with a promise per class; more than one means: abstain.

Split conformal prediction calibrated class by class (Mondrian): of the images of each class, at
least 1 - alpha have their class in the set, whatever the classifier is worth, as long as they come
from where the validation images came from. Vovk 2012, arXiv:1209.2673; Sadinle et al. 2019,
doi:10.1080/01621459.2017.1395341; Angelopoulos & Bates 2021, arXiv:2107.07511, section 3.1.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum.types import HilumError, Labels, Probabilities

Sets: TypeAlias = npt.NDArray[np.bool_]  # (image, class): whether the class stays possible
ALPHA = 0.1


def least_images(alpha: float = ALPHA) -> int:
    """Validation images of a class below which nothing but "every class" keeps the promise."""
    return int(np.ceil((1 - alpha) / alpha - 1e-9))


def class_limits(
    labels: Labels, p: Probabilities, classes: Sequence[str], alpha: float = ALPHA
) -> dict[str, float]:
    """The probability from which on each class stays possible, of validation images.

    `labels` (image,), `p` (image, class). With n images of a class it is the k-th smallest of its
    own probabilities there, k = floor((n + 1) alpha). Empty where a class has too few images to
    promise anything.
    Vovk 2012, arXiv:1209.2673.
    """
    if not 0 < alpha < 1:
        raise HilumError(f"alpha must lie between 0 and 1; got {alpha}; 0.1 is usual.")
    # 0.29 * 100 is below 29 in binary: hence 1e-9 here and above
    own = [np.sort(p[labels == i, i]) for i in range(len(classes))]
    ranks = [int(np.floor((len(scores) + 1) * alpha + 1e-9)) for scores in own]
    if min(ranks, default=0) < 1:
        return {}
    return {
        name: float(scores[rank - 1])
        for name, scores, rank in zip(classes, own, ranks, strict=True)
    }


def prediction_sets(p: Probabilities, classes: Sequence[str], least: Mapping[str, float]) -> Sets:
    """(image, class) probabilities -> which classes stay possible; the most probable always does.

    That one is kept where none reaches its limit, so that a set is never empty: more is covered
    than was promised. Raises HilumError where `least` lacks a class.
    Sadinle et al. 2019, doi:10.1080/01621459.2017.1395341.
    """
    absent = [name for name in classes if name not in least]
    if absent:
        raise HilumError(
            f"every class needs a limit; got none for {', '.join(absent)}; make the model again."
        )
    possible = p >= np.array([least[name] for name in classes])
    possible[np.arange(len(p)), p.argmax(1)] = True
    return np.asarray(possible, bool)


def abstention_reason(
    kept: npt.NDArray[np.bool_], classes: Sequence[str], alpha: float = ALPHA
) -> str:
    """Why an image (class,) is abstained from, or nothing where one class alone is left."""
    names = [name for name, there in zip(classes, kept, strict=True) if there]
    if len(names) < 2:
        return ""
    how_many = "both" if len(names) == 2 else f"all {len(names)}"
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    return f"{listed}: {how_many} stay possible at {1 - alpha:.0%}"
