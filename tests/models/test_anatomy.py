"""A network's parts: shapes as in the papers' tables, and every weight counted once."""

import numpy as np
import pytest
import torch

from hilum.models import backbones, summary
from hilum.models.backbone import Backbone
from hilum.models.backbones import BACKBONES
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.weights import Weights


def head(features: int) -> NumpyHead:
    layers = ((np.zeros((1000, features)), np.zeros(1000)), (np.zeros((2, 1000)), np.zeros(2)))
    return NumpyHead(Standardise.none(features), layers)


@pytest.mark.parametrize(
    "name", ["resnet50", "tf_efficientnet_lite0", "elazhari_cnn", "wiklund_fc"]
)
def test_every_weight_is_counted_once(name: str) -> None:
    backbone = backbones.build_backbone(name, "random")
    side = BACKBONES[name].side
    found = summary.summarise_layers(backbone, head(8), (side, side), {})
    mine = sum(part.parameters for part in found if part.where == "backbone")
    assert mine == sum(value.numel() for value in backbone.parameters())
    assert [part.parameters for part in found if part.where == "head"] == [9000, 2002]
    assert sum(part.trained for part in found) == 9000 + 2002


@pytest.mark.parametrize(("pool", "dense"), [("fc2", [4096, 4096]), ("fc3", [4096, 4096, 1000])])
def test_dense_layers_that_are_kept_are_drawn(pool: backbones.Pool, dense: list[int]) -> None:
    """Simonyan & Zisserman 2015, configuration D: 138,357,544 weights with all three of them."""
    with torch.device("meta"):
        backbone = Backbone(BACKBONES["vgg16"], Weights({}, "", "", ""), pool).eval()
    learnt = {"net.pre_logits.fc2.bias": "train"}
    found = summary.summarise_layers(backbone, head(dense[-1]), (224, 224), learnt)
    mine = [part for part in found if part.where == "backbone"]
    assert [(part.channels, part.rows) for part in mine[5:]] == [(width, 1) for width in dense]
    assert sum(part.parameters for part in mine) == 138_357_544 - (
        4_097_000 if pool == "fc2" else 0
    )
    assert [part.trained for part in mine] == [0] * 6 + [4096] + [0] * (len(dense) - 2)


def test_resnets_maps_are_those_of_its_paper() -> None:
    """He et al. 2016, table 1: outputs of 112, 56, 28, 14 and 7."""
    backbone = backbones.build_backbone("resnet50", "random")
    found = summary.summarise_layers(
        backbone, head(2048), (224, 224), {"net.layer4.2.conv3.weight": "train"}
    )
    maps = [(part.channels, part.rows) for part in found if part.where == "backbone"]
    assert maps == [(64, 112), (256, 56), (512, 28), (1024, 14), (2048, 7)]
    assert [part.layers for part in found][1:6] == [1, 10, 13, 19, 10]
    assert found[5].trained == 512 * 2048
