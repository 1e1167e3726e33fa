"""The linear probe against scikit-learn, and the choice on validation data."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from hilum.training import linear_probe, sampling
from hilum.training.linear_probe import LabelledFeatures
from hilum.types import HilumError


def problem(images: int, seed: int) -> LabelledFeatures:
    random = np.random.default_rng(seed)
    labels = random.choice(3, images, p=[0.6, 0.3, 0.1])
    centres = np.random.default_rng(99).normal(0, 0.7, (3, 20))
    features = centres[labels] + random.normal(0, 1, (images, 20))
    return LabelledFeatures(features.astype(np.float32), labels.astype(np.int64))


def test_class_weights_are_those_of_the_paper_and_of_scikit_learn() -> None:
    counts = {"covid": 255, "normal": 234, "bacterial": 242, "viral": 148}
    labels = np.repeat(np.arange(4), list(counts.values()))
    ours = sampling.class_weights(labels, 4)
    np.testing.assert_allclose(ours, [0.8618, 0.9391, 0.9081, 1.4848], atol=5e-5)
    reference = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(ours, reference)
    source = np.repeat(np.arange(3), [1583, 1493, 2780])
    np.testing.assert_allclose(
        sampling.class_weights(source, 3), [1.2331, 1.3074, 0.7022], atol=5e-5
    )


def test_empty_class_is_refused() -> None:
    with pytest.raises(HilumError, match=r"class number \[2\]"):
        sampling.class_weights(np.array([0, 1, 1]), 3)


@pytest.mark.parametrize("strength", [1.0, 0.01])
def test_solution_equals_scikit_learn(strength: float) -> None:
    data, weights = problem(400, 1), np.array([0.5, 1.0, 3.0])
    theta = linear_probe.solve(data, weights, strength, np.zeros((3, 21)))
    # scikit-learn minimises C * sum of weighted losses + |W|^2 / 2
    total = weights[data.labels].sum()
    reference = LogisticRegression(
        C=1 / (strength * total), class_weight=dict(enumerate(weights)), tol=1e-10, max_iter=5000
    ).fit(data.features.astype(np.float64), data.labels)
    ours = softmax(data.features @ theta[:, :-1].T + theta[:, -1], axis=1)
    theirs = reference.predict_proba(data.features.astype(np.float64))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_validation_chooses_the_strength() -> None:
    train, validation, weights = problem(150, 1), problem(2000, 2), np.ones(3)
    fitted = linear_probe.fit_probe(train, validation, weights)
    losses = [row["loss"] for row in fitted.history if row["part"] == "validation"]
    chosen = [
        row["strength"]
        for row in fitted.history
        if row["part"] == "validation" and row["loss"] == min(losses)
    ]
    assert fitted.strength == chosen[0]
    assert fitted.strength not in (linear_probe.PATH[0], linear_probe.PATH[-1])
    assert fitted.weights.shape == (3, 20)


def test_judge_is_the_weighted_log_loss() -> None:
    data, weights = problem(50, 3), np.array([1.0, 2.0, 5.0])
    theta = np.random.default_rng(0).normal(0, 0.1, (3, 21))
    loss, accuracy = linear_probe.loss_and_accuracy(theta, data, weights)
    p = softmax(data.features.astype(float) @ theta[:, :-1].T + theta[:, -1], axis=1)
    own = p[np.arange(50), data.labels]
    assert loss == pytest.approx(np.average(-np.log(own), weights=weights[data.labels]), rel=1e-4)
    assert accuracy == (p.argmax(1) == data.labels).mean()


def test_shares_weigh_single_images_as_scikit_learns_sample_weights_do() -> None:
    data, weights = problem(400, 4), np.array([0.5, 1.0, 3.0])
    shares = np.random.default_rng(5).uniform(0.1, 4.0, 400)
    theta = linear_probe.solve(replace(data, shares=shares), weights, 0.05, np.zeros((3, 21)))
    each = shares * weights[data.labels]
    reference = LogisticRegression(C=1 / (0.05 * each.sum()), tol=1e-10, max_iter=5000).fit(
        data.features.astype(np.float64), data.labels, sample_weight=each
    )
    ours = softmax(data.features @ theta[:, :-1].T + theta[:, -1], axis=1)
    theirs = reference.predict_proba(data.features.astype(np.float64))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    loss, _ = linear_probe.loss_and_accuracy(theta, replace(data, shares=shares), weights)
    own = -np.log(theirs[np.arange(400), data.labels])
    assert loss == pytest.approx(np.average(own, weights=each), rel=1e-3)


def test_an_image_that_counts_twice_is_one_that_comes_twice() -> None:
    data = problem(200, 6)
    again = np.concatenate([np.arange(200), np.arange(50)])
    twice = LabelledFeatures(data.features[again], data.labels[again])
    shares = np.repeat([2.0, 1.0], [50, 150])
    one = linear_probe.solve(replace(data, shares=shares), np.ones(3), 0.1, np.zeros((3, 21)))
    two = linear_probe.solve(twice, np.ones(3), 0.1, np.zeros((3, 21)))
    np.testing.assert_allclose(one, two, atol=2e-3)
