"""The linear probe: multinomial logistic regression on frozen features, solved to the optimum.

A convex problem needs no learning rate and no epochs; L-BFGS walks the L2 path from strong to weak
and the validation part says where to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from hilum.types import Floats, Labels

# L2 strengths per training image, strong to weak; validation chooses among them
PATH: tuple[float, ...] = tuple(float(s) for s in np.logspace(0.5, -3.5, 11))
PATIENCE = 2  # steps down the path without a better validation loss before giving up


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """Features (image, feature), already standardised, and class indices (image,).

    `shares` (image,) multiply the weight that each image has by its class.
    """

    features: Floats
    labels: Labels
    shares: npt.NDArray[np.float64] | None = None

    def counts(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(class,) weights -> what each image counts (image,)."""
        each = weights[self.labels]
        return each if self.shares is None else each * self.shares


@dataclass(frozen=True, slots=True)
class Probe:
    """The fitted layer: weights (class, feature), bias (class,), and how the path went."""

    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    strength: float
    history: tuple[dict[str, float | int | str], ...]  # epoch, part, loss, accuracy, strength


def fit_probe(
    train: LabelledFeatures,
    validation: LabelledFeatures,
    weights: npt.NDArray[np.float64],
    path: Sequence[float] = PATH,
) -> Probe:
    """Walk the path and keep the solution with the lowest validation log loss.

    `weights` (class,) multiply each class's loss in training; validation is weighed alike, by
    shares of its own, so that the choice serves the same aim. Optimisation: Liu & Nocedal 1989,
    doi:10.1007/BF01589116.
    """
    # skinny products gain nothing from BLAS threads, whose spinning costs 10x on a busy machine
    with threadpool_limits(1, "blas"):
        return _fit_path(train, validation, weights, path)


def _fit_path(
    train: LabelledFeatures,
    validation: LabelledFeatures,
    weights: npt.NDArray[np.float64],
    path: Sequence[float],
) -> Probe:
    classes, features = len(weights), train.features.shape[1]
    theta = np.zeros((classes, features + 1))
    best: tuple[float, float, npt.NDArray[np.float64]] = (np.inf, path[0], theta)
    history: list[dict[str, float | int | str]] = []
    since = 0
    for step, strength in enumerate(path):
        theta = solve(train, weights, strength, theta)
        for part, data in (("train", train), ("validation", validation)):
            loss, accuracy = loss_and_accuracy(theta, data, weights)
            history.append(
                {
                    "epoch": step,
                    "part": part,
                    "loss": loss,
                    "accuracy": accuracy,
                    "strength": strength,
                }
            )
        since = 0 if loss < best[0] else since + 1
        best = (loss, strength, theta) if since == 0 else best
        if since == PATIENCE:
            break
    return Probe(best[2][:, :-1], best[2][:, -1], best[1], tuple(history))


def solve_alone(
    data: LabelledFeatures, weights: npt.NDArray[np.float64], strength: float
) -> npt.NDArray[np.float64]:
    """`solve` from zero, on one BLAS thread."""
    with threadpool_limits(1, "blas"):
        start = np.zeros((len(weights), data.features.shape[1] + 1))
        return solve(data, weights, strength, start)


def solve(
    data: LabelledFeatures,
    weights: npt.NDArray[np.float64],
    strength: float,
    start: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """(class, feature + 1) minimiser of the weighted mean log loss + strength / 2 * |W|^2.

    The bias, last column, is not penalised; `start` warms the search.
    L-BFGS: Liu & Nocedal 1989, doi:10.1007/BF01589116.
    """
    rows = data.counts(weights)
    rows = rows / rows.sum()  # (image,)
    # products with all features take the time: single precision; loss and step stay double
    features = data.features.astype(np.float32)
    target = np.eye(len(weights))[data.labels] * rows[:, None]  # (image, class)

    def objective(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        theta = flat.reshape(start.shape)
        log_p = log_softmax(_logits(theta, features), axis=1)
        residual = np.exp(log_p) * rows[:, None] - target
        slope = np.empty_like(theta)
        slope[:, :-1] = residual.T.astype(np.float32) @ features + strength * theta[:, :-1]
        slope[:, -1] = residual.sum(0)
        loss = -(target * log_p).sum() + strength / 2 * (theta[:, :-1] ** 2).sum()
        return float(loss), slope.ravel()

    minimum = minimize(
        objective,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300, "ftol": 1e-8, "gtol": 1e-5},
    )
    return np.asarray(minimum.x).reshape(start.shape)


def loss_and_accuracy(
    theta: npt.NDArray[np.float64], data: LabelledFeatures, weights: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Weighted mean log loss and plain accuracy of `theta` (class, feature + 1)."""
    p = softmax(_logits(theta, data.features), axis=1)
    rows = data.counts(weights)
    p_true = p[np.arange(len(p)), data.labels]  # may underflow to 0
    loss = -(rows * np.log(np.maximum(p_true, 1e-12))).sum() / rows.sum()
    return float(loss), float((p.argmax(1) == data.labels).mean())


def _logits(theta: npt.NDArray[np.float64], features: Floats) -> npt.NDArray[np.float64]:
    """(image, class)."""
    product = features @ theta[:, :-1].T.astype(np.float32)
    return product.astype(np.float64) + theta[:, -1]
