"""Class weights and balanced order against scikit-learn, study 003's counts and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from hilum.training import sampling
from hilum.types import HilumError


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        ((1583, 1493, 2780), (1.2331, 1.3074, 0.7022)),  # source: normal, viral, bacterial
        ((255, 234, 242, 148), (0.8618, 0.9391, 0.9081, 1.4848)),  # target: COVID-19 ... viral
    ],
)
def test_weights_are_equation_1_of_study_003(
    counts: tuple[int, ...], published: tuple[float, ...]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = sampling.class_weights(labels, len(counts))
    np.testing.assert_allclose(weights, published, atol=1e-4)
    theirs = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(weights, theirs, rtol=1e-12)
    assert weights.argmax() == np.argmin(counts)  # the minority weighs most, whatever the text says


def test_weights_of_an_empty_class_are_refused() -> None:
    with pytest.raises(HilumError, match=r"class number \[1\]"):
        sampling.class_weights(np.array([0, 0, 2]), 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4).filter(any), st.integers(0, 2**32 - 1))
def test_every_class_comes_equally_often_and_every_image_up_to_one(
    counts: list[int], seed: int
) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    order = sampling.balanced_order(labels, np.random.default_rng(seed))
    present = [count for count in counts if count]
    assert len(order) == max(present) * len(present)
    times = np.bincount(order, minlength=len(labels))
    for class_, count in enumerate(counts):
        own = times[labels == class_]
        if count:
            assert own.sum() == max(present)
            assert own.max() - own.min() <= 1
        if count == max(present):
            assert (own == 1).all()  # the majority without replacement


def test_order_is_the_generators_and_changes_with_it() -> None:
    labels = np.repeat([0, 1], [98, 657])
    one, again, other = (
        sampling.balanced_order(labels, np.random.default_rng([seed, 0])) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.bincount(labels[one]).tolist() == [657, 657]
    # shuffled: each half of the epoch is balanced too, within five standard deviations
    assert abs((labels[one[:657]] == 0).sum() - 657 / 2) < 5 * np.sqrt(657) / 2


def test_which_image_comes_once_more_is_fair_over_epochs() -> None:
    labels = np.repeat([0, 1], [10, 25])  # two whole rounds and five of ten
    times = np.zeros(10)
    for epoch in range(400):
        order = sampling.balanced_order(labels, np.random.default_rng([3, epoch]))
        times += np.bincount(order[labels[order] == 0], minlength=10)
    np.testing.assert_allclose(times / 400, 2.5, atol=5 * 0.5 / np.sqrt(400))


def test_no_images_are_refused() -> None:
    with pytest.raises(HilumError, match="got 0"):
        sampling.balanced_order(np.array([], np.int64), np.random.default_rng(0))


def test_repeats_get_names_of_their_own() -> None:
    assert sampling.numbered(["a", "b", "a", "a", "b"]) == ["a", "b", "a#1", "a#2", "b#1"]
    labels = np.repeat([0, 1], [7, 50])
    order = sampling.balanced_order(labels, np.random.default_rng(0))
    names = sampling.numbered([str(row) for row in order])
    assert len(set(names)) == len(order)
    assert {name.split("#")[0] for name in names} == {str(row) for row in range(57)}


def test_shares_are_closed_form_and_make_class_and_source_independent() -> None:
    """Cohen has 445, 140 and 13 films, NIH none, 345 and 348: five pairs, a fifth of all each."""
    counts = {
        (0, "cohen"): 445,
        (1, "cohen"): 140,
        (2, "cohen"): 13,
        (1, "nih"): 345,
        (2, "nih"): 348,
    }
    labels = np.concatenate([np.full(n, label) for (label, _), n in counts.items()])
    sources = np.concatenate([np.full(n, name, object) for (_, name), n in counts.items()])
    shares = sampling.source_shares(labels, sources)
    assert shares.sum() == pytest.approx(len(labels))
    for (label, name), count in counts.items():
        own = shares[(labels == label) & (sources == name)]
        np.testing.assert_allclose(own, 1291 / (5 * count))
    mixed = (labels > 0) & (sources != "")  # classes that both sources have
    inside = [
        shares[mixed & (sources == name) & (labels == 1)].sum()
        / shares[mixed & (sources == name)].sum()
        for name in ("cohen", "nih")
    ]
    np.testing.assert_allclose(inside, 0.5)  # the source says nothing of the class


def test_shares_of_one_source_are_class_weights() -> None:
    labels = np.repeat([0, 1, 2], [5, 30, 65])
    shares = sampling.source_shares(labels, np.full(100, "cohen", object))
    np.testing.assert_allclose(
        shares, compute_class_weight("balanced", classes=np.arange(3), y=labels)[labels]
    )
