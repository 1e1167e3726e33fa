"""A fitted head moved to films of another hospital: as far as these films ask for, and no further.

New logits are `scale` times the old ones, plus an offset of each class, plus a linear layer on the
same features. A penalty keeps all three near the old head (scale 1, nothing added), so that few
films change little. The layer's is found by films left out; that of scale and offsets is a normal
distribution around them. Multi-task form: Evgeniou & Pontil 2004,
doi:10.1145/1014052.1014067; of a prior head: Li et al. 2018, arXiv:1802.01483.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from hilum.types import HilumError, Labels, Probabilities

Array: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
PATH: tuple[float, ...] = (np.inf, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)  # L2, strong to weak
SCALE_SPREAD, OFFSET_SPREAD = 0.5, 3.0  # standard deviations of scale and offsets, before any film
FOLDS = 5
FLATTENED = 0.5  # of the log likelihood of films left out, see `weigh_strengths`
ROUNDS, CLOSE = 1000, 1e-9  # of the search for shares of classes


@dataclass(frozen=True, slots=True)
class Shift:
    """What is done to old logits (image, class) and features (image, feature)."""

    scale: float
    offset: Array  # (class,)
    layer: Array  # (class, feature)

    def __call__(self, logits: Array, features: Array) -> Array:
        """New logits (image, class)."""
        return self.scale * logits + self.offset + features @ self.layer.T


@dataclass(frozen=True, slots=True)
class NewFilms:
    """Films of a hospital: what the old head says of each, features as it sees them, and labels."""

    logits: Array  # (image, class), over the old temperature
    features: Array  # (image, feature), standardised
    labels: Labels  # (image,)
    patients: Rows  # (image,)

    def take(self, rows: Rows) -> "NewFilms":
        """Some of them."""
        return NewFilms(
            self.logits[rows], self.features[rows], self.labels[rows], self.patients[rows]
        )

    def __len__(self) -> int:
        return len(self.labels)


def fit_shift(films: NewFilms, strength: float) -> Shift:
    """The shift that minimises mean log loss and penalty; infinite `strength` adds no layer.

    The layer lies in the span of the films' features, so as many directions as films are searched.
    """
    with threadpool_limits(1, "blas"):
        points, directions = compact(films.features)
        if np.isinf(strength):
            points, directions, strength = points[:, :0], directions[:0], 0.0
        theta, offset, scale = _minimise(films, points, strength)
        return Shift(scale, offset, theta @ directions)


def compact(features: Array) -> tuple[Array, Array]:
    """(image, feature) -> (image, direction) of the same inner products, (direction, feature).

    As they are where there are no more features than images.
    """
    if features.shape[1] <= len(features):
        return features, np.eye(features.shape[1])
    left, sizes, right = np.linalg.svd(features, full_matrices=False)
    kept = sizes > 1e-8 * max(float(sizes.max(initial=0.0)), 1e-300)
    return left[:, kept] * sizes[kept], right[kept]


def _minimise(films: NewFilms, points: Array, strength: float) -> tuple[Array, Array, float]:
    count, classes = films.logits.shape
    width = points.shape[1]
    target = np.eye(classes)[films.labels]

    def objective(flat: Array) -> tuple[float, Array]:
        theta = flat[: classes * width].reshape(classes, width)
        offset, scale = flat[classes * width : -1], flat[-1]
        log_p = log_softmax(scale * films.logits + offset + points @ theta.T, axis=1)
        residual = (np.exp(log_p) - target) / count
        loss = -(target * log_p).sum() / count + strength / 2 * (theta**2).sum()
        loss += (offset @ offset / OFFSET_SPREAD**2 + ((scale - 1) / SCALE_SPREAD) ** 2) / 2 / count
        slope = np.concatenate([
            (residual.T @ points + strength * theta).ravel(),
            residual.sum(0) + offset / OFFSET_SPREAD**2 / count,
            [(residual * films.logits).sum() + (scale - 1) / SCALE_SPREAD**2 / count],
        ])  # fmt: skip
        return float(loss), slope

    start = np.zeros(classes * width + classes + 1)
    start[-1] = 1.0
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10}
    ).x
    theta = found[: classes * width].reshape(classes, width)
    return theta, found[classes * width : -1], float(found[-1])


def folds_of(films: NewFilms, seed: int, folds: int = FOLDS) -> Rows:
    """(image,) Number of its fold: patients whole, rare classes dealt out first."""
    random = np.random.default_rng(seed)
    patients, place = np.unique(films.patients, return_inverse=True)
    counts = np.zeros((len(patients), films.logits.shape[1]), np.int64)
    np.add.at(counts, (place, films.labels), 1)
    rare = counts.sum(0)
    rarest = [int(min(np.flatnonzero(row), key=lambda c: rare[c])) for row in counts]
    order = random.permutation(len(patients))
    order = order[np.argsort(rare[np.array(rarest)[order]], kind="stable")]
    fold = np.zeros(len(patients), np.int64)
    fold[order] = np.arange(len(patients)) % min(folds, len(patients))
    return np.asarray(fold[place], np.int64)


def weigh_strengths(films: NewFilms, seed: int = 0) -> Array:
    """(strength,) How much each of PATH counts, by the log loss on films left out by patient.

    Weights by the likelihood of left-out films are pseudo-BMA weights (Yao et al. 2018,
    doi:10.1214/17-BA1091); flattened, because the loss of few films is itself uncertain.
    """
    films, fold = replace(films, features=compact(films.features)[0]), folds_of(films, seed)
    losses = np.zeros(len(PATH))
    for number in np.unique(fold).tolist():
        inside, left = (
            films.take(np.flatnonzero(fold != number)),
            films.take(np.flatnonzero(fold == number)),
        )
        for step, strength in enumerate(PATH):
            log_p = log_softmax(fit_shift(inside, strength)(left.logits, left.features), axis=1)
            losses[step] -= log_p[np.arange(len(left)), left.labels].sum()
    return np.asarray(softmax(-FLATTENED * losses))


def fit_weighed(films: NewFilms, weights: Array) -> Shift:
    """The mean of the shifts of all strengths by weights (strength,): a shift as well."""
    shifts = [fit_shift(films, strength) for strength in PATH]
    return Shift(
        float(np.average([shift.scale for shift in shifts], weights=weights)),
        np.average([shift.offset for shift in shifts], axis=0, weights=weights),
        np.average([shift.layer for shift in shifts], axis=0, weights=weights),
    )


def out_of_fold(films: NewFilms, seed: int = 0) -> Array:
    """New logits (image, class), each by a shift that saw neither the film nor its patient.

    Nested: strengths are weighed anew without each fold.
    """
    films, fold = replace(films, features=compact(films.features)[0]), folds_of(films, seed)
    logits = np.zeros_like(films.logits)
    for number in np.unique(fold).tolist():
        inside, rows = films.take(np.flatnonzero(fold != number)), np.flatnonzero(fold == number)
        shift = fit_weighed(inside, weigh_strengths(inside, seed + 1))
        logits[rows] = shift(films.logits[rows], films.features[rows])
    return logits


def class_shares(p: Probabilities, prior: Array) -> Array:
    """The shares of classes (class,) among films with probabilities `p` (image, class).

    `prior` (class,) are the shares that the probabilities were made for. Expectation maximisation:
    Saerens et al. 2002, doi:10.1162/089976602753284446.
    """
    if not len(p) or (prior <= 0).any():
        raise HilumError(
            f"shares of classes need probabilities and a share above 0 of each; got {len(p)} "
            f"images and {prior.tolist()}; add images."
        )
    shares = prior / prior.sum()
    for _ in range(ROUNDS):
        weighed = p * (shares / prior)
        before, shares = shares, (weighed / weighed.sum(1, keepdims=True)).mean(0)
        if np.abs(shares - before).max() < CLOSE:
            break
    return shares
