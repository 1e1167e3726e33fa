"""What a model that sees no anatomy can tell: a small classifier, cross-validated by patient."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.metrics import bootstrap, metrics
from hilum.types import HilumError, Labels, Probabilities

FOLDS = 5
REPLICATES = 1000
FLAT = 1e-10  # share of the largest variance below which a direction is rounding


def macro_auroc(labels: Labels, p: Probabilities, classes: Labels) -> float:
    """Macro one-vs-rest AUROC of p (image, class) over some classes."""
    return float(np.mean([metrics.auroc(labels == c, p[:, c]) for c in classes]))


def auroc_with_interval(
    table: npt.NDArray[np.floating], labels: Labels, groups: npt.NDArray[np.int64], seed: int
) -> tuple[float, tuple[float, float]]:
    """Macro AUROC of logistic regression on `table` (image, feature), out of fold, and its 95%
    interval: of 60 images without any rule one in six is above 0.6.

    Raises as `out_of_fold` does.
    """
    areas = resampled(labels, [out_of_fold(table, labels, groups, seed)], groups, seed)
    low, high = np.nanquantile(areas[1:, 0], [0.025, 0.975])
    return float(areas[0, 0]), (float(low), float(high))


def resampled(
    labels: Labels,
    probabilities: Sequence[Probabilities],
    groups: npt.NDArray[np.int64],
    seed: int,
    classes: Labels | None = None,
) -> npt.NDArray[np.float64]:
    """(1 + replicate, classifier) macro AUROC: of all patients first, then resampled.

    `probabilities` are (image, class) of the same images, `classes` those that count (default:
    all there are); nan where a resample lacks one.
    """
    named = np.unique(labels) if classes is None else classes
    names, patients = np.unique(groups, return_inverse=True)
    ranks = [[metrics.rank(labels == c, p[:, c]) for c in named] for p in probabilities]

    def figures(weights: bootstrap.Array) -> bootstrap.Array:
        each = weights[:, patients]
        areas = [np.mean([metrics.roc_areas(r, each) for r in ranking], 0) for ranking in ranks]
        return np.stack(areas, -1)

    random = np.random.default_rng([seed, 1])
    replicates = bootstrap.replicate(figures, len(names), random, REPLICATES, len(labels))
    return np.concatenate([figures(np.ones((1, len(names)))), replicates])


def out_of_fold(
    table: npt.NDArray[np.floating], labels: Labels, groups: npt.NDArray[np.int64], seed: int
) -> Probabilities:
    """(image, class): what the classifier says of each image when its patient was left out.

    Raises HilumError when some class has fewer patients than two folds need, or when patients of
    several classes leave a fold nothing to tell apart.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    per_class = [len(np.unique(groups[labels == c])) for c in np.unique(labels)]
    if min(per_class) < 2 or len(per_class) < 2:
        raise HilumError(
            f"two classes, and at least two patients of each class, are needed; got {per_class} "
            "patients per class; add images."
        )
    folds = StratifiedGroupKFold(min(FOLDS, *per_class), shuffle=True, random_state=seed)
    parts = [*folds.split(table, labels, groups)]
    if any(len(np.unique(labels[train])) < 2 for train, _ in parts):
        raise HilumError(
            f"{len(np.unique(groups))} patients, some of several classes, cannot be divided so "
            "that each part leaves two classes to learn from; add images of other patients."
        )
    return part_by_part(table, labels, parts)


def part_by_part(
    table: npt.NDArray[np.floating],
    labels: Labels,
    parts: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
) -> Probabilities:
    """(image, class): of each part's tested images, by a classifier fitted to its training images.

    Images that no part tests have 0.
    """
    out = np.zeros((len(labels), labels.max() + 1))
    for train, test in parts:
        model = fit_probe_pipeline(table[train], labels[train])
        out[np.ix_(test, model[-1].classes_)] = model.predict_proba(table[test])
    return out


def fit_probe_pipeline(table: npt.NDArray[np.floating], labels: Labels) -> Any:
    """Logistic regression on standardised `table` (image, feature), classes weighed alike.

    Fewer images than features are turned into the plane that they span first: an L2 penalty has the
    same answer there (the representer theorem, Schölkopf et al. 2001,
    doi:10.1007/3-540-44581-1_27), and the table is as narrow as it is long.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    scaler = StandardScaler().fit(table)
    turned = []
    if len(table) < table.shape[1]:
        basis = _basis(scaler.transform(table))
        # images all alike span no plane: as they are, they are zeros, and equal for every class
        turned = [FunctionTransformer(np.dot, kw_args={"b": basis})] if basis.size else []
    probe = LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced")
    return make_pipeline(scaler, *turned, probe).fit(table, labels)


def _basis(table: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """(feature, component) orthonormal: the plane that the rows of `table` (image, feature) span.

    From the small matrix of the images' products, which costs a tenth of decomposing the table.
    """
    values, vectors = np.linalg.eigh(table @ table.T)
    spanned = values > FLAT * values[-1]
    return np.asarray(table.T @ (vectors[:, spanned] / np.sqrt(values[spanned])))
