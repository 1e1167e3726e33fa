"""What a model that sees no anatomy can tell: a small classifier, cross-validated by patient."""

import numpy as np
import numpy.typing as npt

from hilum.evaluate import metrics
from hilum.types import HilumError

FOLDS = 5


def auroc(
    table: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    seed: int,
) -> float:
    """Macro one-vs-rest AUROC of logistic regression on `table` (image, feature), out of fold.

    Raises HilumError when some class has fewer patients than two folds need.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    per_class = [len(np.unique(groups[labels == c])) for c in np.unique(labels)]
    if min(per_class) < 2 or len(per_class) < 2:
        raise HilumError(
            f"a shallow audit wants two classes with two patients each; got {per_class} patients "
            "per class; add images."
        )
    folds = StratifiedGroupKFold(min(FOLDS, *per_class), shuffle=True, random_state=seed)
    out = np.zeros((len(labels), labels.max() + 1))
    for train, test in folds.split(table, labels, groups):
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced")
        )
        model.fit(table[train], labels[train])
        out[np.ix_(test, model[-1].classes_)] = model.predict_proba(table[test])
    present = np.unique(labels)
    return float(np.mean([metrics.auroc(labels == c, out[:, c]) for c in present]))
