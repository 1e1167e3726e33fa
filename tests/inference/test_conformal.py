"""Conformal sets: the rank in closed form, the promise by simulation, words for what is left."""

from fractions import Fraction

import numpy as np
import pytest

from hilum.inference import conformal
from hilum.types import HilumError

CLASSES = ["covid19", "normal", "pneumonia"]


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (image,) and probabilities (image, class) of a middling classifier."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), count)
    logits = random.normal(size=(count, len(CLASSES)))
    logits[np.arange(count), labels] += 1.5
    p = np.exp(logits)
    return labels.astype(np.int64), p / p.sum(1, keepdims=True)


def test_the_limit_is_the_probability_at_its_rank() -> None:
    own = np.linspace(0.05, 0.95, 19)
    p = np.stack([own, 1 - own], axis=1)
    found = conformal.class_limits(np.zeros(19, np.int64), p, ["covid19"], alpha=0.1)
    assert found["covid19"] == own[1]  # floor(20 * 0.1) = 2: the second smallest


def test_as_many_are_covered_as_was_promised_in_each_class() -> None:
    """Of n calibration images the mean coverage is 1 - floor((n + 1) alpha) / (n + 1)."""
    covered: list[np.ndarray] = []
    for seed in range(400):
        labels, p = drawn(seed, 220)
        fit, test = slice(0, 120), slice(120, None)
        least = conformal.class_limits(labels[fit], p[fit], CLASSES)
        own = (
            p[test][np.arange(100), labels[test]]
            >= np.array([least[n] for n in CLASSES])[labels[test]]
        )
        covered.append(np.array([own[labels[test] == c].mean() for c in range(3)]))
    assert np.mean(covered, axis=0) == pytest.approx(np.full(3, 0.91), abs=0.012)


def test_sets_cover_what_is_most_probable_and_are_never_empty() -> None:
    labels, p = drawn(1, 500)
    kept = conformal.prediction_sets(p, CLASSES, dict.fromkeys(CLASSES, 0.999))
    assert (kept.sum(1) == 1).all()
    assert (kept.argmax(1) == p.argmax(1)).all()
    least = conformal.class_limits(labels, p, CLASSES)
    own = conformal.prediction_sets(p, CLASSES, least)[np.arange(500), labels]
    assert min(own[labels == c].mean() for c in range(3)) >= 0.9


def test_a_class_of_nine_can_be_promised_and_one_of_eight_cannot() -> None:
    assert conformal.least_images() == 9
    p = np.full((18, 2), 0.5)
    labels = np.repeat([0, 1], 9)
    assert set(conformal.class_limits(labels, p, CLASSES[:2])) == set(CLASSES[:2])
    assert conformal.class_limits(labels[1:], p[1:], CLASSES[:2]) == {}


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ((True, False, False), ""),
        ((True, False, True), "covid19 or pneumonia: both stay possible at 90%"),
        ((True, True, True), "covid19, normal or pneumonia: all 3 stay possible at 90%"),
    ],
)
def test_what_stays_possible_is_said(kept: tuple[bool, ...], said: str) -> None:
    assert conformal.abstention_reason(np.array(kept), CLASSES) == said


def test_a_missing_limit_and_a_wrong_alpha_are_named() -> None:
    with pytest.raises(HilumError, match="got none for pneumonia"):
        conformal.prediction_sets(np.full((1, 3), 1 / 3), CLASSES, {"covid19": 0.5, "normal": 0.5})
    for alpha in (-0.1, 0, 1, 1.5):
        with pytest.raises(HilumError, match=rf"got {alpha};"):
            conformal.class_limits(np.zeros(9, np.int64), np.full((9, 1), 1.0), ["a"], alpha)


def test_ranks_and_the_least_number_are_those_of_exact_fractions() -> None:
    for percent in range(1, 100):
        alpha, exact = percent / 100, Fraction(percent, 100)
        least = next(n for n in range(1, 200) if (n + 1) * exact >= 1)
        assert conformal.least_images(alpha) == least, percent
        for count in (least, least + 1, 99, 149):
            own = np.linspace(0.05, 0.95, count)
            p = np.stack([own, 1 - own], axis=1)
            found = conformal.class_limits(np.zeros(count, np.int64), p, ["a"], alpha)
            assert found == {"a": own[int((count + 1) * exact) - 1]}, (percent, count)


def test_without_classes_there_is_no_limit() -> None:
    assert conformal.class_limits(np.zeros(0, np.int64), np.empty((0, 0)), []) == {}
