"""Temperature scaling against scipy: the optimum, the order of classes, and its softmax."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from hilum.inference import temperature
from hilum.types import HilumError


@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_softmax_is_scipys_bit_by_bit(spread: float) -> None:
    logits = np.random.default_rng(4).normal(0, spread, (200, 5))
    assert np.array_equal(temperature.softmax(logits), softmax(logits, axis=1))


@pytest.mark.parametrize("truth", [0.3, 1.0, 4.0])
def test_temperature_is_recovered_and_optimal(truth: float) -> None:
    rng = np.random.default_rng(9)
    logits = rng.normal(0, 2, (6000, 4))
    p = np.exp(log_softmax(logits, axis=1))
    labels = (p.cumsum(1) < rng.random((6000, 1))).sum(1)
    found = temperature.fit_temperature(labels, logits * truth)
    assert found.value == pytest.approx(truth, rel=0.06)
    assert found.after <= found.before
    assert not found.reason

    def loss(log_t: float) -> float:
        cooled = log_softmax(logits * truth / np.exp(log_t), axis=1)
        return float(-cooled[np.arange(6000), labels].mean())

    other = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    assert found.value == pytest.approx(np.exp(other.x), rel=1e-5)
    assert found.after == pytest.approx(other.fun, rel=1e-10)
    shifted = temperature.fit_temperature(labels, log_softmax(logits * truth, axis=1))
    assert shifted.value == pytest.approx(found.value)  # log probabilities serve as well


def test_temperature_keeps_the_order_and_sums_to_one() -> None:
    logits = np.random.default_rng(1).normal(size=(50, 3))
    warm = temperature.apply_temperature(logits, 2.5)
    assert (warm.argmax(1) == logits.argmax(1)).all()
    assert warm.sum(1) == pytest.approx(np.ones(50))
    assert temperature.apply_temperature(logits, 1.0) == pytest.approx(
        np.exp(log_softmax(logits, axis=1))
    )
    with pytest.raises(HilumError, match="got 0"):
        temperature.apply_temperature(logits, 0)


def test_validation_sets_that_cannot_tell_change_nothing() -> None:
    logits = np.random.default_rng(2).normal(size=(30, 3))
    perfect = temperature.fit_temperature(logits.argmax(1), logits)
    assert (perfect.value, perfect.before) == (1.0, perfect.after)
    assert "to 0 and 1" in perfect.reason
    hopeless = temperature.fit_temperature(logits.argmin(1), logits)
    assert hopeless.value == 1.0
    assert "do not predict" in hopeless.reason
    flat = temperature.fit_temperature(np.zeros(30, dtype=np.int64), np.zeros((30, 3)))
    assert flat.value == 1.0
    assert temperature.fit_temperature(np.array([], dtype=np.int64), np.zeros((0, 3))).value == 1.0
    with pytest.raises(HilumError, match="got 1 that"):
        temperature.fit_temperature(np.array([0]), np.array([[0.0, -np.inf]]))
