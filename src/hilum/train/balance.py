"""How much each class counts in the loss."""

import numpy as np
import numpy.typing as npt

from hilum.types import HilumError, Labels


def class_weights(labels: Labels, classes: int) -> npt.NDArray[np.float64]:
    """(image,) class indices -> (class,) weights n / (classes * n_class).

    Equation 1 of Zhang & Liu (study 003); equals scikit-learn's "balanced". Raises HilumError for
    a class without images.
    """
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        empty = [int(i) for i in np.flatnonzero(counts == 0)]
        raise HilumError(
            f"class weights want at least one training image per class; got none for class number "
            f"{empty}; add images or drop the class."
        )
    return len(labels) / (classes * counts)
