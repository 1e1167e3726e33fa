"""Heads: the NumPy executor against torch, and the same bits for one image and for thousands."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.models.heads import Head, Standardise, linear, mlp
from hilum.types import HilumError

rng = np.random.default_rng(7)
FEATURES = (rng.normal(3, 2, (2000, 96)) * rng.uniform(0.1, 9, 96)).astype(np.float32)


def head() -> Head:
    return Head.from_module(Standardise.of(FEATURES), mlp(96, 33, 3, 0.5, seed=4))


def test_standardised_training_features_have_mean_0_and_deviation_1() -> None:
    constant = np.concatenate([FEATURES, np.full((2000, 1), 5, np.float32)], axis=1)
    done = Standardise.of(constant)(constant)
    assert done.dtype == np.float32
    np.testing.assert_allclose(done.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(done.std(0)[:-1], 1, atol=1e-4)
    assert (done[:, -1] == 0).all()  # a constant feature does not explode
    views = np.stack([constant, constant])
    np.testing.assert_allclose(Standardise.of(views).mean, Standardise.of(constant).mean)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_executor_agrees_with_torch(kind: str) -> None:
    module = linear(96, 4) if kind == "linear" else mlp(96, 33, 4, 0.5, seed=1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
            )
    standardise = Standardise.of(FEATURES)
    with torch.no_grad():
        want = (
            module.eval()
            .double()(torch.from_numpy((FEATURES - standardise.mean) / standardise.deviation))
            .numpy()
        )
    got = Head.from_module(standardise, module.float()).logits(FEATURES)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_one_image_or_thousands_give_the_same_bits() -> None:
    model = head()
    whole = model.logits(FEATURES)
    order = np.random.default_rng(1).permutation(len(FEATURES))
    assert np.array_equal(model.logits(FEATURES[order]), whole[order])
    for i in (0, 1, 999, 1999):
        assert np.array_equal(model.logits(FEATURES[i : i + 1])[0], whole[i])
    shifted = np.empty(2000 * 96 + 1, np.float32)[1:].reshape(2000, 96)  # another alignment
    shifted[:] = FEATURES
    assert np.array_equal(model.logits(shifted), whole)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 1999), min_size=1, max_size=9))
def test_any_company_gives_the_same_bits(rows: list[int]) -> None:
    model = head()
    alone = np.concatenate([model.logits(FEATURES[i : i + 1]) for i in rows])
    assert np.array_equal(model.logits(FEATURES[rows]), alone)


def test_arrays_and_back() -> None:
    model = head()
    arrays = model.arrays()
    assert sorted(arrays) == ["0.bias", "0.weight", "1.bias", "1.weight", "deviation", "mean"]
    assert np.array_equal(Head.from_arrays(arrays).logits(FEATURES), model.logits(FEATURES))
    del arrays["1.bias"]
    with pytest.raises(HilumError, match=r"1\.bias"):
        Head.from_arrays(arrays)
    wrong = head().arrays() | {"1.weight": np.zeros((3, 32))}
    with pytest.raises(HilumError, match=r"layer 1 .*\(3, 33\).*got \(3, 32\)"):
        Head.from_arrays(wrong)


def test_wrong_width_is_refused() -> None:
    with pytest.raises(HilumError, match=r"\(image, 96\); got shape \(2, 95\)"):
        head().logits(FEATURES[:2, :95])


def test_initialisation_is_seeded_and_leaves_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (mlp(9, 5, 2, 0.0, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first[0].weight, second[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
    assert float(first[0].weight.detach().abs().max()) <= np.sqrt(6 / (9 + 5))  # Glorot's bound
    assert not linear(4, 2).weight.detach().any()
