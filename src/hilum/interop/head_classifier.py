"""hilum's logistic head as a scikit-learn classifier, for features from anywhere.

It is the head that `hilum train` fits on frozen features: standardisation, an L2 penalty that
validation chooses, class weights, a temperature that makes the probabilities mean what they say.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from hilum.inference import temperature
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.training import linear_probe, sampling
from hilum.training.linear_probe import LabelledFeatures, Probe
from hilum.types import Floats, HilumError, Labels, Probabilities

Rows = npt.NDArray[np.int64]


class FeaturesError(HilumError, ValueError):
    """A HilumError that scikit-learn's own tools take for the ValueError that they expect."""


class HeadClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Multinomial logistic regression whose penalty and temperature a validation part chooses.

    `class_weight` is None, "balanced", or a weight for each class. `validation` is the share of
    each class that is held back to choose the penalty along `strengths`, from strong to weak, and
    to fit the temperature; `refit` then fits the chosen penalty to all images. Rows of X that
    belong together, such as several films of a patient, can be held back together: see `fit`.

    >>> import numpy as np
    >>> from hilum.interop import HeadClassifier
    >>> features = np.random.default_rng(0).normal(size=(60, 4))
    >>> labels = np.where(features[:, 0] + features[:, 1] > 0, "covid19", "normal")
    >>> head = HeadClassifier().fit(features, labels)
    >>> head.predict_proba(features).shape, head.score(features, labels) > 0.9
    ((60, 2), True)
    """

    def __init__(
        self,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        *,
        validation: float = 0.15,
        strengths: Sequence[float] = linear_probe.PATH,
        refit: bool = False,
        calibrate: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.class_weight = class_weight
        self.validation = validation
        self.strengths = strengths
        self.refit = refit
        self.calibrate = calibrate
        self.random_state = random_state

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        held_back: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit to features X (image, feature) and classes y (image,).

        `held_back` (image,) is true for the images that validate, in place of a random share.
        Raises FeaturesError, a ValueError, for settings or data that cannot be used.
        """
        self._check_settings()
        X, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise FeaturesError(
                f"a classifier needs at least two classes; got one class, {self.classes_[0]!r}; "
                "add images of another class."
            )
        train, validation = self._parts(labels, held_back)
        self._fit(np.asarray(X), labels.astype(np.int64), train, validation)
        return self

    def decision_function(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Features (image, feature) -> logits (image, class); of two classes, second minus first.

        Not divided by the temperature.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: npt.ArrayLike) -> Probabilities:
        """Features (image, feature) -> calibrated probabilities (image, class)."""
        return temperature.apply_temperature(self._logits(X), self.temperature_)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Features (image, feature) -> the most probable class of each (image,)."""
        logits = self._logits(X)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def _logits(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float32, reset=False)
        return self.head_.logits(features)

    def _fit(self, X: Floats, labels: Labels, train: Rows, validation: Rows) -> None:
        weights = self._class_weights(labels[train])
        standard = Standardise.of(X, train)
        part = _labelled(standard, X, labels, train)
        watched = _labelled(standard, X, labels, validation if len(validation) else train)
        probe = linear_probe.fit_probe(part, watched, weights, self.strengths)
        head = _head(standard, probe.weights, probe.bias)
        fitted = temperature.fit_temperature(labels[validation], head.logits(X[validation]))
        self.temperature_ = fitted.value if self.calibrate else 1.0
        if self.refit:
            head = _refitted(X, labels, self._class_weights(labels), probe)
        self._keep(head, probe)

    def _keep(self, head: NumpyHead, probe: Probe) -> None:
        """What a fitted estimator shows; `coef_` and `intercept_` take standardised features."""
        self.head_ = head
        self.coef_, self.intercept_ = head.layers[0]
        self.mean_, self.scale_ = head.standardise.mean, head.standardise.deviation
        self.strength_ = probe.strength
        self.n_iter_ = len(probe.history) // 2  # penalties that were tried

    def _class_weights(self, labels: Labels) -> npt.NDArray[np.float64]:
        count = len(self.classes_)
        if isinstance(self.class_weight, str):
            return sampling.class_weights(labels, count)
        given = self.class_weight or {}
        return np.array([float(given.get(name, 1.0)) for name in self.classes_])

    def _parts(self, labels: Labels, held_back: npt.ArrayLike | None) -> tuple[Rows, Rows]:
        """Positions that train and that validate; a class always has an image that trains."""
        if held_back is None:
            random = check_random_state(self.random_state)
            mask = np.zeros(len(labels), bool)
            for class_ in range(len(self.classes_)):
                rows = random.permutation(np.flatnonzero(labels == class_))
                mask[rows[: min(_share(len(rows), self.validation), len(rows) - 1)]] = True
        else:
            mask = np.asarray(held_back, bool)
        if mask.shape != labels.shape or len(np.unique(labels[~mask])) < len(self.classes_):
            raise FeaturesError(
                f"held_back must be true or false for each of {len(labels)} images and leave an "
                f"image of each class to train on; got shape {mask.shape}; correct it."
            )
        return np.flatnonzero(~mask), np.flatnonzero(mask)

    def _check_settings(self) -> None:
        if not (self.class_weight in (None, "balanced") or isinstance(self.class_weight, Mapping)):
            raise FeaturesError(
                "class_weight is None, 'balanced' or a weight for each class; got "
                f"{self.class_weight!r}; choose one."
            )
        if not 0 <= self.validation < 1:
            raise FeaturesError(
                f"validation is a share of at least 0 and below 1; got {self.validation!r}; "
                "0.15 is usual."
            )
        if not len(self.strengths) or min(self.strengths) < 0:
            raise FeaturesError(
                f"strengths are one or more penalties of at least 0; got {self.strengths!r}; "
                "list them from strong to weak."
            )


def _share(count: int, share: float) -> int:
    """How many of a class's images validate: one at least, where any shall."""
    return max(1, round(count * share)) if share else 0


def _labelled(standard: Standardise, X: Floats, labels: Labels, rows: Rows) -> LabelledFeatures:
    return LabelledFeatures(standard(X[rows]), labels[rows])


def _refitted(
    X: Floats, labels: Labels, weights: npt.NDArray[np.float64], probe: Probe
) -> NumpyHead:
    """The head at the chosen penalty, from all images (image, feature)."""
    standard = Standardise.of(X)
    theta = linear_probe.solve_alone(
        LabelledFeatures(standard(X), labels), weights, probe.strength
    )  # (class, feature + 1): the last column is the bias
    return _head(standard, theta[:, :-1], theta[:, -1])


def _head(
    standard: Standardise, weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]
) -> NumpyHead:
    """In the precision of a model folder: float32 weights, as a torch layer holds them."""
    layer = (weights.astype(np.float32).astype(float), bias.astype(np.float32).astype(float))
    return NumpyHead(standard, (layer,))
