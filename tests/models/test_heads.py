"""Heads: the NumPy executor against torch, and the same bits for one image and for thousands."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from torch import nn

from hilum.models import numpy_head
from hilum.models.head_layers import PositionMean
from hilum.models.heads import (
    HEADS,
    HeadModule,
    HeadPlan,
    NumpyHead,
    Standardise,
    activity_penalty,
    build_head,
    find_head,
    penalty,
    zero_linear,
)
from hilum.types import HilumError

rng = np.random.default_rng(7)
FEATURES = (rng.normal(3, 2, (2000, 96)) * rng.uniform(0.1, 9, 96)).astype(np.float32)


def mlp(features: int, hidden: int, classes: int, dropout: float, seed: int) -> nn.Sequential:
    return build_head(HeadPlan(hidden=hidden, dropout=dropout), (features, 1), classes, seed).layers


def head() -> NumpyHead:
    return NumpyHead.from_module(Standardise.of(FEATURES), mlp(96, 33, 3, 0.5, seed=4))


def test_standardised_training_features_have_mean_0_and_deviation_1() -> None:
    constant = np.concatenate([FEATURES, np.full((2000, 1), 5, np.float32)], axis=1)
    done = Standardise.of(constant)(constant)
    assert done.dtype == np.float32
    np.testing.assert_allclose(done.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(done.std(0)[:-1], 1, atol=1e-4)
    assert (done[:, -1] == 0).all()  # a constant feature does not explode
    views = np.stack([constant, constant])
    np.testing.assert_allclose(Standardise.of(views).mean, Standardise.of(constant).mean)


def test_standardisation_in_blocks_has_the_bits_of_numpy_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numpy_head, "COLUMNS", 7)
    rows = np.array([3, 1, 900, 4])
    views = np.stack([FEATURES, 2 * FEATURES])
    flat = views[:, rows].reshape(8, 96).astype(np.float64)
    done = Standardise.of(views, rows)
    assert np.array_equal(done.mean, flat.mean(axis=0))
    assert np.array_equal(done.deviation, flat.std(axis=0))
    whole = ((views - done.mean) / done.deviation).astype(np.float32)
    assert np.array_equal(done(views), whole)
    assert np.array_equal(done(views[0, 5]), whole[0, 5])
    own = views.astype(np.float32)
    assert done(own, out=own) is own
    assert np.array_equal(own, done(views.astype(np.float32)))


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_executor_agrees_with_torch(kind: str) -> None:
    module = zero_linear(96, 4) if kind == "linear" else mlp(96, 33, 4, 0.5, seed=1)
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
    got = NumpyHead.from_module(standardise, module.float()).logits(FEATURES)
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
    assert np.array_equal(NumpyHead.from_arrays(arrays).logits(FEATURES), model.logits(FEATURES))
    del arrays["1.bias"]
    with pytest.raises(HilumError, match=r"1\.bias"):
        NumpyHead.from_arrays(arrays)
    wrong = head().arrays() | {"1.weight": np.zeros((3, 32))}
    with pytest.raises(HilumError, match=r"layer 1 .*\(3, 33\).*got \(3, 32\)"):
        NumpyHead.from_arrays(wrong)


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
    assert not zero_linear(4, 2).weight.detach().any()


# Parameters by Keras's counting (running statistics too): plan, (channel, position), classes
COUNTS = [
    # study 000: 1000 units after the pooled or spatial features, then 2,002
    ("elazhari2022", (512, 49), 2, 25_089_000 + 2_002),  # VGG16, block5_pool
    ("elazhari2022", (2048, 1), 2, 2_049_000 + 2_002),  # ResNet, InceptionV3
    ("elazhari2022", (1024, 1), 2, 1_025_000 + 2_002),  # DenseNet121
    ("elazhari2022", (2048, 49), 2, 100_353_000 + 2_002),
    ("elazhari2022", (1024, 49), 2, 50_177_000 + 2_002),
    ("elazhari2022", (2048, 64), 2, 131_073_000 + 2_002),  # InceptionV3 at 299: 8 x 8
    ("wiklund2020", (512, 49), 2, 512 * 49 * 64 + 64 + 130),
    ("cuijpers2020", (2048, 49), 2, 263_042),  # InceptionV3 (25 positions), ResNet101V2
    ("cuijpers2020", (1536, 25), 2, 197_506),  # Inception-ResNetV2
    ("cuijpers2020", (1920, 49), 2, 246_658),  # DenseNet201
    ("zhang2022", (2048, 1), 4, 8_196),
    ("zhang2022", (2048, 1), 3, 6_147),
    ("yamani2021", (512, 1), 2, 1_026),
    ("linear", (1280, 1), 3, 3_843),
    ("mlp", (1280, 1), 3, 1281 * 128 + 387),
]


@pytest.mark.parametrize(("name", "shape", "classes", "count"), COUNTS)
def test_parameters_of_the_published_heads(
    name: str, shape: tuple[int, int], classes: int, count: int
) -> None:
    with torch.device("meta"):
        module = build_head(HEADS[name], shape, classes)
        assert module.eval()(torch.zeros(5, shape[0] * shape[1])).shape == (5, classes)
    tensors = [*module.parameters(), *(b for b in module.buffers() if b.ndim)]
    assert all(tensor.is_meta for tensor in tensors)  # no memory was taken
    assert sum(tensor.numel() for tensor in tensors) == count


def test_every_published_head_is_counted() -> None:
    assert {name for name, *_ in COUNTS} == set(HEADS)
    assert len(HEADS) == 7


def test_layers_come_in_the_papers_order() -> None:
    def kinds(name: str, shape: tuple[int, int]) -> list[str]:
        return [type(it).__name__ for it in build_head(HEADS[name], shape, 2).layers]

    rest = ["Dropout", "Linear"]  # a rate of zero does nothing
    assert kinds("cuijpers2020", (3, 4)) == [
        "Identity", "PositionMean", "Linear", "ReLU", "BatchNorm1d", *rest
    ]  # fmt: skip
    assert kinds("elazhari2022", (3, 4)) == ["Linear", "ReLU", *rest]
    assert kinds("zhang2022", (3, 1)) == rest
    module = build_head(HEADS["cuijpers2020"], (3, 4), 2)
    assert (module.layers[1].dropout, module.layers[5].p) == (0.5, 0.0)
    assert (module.layers[4].eps, module.layers[4].momentum) == (1e-3, 0.01)  # Keras's
    assert build_head(HEADS["zhang2022"], (3, 1), 2).layers[0].p == 0.5


@pytest.mark.parametrize("rate", [0.2, 0.5])
@pytest.mark.parametrize("trained", [False, True])
def test_dropout_falls_on_the_map_before_its_average(rate: float, trained: bool) -> None:
    """Of n values a_i each is kept at rate q = 1 - p: the mean has mean(a), var sum(a^2) p/q / n^2.

    `trained`: the map comes from a network that is trained too, so torch drops its values.
    """
    module = build_head(HeadPlan("flatten", rate, average=True, hidden=2), (2, 400), 2).train()
    assert type(module.layers[0]).__name__ == "Identity"
    a = torch.linspace(-1, 3, 800)
    x = a.repeat(4000, 1).requires_grad_(trained)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        means = module.layers[1](x).detach()
        again = module.layers[1](x).detach()
        torch.manual_seed(0)
        assert torch.equal(module.layers[1](x), means)
    assert means.shape == (4000, 2)
    assert not torch.equal(again, means)
    for channel, values in enumerate(a.reshape(2, 400)):
        spread = float(values.square().sum() * rate / (1 - rate)) ** 0.5 / 400
        error = 5 * spread / 4000**0.5
        assert float(means[:, channel].mean()) == pytest.approx(float(values.mean()), abs=error)
        assert float(means[:, channel].std()) == pytest.approx(spread, rel=0.06)
    assert abs(float(torch.corrcoef(means.T)[0, 1])) < 0.08  # channels have masks of their own
    torch.testing.assert_close(
        module.eval().layers[1](x[:3]), a.reshape(1, 2, 400).mean(2).repeat(3, 1)
    )


def test_average_is_the_mean_over_positions_as_a_backbone_flattens_them() -> None:
    maps = torch.randn(4, 6, 3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(PositionMean(15)(maps.flatten(1)), maps.mean((2, 3)))


PLANS = {
    **HEADS,
    "everything": HeadPlan("flatten", 0.3, average=True, hidden=7, norm=True, dropout=0.2),
    "normed": HeadPlan(hidden=9, norm=True),
    "averaged": HeadPlan("flatten", average=True),
}


def fitted(plan: HeadPlan, seed: int = 3) -> HeadModule:
    """A head on 96 = 16 channels x 6 positions with nothing left at its initial value."""
    module = build_head(plan, (16, 6), 3, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.ndim:
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            if name.endswith("running_var"):
                tensor.abs_()
    return module


@pytest.mark.parametrize("name", sorted(PLANS))
def test_executor_agrees_with_every_module(name: str) -> None:
    module, standardise = fitted(PLANS[name]), Standardise.of(FEATURES)
    with torch.no_grad():
        want = module.eval()(torch.from_numpy(standardise(FEATURES[:500]))).numpy()
    got = NumpyHead.from_module(standardise, module.train()).logits(FEATURES[:500])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6 * np.abs(want).max())
    with torch.no_grad():
        exact = copy.deepcopy(module).double().eval()
        x = (FEATURES[:500] - standardise.mean) / standardise.deviation
        np.testing.assert_allclose(got, exact(torch.from_numpy(x)).numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["cuijpers2020", "elazhari2022"])
def test_published_heads_give_the_same_bits_in_any_company(name: str, tmp_path: Path) -> None:
    model = NumpyHead.from_module(Standardise.none(96), fitted(HEADS[name]))
    whole = model.logits(FEATURES)
    order = np.random.default_rng(1).permutation(len(FEATURES))
    assert np.array_equal(model.logits(FEATURES[order]), whole[order])
    for i in (0, 1, 1999):
        assert np.array_equal(model.logits(FEATURES[i : i + 1])[0], whole[i])
    save_file(model.arrays(), tmp_path / "head.safetensors")
    again = NumpyHead.from_arrays(load_file(tmp_path / "head.safetensors"))
    assert again.positions == model.positions == (6 if name == "cuijpers2020" else 1)
    assert np.array_equal(again.logits(FEATURES), whole)


def test_an_untouched_standardisation_changes_nothing() -> None:
    assert np.array_equal(Standardise.none(96)(FEATURES), FEATURES)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)),  # no ReLU between
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(4, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), PositionMean(2), nn.Linear(2, 2)),
    ],
)
def test_modules_that_the_executor_cannot_follow_are_refused(module: nn.Module) -> None:
    with pytest.raises(HilumError, match=r"got .*Linear.*heads\.build"):
        NumpyHead.from_module(Standardise.none(4), module)


def test_positions_that_do_not_divide_the_features_are_refused() -> None:
    arrays = NumpyHead.from_module(Standardise.none(96), fitted(HEADS["cuijpers2020"])).arrays()
    for wrong in (7.0, 0.0, -6.0):
        with pytest.raises(HilumError, match=f"96 features and {int(wrong)} positions"):
            NumpyHead.from_arrays(arrays | {"positions": np.array([wrong])})


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (HeadPlan(dropout=1.0), r"dropout is at least 0 and below 1; got 1\.0"),
        (HeadPlan(map_dropout=-0.1), r"map_dropout .*got -0\.1"),
        (HeadPlan(hidden=-1), "got hidden=-1"),
        (HeadPlan(norm=True), "got hidden=0, norm=True"),
    ],
)
def test_impossible_plans_are_refused(plan: HeadPlan, sentence: str) -> None:
    with pytest.raises(HilumError, match=sentence):
        build_head(plan, (4, 1), 2)


def test_heads_by_name() -> None:
    assert find_head("zhang2022") == HeadPlan(dropout=0.5)
    with pytest.raises(HilumError, match=r"got 'zang2022'; did you mean 'zhang2022'\?"):
        find_head("zang2022")


def test_a_fresh_hidden_head_is_seeded_and_private() -> None:
    before = torch.random.get_rng_state()
    one, two, other = (build_head(HEADS["cuijpers2020"], (5, 4), 2, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.layers[2].weight, two.layers[2].weight)
    assert not torch.equal(one.layers[2].weight, other.layers[2].weight)


def test_activity_penalty_by_hand() -> None:
    """Two images: (|1| + |-2| + |3| + |0|, 1 + 4 + 9 + 0) and softmax (0.25, 0.75), (0.5, 0.5)."""
    hidden = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    output = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    assert float(activity_penalty([hidden], 1e-3, 0)) == pytest.approx(1e-3 * 6 / 2)
    assert float(activity_penalty([hidden], 0, 1e-3)) == pytest.approx(1e-3 * 14 / 2)
    both = 1e-3 * (6 + 14 + 2 + 0.0625 + 0.5625 + 0.5) / 2
    assert float(activity_penalty([hidden, output], 1e-3, 1e-3)) == pytest.approx(both)


def test_penalty_takes_the_outputs_of_the_dense_layer_and_of_softmax() -> None:
    module = fitted(HEADS["cuijpers2020"]).train()
    network = nn.Sequential(nn.Identity(), module)
    assert float(penalty(network)) == 0  # nothing seen yet
    x = torch.from_numpy(FEATURES[:8] / 50)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        logits = network(x)
        torch.manual_seed(1)
        averaged = module.layers[1](x)
    dense = F.linear(averaged, module.layers[2].weight)
    dense = (dense + module.layers[2].bias).relu()
    outputs = [dense.detach(), logits.detach().softmax(1)]
    assert [it.shape for it in module.activations] == [(8, 128), (8, 3)]
    want = sum(float(1e-3 * (a.abs().sum() + a.square().sum()) / 8) for a in outputs)
    assert float(penalty(network).detach()) == pytest.approx(want, rel=1e-6)
    network(x[:3])  # the last batch alone counts
    assert len(module.activations[0]) == 3
    assert len(copy.deepcopy(network)[1].activations) == 0
    penalty(network).backward()
    assert module.layers[2].weight.grad.any()


def test_l1_on_softmax_is_constant_and_l2_punishes_confidence() -> None:
    logits = torch.randn(
        16, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).requires_grad_()
    flat = activity_penalty([logits.softmax(1)], 1e-3, 0)
    assert float(flat.detach()) == pytest.approx(1e-3)
    flat.backward()
    assert float(logits.grad.abs().max()) < 1e-9
    logits.grad = None
    activity_penalty([logits.softmax(1)], 0, 1e-3).backward()
    winner = logits.detach().argmax(1, keepdim=True)
    assert (logits.grad.gather(1, winner) > 0).all()  # a step against it lowers the winner


def test_weights_can_be_penalised_instead() -> None:
    plan = replace(HEADS["cuijpers2020"], penalise="weights")
    module = fitted(plan)
    kernels = [module.layers[2].weight, module.layers[6].weight]
    want = sum(float(1e-3 * (w.abs().sum() + w.square().sum()).detach()) for w in kernels)
    module(torch.from_numpy(FEATURES[:4]))
    assert not module.activations
    assert float(penalty(module).detach()) == pytest.approx(want, rel=1e-6)
    assert float(penalty(fitted(HEADS["mlp"]))) == 0


def test_binary_cross_entropy_on_two_softmax_units_is_cross_entropy() -> None:
    """Study 002 names the former; for three classes the two differ."""
    generator = torch.Generator().manual_seed(0)
    for classes in (2, 3):
        logits = torch.randn(200, classes, generator=generator, dtype=torch.float64) * 3
        labels = torch.randint(classes, (200,), generator=generator)
        binary = F.binary_cross_entropy(logits.softmax(1), F.one_hot(labels, classes).double())
        gap = abs(float(binary - F.cross_entropy(logits, labels)))
        assert gap < 1e-6 if classes == 2 else gap > 1e-2


def test_names_of_a_strange_file_are_counted_not_listed() -> None:
    arrays = {f"{number}.weight": np.zeros(1) for number in range(10_000)}
    with pytest.raises(HilumError, match="got 10000 arrays, without") as caught:
        NumpyHead.from_arrays(arrays)
    assert len(str(caught.value)) < 300
