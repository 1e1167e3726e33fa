"""Pools by the strides of their maps: the network ends with the deepest of them."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hilum.explain import cam
from hilum.explain import explainer as explainers
from hilum.inference.model import ModelMetadata
from hilum.models import backbones, freezing, pools, summary
from hilum.models.backbones import Backbone
from hilum.models.cards import BACKBONES
from hilum.models.normalise import InputNormalisation
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime.compiling import compile_network
from hilum.types import HilumError

# by the authors' code: the module that ends a stage, of strides 8 and 16, and the next one
ENDS = {
    "resnet18": ("layer2", "layer3", "layer4"),
    "densenet121": ("features.denseblock2", "features.denseblock3", "features.denseblock4"),
    "tf_efficientnet_lite0": ("blocks.2", "blocks.4", "blocks.5"),
}


def films(side: int, count: int = 1) -> torch.Tensor:
    random = np.random.default_rng(3)
    grey = random.integers(0, 256, (count, 1, side, side)).astype(np.uint8)
    return InputNormalisation("imagenet")(torch.from_numpy(grey))


def early(name: str = "resnet18") -> Backbone:
    return backbones.build_backbone(name, "random", pool="early")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "resnet18")) for n in ENDS]
)
def test_features_are_the_means_that_a_hook_sees_and_nothing_deeper_is_kept(name: str) -> None:
    whole = backbones.build_backbone(name, "random")
    seen: list[torch.Tensor] = []
    modules = dict(whole.net.named_modules())
    for end in ENDS[name][:2]:
        modules[end].register_forward_hook(lambda _, __, out: seen.append(out.mean((2, 3))))
    pixels = films(128)
    with torch.no_grad():
        whole(pixels)
        cut = backbones.with_pooling(whole, (8, 16))
        torch.testing.assert_close(cut(pixels), torch.cat(seen, 1), rtol=1e-4, atol=1e-5)
    assert not any(key.startswith(f"{ENDS[name][2]}.") for key in cut.net.state_dict())
    with pytest.raises(HilumError, match="needs deeper layers than pool 'strides 8 and 16'"):
        backbones.with_pooling(cut, "average")


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, row in BACKBONES.items()
        if not row.own and row.layout in ("", "torchxrayvision")
    ],
)
def test_every_network_ends_where_it_is_told(name: str) -> None:
    backbone = backbones.outline_backbone(BACKBONES[name], "early")
    assert len(backbone.earlier) == 2
    stages, reached = backbone.card.stages, backbone.reached.stages
    assert reached == stages[: len(reached)]
    assert 0 < len(reached) < len(stages) + (name == "vgg16")  # its map before the last pooling
    names = [f"net.{name}" for name, _ in backbone.net.named_parameters()]
    actions = freezing.resolve([*names, "head"], freezing.last_stages(backbone.reached, 1))
    assert {actions[name] for name in names} == {"freeze", "train"}


def test_a_pool_of_fewer_maps_is_some_of_the_columns() -> None:
    first, other = (backbones.build_backbone("resnet18", "random", n, "stages") for n in (0, 1))
    joined = backbones.join_backbones(backbones.with_panels(first, 1), [other])
    pixels = films(96)
    with torch.no_grad():
        every = joined(pixels)
        for pool in ("average", (8, 16), (16,)):
            members = [backbones.with_pooling(one, pool) for one in (first, other)]
            alone = torch.cat([one(pixels) for one in members], 1)
            torch.testing.assert_close(every[:, joined.columns(pool)], alone, rtol=1e-4, atol=1e-5)
        film = films(96).repeat(1, 1, 2, 1)
        panels, cut = (backbones.with_panels(one, 2) for one in (first, early()))
        found = panels(film)[:, panels.columns("early")]
        torch.testing.assert_close(found, cut(film), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_same_network_comes_back_compiled_and_saved() -> None:
    backbone = early()
    record = json.loads(json.dumps(backbone.record()))
    assert record["pool"] == [8, 16]
    again = backbones.rebuild_backbone(record, backbone.state_dict())
    pixels = films(96, 2)
    with torch.no_grad():
        wanted = again(pixels)
        assert torch.equal(wanted, backbone(pixels))
        torch.testing.assert_close(again.from_maps(again.maps(pixels)), wanted)
    assert again.maps(pixels).shape == (2, 128 + 256, 6, 6)
    grey = np.random.default_rng(3).integers(0, 256, (2, 96, 96)).astype(np.uint8)
    network = nn.Sequential(InputNormalisation("imagenet"), backbone).eval()
    with torch.no_grad():
        plain = network(torch.from_numpy(grey)[:, None]).numpy()
    got = compile_network(network, (96, 96))(grey)
    np.testing.assert_allclose(got, plain, rtol=2e-2, atol=2e-2 * np.abs(plain).max())


def test_heat_and_drawing_end_with_the_last_map() -> None:
    """On a linear head the evidence's mean is the logit, less the bias (Zhou et al. 2016)."""
    backbone = early()
    weights = np.random.default_rng(1).normal(size=(2, backbone.channels))
    top = NumpyHead(Standardise.none(backbone.channels), ((weights, np.zeros(2)),))
    facts = ModelMetadata(["a", "b"], "imagenet", "fp32", mirror=False)
    asked = explainers.of_parts(facts, backbone, top)
    film = np.random.default_rng(3).integers(0, 256, (96, 96)).astype(np.uint8)
    evidence: Any = cam.evidence(asked, film, 1, "hirescam")
    assert evidence.shape == (6, 6)
    assert evidence.sum() == pytest.approx(asked.logits(film[None])[0, 1], rel=1e-4)
    rows = summary.summarise_layers(backbone, top, (96, 96), {})
    drawn = [(row.name, row.channels, row.rows) for row in rows if row.where == "backbone"]
    assert drawn == [
        ("conv1 to bn1", 64, 48), ("layer1", 64, 24), ("layer2", 128, 12), ("layer3", 256, 6)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "pool", "words"),
    [
        ("resnet18", (8, 12), "strides of a pool are among 2, 4, 8, 16, 32 and 64"),
        ("resnet18", (), "strides of a pool are among"),
        ("resnet18", (8, 64), r"not one for strides \[8, 64\]: it has \[2, 4, 8, 16, 32\]"),
        ("wiklund_cnn", "early", "a pool of wiklund_cnn is one of average, last; got"),
        ("vit_tiny_patch16_224", "early", "choose pool average"),
    ],
)
def test_what_a_network_has_not_is_refused(name: str, pool: Any, words: str) -> None:
    with pytest.raises(HilumError, match=words):
        backbones.require_pool(backbones.backbone_card(name), pool)


def test_pools_in_words() -> None:
    assert pools.settled("early") == pools.settled([16, 8, 8]) == (8, 16)
    assert [pools.name_of(pool) for pool in ("stages", (16,), (8, 16))] == [
        "stages", "stride 16", "strides 8 and 16"
    ]  # fmt: skip
    assert pools.widest(["average", "stages", (8, 16), (16,)]) == "stages"
    assert pools.widest(["average", (8,)]) is None
    assert pools.widest(["average", "flatten"]) is None
