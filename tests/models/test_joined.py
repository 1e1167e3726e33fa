"""Networks side by side: each sees the films as it wants them, their features stand together."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hilum import preprocess
from hilum.explain import cam, sanity_checks
from hilum.explain import explainer as subjects
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones, networks, normalise, summary
from hilum.models.backbone import Backbone
from hilum.models.normalise import NORMALISE, InputNormalisation
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.types import HilumError

NAMES = ("tf_efficientnet_lite0", "resnet18", "inception_v3")  # signed, imagenet, signed


@pytest.fixture(scope="module")
def members() -> list[Backbone]:
    return [backbones.build_backbone(name, "random", seed) for seed, name in enumerate(NAMES[:2])]


@pytest.fixture(scope="module")
def joined(members: list[Backbone]) -> Backbone:
    return backbones.join_backbones(members[0], members[1:])


def films(count: int = 2) -> torch.Tensor:
    random = np.random.default_rng(5)
    return torch.from_numpy(random.integers(0, 256, (count, 1, 96, 96)).astype(np.uint8))


@pytest.mark.parametrize("first", NORMALISE)
@pytest.mark.parametrize("second", NORMALISE)
def test_one_normalisation_becomes_another(first: str, second: str) -> None:
    gain, offset = normalise.normalisation_change(first, second)
    pixels = films()
    found = InputNormalisation(first)(pixels) * normalise.channels(gain) + normalise.channels(
        offset
    )
    torch.testing.assert_close(found, InputNormalisation(second)(pixels), rtol=1e-5, atol=2e-3)


def test_features_are_those_of_each_alone(members: list[Backbone], joined: Backbone) -> None:
    with torch.no_grad():
        alone = [
            nn.Sequential(InputNormalisation(one.card.normalise), one)(films()) for one in members
        ]
        found = joined(InputNormalisation("signed")(films()))
        maps = joined.maps(InputNormalisation("signed")(films()))
        torch.testing.assert_close(found, torch.cat(alone, 1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(joined.from_maps(maps), found, rtol=1e-5, atol=1e-6)
    assert maps.shape == (2, 1280 + 512, 3, 3)


def test_it_comes_back_as_it_was_saved(joined: Backbone) -> None:
    again = backbones.rebuild_backbone(joined.record(), joined.state_dict())
    pixels = InputNormalisation("signed")(films())
    with torch.no_grad():
        assert torch.equal(again(pixels), joined(pixels))
    assert again.record() == joined.record()
    assert [one["name"] for one in joined.record()["beside"]] == ["resnet18"]


def test_heat_is_the_sum_over_networks(members: list[Backbone], joined: Backbone) -> None:
    """On pooled maps and a linear head each class map adds up (Zhou et al. 2016, equation 2)."""
    random = np.random.default_rng(2)
    weights, bias = random.normal(size=(3, 1792)), np.zeros(3)
    facts = ModelMetadata(["a", "b", "c"], "signed", "fp32", mirror=False)
    film = films()[0, 0].numpy()

    def evidence(network: Backbone, part: slice, door: str) -> np.ndarray:
        layer = weights[:, part], bias
        top = NumpyHead(Standardise.none(layer[0].shape[1]), (layer,))
        own = ModelMetadata(facts.classes, door, "fp32", mirror=False)
        return cam.evidence(subjects.of_parts(own, network, top), film, 1, "hirescam")

    whole = evidence(joined, slice(None), "signed")
    parts = [
        evidence(members[0], slice(1280), "signed"),
        evidence(members[1], slice(1280, None), "imagenet"),
    ]
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_network_sees_what_torch_sees(joined: Backbone) -> None:
    """Maps and features of every member, in one row, converted and run."""
    pipeline = preprocess.from_list([{"step": "resize", "side": 96}])
    facts = ModelMetadata(["a", "b", "c"], "signed", "fp32", mirror=True)
    head = NumpyHead(Standardise.of(np.eye(1792)), ((np.ones((3, 1792)), np.zeros(3)),))
    unused: Any = None  # a runtime that predicts
    model = TrainedModel(facts, pipeline, joined, head, unused)
    stack = films()[:, 0].numpy()
    compiled, torchs = subjects.make_explainable(model), subjects.of_parts(facts, joined, head)
    for found, want in zip(
        cam.compute_maps(compiled, stack), cam.compute_maps(torchs, stack), strict=True
    ):
        np.testing.assert_allclose(found.features, want.features, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.maps, want.maps, rtol=1e-3, atol=1e-4)


def test_every_member_is_made_random_level_by_level(joined: Backbone) -> None:
    top = NumpyHead(Standardise.none(1792), ((np.ones((3, 1792)), np.zeros(3)),))
    facts = ModelMetadata(["a", "b", "c"], "signed", "fp32", mirror=False)
    table = sanity_checks.cascading_randomisation(
        subjects.of_parts(facts, joined, top), films(1)[:, 0].numpy(), np.zeros(1, int)
    )
    stages = [*joined.card.stages, *joined.neighbours[0].backbone.card.stages]
    assert len(table) == 2 + len(stages)  # as trained, the head, and the stages


def test_the_drawing_has_it_as_one_box(joined: Backbone) -> None:
    top = NumpyHead(Standardise.none(1792), ((np.ones((3, 1792)), np.zeros(3)),))
    beside = [
        one for one in summary.summarise_layers(joined, top, (96, 96), {}) if one.where == "beside"
    ]
    wanted = sum(value.numel() for value in networks.outline(beside_card()).parameters())
    assert [(one.name, one.parameters, one.trained) for one in beside] == [("resnet18", wanted, 0)]


def beside_card() -> backbones.BackboneCard:
    return backbones.backbone_card("resnet18")


def test_only_averages_are_joined() -> None:
    flat = backbones.build_backbone("resnet18", "random", pool="flatten")
    with pytest.raises(HilumError, match=r"their averages; got pool 'flatten' of 'resnet18'"):
        backbones.join_backbones(flat, [])


def test_maps_of_other_sizes_are_refused(members: list[Backbone]) -> None:
    other = backbones.build_backbone(NAMES[2], "random")
    with pytest.raises(HilumError, match=r"maps of one size; got \[\(1, 1\), \(3, 3\)\]"):
        backbones.join_backbones(members[0], [other]).maps(InputNormalisation("signed")(films()))


def test_a_normalisation_for_all_is_seen_by_all(members: list[Backbone]) -> None:
    """A recipe may give every network [0, 1], whatever each was trained on."""
    joined = backbones.join_backbones(members[0], members[1:], "unit")
    with torch.no_grad():
        alone = [one(InputNormalisation("unit")(films())) for one in members]
        found = joined(InputNormalisation("unit")(films()))
        again = backbones.rebuild_backbone(joined.record(), joined.state_dict())(
            InputNormalisation("unit")(films())
        )
    torch.testing.assert_close(found, torch.cat(alone, 1), rtol=1e-4, atol=1e-5)
    assert torch.equal(again, found)
