"""Pool "stages": the means of earlier maps stand behind those of the last."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hilum.experiment import cell_network
from hilum.explain import cam
from hilum.explain import explainer as subjects
from hilum.inference.model import ModelMetadata
from hilum.models import backbones, summary
from hilum.models.cards import BACKBONES
from hilum.models.normalise import InputNormalisation
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime.compiling import compile_network
from hilum.models.weights import Weights
from hilum.recipes import ModelPlan
from hilum.types import HilumError

# two stages of each, by the modules that end them, as its authors' code names these
ENDS = {
    "resnet18": ("layer2", "layer3"),
    "densenet121": ("features.denseblock2", "features.denseblock3"),
    "tf_efficientnet_lite0": ("blocks.2", "blocks.4"),
    "vgg16": ("features.22", "features.29"),
}
HEAVY = ("vgg16",)  # 138 million weights to draw


def films(side: int, count: int = 1) -> torch.Tensor:
    random = np.random.default_rng(3)
    return torch.from_numpy(random.integers(0, 256, (count, 1, side, side)).astype(np.uint8))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in HEAVY)) for name in ENDS]
)
def test_earlier_means_are_those_that_a_hook_sees(name: str) -> None:
    """128 pixels divide down to every map, so that the mean of means is the mean."""
    backbone = backbones.build_backbone(name, "random", pool="stages")
    seen: list[torch.Tensor] = []
    modules = dict(backbone.net.named_modules())
    for end in ENDS[name]:
        modules[end].register_forward_hook(lambda _, __, out: seen.append(out.mean((2, 3))))
    with torch.no_grad():
        pixels = InputNormalisation(backbone.card.normalise)(films(128))
        found = backbone(pixels)
        alone = backbones.with_pooling(backbone, "average")(pixels)
    width = backbone.card.features
    assert torch.equal(found[:, :width], alone)
    torch.testing.assert_close(found[:, width:], torch.cat(seen[:2], 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, row in BACKBONES.items()
        if not row.own and row.layout in ("", "torchxrayvision")
    ],
)
def test_every_network_hands_out_two_earlier_stages(name: str) -> None:
    with torch.device("meta"):  # shapes alone
        backbone = backbones.Backbone(BACKBONES[name], Weights({}, "", "", "", ""), "stages")
    assert len(backbone.earlier) == 2
    assert backbone.channels == backbone.card.features + sum(backbone.earlier.values())


@pytest.mark.parametrize(
    ("names", "pool"),
    [
        (["resnet18"], "stages"),
        (["tf_efficientnet_lite0", "densenet121"], "stages"),
        (["resnet18", "wiklund_fc"], "average"),
        (["swin_tiny_patch4_window7_224"], "average"),
        (["vit_tiny_patch16_224"], "average"),
    ],
)
def test_networks_without_stages_hand_over_averages(names: list[str], pool: str) -> None:
    assert backbones.richest_common_pooling(names) == pool
    pools = [
        cell_network.pools_of(
            ModelPlan(pool="auto", backbone=names[0], auxiliary_backbones=names[1:], head=head)
        )
        for head in ("linear", "mlp")
    ]
    assert pools == [(pool,), ("average",)]


def test_maps_and_features_agree() -> None:
    backbone = backbones.build_backbone("resnet18", "random", pool="stages")
    with torch.no_grad():
        pixels = InputNormalisation("imagenet")(films(96))
        maps = backbone.maps(pixels)
        torch.testing.assert_close(backbone.from_maps(maps), backbone(pixels))
    assert maps.shape == (1, 512 + 128 + 256, 3, 3)


def test_the_compiled_network_gives_the_same() -> None:
    backbone = backbones.build_backbone("resnet18", "random", pool="stages")
    network = nn.Sequential(InputNormalisation("imagenet"), backbone).eval()
    pixels = films(96, 2)
    with torch.no_grad():
        wanted = network(pixels).numpy()
    got = compile_network(network, (96, 96))(pixels[:, 0].numpy())
    np.testing.assert_allclose(got, wanted, rtol=2e-2, atol=2e-2 * np.abs(wanted).max())


def test_it_comes_back_as_it_was_saved() -> None:
    backbone = backbones.build_backbone("resnet18", "random", pool="stages")
    again = backbones.rebuild_backbone(backbone.record(), backbone.state_dict())
    pixels = InputNormalisation("imagenet")(films(64))
    with torch.no_grad():
        assert torch.equal(again(pixels), backbone(pixels))


def test_heat_counts_earlier_maps_too() -> None:
    """On a linear head the evidence's mean is the logit, less the bias (Zhou et al. 2016)."""
    backbone = backbones.build_backbone("resnet18", "random", pool="stages")
    weights = np.random.default_rng(1).normal(size=(2, backbone.channels))
    top = NumpyHead(Standardise.none(backbone.channels), ((weights, np.zeros(2)),))
    asked = subjects.of_parts(
        ModelMetadata(["a", "b"], "imagenet", "fp32", mirror=False), backbone, top
    )
    film = films(96)[0, 0].numpy()
    evidence: Any = cam.evidence(asked, film, 1, "hirescam")
    assert evidence.sum() == pytest.approx(asked.logits(film[None])[0, 1], rel=1e-4)


def test_the_drawing_says_how_many_features_stand_beside() -> None:
    first, other = (
        backbones.build_backbone("resnet18", "random", seed, "stages") for seed in (0, 1)
    )
    joined = backbones.join_backbones(first, [other])
    top = NumpyHead(Standardise.none(1792), ((np.ones((2, 1792)), np.zeros(2)),))
    beside = [
        part
        for part in summary.summarise_layers(joined, top, (96, 96), {})
        if part.where == "beside"
    ]
    assert [part.channels for part in beside] == [896]


def test_a_network_without_such_stages_is_refused() -> None:
    with pytest.raises(HilumError, match="a pool of wiklund_cnn is one of"):
        backbones.build_backbone("wiklund_cnn", "random", pool="stages")


@pytest.mark.slow
def test_layers_that_were_left_out_do_not_come_back() -> None:
    backbone = backbones.build_backbone("vgg16", "random")
    with pytest.raises(HilumError, match="pool 'fc1' of 'vgg16' needs other layers"):
        backbones.with_pooling(backbone, "fc1")
