"""Heat maps against closed forms, finite differences and hand-made occlusion, on every backbone."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation

from hilum import preprocess
from hilum.explain import cam, render
from hilum.explain import explainer as subjects
from hilum.explain.cam import METHODS
from hilum.explain.explainer import ExplainableModel, FeaturesAndMaps
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import unfilled
from hilum.models.backbones import BACKBONES, Backbone
from hilum.models.cards import BackboneCard
from hilum.models.heads import NumpyHead, Standardise
from hilum.models.weights import Weights
from hilum.types import Grey8, HilumError, Probabilities, Stack8

SMALL = 96  # pixels: no network of the table comes down to nothing


def network(row: BackboneCard, pool: str = "average") -> Backbone:
    """A backbone with random weights, filled faster than its own initialisation would."""
    with torch.device("meta"), unfilled.Unfilled():
        empty = Backbone(row, Weights({}, "", "", ""), pool)  # type: ignore[arg-type]
    backbone = empty.to_empty(device="cpu").eval()
    noise = torch.rand(3_000_017, generator=torch.Generator().manual_seed(3)) * 2 - 1
    for name, tensor in backbone.state_dict().items():
        if tensor.ndim > 1:  # the same numbers again and again: drawing 100 million takes seconds
            reach = (6 / tensor[0].numel()) ** 0.5
            for part in tensor.view(-1).split(len(noise)):
                torch.mul(noise[: len(part)], reach, out=part)
        else:
            tensor.fill_(1 if name.endswith(("weight", "running_var")) else 0)
    return backbone


def head(inputs: int, hidden: int = 0, classes: int = 3, positions: int = 1) -> NumpyHead:
    rng = np.random.default_rng(1)
    scale = Standardise(rng.normal(size=inputs), rng.uniform(0.5, 2, inputs))
    widths = [inputs // positions, *([hidden] if hidden else []), classes]
    layers = [(rng.normal(size=(b, a)) / a**0.5, rng.normal(size=b)) for a, b in pairwise(widths)]
    return NumpyHead(scale, tuple(layers), positions)


def film(side: int, seed: int = 0) -> Grey8:
    return np.random.default_rng(seed).integers(0, 256, (side, side)).astype(np.uint8)


def asked(backbone: Backbone, top: NumpyHead, mirror: bool = False) -> ExplainableModel:
    facts = ModelMetadata(["a", "b", "c"], "unit", "fp32", mirror)
    return subjects.of_parts(facts, backbone, top)


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return network(BACKBONES["resnet18"])


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
@pytest.mark.parametrize("class_", [0, 2])
def test_on_gap_and_a_linear_head_both_are_cam_in_closed_form(
    resnet: Backbone, method: str, class_: int
) -> None:
    """Zhou et al. 2016, equation 2: the map is the channels' weighted sum, and adds up to y."""
    top, picture = head(512), film(160)
    subject = asked(resnet, top)
    found = cam.evidence(subject, picture, class_, method)
    channels = subject.last_map(picture)
    weight, bias = top.layers[0]
    per_channel = weight[class_] / top.standardise.deviation / channels[0, 0].numel()
    want = np.tensordot(per_channel, channels[0].double().numpy(), 1)
    assert found.shape == (5, 5)
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-6 * np.abs(want).max())
    rest = bias[class_] - weight[class_] @ (top.standardise.mean / top.standardise.deviation)
    np.testing.assert_allclose(found.sum() + rest, subject.logits(picture[None])[0, class_], 1e-4)


def test_gradcam_of_a_hidden_layer_agrees_with_finite_differences(resnet: Backbone) -> None:
    """The gradient comes from the NumPy executor here, feature by feature."""
    top, picture, step = head(512, hidden=16), film(128), 1e-6
    subject = asked(resnet, top)
    channels = subject.last_map(picture)[0].double().numpy()
    features = channels.mean((1, 2))
    moved = features + step * np.eye(512)
    slope = (top.logits(moved)[:, 1] - top.logits(features[None])[0, 1]) / step
    want = np.tensordot(slope / channels[0].size, channels, 1)
    found = cam.evidence(subject, picture, 1)
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_both_are_captums(resnet: Backbone, method: str) -> None:
    subject, picture = asked(resnet, head(512, hidden=16)), film(96)
    maps, layer = subject.last_map(picture), torch.nn.Identity()
    whole = torch.nn.Sequential(layer, subject.tail)
    if method == "gradcam":
        want = LayerGradCam(whole, layer).attribute(maps, 1)
    else:
        want = LayerGradientXActivation(whole, layer).attribute(maps, 1).sum(1, keepdim=True)
    found = cam.evidence(subject, picture, 1, method)
    np.testing.assert_allclose(found, want[0, 0].detach().numpy(), rtol=1e-6)


def test_what_is_differentiated_is_what_predicts(resnet: Backbone) -> None:
    top = head(512, hidden=16)
    subject, stack = asked(resnet, top), np.stack([film(96, i) for i in range(2)])
    through = [subject.tail(subject.last_map(one))[0].detach().numpy() for one in stack]
    np.testing.assert_allclose(np.stack(through), subject.logits(stack), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        features = resnet(torch.from_numpy(stack)[:, None] / 255.0 * torch.ones(3, 1, 1)).numpy()
    np.testing.assert_allclose(subject.logits(stack), top.logits(features), rtol=1e-4, atol=1e-5)


LARGER = {"densenet201", "resnet101", "tf_efficientnet_lite1", "tf_efficientnet_lite2"}


# of astra2d resnet101 is a smaller one; transformers are tested with their files' layouts
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LARGER else name
        for name, row in sorted(BACKBONES.items())
        if name != "astra2d" and not row.layout
    ],
)
def test_every_backbone_of_every_study(name: str) -> None:
    """In-place activations and frozen parameters included; nothing is learnt by looking."""
    row = BACKBONES[name]
    side = row.side if row.own else 128 if "inception" in name else SMALL
    backbone = network(row)
    backbone.requires_grad_(requires_grad=False)
    subject, picture = asked(backbone, head(row.features)), film(side)
    if name == "wiklund_fc":
        with pytest.raises(HilumError, match=r"four axes.*Or take method occlusion"):
            cam.heat(subject, picture, 0)
        return
    for method in ("gradcam", "hirescam"):
        signed = cam.evidence(subject, picture, 1, method)
        assert min(signed.shape) > 1
        assert np.isfinite(signed).all()
        assert np.ptp(signed) > 0
    assert all(p.grad is None for p in subject.tail.parameters())


def test_the_table_of_backbones_is_visited_whole() -> None:
    assert sum(not row.layout for row in BACKBONES.values()) == 17
    assert set(METHODS) == {"gradcam", "hirescam", "occlusion"}


def test_heat_is_evidence_without_what_speaks_against_in_the_films_pixels(resnet: Backbone) -> None:
    subject, picture = asked(resnet, head(512)), film(128)
    signed = cam.evidence(subject, picture, 1)
    assert signed.min() < 0 < signed.max()
    shown = cam.heat(subject, picture, 1)
    assert shown.shape == picture.shape
    assert 0 <= shown.min() < 0.05 * shown.max()
    # bilinear: at a place's centre its own value stands, up to half a pixel
    at = np.unravel_index(signed.argmax(), signed.shape)
    step = 128 // signed.shape[0]
    centre = shown[at[0] * step + step // 2, at[1] * step + step // 2]
    np.testing.assert_allclose(centre, signed.max(), rtol=0.05)


@pytest.mark.parametrize(
    ("name", "pool", "width", "positions"),
    [
        ("vgg16", "flatten", 512 * 9, 9),
        pytest.param("vgg16", "fc1", 4096, 1, marks=pytest.mark.slow),
        ("resnet18", "flatten", 4608, 1),
    ],
)
def test_heads_on_flattened_maps_and_on_kept_layers(
    name: str, pool: str, width: int, positions: int
) -> None:
    side = 224 if pool == "fc1" else SMALL
    subject = asked(network(BACKBONES[name], pool), head(width, 8, positions=positions))
    found = cam.evidence(subject, film(side), 0)
    assert found.shape == (side // 32, side // 32)
    assert found.any()


def test_a_network_with_channels_last_is_read_the_right_way_round() -> None:
    from hilum.models import networks

    row = networks.describe("swin_tiny_patch4_window7_224")
    backbone = Backbone(row, Weights({}, "", "", "")).eval()
    subject, picture = asked(backbone, head(row.features)), film(224)
    assert subject.last_map(picture).shape == (1, row.features, 7, 7)
    through = subject.tail(subject.last_map(picture))[0].detach().numpy()
    np.testing.assert_allclose(through, subject.logits(picture[None])[0], rtol=1e-4, atol=1e-4)


def test_a_model_that_mirrors_explains_both_images(resnet: Backbone) -> None:
    subject, picture = asked(resnet, head(512), mirror=True), film(128)
    found = cam.evidence(subject, picture, 0)
    turned = cam.evidence(subject, np.ascontiguousarray(picture[:, ::-1]), 0)
    np.testing.assert_allclose(turned, found[:, ::-1], rtol=1e-4, atol=1e-6)
    plain = asked(resnet, head(512))
    one = cam.evidence(plain, picture, 0)
    other = cam.evidence(plain, np.ascontiguousarray(picture[:, ::-1]), 0)[:, ::-1]
    np.testing.assert_allclose(found, (one + other) / 2, rtol=1e-4, atol=1e-6)


def test_a_compiled_network_draws_the_map_that_torch_draws(resnet: Backbone) -> None:
    pipeline = preprocess.from_list([{"step": "resize", "side": 128}])
    facts = ModelMetadata(["a", "b", "c"], "unit", "fp32", mirror=True)
    model = models.compile_model(facts, pipeline, resnet, head(512, hidden=16))
    plain, picture = subjects.of_parts(facts, resnet, model.head), film(128)
    for method in ("gradcam", "hirescam"):
        want = cam.evidence(plain, picture, 2, method)
        found = cam.evidence(subjects.make_explainable(model), picture, 2, method)
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-4 * np.abs(want).max())
    stack = np.stack([film(128, i) for i in range(3)])
    seen = [sight.features for sight in cam.compute_maps(subjects.make_explainable(model), stack)]
    for features, own in zip(seen, model.features(stack), strict=True):
        np.testing.assert_allclose(features, own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("pool", "width"), [("stages", 960), ("flatten", 512 * 9)])
def test_a_compiled_network_sees_what_torch_sees(pool: str, width: int) -> None:
    backbone, positions = network(BACKBONES["resnet18"], pool), 9 if pool == "flatten" else 1
    pipeline = preprocess.from_list([{"step": "resize", "side": SMALL}])
    facts = ModelMetadata(["a", "b", "c"], "unit", "fp32", mirror=False)
    unused: Any = None  # a runtime that predicts
    model = TrainedModel(facts, pipeline, backbone, head(width, positions=positions), unused)
    stack = np.stack([film(SMALL, i) for i in range(2)])
    (want,) = cam.compute_maps(subjects.of_parts(facts, backbone, model.head), stack)
    (found,) = cam.compute_maps(subjects.make_explainable(model), stack)
    np.testing.assert_allclose(found.features, want.features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.maps, want.maps, rtol=1e-3, atol=1e-4)


def test_what_is_seen_stands_for_a_prediction_only_where_its_bits_do(resnet: Backbone) -> None:
    pipeline = preprocess.from_list([{"step": "resize", "side": 128}])
    facts = ModelMetadata(["a", "b", "c"], "unit", "fp32", mirror=True)
    model = models.compile_model(facts, pipeline, resnet, head(512))
    asked_, nudge = subjects.make_explainable(model), np.nextafter(np.float32(1), np.float32(2))

    def nudged(stack: Stack8) -> FeaturesAndMaps:
        sight = asked_.see(stack)
        return FeaturesAndMaps(model.runtime(stack) * nudge, sight.maps)

    def own(stack: Stack8) -> FeaturesAndMaps:
        return FeaturesAndMaps(model.runtime(stack), asked_.see(stack).maps)

    assert subjects.same_bits(replace(asked_, see=own), model)
    assert not subjects.same_bits(replace(asked_, see=nudged), model)


def test_a_network_without_a_map_is_not_compiled_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    row = BACKBONES["wiklund_fc"]
    pipeline = preprocess.from_list([{"step": "resize", "side": row.side}])
    facts = ModelMetadata(["a", "b", "c"], "unit", "fp32", mirror=False)
    subject = subjects.make_explainable(
        models.compile_model(facts, pipeline, network(row), head(row.features))
    )
    monkeypatch.setattr(models, "compile_features_and_maps", _never)
    assert cam.heat(subject, film(row.side), 0, "occlusion").any()
    with pytest.raises(HilumError, match="four axes"):
        cam.heat(subject, film(row.side), 0)


def test_occlusion_by_hand(resnet: Backbone) -> None:
    """A logit that is linear in the pixels: every window's drop is known."""
    side, weights = 28, np.zeros((28, 28))
    weights[4:8, 16:20] = 1.0

    def logits(stack: Stack8) -> Probabilities:
        y = (stack * weights).sum((1, 2))
        return np.stack([-y, y], axis=1)

    facts = ModelMetadata(["a", "b"], "unit", "fp32", mirror=False)
    subject = subjects.of_parts(facts, resnet, head(512), logits)
    picture = film(side)
    grey = float(np.rint(picture.mean()))
    total, times = np.zeros((side, side)), np.zeros((side, side))
    window, stride = side // 7, side // 14
    for top in range(0, side - window + 1, stride):
        for left in range(0, side - window + 1, stride):
            place = np.s_[top : top + window, left : left + window]
            total[place] += ((picture - grey) * weights)[place].sum()
            times[place] += 1
    found = cam.evidence(subject, picture, 1, "occlusion")
    np.testing.assert_allclose(found, total / times, rtol=1e-4, atol=1e-3)
    assert not np.abs(found[20:, :10]).max() > 1e-3  # nothing there speaks for the class


def test_occlusion_needs_no_map() -> None:
    row = BACKBONES["wiklund_fc"]
    subject = asked(network(row), head(row.features))
    cam.require(subject, "occlusion", (row.side, row.side))
    assert cam.heat(subject, film(row.side), 0, "occlusion").any()


def test_unknown_methods_are_refused_with_the_nearest() -> None:
    with pytest.raises(HilumError, match="got 'grad-cam'; did you mean 'gradcam'"):
        cam.find_method("grad-cam")


def test_relative_heat_has_its_maximum_at_one_and_an_empty_map_stays_empty() -> None:
    assert render.relative(np.array([[0.0, 2.0]], np.float32)).tolist() == [[0, 1]]
    assert not render.relative(np.zeros((2, 2), np.float32)).any()


def _never(*args: object) -> None:
    raise AssertionError("a network was compiled")
