"""Dice: its definition, its properties, scikit-learn's F1 as second opinion, and the interval."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import bootstrap
from sklearn.metrics import f1_score

from hilum.metrics import dice as overlap
from hilum.types import HilumError

PAIRS = arrays.arrays(bool, (2, 6, 7), elements=st.booleans())


@given(pair=PAIRS)
def test_dice_is_symmetric_bounded_and_equals_f1(pair: np.ndarray) -> None:
    one, two = pair
    value = float(overlap.dice(one, two))
    assert 0 <= value <= 1
    assert value == float(overlap.dice(two, one))
    assert float(overlap.dice(one, one)) == 1
    if one.any() or two.any():
        expected = f1_score(two.ravel(), one.ravel(), zero_division=0.0)
        assert value == pytest.approx(expected)


def test_two_empty_masks_agree_and_disjoint_ones_do_not() -> None:
    empty = np.zeros((4, 4), bool)
    left, right = empty.copy(), empty.copy()
    left[:, :2], right[:, 2:] = True, True
    assert overlap.dice(empty, empty) == 1
    assert overlap.dice(left, right) == 0
    assert overlap.dice(left, ~empty) == pytest.approx(2 / 3)
    np.testing.assert_allclose(
        overlap.dice(np.stack([left, empty]), np.stack([left, left])), [1, 0]
    )


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(HilumError, match="one size"):
        overlap.dice(np.zeros((4, 4), bool), np.zeros((4, 5), bool))


def test_the_mean_goes_with_an_interval_over_patients() -> None:
    random = np.random.default_rng(3)
    dice = 1 - random.gamma(2, 0.02, 60)
    single = pd.DataFrame({"dice": dice, "patient_id": [f"p{i}" for i in range(60)]})
    score = overlap.mean(single, "dice", "main")
    reference = bootstrap((dice,), np.mean, method="BCa", n_resamples=9999, rng=random)
    assert score.value == pytest.approx(dice.mean())
    assert (score.low, score.high) == pytest.approx(reference.confidence_interval, abs=0.0015)
    # the same images of a third of the patients: less is known
    few = single.assign(patient_id=[f"p{i // 3}" for i in np.argsort(np.argsort(dice))])
    clustered = overlap.mean(few, "dice", "main")
    assert clustered.high - clustered.low > 1.3 * (score.high - score.low)
    assert clustered.method == "bootstrap by patient, BCa"


def test_images_without_a_patient_are_patients_of_their_own_and_one_has_no_interval() -> None:
    table = pd.DataFrame({"dice": [0.9, 0.8, 0.95], "patient_id": [None, None, None]})
    assert overlap.mean(table, "dice", "main").low is not None
    alone = overlap.mean(table.iloc[:1], "dice", "main")
    assert (alone.value, alone.low, alone.high) == (0.9, None, None)
