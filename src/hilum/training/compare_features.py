"""Sets of features compared by what a linear probe makes of them on images it has not seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from hilum.training.linear_probe import PATH, PATIENCE, LabelledFeatures, solve
from hilum.types import Floats, Labels

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of cross-validation; of each picture of a film, features of its own."""

    train: tuple[LabelledFeatures, ...]
    held_out: tuple[Floats, ...]  # (view, image, feature), whose logits are averaged over views
    labels: Labels  # (image,) of the held-out images
    shares: Array | None = None  # (image,) as in LabelledFeatures


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The strength of the lowest loss over all rounds, and the held-out images' logits there."""

    strength: float
    loss: float
    logits: Array  # (image, class)
    labels: Labels  # (image,)


def best_strength(rounds: Iterable[Round], weights: Array, path: Sequence[float] = PATH) -> HeldOut:
    """Walk the path in each round and keep the strength with the lowest mean held-out log loss.

    `weights` (class,) as in `fit_probe`. A round ends as that does; only strengths that every
    round has reached count. Stone 1974, doi:10.1111/j.2517-6161.1974.tb00994.x.
    """
    each: list[list[Array]] = []  # of each round its logits (image, class) by strength
    labels, shares = [], []
    with threadpool_limits(1, "blas"):
        for one in rounds:
            each.append(_walk(one, weights, path))
            labels.append(one.labels)
            shares.append(weights[one.labels] * (1.0 if one.shares is None else one.shares))
    reached = min(map(len, each))
    together = [np.concatenate([logits[step] for logits in each]) for step in range(reached)]
    every, counts = np.concatenate(labels), np.concatenate(shares)
    losses = [_loss(logits, every, counts) for logits in together]
    best = int(np.argmin(losses))
    return HeldOut(path[best], losses[best], together[best], every)


def _walk(one: Round, weights: Array, path: Sequence[float]) -> list[Array]:
    """Held-out logits (image, class) of each strength until the loss no longer falls."""
    classes, found, losses = len(weights), [], []
    thetas = [np.zeros((classes, data.features.shape[1] + 1)) for data in one.train]
    counts = weights[one.labels] * (1.0 if one.shares is None else one.shares)
    for strength in path:
        thetas = [
            solve(data, weights, strength, theta)
            for data, theta in zip(one.train, thetas, strict=True)
        ]
        logits = [
            (views @ theta[:, :-1].T.astype(np.float32)).astype(np.float64).mean(0) + theta[:, -1]
            for views, theta in zip(one.held_out, thetas, strict=True)
        ]
        found.append(np.mean(logits, axis=0))
        losses.append(_loss(found[-1], one.labels, counts))
        if len(losses) - 1 - int(np.argmin(losses)) == PATIENCE:
            break
    return found


def _loss(logits: Array, labels: Labels, counts: Array) -> float:
    """Weighted mean log loss of logits (image, class)."""
    true = log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    return float(-(counts * true).sum() / counts.sum())
